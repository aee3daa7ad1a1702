"""What the read side answers beside incidents: alerts, messages that went out, deadlines, response times.

The same rules as in `schemas.api`: snake_case, times RFC 3339 in UTC, durations in seconds.
"""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from schemas.api import Model, Recipient, SeverityWord

AlertStatusWord = Literal["firing", "resolved"]
Outcome = Literal["sent", "failed", "unknown"]
By = Literal["team", "service", "severity"]


class Suppressed(Model):
    """Nothing is said of a firing alert, because of a rule."""

    reason: Annotated[str, Field(description="which kind of rule", examples=["silence"])]
    rule: Annotated[str, Field(description="its id or name")]


class AlertView(Model):
    """An alert as its source last reported it."""

    id: Annotated[str, Field(description="uuid, made of integration and fingerprint")]
    integration: str
    fingerprint: Annotated[str, Field(description="what the source calls it")]
    status: AlertStatusWord
    severity: SeverityWord
    name: Annotated[str, Field(description="its label `alertname`; empty without one and when erased")] = ""
    summary: Annotated[str, Field(description="the source's words; empty when erased")] = ""
    labels: Annotated[dict[str, str], Field(description="when it last fired; empty when erased", default_factory=dict)]
    erased: Annotated[bool, Field(description="its texts were erased on request")] = False
    source_time: Annotated[datetime, Field(description="when it began to fire or ended, by the source's word")]
    first_seen: datetime
    last_seen: datetime
    reports: Annotated[int, Field(description="how often it was reported, repeats included")]
    incident: Annotated[str | None, Field(description="the latest incident that it belongs to", examples=["INC-7"])] = (
        None
    )
    incident_id: Annotated[str | None, Field(description="the same as uuid")] = None
    receipt: Annotated[str, Field(description="the webhook that brought its latest word")]
    suppressed: Annotated[Suppressed | None, Field(description="why nothing is said of it; null: it is spoken of")] = (
        None
    )
    acknowledged_by: Annotated[
        str | None, Field(description="who has it while it fires: kind:id", examples=["user:ada"])
    ] = None
    closed: Annotated[bool, Field(description="a person said that it is over; its source has not ended it")] = False


class AlertList(Model):
    """One page of alerts, the latest to appear first. A page may be short, even empty, and not be the last."""

    alerts: tuple[AlertView, ...]
    next_cursor: Annotated[str | None, Field(description="pass as `cursor` for the next page; null on the last")] = None


class CarriedPage(Model):
    """One page in a message."""

    id: str
    incident: Annotated[str, Field(examples=["INC-7"])]
    loop: int
    step: int


class DeliveryAttempt(Model):
    """One attempt at a message, and what became of the pages in it."""

    number: Annotated[int, Field(description="from 1; attempts that were put off have no entry")]
    at: Annotated[datetime, Field(description="when its outcome was known")]
    outcome: Annotated[Outcome, Field(description="unknown: nobody knows whether it arrived")]
    possible_repeat: Annotated[bool, Field(description="an attempt before it may have arrived")]
    reason: str | None = None
    pages: tuple[CarriedPage, ...]


class DeliveryView(Model):
    """A message to one person or team's channel by one method. Pages that were said together are in one message."""

    id: Annotated[str, Field(description="derived from its pages; the provider gets it as idempotency key")]
    user: Recipient
    method: str
    outcome: Annotated[Outcome, Field(description="of the last attempt")]
    attempts: tuple[DeliveryAttempt, ...]


class WouldPage(Model):
    """Whom a deadline pages if it comes while everything is as it is now."""

    user: Recipient
    methods: tuple[str, ...]


class DueStep(Model):
    """The escalation step that a deadline runs; without targets it is the end of the policy."""

    incident: Annotated[str, Field(examples=["INC-7"])]
    incident_id: str
    title: str
    policy: str
    run: Annotated[int, Field(description="which escalation of the incident, from 1")]
    loop: int
    step: int
    targets: Annotated[tuple[str, ...], Field(examples=[["team:platform/primary"]])] = ()
    pages: Annotated[tuple[WouldPage, ...], Field(description="the targets, resolved now")] = ()
    ends: Annotated[bool, Field(description="every step has run: the escalation ends here, unanswered")] = False
    repeats: Annotated[bool, Field(description="it had ended so: it begins again, by its policy as that is now")] = (
        False
    )


class DueView(Model):
    """Something that will happen by itself at `at`."""

    kind: Annotated[str, Field(description="what will happen", examples=["escalate"])]
    key: Annotated[str, Field(description="what it happens to, a stream or an identifier")]
    at: datetime
    held: Annotated[
        bool, Field(description="a first step that waits until alerts of an outage are read; it may come sooner")
    ] = False
    escalation: DueStep | None = None


class DueList(Model):
    """One page of deadlines, the next to come first."""

    due: tuple[DueView, ...]
    next_cursor: Annotated[str | None, Field(description="pass as `cursor` for the next page; null on the last")] = None


class Spread(Model):
    """Times in seconds of those incidents that got that far; null when none did."""

    count: int = 0
    mean: float | None = None
    median: float | None = None
    p90: Annotated[
        float | None, Field(description="nine of ten took no longer; between two values it interpolates")
    ] = None


class ResponseTimes(Model):
    """How long it took, over a set of incidents. An incident's first times count, whatever happened to it later."""

    incidents: int = 0
    detect: Annotated[Spread, Field(description="MTTD: opened_at - started_at, 0 for a source whose clock is ahead")]
    acknowledge: Annotated[Spread, Field(description="MTTA: first acknowledgement - opened_at")]
    acknowledge_after_page: Annotated[
        Spread, Field(description="first acknowledgement - first page sent, 0 when it came before the page")
    ]
    resolve: Annotated[Spread, Field(description="MTTR: first resolution - opened_at")]


class ResponseGroup(ResponseTimes):
    """The same for one team, service or severity."""

    name: str


class ResponseMetrics(Model):
    """Response times of the incidents that were opened in a window."""

    by: By
    since: Annotated[datetime, Field(serialization_alias="from", description="inclusive")]
    until: Annotated[datetime, Field(serialization_alias="to", description="exclusive")]
    overall: ResponseTimes
    groups: tuple[ResponseGroup, ...]
