"""What a decision was made from, as far as it is recorded: payloads, the configuration, and what the events say.

Taken as recorded, because nothing else says it: when a report was received; when an alert that expired was last heard
of; which pages were with a channel; what a channel answered; what a person asked for; the clock; an incident's number;
until when catching up held a first page back; which alert inhibits another (that it fired is checked, not that nothing
else did).
"""

from hashlib import sha256

from domain.alerts import Alert, AlertRow, PriorAlert
from domain.changes import ObjectPut, ObjectRemoved
from domain.config import Config, Standing, User
from domain.decision import PayloadRef
from domain.erasing import PayloadErased
from domain.events import Event
from domain.groups import AlertSuppressed
from domain.ids import incident_stream
from domain.inhibition import Place, Source
from projections.asof import read
from schemas.payloads import read_alert
from streams.store.configuration import joined
from streams.store.ledger import Ledger, Payload

BATCH = 1_000


class Erased(Exception):
    """An input was erased, as the event at `position` says."""

    def __init__(self, position: int) -> None:
        super().__init__(f"erased at position {position}")
        self.position = position


class Tampered(Exception):
    """A recorded input is not what it was: `field` of the `event` that holds it, and a sentence.

    Without an event it is the first of its decision.
    """

    def __init__(self, field: str, problem: str, event: Event | None = None) -> None:
        super().__init__(problem)
        self.field, self.problem, self.event = field, problem, event


def erasures(ledger: Ledger) -> dict[str, int]:
    """Every payload that was erased, by the position of the event that says so."""
    found: dict[str, int] = {}
    after = 0
    while lines := ledger.of_kind("erasure", after, BATCH):
        after = lines[-1].position
        for line in lines:
            stored = read(line)
            if stored and isinstance(stored.data, PayloadErased):
                found |= {ref: line.position for ref in stored.data.refs if ref not in found}
    return found


class Inhibiting(dict[Place, dict[str, Source]]):
    """The alert that inhibits, as an event says, wherever its rule applies; nothing when the event says of none."""

    def __init__(self, said: AlertSuppressed | None) -> None:
        super().__init__()
        self._said = said

    def get(self, place: Place, default: object = None) -> dict[str, Source]:
        """What inhibits at a place."""
        said = self._said
        if said is None or said.by is None or place[0] != said.rule:
            return {}
        return {said.by: Source(said.by_group or "", is_target=False)}


class Inputs:
    """Payloads that are proved by their digests, and the configuration at the walk's position."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._erased = erasures(ledger)
        self._objects: dict[tuple[str, str], Standing] = {}
        self._config: Config | None = None
        self.revision = 0
        self.erased_users: dict[str, int] = {}

    def payload(self, ref: PayloadRef) -> tuple[bytes, bytes]:
        """Salt and body. Raises Erased, and Tampered when it is gone without a word or not what was digested."""
        kept = self._ledger.payloads([ref.ref]).get(ref.ref, Payload(None, None))
        if kept.salt is None or kept.body is None:
            if ref.ref in self._erased:
                raise Erased(self._erased[ref.ref])
            raise Tampered("digest", f"payload {ref.ref} is gone, and no event says that it was erased")
        if sha256(kept.salt + kept.body).hexdigest() != ref.digest:
            raise Tampered("digest", f"payload {ref.ref} is not the one that was decided on")
        return kept.salt, kept.body

    def alert(self, ref: PayloadRef) -> tuple[bytes, bytes, Alert]:
        """Salt, body and alert of a payload. Raises as `payload`."""
        salt, body = self.payload(ref)
        return salt, body, read_alert(body)

    # -- configuration ---------------------------------------------------------------------------------------------

    @property
    def config(self) -> Config:
        """The configuration at the walk's position."""
        if self._config is None:
            self._config = Config.of(self.revision, self._objects)
        return self._config

    def known(self, kind: str, name: str) -> Standing | None:
        """An object as it stands."""
        return self._objects.get((kind, name))

    def change(self, position: int, event: object) -> None:
        """Go on by one configuration event."""
        match event:
            case ObjectPut():
                self._objects[event.object.kind, event.object.id] = self._whole(event)
            case ObjectRemoved():
                self._objects.pop((event.kind, event.id), None)
        self.revision, self._config = position, None

    def _whole(self, event: ObjectPut) -> Standing:
        if event.private is None:
            return event.object
        person = event.object.id if isinstance(event.object, User) else ""
        self.erased_users.pop(person, None)
        try:
            return joined(event.object, self.payload(event.private)[1])
        except Erased as erased:
            if person:
                self.erased_users[person] = erased.position
        except Tampered:
            pass  # its own event says so
        return event.object


def row_before(org: str, alert: str, integration: str, fingerprint: str, prior: PriorAlert) -> AlertRow:
    """The alert's row as a decision found it. What no decision reads of it has a value that means nothing."""
    return AlertRow(
        id=alert,
        integration=integration,
        fingerprint=fingerprint,
        status=prior.status,
        severity=prior.severity,
        rev=prior.rev,
        source_time=prior.source_time,
        received_at=prior.received_at,
        receipt=prior.receipt,
        first_seen=prior.received_at,
        last_seen=prior.received_at,
        count=0,
        group=prior.group,
        flips=prior.flips,
        episode=prior.episode,
        incident=incident_stream(org, prior.group, prior.episode) if prior.group and prior.episode else None,
    )
