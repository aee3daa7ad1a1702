"""What the API answers about one alert: all that is known of it, and what a command left behind."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from schemas.api import LinkView, Model, StatusWord
from schemas.api_reads import AlertStatusWord, AlertView, Suppressed


class AlertHappening(Model):
    """One thing that happened to an alert."""

    position: int
    at: datetime
    type: Annotated[str, Field(description="the event's name", examples=["group.alert_fired.v1"])]
    text: Annotated[str, Field(description="the same for people, in one sentence")]
    actor: Annotated[str, Field(description="kind:id", examples=["integration:alertmanager"])]
    origin: Annotated[str, Field(description="webhook, api, cli, pager or fold")]
    correlation_id: Annotated[str, Field(description="the receipt or request that caused it")]
    incident: Annotated[str | None, Field(description="the incident that it belonged to then", examples=["INC-7"])] = (
        None
    )


class SuppressedUntil(Suppressed):
    """The same, and what its alert group knows of it."""

    until: Annotated[datetime | None, Field(description="when that ends, if it is known")] = None
    by: Annotated[str | None, Field(description="the alert that inhibits it")] = None
    revision: Annotated[
        int | None,
        Field(
            description="the configuration revision that it was decided under, which is the rule's version; "
            "null: the history does not have it yet"
        ),
    ] = None


class AlertDetail(AlertView):
    """An alert, where it belongs and what happened to it."""

    suppressed: Annotated[
        SuppressedUntil | None, Field(description="why nothing is said of it; null: it is spoken of")
    ] = None
    annotations: Annotated[dict[str, str], Field(description="empty when erased", default_factory=dict)]
    facts: Annotated[
        dict[str, str], Field(description="what matchers may read besides its labels", default_factory=dict)
    ]
    links: Annotated[tuple[LinkView, ...], Field(description="as the source sent them: they may be anything")] = ()
    group: Annotated[str | None, Field(description="uuid of its alert group; null: it never fired")] = None
    group_key: Annotated[str, Field(description="what its group is named by; empty before an incident of it")] = ""
    group_firing: Annotated[int, Field(description="alerts of its group that fire now, itself included")] = 0
    episode: Annotated[int, Field(description="of its group; 0: it waits there, and no incident has it")] = 0
    flips: Annotated[
        tuple[datetime, ...],
        Field(description="when it began and ended lately, the oldest first: what flapping counts"),
    ] = ()
    version: Annotated[int, Field(description="grows with every report and every change; the ETag of GET")]
    history: Annotated[
        tuple[AlertHappening, ...], Field(description="oldest first; of a long one the latest 200 events")
    ] = ()


class AlertAnswer(Model):
    """What a command on an alert left behind. Read your own write with `GET ...?min_position=<position>`."""

    id: str
    status: AlertStatusWord
    acknowledged_by: str | None = None
    changed: Annotated[bool, Field(description="false when it already was so")]
    incident: Annotated[str | None, Field(description="its incident; null when none has it", examples=["INC-7"])] = None
    incident_status: Annotated[StatusWord | None, Field(description="how that stands afterwards")] = None
    version: Annotated[int, Field(description="of the alert afterwards; the ETag")]
    position: int
