"""Decisions about what people ask for, made again: commands, answers to alerts, configuration, erasures."""

from collections.abc import Callable, Mapping, Sequence

from domain import alert_commands, answers, belonging, changes, commands, ids
from domain.alert_commands import AcknowledgeAlert, AlertCommand, CloseAlert, UnacknowledgeAlert
from domain.book import Book, Entry
from domain.decision import PayloadRef
from domain.erasing import PayloadErased, erasure_stream
from projections.asked import Underivable, asked
from projections.inputs import Erased, Tampered, row_before
from projections.rederiving.standing import Run, Standing

Answer = answers.AlertAcknowledged | answers.AlertUnacknowledged | answers.AlertClosed
ASKED: Mapping[type[Answer], AlertCommand] = {
    answers.AlertAcknowledged: AcknowledgeAlert(),
    answers.AlertUnacknowledged: UnacknowledgeAlert(),
    answers.AlertClosed: CloseAlert(),
}


class Requests(Standing):
    """What people decide."""

    def commanded(self, run: Run, following: Callable[[int], Run]) -> Sequence[Entry]:
        """A person's command. What was asked is known from what it became."""
        if isinstance(run[0].event, Answer):
            return self._answered(run, run[0].event)
        same = [e for e in following(len(run) + 1) if e.decision.cause == run[0].decision.cause]
        incident, command = asked(same, self._words)
        decision, book = run[0].decision, self.book(run)
        for recorded in run:
            if isinstance(left := recorded.event, belonging.AlertLeft):
                self.agrees(left.alert, left.prior, recorded)
                row = row_before(self.org, left.alert, left.integration, left.fingerprint, left.prior)
                book.alerts[left.alert] = row
        commands.execute(book, incident, command, decision.cause, decision.decided_at)
        return book.entries

    def _answered(self, run: Run, said: Answer) -> Sequence[Entry]:
        """What a person said of one alert."""
        self.agrees(said.alert, said.prior, run[0])
        book, decision = self.book(run), run[0].decision
        row = row_before(self.org, said.alert, said.integration, said.fingerprint, said.prior)
        book.alerts[said.alert] = row
        alert_commands.execute(book, said.alert, ASKED[type(said)], decision.cause, decision.decided_at)
        return book.entries

    def _words(self, ref: PayloadRef | None, field: str) -> commands.Words:
        if ref is None:
            raise Underivable(field, "what a person wrote is not pointed at")
        try:
            salt, body = self.inputs.payload(ref)
        except Tampered as wrong:
            raise Tampered(f"{field}.{wrong.field}", wrong.problem) from None
        return commands.Words(body.decode(), salt)

    def configured(self, run: Run) -> Sequence[Entry]:
        """A change of the configuration: the object is the input; stream, reference and revision follow from it."""
        book, recorded = self.book(run), run[0]
        book.begin(recorded.decision.cause, recorded.decision.decided_at, (recorded.stream,))
        match recorded.event:
            case changes.ObjectPut(object=item, private=private):
                stream = ids.config_stream(self.org, item.kind, item.id)
                if private is not None and stream == recorded.stream:
                    self._private(stream, book, private)
                book.write(stream, recorded.event)
            case changes.ObjectRemoved(kind=kind, id=name):
                book.write(ids.config_stream(self.org, kind, name), recorded.event)
            case _:
                raise Underivable("type", "no change of the configuration leads to this")
        book.end()
        return book.entries

    def _private(self, stream: str, book: Book, private: PayloadRef) -> None:
        if private.ref != f"{stream}/{book.streams[stream].version + 1}":
            raise Underivable("data.private.ref", "it is not this version's")
        try:
            self.inputs.payload(private)
        except Erased as erased:
            self.erased[erased.position] += 1
        except Tampered as wrong:
            raise Tampered(f"data.private.{wrong.field}", wrong.problem) from None

    def erases(self, run: Run) -> Sequence[Entry]:
        """A request to erase: what was erased is the input."""
        book = self.book(run)
        for recorded in run:
            if not isinstance(recorded.event, PayloadErased):
                raise Underivable("type", "no request to erase leads to this")
            book.begin(recorded.decision.cause, recorded.decision.decided_at, (recorded.stream,))
            book.write(erasure_stream(self.org, recorded.decision.cause.causation_id), recorded.event)
        book.end()
        return book.entries
