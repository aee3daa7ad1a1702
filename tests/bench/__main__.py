"""Starts an installation of its own, loads it over TCP, reads the counts back from the store, prints a table.

Every rate stands beside a limit that was measured in the same run; quote the ratios, not the numbers.
"""

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
from rich.console import Console
from rich.table import Table

from compose.client import Access, Client
from compose.prepare import hashed
from streams.channels.mailbox import Mailbox
from tests.bench import limits
from tests.services import services
from tests.stack import ROOT, Installation, free_port, until
from tests.world import CONFIG, alert, webhook

SECONDS = 10.0
CONNECTIONS = 64
PAGES = 40
console = Console()


def load(url: str, path: str, token: str, kind: str, rate: float = 0) -> dict[str, Any]:
    """Run the load generator as a process of its own."""
    parts = urlsplit(url)
    where = [str(parts.hostname), str(parts.port), path, token, kind]
    how = [str(SECONDS), str(CONNECTIONS), str(rate)]
    command = [sys.executable, "-m", "tests.bench.load", *where, *how]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=SECONDS + 60)
    found: dict[str, Any] = json.loads(printed.stdout)
    return found


@contextmanager
def empty_route() -> Iterator[str]:
    """A server with one empty FastAPI route."""
    port = free_port()
    server = subprocess.Popen([sys.executable, "-m", "tests.bench.limits", str(port)], cwd=ROOT)
    try:
        time.sleep(2)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(10)


def folded(dsn: str) -> int:
    """Records that the store's positions say are folded."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute('select coalesce(sum("offset" + 1), 0) from tocsin.tracking').fetchone()
    return int(row[0]) if row else 0


def throughput(installation: Installation, kind: str) -> tuple[float, float, dict[str, Any]]:
    """(accepted/s, folded/s, the generator's report) for single-alert webhooks."""
    running = installation.running
    before, began = folded(installation.dsn), time.perf_counter()
    token = running.webhook_tokens.alertmanager
    report = load(running.gateway_url, "/api/v1/webhooks/alertmanager", token, kind)
    accepted = report["statuses"].get("202", 0)
    wanted = before + accepted
    until("the fold", lambda: folded(installation.dsn) >= wanted or None, 120.0)
    return accepted / report["seconds"], accepted / (time.perf_counter() - began), report


def page_latency(installation: Installation) -> list[float]:
    """Seconds from accepted (202 read) to handed to SMTP (the mail is on disk), one after the other."""
    running = installation.running
    mailbox = Mailbox(installation.folder / "data" / "mailbox")
    found = []
    with Client(Access(running.gateway_url, running.api_keys.viewer)) as client:
        for number in range(PAGES):
            seen = len(mailbox.messages())
            body = webhook([alert(f"Latency{number}", {"service": "payments"}, datetime.now(UTC))])
            client.fire("alertmanager", running.webhook_tokens.alertmanager, body)
            began = time.perf_counter()
            while len(mailbox.messages()) <= seen:
                time.sleep(0.002)
            found.append(time.perf_counter() - began)
            time.sleep(0.05)
    return found


def configured(installation: Installation) -> None:
    """A routing tree whose load opens one incident and pages nobody meanwhile."""
    running = installation.running
    token = f"sha256:{hashed(running.webhook_tokens.alertmanager)}"
    config = CONFIG.replace("{source: alertmanager}", f"{{source: alertmanager, token_hashes: ['{token}']}}")
    with Client(Access(running.gateway_url, running.api_keys.admin)) as client:
        client.apply({"bench.yaml": config}, dry_run=False)


def main() -> None:
    """Measure and print."""
    table = Table("what", "value", "beside", "ratio", title="Tocsin, on this machine, in this run")
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder, services(Path(folder)) as started:
        with empty_route() as url:
            route = load(url, "/empty", "", "empty")["per_second"]
        produced = asyncio.run(limits.produce(started.kafka, SECONDS / 2, CONNECTIONS))
        apart = {"ALERTS_PARTITIONS": "24", "PAGES_PER_MINUTE": "1000"}
        installation = Installation(started, started.dsn, "bench-", Path(folder), **apart)
        try:
            configured(installation)
            latencies = page_latency(installation)
            for kind in ("new", "repeat"):
                accepted, folded_rate, report = throughput(installation, kind)
                table.add_row(
                    f"{kind} alerts accepted/s",
                    f"{accepted:.0f}",
                    f"empty route {route:.0f}/s",
                    f"{accepted / route:.2f}",
                )
                table.add_row(
                    f"{kind} alerts folded/s",
                    f"{folded_rate:.0f}",
                    f"produced and flushed {produced:.0f}/s",
                    f"{folded_rate / produced:.2f}",
                )
                console.print(f"{kind}: {report}")
        finally:
            installation.close()
    p50, p95 = statistics.median(latencies) * 1000, statistics.quantiles(latencies, n=20)[-1] * 1000
    table.add_row("page at rest, p50 ms", f"{p50:.0f}", "fold tick 20 ms", f"{p50 / 20:.1f}")
    table.add_row("page at rest, p95 ms", f"{p95:.0f}", "fold tick 20 ms", f"{p95 / 20:.1f}")
    console.print(table)


if __name__ == "__main__":
    main()
