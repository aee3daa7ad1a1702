"""What the load generator is told, and what it tells. Both cross to another process as JSON."""

import json
from dataclasses import asdict, dataclass, field

from tests.bench.bodies import Mix


@dataclass(frozen=True, slots=True)
class Plan:
    """What to send where, how fast, for how long.

    Parameters:
        host, port, token: of the server; an empty token sends no authorization.
        method, paths: asked in turn.
        mix: the alerts to post; without one a POST has the body `{}`.
        seconds: how long new requests are sent.
        connections: so many requests are under way at most.
        rate: requests/s over all connections; 0 for as fast as answers come.
        limit: so many requests at most; 0 for no limit.
    """

    host: str
    port: int
    paths: tuple[str, ...]
    seconds: float
    method: str = "POST"
    token: str = field(default="", repr=False)
    mix: Mix | None = None
    connections: int = 64
    rate: float = 0.0
    limit: int = 0

    def dump(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def parse(cls, text: str) -> "Plan":
        """The opposite of `dump`."""
        raw = json.loads(text)
        return cls(**{**raw, "paths": tuple(raw["paths"]), "mix": Mix(**raw["mix"]) if raw["mix"] else None})


@dataclass(frozen=True, slots=True)
class Report:
    """What happened.

    Parameters:
        offered: requests that were due; answered: those with an answer.
        statuses, errors: how many answers of each status, how many requests without one by what happened.
        alerts: alerts in webhooks that were taken (2xx).
        began: when the first request was sent, in seconds since 1970.
        seconds: from then to the last that was sent.
        latencies: seconds to the answer, of every request.
        opened: (alert, when it was taken, in seconds since 1970) of alerts alone in a group.
        cpu, memory: CPU seconds of the generator while it sent, and its bytes of memory at the end.
    """

    offered: int
    answered: int
    statuses: dict[str, int]
    errors: dict[str, int]
    alerts: int
    began: float
    seconds: float
    cpu: float
    memory: int
    latencies: list[float] = field(repr=False)
    opened: list[tuple[int, float]] = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> "Report":
        """From the line that the generator printed."""
        raw = json.loads(text)
        return cls(**{**raw, "opened": [(number, at) for number, at in raw["opened"]]})

    @property
    def taken(self) -> int:
        """Requests that were answered with a success."""
        return self.answered - sum(count for status, count in self.statuses.items() if not status.startswith("2"))

    @property
    def failed(self) -> int:
        """Requests that were not answered with a success."""
        return self.answered - self.taken + sum(self.errors.values())
