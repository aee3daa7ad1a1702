"""Trouble with alerts themselves: fail open, so that a person looks at what could not be decided or was lost."""

from dataclasses import dataclass

from domain import groups, ids, incidents, routing, stepping
from domain.alerts import Receipt
from domain.book import Book
from domain.config import Config
from domain.decision import Actor, Cause
from domain.episodes import Place, episode_of, opening
from domain.severity import Severity


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something about alerts that a person must look at. One incident per `key` is open at a time.

    `integration` is the one that it is about, if it is about one: its team is told.
    """

    key: str
    title: str
    integration: str = ""

    @classmethod
    def undecidable(cls, integration: str) -> "Trouble":
        """Some alert of an integration could not be decided: fail open."""
        whose = integration or "an unknown integration"
        return cls(f"undecidable:{integration}", f"Alerts from {whose} were not understood", integration)

    @classmethod
    def lost(cls, topic: str) -> "Trouble":
        """Alerts were deleted from a topic before they were folded."""
        return cls(f"lost:{topic}", f"Alerts were lost from topic {topic}")


def fallback_route(config: Config, trouble: Trouble) -> routing.Routing | None:
    """Where trouble goes; None when nobody is configured to be told."""
    root = config.root
    if root is None or not root.team or not root.policy:
        return None
    integration = config.integrations.get(trouble.integration)
    team = (integration.team if integration else None) or root.team
    return routing.Routing("fallback", "", team, root.policy, (), trouble.key, 0.0)


def fall_back(book: Book, trouble: Trouble, receipt: Receipt) -> None:
    """Fail open: open an incident for `trouble` unless one is open.

    `book` must hold the stream of `fallback_route`'s group key, its latest incident and that incident's escalation.
    """
    routed = fallback_route(book.config, trouble)
    if routed is None:
        return
    stream = ids.group_stream(book.org, routed.group_key)
    latest = book.streams[stream].state
    before = latest.incident if isinstance(latest, groups.Group) else None
    cause = Cause(Actor("system", "fold"), "fold", receipt.pointer, receipt.id, receipt.id)
    now = book.begin(cause, receipt.received_at, filter(None, (stream, before)))
    group = book.read(stream, groups.Group)
    if group.incident and book.read(group.incident, incidents.Incident).is_open:
        book.end()
        return
    episode = group.episode + 1
    incident = ids.incident_stream(book.org, stream, episode)
    book.write(stream, episode_of(routed, Place(episode, incident, is_new=True)))
    opened = opening(book, trouble.title, Severity.HIGH, routed, receipt.received_at, now, stream, episode)
    book.write(incident, opened)
    stepping.start(book, incident, 1, routed.policy, now)
    book.end()
