"""What the HTTP API takes and answers, as pydantic models: the OpenAPI document is generated from these.

Field names are snake_case, times are RFC 3339 in UTC, durations are seconds.
"""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

SeverityWord = Literal["critical", "high", "medium", "low", "info"]
StatusWord = Literal["triggered", "acknowledged", "in_progress", "resolved", "merged"]


class Model(BaseModel):
    """The base of every API model: immutable, nothing unknown on input."""

    model_config = ConfigDict(frozen=True, extra="forbid")


Recipient = Annotated[
    str, Field(description="a user's id, or the channel of a team", examples=["ada", "team:development"])
]


class LinkView(Model):
    """A page that leads on."""

    name: Annotated[str, Field(examples=["dashboard"])]
    url: str


class IncidentView(Model):
    """An incident as the read model has it at `position`."""

    id: Annotated[str, Field(description="uuid; stable, never reused")]
    name: Annotated[str, Field(description="what people call it", examples=["INC-7"])]
    number: int
    title: str
    status: StatusWord
    severity: SeverityWord
    service: str
    team: str
    policy: Annotated[str, Field(description="the escalation policy")]
    started_at: Annotated[datetime, Field(description="when the trouble began, by the source's word")]
    opened_at: datetime
    first_paged_at: datetime | None = None
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None
    resolved_at: datetime | None = None
    resolved_by: str | None = None
    first_acknowledged_at: Annotated[
        datetime | None, Field(description="stays when it is given back or reopened, as does the next")
    ] = None
    first_resolved_at: datetime | None = None
    time_to_detect: Annotated[float | None, Field(description="seconds, opened_at - started_at, at least 0")] = None
    time_to_acknowledge: Annotated[float | None, Field(description="seconds, from opened_at to the first")] = None
    time_to_acknowledge_after_page: Annotated[
        float | None, Field(description="seconds, from first_paged_at; 0 when it was acknowledged before")
    ] = None
    time_to_resolve: Annotated[float | None, Field(description="seconds, from opened_at to the first")] = None
    assignees: tuple[str, ...] = ()
    runbook: Annotated[str | None, Field(description="what to do, by its route: an https address")] = None
    links: Annotated[
        tuple[LinkView, ...], Field(description="its service's pages as configured now, if one incident is asked for")
    ] = ()
    merged_into: Annotated[
        str | None, Field(description="the incident that is worked on instead of this one", examples=["INC-7"])
    ] = None
    merged_into_id: Annotated[str | None, Field(description="its uuid; the answer's Link header has its address")] = (
        None
    )
    alerts_firing: Annotated[int, Field(description="alerts of this incident that fire now")] = 0
    alerts_total: int = 0
    last_alert_at: datetime | None = None
    version: Annotated[int, Field(description="version of the incident's stream; the ETag of GET")]
    position: Annotated[int, Field(description="position in the log of the last event that changed it")]


class MergedAnswer(Model):
    """Of a merged incident, where to look instead. With `redirect=false` it is answered itself."""

    id: str
    name: Annotated[str, Field(examples=["INC-8"])]
    merged_into: Annotated[str, Field(description="the incident that is worked on instead", examples=["INC-7"])]
    merged_into_id: Annotated[str, Field(description="its uuid; Location has its address")]


class IncidentList(Model):
    """One page of incidents, newest first."""

    incidents: tuple[IncidentView, ...]
    next_cursor: Annotated[str | None, Field(description="pass as `cursor` for the next page; null on the last")] = None


MAX_ENTRIES = 1_000
"""Entries of a timeline in one answer."""


class TimelineEntry(Model):
    """One thing that happened to an incident."""

    position: int
    at: datetime
    type: Annotated[str, Field(description="the event's name", examples=["incident.opened.v1"])]
    text: Annotated[str, Field(description="the same for people, in one sentence")]
    actor: Annotated[str, Field(description="kind:id", examples=["user:ada", "integration:alertmanager"])]
    origin: Annotated[str, Field(description="webhook, api, cli or pager")]
    correlation_id: Annotated[str, Field(description="the receipt, request or delivery that caused it")]
    words: Annotated[str | None, Field(description="what was commented; null when erased")] = None


class Timeline(Model):
    """What happened to an incident last, oldest first: all of it, unless there is a cursor for what came before."""

    incident: IncidentView
    entries: tuple[TimelineEntry, ...]
    next_cursor: Annotated[
        str | None, Field(description="pass as `cursor` for what happened before; null when nothing did")
    ] = None


class PageView(Model):
    """Somebody who was told, or was to be told."""

    id: str
    user: Recipient
    method: str
    loop: int
    step: int
    status: Literal["queued", "sent", "failed", "unknown", "cancelled"]
    queued_at: datetime
    settled_at: datetime | None = None
    delivery: str | None = None
    reason: str | None = None


class CommandAnswer(Model):
    """What a command left behind. Read your own write with `GET ...?min_position=<position>`."""

    id: str
    name: str
    status: StatusWord
    changed: Annotated[bool, Field(description="false when it already was so")]
    other: Annotated[
        str | None,
        Field(description="the other incident, of a command that is about two of them", examples=["INC-8"]),
    ] = None
    version: Annotated[int, Field(description="of the incident's stream afterwards; the ETag")]
    position: int


