"""Which command a person gave, told from what it became: so that it can be decided again.

Read next: `rederive`, which does that.
"""

from collections.abc import Callable, Iterable, Sequence

from domain import belonging, commands, incidents, merging
from domain.commands import PersonCommand
from domain.decision import PayloadRef
from projections.inputs import Tampered
from streams.store.base import Recorded

Words = Callable[[PayloadRef | None, str], commands.Words]
"""What a person wrote, by the reference to it and the field where that stands."""


class Underivable(Tampered):
    """Nothing known leads from the input to this event: `field` of it says what is in the way."""


def asked(said: Sequence[Recorded], words: Words) -> tuple[str, PersonCommand]:
    """The incident that was meant, and the command.

    Parameters:
        said: every event of the command, in order.

    Raises Underivable when no command leads to these.
    """
    first = next((e for e in said if isinstance(e.event, incidents.IncidentEvent)), None)
    if first is None:
        raise Underivable("type", "no command leads to this")
    if isinstance(first.event, belonging.BelongingEvent):
        return _about_belonging(first.stream, first.event, said)
    return first.stream, _own(first.event, words)


def _own(event: object, words: Words) -> PersonCommand:
    match event:
        case incidents.Opened(words=title):
            named = {"service": event.service or None, "team": event.team, "policy": event.policy}
            return commands.Create(words(title, "data.words"), event.severity, **named)
        case incidents.Acknowledged():
            return incidents.Acknowledge()
        case incidents.Unacknowledged():
            return incidents.Unacknowledge()
        case incidents.Started():
            return incidents.Start()
        case incidents.Resolved():
            return incidents.Resolve()
        case incidents.Reopened():
            return incidents.Reopen()
        case incidents.Assigned(users=users):
            return incidents.Assign(users)
        case incidents.SeverityChanged(after=after):
            return incidents.SetSeverity(after)
        case incidents.Commented(text=text):
            return commands.Note(words(text, "data.text"))
    raise Underivable("type", "no command leads to this")


def _about_belonging(
    stream: str, event: belonging.BelongingEvent, said: Iterable[Recorded]
) -> tuple[str, PersonCommand]:
    opened = {e.stream for e in said if isinstance(e.event, incidents.Opened)}
    match event:
        case belonging.Merged(into=into):
            return stream, merging.Merge(into)
        case belonging.Unmerged():
            return stream, merging.Unmerge()
        case belonging.GroupAttached(group=group, reason="person"):
            return stream, merging.Attach(group)
        case belonging.GroupDetached(group=group, to=to) if to in opened:
            return stream, merging.Detach(group)
        case belonging.AlertsSplit(alerts=alerts, to=to):
            return (stream, merging.Split(alerts)) if to in opened else (to, merging.Attach(alerts=alerts))
    raise Underivable("type", "no command leads to this")
