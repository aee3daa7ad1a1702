"""The data directory: one owner at a time, secrets made once and kept private, a `run.json` to rely on."""

import json
import os
import re
import socket
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from compose import datadir
from compose.datadir import DataDir, Pids, Running, read_running
from compose.ports import is_free
from compose.processes import StartError


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "data"


def running(data: DataDir) -> Running:
    made = data.secrets()
    return Running(
        gateway_url="http://127.0.0.1:20001",
        kafka_bootstrap="127.0.0.1:20002",
        postgres_dsn="postgresql://tocsin:secret@127.0.0.1:20003/tocsin",
        mailbox="file:///mail",
        api_keys=made.api_keys,
        webhook_tokens=made.webhook_tokens,
        pids=Pids(gateway=11, worker=12, pager=13, projector=14, kafka=15),
        started_at="2026-11-21T10:00:00+00:00",
        data_dir=str(data.path),
        topic_prefix="",
    )


def mode(file: Path) -> int:
    return file.stat().st_mode & 0o777


def test_secrets_are_made_once_and_are_private(directory: Path) -> None:
    with DataDir(directory) as data:
        first = data.secrets()
    with DataDir(directory) as data:
        assert data.secrets() == first
    assert mode(directory / "secrets.json") == 0o600
    keys = [first.api_keys.viewer, first.api_keys.responder, first.api_keys.admin]
    tokens = [first.webhook_tokens.alertmanager, first.webhook_tokens.elastic, first.webhook_tokens.generic]
    assert all(re.fullmatch(r"tk_[\w-]{43}", key) for key in keys)
    assert all(re.fullmatch(r"wh_[\w-]{43}", token) for token in tokens)
    assert len({*keys, *tokens, first.postgres_password}) == 7


def test_secrets_do_not_show_when_a_value_is_printed(directory: Path) -> None:
    with DataDir(directory) as data:
        made = data.secrets()
        shown = f"{made!r} {running(data)!r}"
    assert "tk_" not in shown
    assert "wh_" not in shown
    assert made.postgres_password not in shown
    assert "secret@" not in shown


def test_damaged_secrets_are_one_sentence(directory: Path) -> None:
    with DataDir(directory) as data:
        (directory / "secrets.json").write_text("{")
        with pytest.raises(StartError, match=r"secrets\.json is damaged .*make clean-data"):
            data.secrets()


def test_run_json_has_exactly_the_documented_keys(directory: Path) -> None:
    with DataDir(directory) as data:
        data.write_running(running(data))
        raw = json.loads((directory / "run.json").read_text())
        assert read_running(directory) == running(data)
    assert set(raw) == {
        "gateway_url",
        "kafka_bootstrap",
        "postgres_dsn",
        "mailbox",
        "api_keys",
        "webhook_tokens",
        "pids",
        "started_at",
        "data_dir",
        "topic_prefix",
        "metrics",
    }
    assert set(raw["api_keys"]) == {"viewer", "responder", "admin"}
    assert set(raw["webhook_tokens"]) == {"alertmanager", "elastic", "generic"}
    assert raw["pids"] == {"gateway": 11, "worker": 12, "pager": 13, "projector": 14, "kafka": 15, "postgres": None}
    assert mode(directory / "run.json") == 0o600


def test_run_json_is_replaced_whole(directory: Path) -> None:
    with DataDir(directory) as data:
        data.write_running(running(data))
        reader = (directory / "run.json").open()
        data.write_running(replace(running(data), mailbox="file:///elsewhere"))
        assert json.load(reader)["mailbox"] == "file:///mail"
        assert [file.name for file in directory.iterdir() if file.name.startswith(".")] == []


def test_nothing_runs_where_nothing_was_started(directory: Path) -> None:
    assert read_running(directory) is None


def test_a_second_owner_is_told_who_has_it(directory: Path) -> None:
    with DataDir(directory) as data:
        with pytest.raises(StartError, match=rf"already runs on .*\(pid {os.getpid()}, still starting\)"):
            DataDir(directory).__enter__()
        data.write_running(running(data))
        with pytest.raises(StartError, match=rf"\(pid {os.getpid()}, http://127\.0\.0\.1:20001\)"):
            DataDir(directory).__enter__()
    with DataDir(directory):
        pass


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StartError, match=r"cannot be used .*set TOCSIN_DATA_DIR"):
        DataDir(tmp_path / "file" / "data").__enter__()


def test_a_first_start_without_room_is_one_sentence(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compose.datadir.shutil.disk_usage", lambda _: SimpleNamespace(free=20_500_000))
    with DataDir(directory) as data:
        with pytest.raises(StartError, match=r"Only 20 MB are free for .* takes 150 MB: make room, or set TOCSIN_DATA"):
            data.check_room()
        data.port("gateway")  # it was started before: people may still be paged on what is left
        data.check_room()


def test_ports_stay_the_same_while_they_are_free(directory: Path) -> None:
    with DataDir(directory) as data:
        port = data.port("gateway")
        assert is_free(port)
        assert data.port("gateway") == port
        assert data.port("smtp") != port
        with socket.create_server(("127.0.0.1", port)):
            assert data.port("gateway") != port


def test_a_wanted_port_that_is_taken_is_one_sentence(directory: Path) -> None:
    with DataDir(directory) as data, socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        with pytest.raises(StartError, match=f"Port {taken} for gateway is taken"):
            data.port("gateway", taken)


def test_removing_takes_along_what_lies_elsewhere(directory: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with DataDir(directory) as data:
        (data.path / "postgres").mkdir()
        (data.path / "postgres" / "home").symlink_to(elsewhere)
    datadir.remove(directory)
    assert not directory.exists()
    assert not elsewhere.exists()
    datadir.remove(directory)


def test_removing_refuses_what_is_in_use_or_not_ours(directory: Path, tmp_path: Path) -> None:
    with DataDir(directory), pytest.raises(StartError, match="already runs"):
        datadir.remove(directory)
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(StartError, match="nothing was removed"):
        datadir.remove(tmp_path)
    assert (tmp_path / "photo.jpg").exists()
