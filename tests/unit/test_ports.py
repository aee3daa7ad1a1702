"""Ports of one installation: the same each time, and never one for two."""

from pathlib import Path

import pytest

from compose import ports


@pytest.fixture(autouse=True)
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "_given", {})


def test_a_port_that_nobody_listens_on_yet_is_not_given_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter([7_123, 7_123, 7_124])
    monkeypatch.setattr("compose.ports.secrets.randbelow", lambda _: next(drawn))
    monkeypatch.setattr("compose.ports.is_free", lambda _: True)
    found = [ports.stable_port(tmp_path / name) for name in ("gateway", "worker-metrics", "gateway")]
    assert found == [27_123, 27_124, 27_123]


def test_two_that_remember_the_same_port_get_different_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compose.ports.is_free", lambda _: True)
    for name in ("gateway", "pager-metrics"):
        (tmp_path / name).write_text("25000\n")
    assert ports.stable_port(tmp_path / "gateway") == 25_000
    assert ports.stable_port(tmp_path / "pager-metrics") != 25_000