class ReceiptAnswer(Model):
    """A webhook is durable: its alerts will be decided, whatever fails now."""

    receipt: Annotated[str, Field(description="follows these alerts through every log line and event")]
    alerts: int
    rejected: Annotated[int, Field(description="members of the body that could not be alerts")] = 0
    warnings: tuple[str, ...] = ()


class DependencyHealth(Model):
    """Whether one thing this role needs works, and if not, what stands still."""

    name: str
    ok: bool
    detail: str = ""


class Health(Model):
    """The answer of /readyz, and of each role in `tocsin status`."""

    role: str
    ok: bool
    dependencies: tuple[DependencyHealth, ...] = ()


class ConfigFieldChange(Model):
    """One field of a changed object. Of tokens and keys it shows hashes."""

    field: Annotated[str, Field(description="its path in the object", examples=["steps[0].escalate_after"])]
    before: str | None = None
    after: str | None = None


class ConfigDiffEntry(Model):
    """One object that `apply` creates, changes or removes, and the fields that makes different."""

    kind: str
    id: str
    change: Literal["create", "update", "remove"]
    fields: tuple[ConfigFieldChange, ...] = ()


class ApplyAnswer(Model):
    """What `apply` did, or with dry_run would do."""

    changes: tuple[ConfigDiffEntry, ...]
    applied: bool
    revision: int
    position: int
    warnings: Annotated[
        tuple[str, ...],
        Field(description="what is hardly meant: routes that no alert can reach, with file, line and what to do"),
    ] = ()


class ApplyRequest(Model):
    """Configuration documents by file name, as YAML text."""

    documents: Annotated[dict[str, str], Field(min_length=1, max_length=1000)]
    dry_run: Annotated[bool, Field(description="only say what would change")] = False
    prune: Annotated[bool, Field(description="also remove what the documents do not name")] = False
    revision: Annotated[int | None, Field(description="only if the configuration is still at this revision")] = None


ObjectName = Annotated[str, Field(min_length=1, max_length=63)]
"""The name of something that is configured."""


class AssignRequest(Model):
    """Whose an incident is from now on."""

    users: Annotated[tuple[ObjectName, ...], Field(max_length=100, description="an empty list takes it from everyone")]


class SeverityRequest(Model):
    """How severe an incident is, by a person's word."""

    severity: Annotated[str, Field(max_length=20, description="critical, high, medium, low, info, or an alias")]


AlertId = Annotated[str, Field(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
"""The uuid of an alert, or of an alert group."""


class MergeRequest(Model):
    """The incident that this one is the same as."""

    into: Annotated[str, Field(min_length=1, max_length=60, description="INC-7, 7, or its uuid", examples=["INC-7"])]


class SplitRequest(Model):
    """Alerts that are something else. They all fire, and are not all that the incident has."""

    alerts: Annotated[tuple[AlertId, ...], Field(min_length=1, max_length=200)]


class AttachRequest(Model):
    """What belongs to the incident: either some firing alerts of one other incident, or a whole alert group."""

    group: AlertId | None = None
    alerts: Annotated[tuple[AlertId, ...], Field(max_length=200, validate_default=True)] = ()

    @field_validator("alerts")
    @classmethod
    def one_of_both(cls, alerts: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        """Raises PydanticCustomError unless either is given; nothing where what was given as group is wrong itself."""
        if "group" in info.data and bool(alerts) == bool(info.data["group"]):
            raise PydanticCustomError("either", "give alerts or a group, and not both")
        return alerts


class DetachRequest(Model):
    """An alert group that does not belong to the incident."""

    group: AlertId


class CommentRequest(Model):
    """What somebody writes down about an incident; it can be erased."""

    text: Annotated[str, Field(min_length=1, max_length=10_000, pattern=r"\S")]


class CreateRequest(Model):
    """Something is wrong that no monitoring system reports. Without a service, name a team and a policy, or neither."""

    title: Annotated[
        str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f]*\S[^\x00-\x1f\x7f-\x9f]*$")
    ]
    severity: Annotated[str, Field(max_length=20, description="as in SeverityRequest")] = "medium"
    service: ObjectName | None = None
    team: Annotated[ObjectName | None, Field(description="absent: the service's, else the root route's")] = None
    policy: Annotated[ObjectName | None, Field(description="the escalation policy; absent: as with the team")] = None


class ConfigChange(Model):
    """One change of a configuration object: who made it when, and what it changed."""

    position: int
    at: datetime
    kind: str
    id: str
    change: Literal["create", "update", "remove"]
    version: Annotated[int, Field(description="of the object afterwards; its ETag")]
    actor: Annotated[str, Field(description="kind:id", examples=["user:ada"])]
    origin: Annotated[str, Field(description="api or cli")]
    correlation_id: Annotated[str, Field(description="the request that asked for it")]
    fields: Annotated[
        tuple[ConfigFieldChange, ...],
        Field(description="personal data only as `personal data`: names and addresses are in no event"),
    ]


class ConfigHistory(Model):
    """Changes of the configuration, newest first."""

    changes: tuple[ConfigChange, ...]
