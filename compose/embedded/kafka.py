"""One real Kafka broker (KRaft, one node, loopback only) as our own child. Its settings are in `_properties`."""

from __future__ import annotations

import base64
import socket
import struct
import subprocess
import uuid
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from compose.embedded.jars import verified_jars
from compose.embedded.java import find_java
from compose.ports import LOOPBACK, is_open, stable_port
from compose.processes import (
    Command,
    Say,
    StartError,
    end,
    end_orphans,
    kill,
    run_tool,
    spawn,
    unheard,
    wait_until,
)

LOGGING = {
    "defaultLogLevel": "warn",
    "showDateTime": "true",
    "dateTimeFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSX",
    "showThreadName": "false",
}
"""Of slf4j's SimpleLogger, which writes to the error output."""
JVM = (
    *("-Xmx512m", "-Xms128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:+ExitOnOutOfMemoryError"),
    "-Djava.net.preferIPv4Stack=true",
    *(f"-Dorg.slf4j.simpleLogger.{name}={value}" for name, value in LOGGING.items()),
)
"""Small, and soon up: a broker of this size never earns back what the optimising compiler takes."""
API_VERSIONS = 18  # the request any client sends first


@dataclass
class RunningKafka:
    """A broker that was started; `process` is our own child.

    bootstrap: host:port for clients.
    """

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def bootstrap(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def wait_ready(self, timeout: float = 60.0) -> None:
        """Return when the broker answers; at rest 2 s. Raises StartError if it dies or takes longer (seconds)."""
        wait_until(lambda: answers(self.port), self.process, "Kafka", self.log, timeout)

    def stop(self, timeout: float = 20.0) -> bool:
        """Controlled shutdown, SIGKILL after `timeout` seconds. True when the end was clean."""
        return end(self.process, Command.stop_signal, timeout)

    def kill(self) -> None:
        """SIGKILL, as an accident would."""
        kill(self.process)


class EmbeddedKafka:
    """A broker that keeps everything in one directory and survives kill -9 of anything.

    data_dir: its own directory; made when absent.
    port: for clients; None means a free one that stays the same in this directory.
    java_home: looked at first for a Java.
    log: where both outputs go; `kafka.log` in the directory when None.
    """

    def __init__(
        self,
        data_dir: Path,
        port: int | None = None,
        *,
        java_home: Path | None = None,
        log: Path | None = None,
        say: Say = unheard,
    ) -> None:
        self.data_dir = data_dir.resolve()
        self.log = log or self.data_dir / "kafka.log"
        self._wanted_port, self._java_home, self._say = port, java_home, say

    @cached_property
    def port(self) -> int:
        """The clients' port: chosen on first use, which is in `prepare`, and kept from then on."""
        return stable_port(self.data_dir / "kafka.port", self._wanted_port)

    @property
    def bootstrap(self) -> str:
        """host:port for clients."""
        return f"{LOOPBACK}:{self.port}"

    def answers(self) -> bool:
        """Whether the broker answers a request now."""
        return answers(self.port)

    def start(self) -> RunningKafka:
        """Prepare and spawn; does not wait until it answers. Call it from the main thread.

        Raises StartError: no Java, no jars, a port that is taken, a broker already on this directory.
        """
        command = self.prepare()
        return RunningKafka(spawn(command, self.log), self.port, self.log)

    def prepare(self) -> Command:
        """All that comes before the process: leftovers stopped, jars checked, storage formatted. May take seconds.

        Returns the command to spawn. Raises StartError as `start` does.
        """
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        end_orphans(self.data_dir, say=self._say)
        controller_port = stable_port(self.data_dir / "controller.port")
        properties = self.data_dir / "server.properties"
        properties.write_text(_properties(self.port, controller_port))
        java = find_java(self._java_home).path
        jars = verified_jars(say=self._say)
        jvm = (str(java), *JVM, "-cp", f"{jars}/*")
        if not (self.data_dir / "data" / "meta.properties").exists():  # written last, by a rename
            self._format(jvm)
        # Run in the directory itself, with paths relative to it: Kafka would split a path at a comma, and take a
        # backslash for an escape.
        argv = (*jvm, "kafka.Kafka", properties.name)
        return Command("kafka", argv, self.data_dir, {"LC_ALL": "C.UTF-8"}, cwd=self.data_dir)

    def _format(self, jvm: tuple[str, ...]) -> None:
        tool = (
            "kafka.tools.StorageTool",
            "format",
            f"--cluster-id={_new_cluster_id()}",
            "-c",
            "server.properties",
            "--ignore-formatted",
        )
        done = run_tool((*jvm, *tool), 180, cwd=self.data_dir)
        if done.returncode != 0:
            raise StartError(f"Kafka could not format its storage in {self.data_dir}: {done.stdout.strip()[-800:]}")


def answers(port: int, timeout: float = 2.0) -> bool:
    """Whether a broker on this loopback port answers a request (an open port alone is too early); seconds."""
    client = b"tocsin"
    body = struct.pack(">hhih", API_VERSIONS, 0, 1, len(client)) + client
    if not is_open(port):
        return False
    try:
        with socket.create_connection((LOOPBACK, port), timeout) as connection:
            connection.sendall(struct.pack(">i", len(body)) + body)
            return len(connection.recv(8)) > 0
    except OSError:
        return False


def _new_cluster_id() -> str:
    """As Kafka makes them: a uuid in URL-safe base64, not beginning with what looks like an option."""
    while (identity := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return identity


def _properties(port: int, controller_port: int) -> str:
    """The broker's settings: one node that starts fast, is small, and is never visible beyond this machine."""
    return f"""\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{LOOPBACK}:{controller_port}
listeners=PLAINTEXT://{LOOPBACK}:{port},CONTROLLER://{LOOPBACK}:{controller_port}
advertised.listeners=PLAINTEXT://{LOOPBACK}:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs=data
auto.create.topics.enable=false
num.partitions=4
# One node: nothing can be replicated.
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=2
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# A restart after kill -9 waits for the old session to end: 5 s instead of 13.
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
group.initial.rebalance.delay.ms=0
group.coordinator.rebalance.protocols=classic,consumer
# Small.
num.network.threads=2
num.io.threads=2
num.recovery.threads.per.data.dir=2
log.cleaner.dedupe.buffer.size=16777216
"""
