"""What a delivery says: pages of one recipient and one method become one message, with the incident as it is now."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from itertools import groupby, islice
from typing import TypeVar

import structlog

from domain import ids
from domain.alerts import Alert
from domain.book import PageRow
from domain.config import Config
from domain.escalations import Escalation
from domain.events import State
from domain.groups import Group
from domain.incidents import Incident
from domain.pages import Page
from domain.recipients import called, team_of
from domain.spans import span
from schemas.payloads import read_alert
from streams.channels.base import Message, PageLine
from streams.channels.summary import LISTED
from streams.store.base import ClaimedPage, Store, Unavailable

log = structlog.get_logger()

T = TypeVar("T")
Bundle = tuple[ClaimedPage, ...]
"""Pages that leave as one message."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """Claimed pages that leave as one message. `message` is None when `user` has no such contact method.

    `user` is a user's id, or `team:development` for the channel of a team. `receipts` are the
    correlation ids of the escalations it speaks for: what the log ties everything together with. `unwritable` says why
    there is no message of its only page, and quotes nothing of it; `left_out` counts the errors because of which the
    message says less than it should.
    """

    key: str
    user: str
    method: str
    pages: Bundle
    message: Message | None
    receipts: tuple[str, ...] = ()
    unwritable: str | None = None
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Signposts:
    """Where a message leads on to: what is configured, and the address at which people reach the gateway, if any."""

    config: Config
    public_url: str | None = None

    def page_of(self, incident: Incident) -> str | None:
        """The incident's own page."""
        return f"{self.public_url}/incidents/{incident.name}" if self.public_url else None

    def links(self, incident: Incident, said: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
        """(label, url) pairs, each address once: its route's runbook, its service's pages, what the source `said`."""
        service = self.config.services.get(incident.service)
        ours = [("runbook of the route", incident.runbook)] if incident.runbook else []
        ours += [(f"{link.name} of {service.id}", link.url) for link in service.links] if service else []
        named: dict[str, str] = {}
        for label, url in (*ours, *said):
            named.setdefault(url, label)
        return tuple((label, url) for url, label in named.items())


def deliveries(store: Store, org: str, signposts: Signposts, claimed: Iterable[ClaimedPage]) -> list[Delivery]:
    """Bundle claimed pages by recipient, method and bundle, and write the message of each.

    A page that meets an error which nobody foresaw costs only itself: it is a delivery alone, and `unwritable`. Raises
    Unavailable.
    """
    write = partial(_delivery, store, org, signposts)
    return [delivery for bundle in _bundles(claimed) for delivery in _written(org, write, bundle)]


def unwritten(org: str, claimed: Iterable[ClaimedPage]) -> list[Delivery]:
    """The same deliveries without their messages: of pages that somebody else took and did not answer for."""
    return [_unwritten(org, bundle) for bundle in _bundles(claimed)]


def _written(org: str, write: Callable[[Bundle], Delivery], bundle: Bundle) -> list[Delivery]:
    """What can be written of a bundle as one message, and each page that cannot by itself.

    When only the whole cannot be written, its halves are two messages.
    """
    try:
        return [write(bundle)]
    except Unavailable:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, only the page at fault may suffer from it
        if len(bundle) == 1:
            return [_unwritable(org, bundle, error)]
    halves = _halves(bundle)
    broken = [delivery for half in halves for delivery in _sift(org, write, half)]
    if not broken:
        return [delivery for half in halves for delivery in _written(org, write, half)]
    bad = {delivery.key for delivery in broken}
    good = tuple(page for page in bundle if _unwritten(org, (page,)).key not in bad)
    return [*(_written(org, write, good) if good else ()), *broken]


def _sift(org: str, write: Callable[[Bundle], Delivery], bundle: Bundle) -> list[Delivery]:
    """The pages of a bundle that cannot be written even alone, found by halves."""
    try:
        write(bundle)
    except Unavailable:
        raise
    except Exception as error:  # noqa: BLE001 - as above
        if len(bundle) == 1:
            return [_unwritable(org, bundle, error)]
        return [delivery for half in _halves(bundle) for delivery in _sift(org, write, half)]
    return []


def _halves(bundle: Bundle) -> tuple[Bundle, Bundle]:
    return bundle[: len(bundle) // 2], bundle[len(bundle) // 2 :]


def _unwritable(org: str, bundle: Bundle, error: Exception) -> Delivery:
    delivery = _unwritten(org, bundle)
    log.error("a page cannot be written", page=bundle[0].page.id, user=delivery.user, exc_info=error)
    return replace(delivery, unwritable=f"cannot be written ({type(error).__name__})")


def _unwritten(org: str, bundle: Bundle) -> Delivery:
    first = bundle[0].page
    return Delivery(ids.delivery_id(org, (page.page.id for page in bundle)), first.user, first.method, bundle, None)


def _bundles(claimed: Iterable[ClaimedPage]) -> list[Bundle]:
    def together(page: ClaimedPage) -> tuple[str, str, str]:
        return (page.page.user, page.page.method, page.bundle)

    return [tuple(group) for _, group in groupby(sorted(claimed, key=together), key=together)]


def _delivery(store: Store, org: str, signposts: Signposts, bundle: Bundle) -> Delivery:
    first, left_out = bundle[0].page, list[Exception]()
    delivery = _unwritten(org, bundle)
    address = _address(signposts.config, first)
    message = None
    if address is not None:
        message = Message(
            key=delivery.key,
            to=address,
            person_id=first.user,
            lines=_lines(store, signposts, bundle, left_out),
            attempt=max(page.attempt for page in bundle),
            possible_repeat=any(page.possible_repeat for page in bundle),
        )
    escalations = store.load({page.page.escalation for page in bundle}).values()
    receipts = sorted({e.state.correlation_id for e in escalations if isinstance(e.state, Escalation)})
    return replace(delivery, message=message, receipts=tuple(receipts), left_out=len(left_out))


def _address(config: Config, page: PageRow) -> str | None:
    return next((known.address for known in config.contacts(page.user) if known.channel == page.method), None)


def _lines(
    store: Store, signposts: Signposts, bundle: Sequence[ClaimedPage], left_out: list[Exception]
) -> tuple[PageLine, ...]:
    """A line to a page, the worst first. What alerts say is looked up only for those incidents that a message names.

    What cannot be read of it is left out, and why is added to `left_out`: a person hears of the incident.
    """
    rows = [claimed.page for claimed in bundle]
    incidents = {row.incident for row in rows}
    streams = store.load({*incidents, *(row.escalation for row in rows), *(row.id for row in rows)})
    told = store.told(incidents, rows[0].user, rows[0].method, min(claimed.bundled_at for claimed in bundle))
    found = []
    for row in rows:
        incident, escalation, page = (streams[name].state for name in (row.incident, row.escalation, row.id))
        if isinstance(incident, Incident) and isinstance(escalation, Escalation) and isinstance(page, Page):
            found.append((row, incident, escalation, page))
    found.sort(key=lambda said: (said[1].severity.rank, said[1].number))
    named = dict(islice({row.incident: incident for row, incident, *_ in found}.items(), LISTED))
    flaps = _or_else(dict[str, str](), left_out, partial(_flaps, store, named), user=rows[0].user)
    words = {name: _or_else(Words(), left_out, partial(_words, store, name), incident=name) for name in named}
    lines = (
        _line(signposts, *said, said[0].incident not in told, words.get(said[0].incident, Words())) for said in found
    )
    return tuple(
        replace(line, flapping=flaps.get(said[0].incident, "")) for said, line in zip(found, lines, strict=True)
    )


def _or_else(instead: T, left_out: list[Exception], read: Callable[[], T], **about: str) -> T:
    """What is read; `instead` when that fails in a way that nobody foresaw. Raises Unavailable."""
    try:
        return read()
    except Unavailable:
        raise
    except Exception as error:
        log.error("a message says less than it should", **about, exc_info=error)
        left_out.append(error)
        return instead


@dataclass(frozen=True, slots=True)
class Words:
    """What there is to say of an incident: its last alert, or the title that a person gave it."""

    alert: Alert | None = None
    title: str | None = None


def _words(store: Store, incident: str) -> Words:
    body = store.latest_alert(incident)
    if body:
        return Words(read_alert(body))
    title = store.payload(f"{incident}/1")  # a person's title is a payload: ADR 10
    return Words(title=title.decode() if title else None)


def _flaps(store: Store, incidents: Mapping[str, Incident]) -> dict[str, str]:
    """Of which of these incidents an alert has begun to flap: a sentence each."""
    groups = store.load({part.group for incident in incidents.values() for part in incident.groups})
    found = {}
    for name, incident in incidents.items():
        parts = ((groups[part.group].state, part.episode) for part in incident.groups)
        flapping = [often for state, episode in parts for often in _flapping_in(state, episode, name)]
        if flapping:
            found[name] = _flapping(flapping)
    return found


def _flapping_in(state: State, episode: int, incident: str) -> list[tuple[int, float]]:
    """How often each flapping alert of a group's episode has changed, in how many seconds; if it is this incident's."""
    if not isinstance(state, Group) or state.incident_of(episode) != incident:
        return []
    return [often for alert, often in state.flapping.items() if state.firing.get(alert) == episode]


def _flapping(alerts: Sequence[tuple[int, float]]) -> str:
    changes, within = max(alerts)
    what = "an alert of it changed" if len(alerts) == 1 else f"{len(alerts)} alerts of it changed up to"
    often = f"{what} {changes} times in {span(timedelta(seconds=within))}"
    return f"{often}; no more is said of that until it was steady for a while"


def _line(
    signposts: Signposts,
    row: PageRow,
    incident: Incident,
    escalation: Escalation,
    page: Page,
    first: bool,
    words: Words,
) -> PageLine:
    alert = words.alert
    return PageLine(
        incident_id=ids.stream_uuid(row.incident),
        number=incident.number,
        title=words.title or incident.title,
        severity=incident.severity.value,
        status=incident.status.value,
        service=incident.service,
        team=incident.team,
        opened_at=incident.opened_at or row.at,
        loop=page.loop,
        step=page.step,
        why=why(escalation, page),
        summary=alert.summary if alert else "",
        labels=tuple(sorted(alert.labels.items())) if alert else (),
        links=signposts.links(incident, alert.links if alert else ()),
        public_url=signposts.page_of(incident),
        first=first,
    )


def why(escalation: Escalation, page: Page) -> str:
    """Why this person is paged, or whoever reads the channel of a team, as a sentence."""
    policy = escalation.policy
    if policy is None:
        return f"step {page.step}"
    where = f"this is {called(page.user)}; " if team_of(page.user) else ""
    where += f"step {page.step} of {len(policy.steps)} of escalation policy {policy.id}"
    if policy.loops > 1:
        where += f", round {page.loop} of {policy.loops}"
    return where if (page.loop, page.step) == (1, 1) else f"{where}: nobody has acknowledged yet"
