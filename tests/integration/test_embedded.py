"""Embedded Kafka and Postgres: real, durable through kill -9, private, for root and for plain users."""

import os
import pwd
import shutil
import stat
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import psycopg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from compose.embedded import account
from compose.embedded.account import reachable_by_others
from compose.embedded.kafka import EmbeddedKafka
from compose.embedded.postgres import EmbeddedPostgres, answers, installed_programs
from compose.processes import StartError, User

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0  # seconds


async def test_kafka_keeps_acknowledged_records_through_kill_9(tmp_path: Path) -> None:
    service = EmbeddedKafka(tmp_path / "a, directory")
    broker = service.start()
    try:
        broker.wait_ready(PATIENCE)
        address = broker.bootstrap
        await _produce(address, [b"one", b"two"])
        with pytest.raises(StartError, match="kafka already runs on"):
            EmbeddedKafka(service.data_dir).start()
        broker.kill()
        assert not broker.alive
        broker = EmbeddedKafka(service.data_dir).start()
        broker.wait_ready(PATIENCE)
        assert broker.bootstrap == address
        assert await _consume(address, 2) == [b"one", b"two"]
        assert _listens_on(broker.process.pid) == {"127.0.0.1"}
    finally:
        assert broker.stop()
    assert not broker.alive


async def _produce(bootstrap: str, values: list[bytes]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic("kept", 1, 1, topic_configs={"flush.messages": "1"})])
    finally:
        await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
        for value in values:
            await producer.send_and_wait("kept", value)


async def _consume(bootstrap: str, count: int) -> list[bytes | None]:
    async with AIOKafkaConsumer("kept", bootstrap_servers=bootstrap, auto_offset_reset="earliest") as consumer:
        return [(await consumer.getone()).value for _ in range(count)]


def _listens_on(pid: int) -> set[str]:
    connections = psutil.Process(pid).net_connections("tcp")
    return {each.laddr.ip for each in connections if each.status == psutil.CONN_LISTEN}


@contextmanager
def postgres(directory: Path) -> Iterator[EmbeddedPostgres]:
    service = EmbeddedPostgres(directory)
    yield service
    service.remove()


def test_postgres_keeps_commits_through_kill_9(tmp_path: Path) -> None:
    with postgres(tmp_path / "a, directory") as service:
        server = service.start()
        try:
            server.wait_ready(PATIENCE)
            address = server.dsn
            with psycopg.connect(address) as connection:
                connection.execute("create table kept (i int)")
                connection.execute("insert into kept values (1), (2)")
            with pytest.raises(StartError, match="postgres already runs on"):
                EmbeddedPostgres(service.data_dir).start()
            server.kill()
            assert not server.alive
            server = EmbeddedPostgres(service.data_dir).start()
            server.wait_ready(PATIENCE)
            assert server.dsn == address
            with psycopg.connect(address) as connection:
                assert connection.execute("select count(*) from kept").fetchone() == (2,)
            assert _listens_on(server.process.pid) == {"127.0.0.1"}
        finally:
            assert server.stop()


def test_postgres_asks_everybody_for_a_password(tmp_path: Path) -> None:
    with postgres(tmp_path / "pg") as service:
        server = service.start()
        try:
            server.wait_ready(PATIENCE)
            wrong = server.dsn.replace(urlsplit(server.dsn).password or "", "wrong")
            for dsn in (wrong, wrong.replace("tocsin:wrong", "postgres:wrong")):
                with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
                    psycopg.connect(dsn).close()
            sockets = (service.data_dir / "home" / "socket").resolve()
            local = f"host={sockets} port={service.port} user=postgres dbname=postgres password=wrong"
            with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
                psycopg.connect(local).close()
            with pytest.raises(StartError, match="another password"):
                answers(wrong)
        finally:
            server.stop()
        assert stat.S_IMODE((service.data_dir / "password").stat().st_mode) == 0o600


def test_a_long_path_gets_its_socket_elsewhere(tmp_path: Path) -> None:
    with postgres(tmp_path / ("long" * 25)) as service:
        if os.geteuid() == 0:  # would go to a short path by itself if nobody cannot get in
            _let_everybody_in(tmp_path)
        server = service.start()
        try:
            server.wait_ready(PATIENCE)
            socket_dir = (service.data_dir / "home" / "socket").resolve()
            password = urlsplit(server.dsn).password
            local = f"host={socket_dir} port={service.port} user=tocsin dbname=tocsin password={password}"
            psycopg.connect(local).close()
        finally:
            server.stop()
    assert not socket_dir.exists()


def _let_everybody_in(path: Path) -> None:
    for parent in (path, *path.parents):
        if parent.owner() == "root" and parent.name.startswith(("pytest", "test_")):
            parent.chmod(0o711)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands Postgres to another account")
def test_root_hands_the_database_to_an_account_that_can_reach_it(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    said: list[str] = []
    service = EmbeddedPostgres(private / "pg", say=said.append)
    server = service.start()
    try:
        server.wait_ready(PATIENCE)
        home = (service.data_dir / "home").resolve()
        assert psutil.Process(server.process.pid).username() == "nobody"
        assert home.parent == Path("/var/lib/tocsin")
        assert said == [f"The database is kept in {home}: the account nobody cannot enter {service.data_dir}"]
    finally:
        server.stop()
    service.remove()
    assert not home.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make the programs unreadable for another account")
def test_root_copies_programs_that_the_account_cannot_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = pwd.getpwnam("nobody")
    user = User(entry.pw_name, entry.pw_uid, entry.pw_gid)
    package = installed_programs(None).parent
    hidden = tmp_path / "hidden"
    for part in (package, package.with_name(f"{package.name}.libs")):
        shutil.copytree(part, hidden / part.name, symlinks=True, ignore=shutil.ignore_patterns("pginstall18", "*.a"))
    hidden.chmod(0o700)
    _let_everybody_in(tmp_path)
    monkeypatch.setattr(account, "SHARED", tmp_path / "shared")
    umask = os.umask(0o077)
    try:
        programs = account.programs_for(hidden / package.name / "pginstall", "test", user)
    finally:
        os.umask(umask)
    assert programs.is_relative_to(tmp_path / "shared")
    assert reachable_by_others(programs / "bin" / "postgres")


AS_A_PLAIN_USER = """
import os, sys, psycopg
from pathlib import Path
from compose.embedded.postgres import EmbeddedPostgres
service = EmbeddedPostgres(Path(sys.argv[1]))
server = service.start()
server.wait_ready(60)
psycopg.connect(server.dsn).close()
server.kill()
server = service.start()
server.wait_ready(60)
print(os.geteuid(), Path(f"/proc/{server.process.pid}").stat().st_uid, server.stop())
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="all the other tests ran as a plain user")
def test_a_plain_user_needs_nobody(tmp_path: Path) -> None:
    uid = pwd.getpwnam("nobody").pw_uid
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    candidates = [Path(sys.executable), Path("/usr/bin") / version, Path("/usr/local/bin") / version]
    python = next((path for path in candidates if path.exists() and reachable_by_others(path)), None)
    if python is None or not reachable_by_others(ROOT):
        pytest.skip(f"no {version}, or no checkout, that another account can read")
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, uid, -1)
    _let_everybody_in(tmp_path)
    done = subprocess.run(
        [python, "-c", AS_A_PLAIN_USER, home / "pg"],
        env={"PYTHONPATH": os.pathsep.join([str(ROOT), sysconfig.get_path("purelib")]), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=home,
        user=uid,
        extra_groups=[],
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
    )
    assert done.stdout.split() == [str(uid), str(uid), "True"], done.stderr
