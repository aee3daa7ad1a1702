"""The world of the stories: a small company, its monitoring, its people, and a clock that tests move.

A story says what happens (`world.fire`, `world.advance`, `world.ack`) and what people see (`world.expect_page`,
`world.expect_incident`). Whatever was said to somebody and not expected fails the story at its end. The same
stories run on the store in memory, in one thread (`MemoryWorld`), and on the real thing (`tests.stack.RealWorld`).
"""

import itertools
import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

START = datetime(2026, 3, 2, 3, 0, tzinfo=UTC)

CONFIG = """
version: 1
users:
  ada: {name: Ada Example, email: ada@example.test}
  grace: {name: Grace Example, email: grace@example.test}
  edsger: {name: Edsger Example, email: edsger@example.test}
teams:
  platform: {members: [{user: ada, role: primary}, {user: grace, role: secondary}]}
  search: {members: [{user: edsger, role: primary}]}
services:
  payments: {team: platform, policy: two-steps}
  catalogue: {team: search, policy: search-only}
escalation_policies:
  two-steps:
    loops: 2
    steps:
      - {targets: [{team: platform, role: primary}], escalate_after: 5m}
      - {targets: [{team: platform, role: secondary}], escalate_after: 10m}
  search-only: {steps: [{targets: [{team: search, role: primary}], escalate_after: 5m}]}
  nobody: {steps: [{targets: [{team: platform, role: manager}], escalate_after: 5m}]}
  nobody-then-grace:
    steps:
      - {targets: [{team: platform, role: manager}], escalate_after: 5m}
      - {targets: [{user: grace}], escalate_after: 5m}
route:
  team: platform
  policy: two-steps
  group_by: [alertname, service]
  routes:
    - {matchers: ['patience="yes"'], group_wait: 30s}
    - {matchers: ['alertname=~"Nobody.*"'], policy: nobody-then-grace}
integrations:
  alertmanager: {source: alertmanager, expires_after: 8h}
"""


@dataclass(frozen=True)
class Said:
    """Something that reached a person: who, by what, about which incidents, and the words."""

    user: str
    method: str
    incidents: tuple[str, ...]
    subject: str
    text: str


@dataclass(frozen=True)
class Seen:
    """An incident as people see it."""

    name: str
    title: str
    status: str
    severity: str
    service: str
    team: str


