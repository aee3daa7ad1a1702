"""What became of a receipt, for viewers and for whoever posted it.

It is read from the events that were decided from it (their correlation id is the receipt), the dead letters, the inbox
and, for the time before that, this process's memory of what it has taken lately. Limits, which follow from that: a
repeat that changed nothing leaves no event, so its receipt stays `accepted` as long as this gateway remembers it and is
unknown after that, and to other gateways; and the read models are a moment behind.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Path
from structlog.contextvars import bind_contextvars

from domain.config import ApiKey, Integration
from domain.groups import AlertFired, AlertRefired, AlertResolved
from gateway.auth import Guard, Presented, PresentedByMachine
from gateway.blocking import in_thread
from gateway.parts import Parts
from gateway.recent import Taken
from gateway.refusals import Refusal, documented
from gateway.state import Here
from schemas.api_receipts import ReceiptAlert, ReceiptDeadLetter, ReceiptState, ReceiptView

Told = AlertFired | AlertRefired | AlertResolved
Id = Annotated[str, Path(max_length=100, pattern=r"^[^\x00]*$", description="`receipt` of the webhook's answer")]

NEARBY = 1000
"""Positions that are read from the log at once: what a receipt decided was saved together with little else."""


class Reader(Guard):
    """Lets API keys and webhook tokens pass, and says whose it was."""

    async def __call__(self, here: Here, key: Presented, token: PresentedByMachine) -> ApiKey | Integration:
        """Raises Refusal (401)."""
        keyring = await here.configured.keyring()
        presented = key or token
        said = presented.credentials if presented else ""
        found = keyring.api_key(said) or keyring.integration(said)
        if found is None:
            raise Refusal("unauthenticated", "This takes an API key, or the token of the integration that posted it.")
        bind_contextvars(caller=found.id)
        return found


Asking = Annotated[ApiKey | Integration, Depends(Reader())]


def url(receipt: str) -> str:
    """Where to ask what became of `receipt`."""
    return f"/api/v1/receipts/{receipt}"


def router() -> APIRouter:
    """The one route."""
    made = APIRouter(prefix="/api/v1/receipts", tags=["webhooks"])
    refusals = documented("unauthenticated", "not_found", "bad_request_fields", "unavailable")
    made.get("/{receipt}", summary="What became of a webhook", responses=refusals)(show_receipt)
    return made


@in_thread
def show_receipt(here: Here, receipt: Id, asking: Asking) -> ReceiptView:
    """For viewers, and for the integration that posted it, by its webhook token.

    404 for what is not known: it was never taken, or a gateway took it that is not this one and nothing was decided
    from it yet, or it repeated what was known and changed nothing.
    """
    view = find(here.parts, receipt, here.recent.find(receipt))
    if view is None or (isinstance(asking, Integration) and asking.id != view.integration):
        raise Refusal(
            "not_found",
            f"Nothing is known of a receipt {receipt}.",
            remedy="Ask again in a second; of a repeat that changed nothing, nothing is kept.",
        )
    return view


def find(parts: Parts, receipt: str, taken: Taken | None) -> ReceiptView | None:
    """What became of a receipt. Blocks; raises Unavailable."""
    trace = parts.queries.receipt(receipt)
    events = list(_events(parts, trace.incidents))
    dead = {letter.index: letter for letter in parts.store.dead_letters(receipt)}
    sources: list[Taken] = [
        *([taken] if taken else []),
        *(Taken(part.integration, part.received_at) for part in trace.inbox),
        *(Taken(one.event.integration, one.event.received_at) for one in events),
        *(Taken(letter.integration, letter.at) for letter in dead.values()),
    ]
    if not sources:
        return None
    state: ReceiptState = "accepted"
    if not all(part.folded for part in trace.inbox):
        state = "in_inbox"
    elif events or (trace.inbox and not dead):
        state = "folded"
    elif dead:
        state = "dead_lettered"
    return ReceiptView(
        receipt=receipt,
        integration=sources[0].integration,
        received_at=sources[0].received_at,
        state=state,
        alerts=tuple(_alert(one) for one in events),
        dead_letters=tuple(ReceiptDeadLetter(index=n, reason=letter.reason) for n, letter in sorted(dead.items())),
    )


@dataclass(frozen=True, slots=True)
class _Told:
    """An event about an alert, and the name of the incident."""

    event: Told
    incident: str


def _events(parts: Parts, incidents: Mapping[int, str]) -> Iterator[_Told]:
    """The events at these positions, in order."""
    left = sorted(incidents)
    while left:
        after = left[0] - 1
        for recorded in parts.store.tail(after, min(NEARBY, left[-1] - after)):
            if recorded.position in incidents and isinstance(recorded.event, Told):
                yield _Told(recorded.event, incidents[recorded.position])
        left = [position for position in left if position > after + NEARBY]


def _alert(told: _Told) -> ReceiptAlert:
    status = "resolved" if isinstance(told.event, AlertResolved) else "firing"
    return ReceiptAlert(alert=told.event.alert, status=status, incident=told.incident)
