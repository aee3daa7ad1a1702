"""What `explain` is asked and answers: where an alert goes, what keeps it quiet, who is paged when."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, Field

from domain.explaining import Destiny, Explained, Fate, OnWay, Paging, TriedRoute
from domain.ids import stream_uuid
from domain.routing import Routing
from domain.suppression import Suppression, SuppressionReason
from schemas.api import Model, Recipient, SeverityWord, StatusWord
from schemas.matchers import format_matcher

Ack = Annotated[str, Field(description="allowed or refused")]


class ExplainRequest(Model):
    """What is to be explained, and as of when."""

    alert: Annotated[
        Any, Field(description="a webhook as a source posts it, an alert with `labels`, or an object of labels")
    ]
    source: Annotated[str | None, Field(max_length=63, description="its format; as a rule it is recognised")] = None
    integration: Annotated[str | None, Field(max_length=63, description="who is taken to report it")] = None
    at: Annotated[
        AwareDatetime | None, Field(description="RFC 3339; how things stood then, or what will be set then")
    ] = None


class RouteExplained(Model):
    """A way that the alert takes; times are seconds, absent where the route says nothing."""

    path: str
    team: str
    service: str
    policy: str
    group_by: tuple[str, ...]
    group_key: str
    group_wait: float
    group_interval: float | None
    repeat_interval: float | None
    severity: SeverityWord | None = None
    runbook: str | None = None
    ack: Ack = "allowed"


class SuppressedBy(Model):
    """A rule that keeps Tocsin from speaking of the alert on one of its ways; of each way the first one counts."""

    reason: SuppressionReason
    rule: Annotated[str, Field(description="its id; of flapping and suppression windows the route")]
    route: str
    until: Annotated[datetime | None, Field(description="when that ends at the latest, as far as it is known")]
    by: Annotated[str | None, Field(description="the id of the alert that inhibits")]
    revision: Annotated[int, Field(description="the configuration that has the rule so; 0: one that was not applied")]
    because: str


class PageExplained(Model):
    """A page that would be queued if nobody answered before."""

    at: datetime
    who: Recipient
    via: Annotated[str, Field(description="the channel")]
    because: str
    route: Annotated[str, Field(description="the way that leads to it: the path of its route")]
    target: str
    policy: str
    loop: int
    step: int


class SkippedStep(Model):
    """A step that would reach nobody."""

    at: datetime
    because: str
    route: Annotated[str, Field(description="the way that leads to it: the path of its route")]


class IncidentExplained(Model):
    """What the alert would do with which incident."""

    fate: Fate
    name: str | None
    id: str | None
    status: StatusWord | None
    because: str
    rule: Annotated[str | None, Field(description="the correlation rule by which it joins another group's")] = None


class WayExplained(Model):
    """What would become of the alert on one of its ways, each of which has an incident of its own."""

    route: Annotated[str, Field(description="the path of its route")]
    suppressed: Annotated[bool, Field(description="nothing is said of it on this way")]
    incident: IncidentExplained
    exhausted_at: Annotated[datetime | None, Field(description="when everybody would have been told in vain")]
    repeats_at: Annotated[datetime | None, Field(description="when it would begin again after that")]
    unpaged: Annotated[str | None, Field(description="why nobody is paged on this way, where nobody is")] = None


class MatcherTried(Model):
    """A matcher, what the alert has there, and whether that matches."""

    matcher: str
    actual: str
    matched: bool


class RouteTried(Model):
    """A route that the alert came by. Of those below it `untried` were not looked at."""

    path: str
    matchers: tuple[MatcherTried, ...]
    matched: bool
    taken: bool
    routes: tuple["RouteTried", ...]
    untried: int


class AlertExplained(Model):
    """What would become of one alert."""

    routes: tuple[RouteExplained, ...]
    suppressed_by: tuple[SuppressedBy, ...]
    pages: tuple[PageExplained, ...]
    suppressed: Annotated[bool, Field(description="nothing is said of this alert on any of its ways")]
    incident: Annotated[IncidentExplained, Field(description="of the first way on which something is said of it")]
    ways: Annotated[
        tuple[WayExplained, ...], Field(description="its ways in order; those that it has, if it fires already")
    ]
    skipped: tuple[SkippedStep, ...]
    exhausted_at: Annotated[
        datetime | None, Field(description="when everybody would have been told in vain, on all ways")
    ]
    repeats_at: Annotated[datetime | None, Field(description="when the first way would begin again after that")]
    labels: dict[str, str]
    severity: SeverityWord
    integration: str
    tried: RouteTried


class ExplainAnswer(AlertExplained):
    """The first alert, and of a webhook with several also the `others`, in their order."""

    at: datetime
    config_revision: Annotated[int, Field(description="the configuration that decides; 0: one that was not applied")]
    others: tuple[AlertExplained, ...] = ()
    notes: Annotated[tuple[str, ...], Field(description="what could not be found out, or was assumed")] = ()


def write_answer(found: Sequence[Explained], revision: int, notes: Sequence[str] = ()) -> ExplainAnswer:
    """The answer about alerts, of which there is at least one."""
    first, *others = found
    said = write_explained(first, revision)
    fields = {name: getattr(said, name) for name in AlertExplained.model_fields}
    return ExplainAnswer(
        **fields,
        at=first.at,
        config_revision=revision,
        others=tuple(write_explained(other, revision) for other in others),
        notes=tuple(notes),
    )


def write_explained(one: Explained, revision: int) -> AlertExplained:
    """What would become of one alert by this revision of the configuration, as the API says it."""
    alert, several = one.report.alert, len(one.ways) > 1
    futures = [way.future for way in one.telling]
    ends = [future.ends_at for future in futures if future.ends_at or future.pages]
    spoken = next((way for way in one.ways if not way.quieted), one.ways[0] if one.ways else None)
    return AlertExplained(
        routes=tuple(map(_route, one.routes)),
        suppressed_by=tuple(_suppressed(way, why, revision) for way in one.ways for why in way.suppressed_by),
        pages=tuple(_page(way, page, several) for way, page in one.pages),
        suppressed=one.quieted,
        incident=_incident(spoken.destiny if spoken else Destiny("feeds"), one.fed),
        ways=tuple(map(_way, one.ways)),
        skipped=tuple(step for way in one.telling for step in _skipped(way, several)),
        exhausted_at=max((at for at in ends if at), default=None) if all(ends) else None,
        repeats_at=min((future.repeats_at for future in futures if future.repeats_at), default=None),
        labels=dict(alert.labels),
        severity=alert.severity.value,
        integration=one.report.receipt.integration,
        tried=_tried(one.tried),
    )


def _route(routed: Routing) -> RouteExplained:
    return RouteExplained(
        path=routed.path,
        team=routed.team,
        service=routed.service,
        policy=routed.policy,
        group_by=routed.group_by,
        group_key=routed.group_key,
        group_wait=routed.group_wait,
        group_interval=routed.group_interval,
        repeat_interval=routed.repeat_interval,
        severity=routed.severity.value if routed.severity else None,
        runbook=routed.runbook,
        ack=routed.ack,
    )


def _way(way: OnWay) -> WayExplained:
    return WayExplained(
        route=way.routed.path,
        suppressed=way.quieted,
        incident=_incident(way.destiny),
        exhausted_at=way.future.ends_at,
        repeats_at=way.future.repeats_at,
        unpaged=_unpaged(way),
    )


def _unpaged(way: OnWay) -> str | None:
    """Why nobody is paged on a way; a suppressed alert is announced when that ends, if it still fires then."""
    if way.quieted and not way.future.pages:
        until = way.suppressed_by[0].until if way.suppressed_by else None
        then = f" until {until:%Y-%m-%d %H:%M:%S} UTC, and it is announced then if it still fires" if until else ""
        return f"nothing is said of it{then}"
    return way.future.unpaged


def _suppressed(way: OnWay, why: Suppression, revision: int) -> SuppressedBy:
    return SuppressedBy(
        reason=why.reason,
        rule=why.rule,
        route=way.routed.path,
        until=why.until,
        by=why.by,
        revision=revision,
        because=_because(why),
    )


def _because(why: Suppression) -> str:
    until = f" until {why.until:%Y-%m-%d %H:%M:%S} UTC" if why.until else ""
    match why.reason:
        case "silence":
            return f"silence {why.rule} matches{until}"
        case "maintenance_window":
            return f"maintenance window {why.rule} is open{until}"
        case "inhibition":
            return f"inhibition rule {why.rule}: alert {why.by} fires"
        case "time_interval":
            return f"its route does not speak at this time (time interval {why.rule}){until}"
        case "flapping":
            return f"it flaps, and has to be steady{until}"
        case "suppression_window":
            return f"its group has only just ended: its route says nothing of it{until}"


def _page(way: OnWay, page: Paging, several: bool) -> PageExplained:
    by = _by(way) if several else ""
    return PageExplained(
        at=page.at,
        who=page.user,
        via=page.method,
        because=f"step {page.step} of {page.policy}, loop {page.loop}: {page.target}{by}",
        route=way.routed.path,
        target=page.target,
        policy=page.policy,
        loop=page.loop,
        step=page.step,
    )


def _skipped(way: OnWay, several: bool) -> Iterator[SkippedStep]:
    by = _by(way) if several else ""
    for skipped in way.future.skipped:
        because = f"step {skipped.step} of {skipped.policy}, loop {skipped.loop}, reaches nobody{by}"
        yield SkippedStep(at=skipped.at, because=because, route=way.routed.path)


def _by(way: OnWay) -> str:
    return f", by {way.routed.path}"


def _incident(destiny: Destiny, fed: Sequence[str] = ()) -> IncidentExplained:
    name = f"INC-{destiny.number}" if destiny.number else None
    why = (destiny.because or "").replace("INC-0", "new incident")  # one that is only opened by an alert before it
    said = {
        "opens": "It opens a new incident",
        "reopens": f"It reopens {name}, which its group's last alert ended a short time ago",
        "joins": f"It joins {name or 'the incident that an alert before it opens'}, which its group has open",
        "is_in": f"It fires already, in {name}",
        "waits": "It opens no incident: nothing is to be said of it",
        "feeds": f"It feeds the heartbeat {', '.join(fed)} and is nothing else",
    }
    return IncidentExplained(
        fate=destiny.fate,
        name=name,
        id=stream_uuid(destiny.stream) if name and destiny.stream else None,
        status=destiny.status,
        because=f"It joins {name or 'that incident'}: {why}" if why else said[destiny.fate],
        rule=destiny.rule,
    )


def _tried(route: TriedRoute) -> RouteTried:
    return RouteTried(
        path=route.node.path,
        matchers=tuple(
            MatcherTried(matcher=format_matcher(one.matcher), actual=one.actual, matched=one.matched)
            for one in route.matchers
        ),
        matched=route.matched,
        taken=route.taken,
        routes=tuple(map(_tried, route.below)),
        untried=route.untried,
    )
