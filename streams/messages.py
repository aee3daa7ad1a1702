"""What a delivery says: pages of one recipient and one method become one message, with the incident as it is now."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import groupby, islice

from domain import ids
from domain.book import PageRow
from domain.config import Config
from domain.escalations import Escalation
from domain.groups import Group
from domain.incidents import Incident
from domain.pages import Page
from domain.recipients import called, team_of
from domain.spans import span
from schemas.payloads import read_alert
from streams.channels.base import Message, PageLine
from streams.channels.summary import LISTED
from streams.store.base import ClaimedPage, Store


@dataclass(frozen=True, slots=True)
class Delivery:
    """Claimed pages that leave as one message. `message` is None when `user` has no such contact method.

    `user` is a user's id, or `team:development` for the channel of a team. `receipts` are the
    correlation ids of the escalations it speaks for: what the log ties everything together with.
    """

    key: str
    user: str
    method: str
    pages: tuple[ClaimedPage, ...]
    message: Message | None
    receipts: tuple[str, ...] = ()


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
    """Bundle claimed pages by recipient, method and bundle, and write the message of each."""
    return [_delivery(store, org, signposts, bundle) for bundle in _bundles(claimed)]


def unwritten(org: str, claimed: Iterable[ClaimedPage]) -> list[Delivery]:
    """The same deliveries without their messages: of pages that somebody else took and did not answer for."""
    return [_unwritten(org, bundle) for bundle in _bundles(claimed)]


def _unwritten(org: str, bundle: tuple[ClaimedPage, ...]) -> Delivery:
    first = bundle[0].page
    return Delivery(ids.delivery_id(org, (page.page.id for page in bundle)), first.user, first.method, bundle, None)


def _bundles(claimed: Iterable[ClaimedPage]) -> list[tuple[ClaimedPage, ...]]:
    def together(page: ClaimedPage) -> tuple[str, str, str]:
        return (page.page.user, page.page.method, page.bundle)

    return [tuple(group) for _, group in groupby(sorted(claimed, key=together), key=together)]


def _delivery(store: Store, org: str, signposts: Signposts, bundle: tuple[ClaimedPage, ...]) -> Delivery:
    first = bundle[0].page
    delivery = _unwritten(org, bundle)
    address = _address(signposts.config, first)
    message = None
    if address is not None:
        message = Message(
            key=delivery.key,
            to=address,
            person_id=first.user,
            lines=_lines(store, signposts, bundle),
            attempt=max(page.attempt for page in bundle),
            possible_repeat=any(page.possible_repeat for page in bundle),
        )
    escalations = store.load({page.page.escalation for page in bundle}).values()
    receipts = sorted({e.state.correlation_id for e in escalations if isinstance(e.state, Escalation)})
    return replace(delivery, message=message, receipts=tuple(receipts))


def _address(config: Config, page: PageRow) -> str | None:
    return next((known.address for known in config.contacts(page.user) if known.channel == page.method), None)


def _lines(store: Store, signposts: Signposts, bundle: Sequence[ClaimedPage]) -> tuple[PageLine, ...]:
    """A line to a page, the worst first. What alerts say is looked up only for those incidents that a message names."""
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
    named = frozenset(islice(dict.fromkeys(row.incident for row, *_ in found), LISTED))
    flaps = _flaps(store, {row.incident: incident for row, incident, *_ in found if row.incident in named})
    lines = (_line(store, signposts, *said, said[0].incident not in told, said[0].incident in named) for said in found)
    return tuple(
        replace(line, flapping=flaps.get(said[0].incident, "")) for said, line in zip(found, lines, strict=True)
    )


def _flaps(store: Store, incidents: Mapping[str, Incident]) -> dict[str, str]:
    """Of which of these incidents an alert has begun to flap: a sentence each."""
    groups = store.load({part.group for incident in incidents.values() for part in incident.groups})
    found = {}
    for name, incident in incidents.items():
        for part in incident.groups:
            state = groups[part.group].state
            if isinstance(state, Group) and state.incident_of(part.episode) == name and state.flapping:
                found[name] = _flapping(tuple(state.flapping.values()))
    return found


def _flapping(alerts: tuple[tuple[int, float], ...]) -> str:
    changes, within = alerts[0]
    what = "an alert" if len(alerts) == 1 else f"{len(alerts)} alerts"
    often = f"changed {changes} times in {span(timedelta(seconds=within))}"
    return f"{what} of it {often}; no more is said of that until it was steady for a while"


def _line(
    store: Store,
    signposts: Signposts,
    row: PageRow,
    incident: Incident,
    escalation: Escalation,
    page: Page,
    first: bool,
    named: bool,
) -> PageLine:
    body = store.latest_alert(row.incident) if named else None
    alert = read_alert(body) if body else None
    words = store.payload(f"{row.incident}/1") if named and not alert else None  # a person's title is a payload: ADR 10
    return PageLine(
        incident_id=ids.stream_uuid(row.incident),
        number=incident.number,
        title=words.decode() if words else incident.title,
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