class World(ABC):
    """What a story can do and see. `close` fails it for every message that nobody expected."""

    def __init__(self) -> None:
        self._fired_at: dict[str, datetime] = {}
        self._receipts = itertools.count(1)

    # -- what happens ----------------------------------------------------------------------------------------------

    def fire(self, name: str, at: datetime | None = None, **labels: str) -> None:
        """Monitoring says that alert `name` fires (again, if it already does)."""
        key = _identity(name, labels)
        self._fired_at.setdefault(key, at or self.now())
        self.post(webhook([alert(name, labels, self._fired_at[key])]))

    def end(self, name: str, at: datetime | None = None, **labels: str) -> None:
        """Monitoring says that alert `name` is resolved."""
        key = _identity(name, labels)
        started = self._fired_at.pop(key, self.now() - timedelta(minutes=1))
        self.post(webhook([alert(name, labels, started, at or self.now())]))

    @abstractmethod
    def now(self) -> datetime:
        """The time in this world."""

    @abstractmethod
    def post(self, body: dict[str, Any]) -> None:
        """Alertmanager posts a webhook."""

    @abstractmethod
    def advance(self, **delta: float) -> None:
        """Time passes: `advance(minutes=5)`."""

    @abstractmethod
    def command(self, verb: str, incident: str, by: str = "ada") -> str:
        """A person acts: ack, unack, start, resolve, reopen or unmerge. Returns the incident's status afterwards."""

    def ack(self, incident: str, by: str = "ada") -> None:
        """Somebody acknowledges."""
        assert self.command("ack", incident, by) in ("acknowledged", "in_progress")

    def resolve(self, incident: str, by: str = "ada") -> None:
        """Somebody says that it is over."""
        assert self.command("resolve", incident, by) == "resolved"

    @abstractmethod
    def merge(self, loser: str, winner: str, by: str = "ada") -> None:
        """A person says that two incidents are the same."""

    @abstractmethod
    def command_alert(self, verb: str, name: str, by: str = "ada", **labels: str) -> bool:
        """A person acts on one alert: ack, unack or resolve. Returns whether that changed anything."""

    @abstractmethod
    def silence(self, minutes: float, after: float = 0, **labels: str) -> str:
        """Somebody silences alerts with these labels, `after` minutes from now; returns the silence's name."""

    @abstractmethod
    def end_silence(self, name: str) -> None:
        """Somebody ends a silence before its time."""

    # -- what people see -------------------------------------------------------------------------------------------

    @abstractmethod
    def next_message(self, user: str) -> Said | None:
        """The oldest message to `user` that no test has taken yet; None when there is none (after a fair wait)."""

    @abstractmethod
    def leftover(self) -> list[Said]:
        """Every message that no test has taken."""

    @abstractmethod
    def incidents(self) -> list[Seen]:
        """All incidents, oldest first."""

    @abstractmethod
    def event_types(self, incident: str) -> list[str]:
        """What happened to an incident, in order: the names of its timeline's events."""

    def expect_page(self, user: str, *incidents: str) -> Said:
        """`user` is told of exactly these incidents, in one message."""
        said = self.next_message(user)
        assert said is not None, f"{user} was not paged; unread: {self.leftover()}"
        assert said.incidents == incidents, f"{user} was paged about {said.incidents}, not {incidents}"
        return said

    def expect_nothing(self) -> None:
        """Nobody is told anything."""
        assert self.leftover() == []

    def expect_incident(self, name: str, **fields: str) -> Seen:
        """There is an incident `name` and these of its fields are so."""
        found = {seen.name: seen for seen in self.incidents()}
        assert name in found, f"no {name} among {sorted(found)}"
        actual = {field: getattr(found[name], field) for field in fields}
        assert actual == fields
        return found[name]

    def expect_incidents(self, count: int) -> None:
        """There are exactly so many incidents."""
        assert len(self.incidents()) == count

    def close(self) -> None:
        """End of the story: every message was expected."""
        unexpected = self.leftover()
        assert not unexpected, f"messages that nobody expected: {unexpected}"


def alert(name: str, labels: dict[str, str], starts_at: datetime, ends_at: datetime | None = None) -> dict[str, Any]:
    """One alert as Alertmanager writes it."""
    return {
        "status": "resolved" if ends_at else "firing",
        "labels": {"alertname": name, "severity": "critical", **labels},
        "annotations": {"summary": f"{name} is wrong", "runbook_url": f"https://runbooks.example.test/{name}"},
        "startsAt": starts_at.isoformat(),
        "endsAt": ends_at.isoformat() if ends_at else "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus.example.test/graph",
        "fingerprint": f"{hash_of(_identity(name, labels)):016x}",
    }


def webhook(alerts: list[dict[str, Any]]) -> dict[str, Any]:
    """A version 4 webhook with these alerts."""
    firing = any(member["status"] == "firing" for member in alerts)
    return {
        "version": "4",
        "groupKey": '{}:{alertname="x"}',
        "truncatedAlerts": 0,
        "status": "firing" if firing else "resolved",
        "receiver": "tocsin",
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager.example.test",
        "alerts": alerts,
    }


def _identity(name: str, labels: dict[str, str]) -> str:
    return json.dumps([name, sorted(labels.items())])


def hash_of(text: str) -> int:
    """A stable 60-bit number for a text."""
    return int.from_bytes(sha256(text.encode()).digest()[:8], "big") >> 4
