"""The load generator, a process of its own: some connections over TCP, each with one request at a time (HTTP/1.1).

    python -m tests.bench.load < PLAN

The plan is JSON on standard input (it holds a token), and the report is one JSON line. It is cheap on purpose: it
shares the machine with what it loads. With a rate, requests are due at fixed times whatever becomes of those before,
and latency counts from when a request was due: a server that stalls is not spared the requests that it kept waiting.
"""

import asyncio
import json
import math
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict

import psutil
import uvloop

from tests.bench.bodies import Webhooks
from tests.bench.plan import Plan, Report
from tests.bench.wire import TIMEOUT, BadAnswer, Exchange

RECONNECT = 0.1
"""Seconds between attempts at a connection, half to double; they end with the load."""


class Requests:
    """The bytes of one request after the other."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._webhooks = Webhooks(plan.mix) if plan.mix else None
        self._tail = self._rest_of_head()
        self._next = 0

    def _rest_of_head(self) -> bytes:
        plan = self._plan
        lines = [f" HTTP/1.1\r\nHost: {plan.host}:{plan.port}\r\nAccept: application/json\r\n"]
        if plan.token:
            lines.append(f"Authorization: Bearer {plan.token}\r\n")
        if plan.method == "POST":
            length = len(self._webhooks.body(0)) if self._webhooks else 2
            lines.append(f"Content-Type: application/json\r\nContent-Length: {length}\r\n")
        return ("".join(lines) + "\r\n").encode()

    def take(self) -> tuple[int, bytes]:
        """(index, bytes) of the next request."""
        index, plan = self._next, self._plan
        self._next += 1
        start = f"{plan.method} {plan.paths[index % len(plan.paths)]}".encode()
        body = self._webhooks.body(index) if self._webhooks else b"{}" if plan.method == "POST" else b""
        return index, start + self._tail + body

    def opened(self, index: int) -> list[int]:
        """Alerts of a request that are alone in a group."""
        return self._webhooks.opened(index) if self._webhooks else []


class Load:
    """Carries one plan out."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.requests = plan, Requests(plan)
        self.loop = asyncio.get_running_loop()
        self.statuses: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.latencies: list[float] = []
        self.opened: list[tuple[int, float]] = []
        self.offered = 0
        self.began = time.perf_counter()
        self.end = self.began + plan.seconds
        self.last = self.began

    async def run(self) -> Report:
        """Send until the time is over, then wait for the answers that are still to come."""
        began, cpu = time.time(), time.process_time()
        lines = [Line(self, index) for index in range(self.plan.connections)]
        await asyncio.gather(*(line.run() for line in lines))
        taken = sum(count for status, count in self.statuses.items() if status.startswith("2"))
        return Report(
            offered=self.offered,
            answered=len(self.latencies),
            statuses=dict(self.statuses),
            errors=dict(self.errors),
            alerts=taken * (self.plan.mix.each if self.plan.mix else 0),
            began=began,
            seconds=self.last - self.began,
            cpu=time.process_time() - cpu,
            memory=psutil.Process().memory_info().rss,
            latencies=self.latencies,
            opened=self.opened,
        )

    def over(self) -> bool:
        """Whether no more requests are to be sent."""
        return time.perf_counter() >= self.end or 0 < self.plan.limit <= self.offered

    def answered(self, index: int, status: int, due: float) -> None:
        """Count an answer."""
        self.statuses[str(status)] += 1
        self.latencies.append(time.perf_counter() - due)
        if status // 100 == 2:
            self.opened += [(number, time.time()) for number in self.requests.opened(index)]


class Line:
    """One connection, made again when it breaks, with one request under way at most."""

    def __init__(self, load: Load, index: int) -> None:
        self._load = load
        self._pause = load.plan.connections / load.plan.rate if load.plan.rate else 0.0
        self._random = random.Random(index)
        self._slot = load.began + self._pause * index / load.plan.connections
        self._protocol: Exchange | None = None

    async def run(self) -> None:
        """Send what is due until the load is over."""
        load = self._load
        while not load.over():
            due = time.perf_counter()
            if self._pause:
                due = self._slot + self._random.random() / load.plan.rate
                self._slot += self._pause
                if due >= load.end:
                    break
                if (wait := due - time.perf_counter()) > 0:
                    await asyncio.sleep(wait)
            load.offered += 1
            await self._exchange(due)
        if self._pause and not load.plan.limit:
            load.offered += max(0, math.ceil((load.end - self._slot) / self._pause))  # was due and not even sent
        self._hang_up()

    def _hang_up(self) -> None:
        if self._protocol:
            self._protocol.close()

    async def _exchange(self, due: float) -> None:
        load = self._load
        try:
            if self._protocol is None or self._protocol.is_closed:
                self._hang_up()
                self._protocol = await self._connect()
            index, content = load.requests.take()
            load.last = time.perf_counter()
            status = await self._protocol.ask(content)
        except (OSError, BadAnswer) as error:
            load.errors[type(error).__name__] += 1
            self._hang_up()
            await asyncio.sleep(RECONNECT * self._random.uniform(0.5, 2))
            return
        load.answered(index, status, due)

    async def _connect(self) -> Exchange:
        plan = self._load.plan
        async with asyncio.timeout(TIMEOUT):
            _, made = await self._load.loop.create_connection(Exchange, plan.host, plan.port)
        return made


def main(read: Callable[[], str] = sys.stdin.read) -> None:
    """Carry out the plan on standard input."""
    plan = Plan.parse(read())

    async def run() -> Report:
        return await Load(plan).run()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(asdict(runner.run(run()))))


if __name__ == "__main__":
    main()
