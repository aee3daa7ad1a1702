"""The load generator, a process of its own: many connections, each posting one body after the other over HTTP/1.1.

    python -m tests.bench.load HOST PORT PATH TOKEN KIND SECONDS CONNECTIONS RATE

Prints one JSON line: requests offered and answered, errors, seconds, latency percentiles in milliseconds. KIND is
`new` (each alert is another one), `repeat` (one that fires already), `empty` (no body). RATE is requests/s over all
connections, 0 for as fast as answers come.
"""

import asyncio
import json
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tests.world import alert, webhook

TIMEOUT = 10.0
BEGAN = datetime.now(UTC)


@dataclass
class Tally:
    """What happened."""

    answered: int = 0
    errors: int = 0
    statuses: dict[int, int] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)

    def percentile(self, share: float) -> float:
        """A latency in milliseconds; 0 when nothing was answered."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000 if ordered else 0.0


@dataclass(frozen=True)
class Plan:
    """What to post where, how fast, for how long."""

    host: str
    port: int
    path: str
    token: str
    kind: str
    seconds: float
    connections: int
    rate: float


def body(kind: str, number: int) -> bytes:
    """The body of the n-th request."""
    if kind == "empty":
        return b""
    labels = {"service": "payments", "instance": "same" if kind == "repeat" else f"i-{number}"}
    return json.dumps(webhook([alert("BenchLoad", labels, BEGAN if kind == "repeat" else datetime.now(UTC))])).encode()


async def one_connection(plan: Plan, index: int, end: float, tally: Tally) -> None:
    """Post until `end`, reconnecting after an error."""
    number = index * 10_000_000
    pause = plan.connections / plan.rate if plan.rate else 0.0
    due = time.perf_counter() + pause * index / plan.connections
    while time.perf_counter() < end:
        try:
            reader, writer = await asyncio.open_connection(plan.host, plan.port)
            while time.perf_counter() < end:
                if pause:
                    await asyncio.sleep(max(0.0, due - time.perf_counter()))
                    due += pause
                number += 1
                began = time.perf_counter()
                async with asyncio.timeout(TIMEOUT):
                    status = await _exchange(plan, number, reader, writer)
                tally.latencies.append(time.perf_counter() - began)
                tally.answered += 1
                tally.statuses[status] = tally.statuses.get(status, 0) + 1
            writer.close()
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            tally.errors += 1


async def _exchange(plan: Plan, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
    content = body(plan.kind, number)
    method = "POST" if content else "GET"
    head = (
        f"{method} {plan.path} HTTP/1.1\r\nHost: {plan.host}\r\nAuthorization: Bearer {plan.token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    writer.write(head.encode() + content)
    answer = await reader.readuntil(b"\r\n\r\n")
    length = next(int(line[15:]) for line in answer.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    await reader.readexactly(length)
    return int(answer[9:12])


async def run(plan: Plan) -> dict[str, object]:
    """Carry the plan out."""
    tally, began = Tally(), time.perf_counter()
    end = began + plan.seconds
    await asyncio.gather(*(one_connection(plan, index, end, tally) for index in range(plan.connections)))
    seconds = time.perf_counter() - began
    return {
        "answered": tally.answered,
        "errors": tally.errors,
        "statuses": tally.statuses,
        "seconds": round(seconds, 2),
        "per_second": round(tally.answered / seconds, 1),
        "p50_ms": round(tally.percentile(0.5), 1),
        "p99_ms": round(tally.percentile(0.99), 1),
    }


if __name__ == "__main__":
    host, port, path, token, kind, seconds, connections, rate = sys.argv[1:]
    asked = Plan(host, int(port), path, token, kind, float(seconds), int(connections), float(rate))
    print(json.dumps(asyncio.run(run(asked))))
