"""What the API says of receipts: of webhooks that were taken, and of what became of them."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from schemas.api import Model

ReceiptState = Literal["accepted", "in_inbox", "folded", "dead_lettered"]


class ReceiptAlert(Model):
    """What a receipt changed of one alert. A repeat that changed nothing is no event and is not listed."""

    alert: Annotated[str, Field(description="uuid of the alert")]
    status: Literal["firing", "resolved"]
    incident: Annotated[str, Field(examples=["INC-7"])]


class ReceiptDeadLetter(Model):
    """A member of a receipt that could not be decided; `index` -1 is the whole of it."""

    index: int
    reason: str


class ReceiptView(Model):
    """What became of a webhook."""

    receipt: str
    integration: str
    received_at: datetime
    state: Annotated[
        ReceiptState,
        Field(
            description="accepted: durable, and not decided yet or nothing came of it; in_inbox: kept in the database "
            "while Kafka is away, and not decided yet; folded: decided; dead_lettered: nothing of it could be decided"
        ),
    ]
    alerts: tuple[ReceiptAlert, ...] = ()
    dead_letters: tuple[ReceiptDeadLetter, ...] = ()


class ElasticAnswer(Model):
    """What became of an alert of Elastic's, as far as it was known in time."""

    status: Annotated[
        Literal["incident_created", "incident_updated", "incident_resolved", "ignored", "accepted"],
        Field(
            description="ignored: a repeat, or the end of what was not firing; accepted: durable, and not decided "
            "within 0.8 s: see `receipt_url`"
        ),
    ]
    incident_id: Annotated[str | None, Field(examples=["INC-7"])] = None
    receipt: Annotated[str, Field(description="follows this alert through every log line and event")]
    receipt_url: Annotated[str, Field(examples=["/api/v1/receipts/5b2f0c9e-0000-4000-8000-000000000001"])]
    warnings: tuple[str, ...] = ()
