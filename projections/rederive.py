"""Making a decision again: from the input that is recorded of it and the streams as they stood, through the same rules.

What comes out is compared, field by field, with what the log says. How each kind of input is decided on again is in
`rederiving/`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from domain import ids, incidents
from domain.book import Entry
from domain.decision import RULES_VERSION, Refused
from projections.asof import AsOf
from projections.comparing import compared
from projections.findings import Finding, Verdict
from projections.inputs import Erased, Inputs, Tampered
from projections.openings import Openings
from projections.rederiving.decided import Deciding
from projections.rederiving.standing import Run
from streams.store.base import Recorded

__all__ = ["Rederiver", "Run"]


@dataclass(slots=True)
class Rederiver:
    """Decides again. Its parts are moved along the log by `projections.verify`.

    Parameters:
        org: the organisation whose identifiers are derived.
        asof: the streams as they stand before the run that is looked at.
        inputs: payloads and configuration, likewise.
        verdict: where findings and counts go.
    """

    org: str
    asof: AsOf
    inputs: Inputs
    verdict: Verdict
    _deciding: Deciding = field(init=False)

    def __post_init__(self) -> None:
        openings = Openings(lambda incident: self._deciding.state(incident, incidents.Incident))
        self._deciding = Deciding(self.org, self.asof, self.inputs, openings, self.verdict.erased)

    def check(self, run: Run, following: Callable[[int], Run]) -> int:
        """Check the decision that `run` begins with; returns how many events it is.

        `following` gives the next events from the first of `run` on, whatever decisions they belong to.
        """
        if run[0].decision.rules_version != RULES_VERSION:
            self.verdict.other_rules[run[0].decision.rules_version] += len(run)
            self._deciding.openings.lose(run)
            return len(run)
        if ids.stream_kind(run[0].stream) == "config":
            for recorded in run:
                self._check([recorded], lambda _, recorded=recorded: [recorded])  # type: ignore[misc]
            return len(run)
        return self._check(run, following)

    def _check(self, run: Run, following: Callable[[int], Run]) -> int:
        first = run[0]
        try:
            entries = self._deciding.decide(run, following)
        except Erased as erased:
            self.verdict.erased[erased.position] += len(run)
        except Tampered as wrong:
            self._find(next((e for e in run if e.event is wrong.event), first), wrong.field, wrong.problem)
        except Refused as refused:
            self._find(first, "", f"the rules refuse this ({refused.code})")
        except (KeyError, ValueError, TypeError, AttributeError, StopIteration) as error:
            self._find(first, "", f"the rules cannot have decided this ({type(error).__name__})")
        else:
            self._deciding.openings.note(self._deciding.decided)
            return self._compared(entries, run, following)
        self._deciding.openings.lose(run)
        return len(run)

    def _find(self, recorded: Recorded, field: str, problem: str) -> None:
        self.verdict.add(Finding(recorded.position, recorded.stream, recorded.type, field, problem))

    # -- comparing -------------------------------------------------------------------------------------------------

    def _compared(self, entries: Sequence[Entry], run: Run, following: Callable[[int], Run]) -> int:
        if not entries:
            self._find(run[0], "", "the rules decide nothing here")
            return len(run)
        actual = following(len(entries))
        for entry, recorded in zip(entries, actual, strict=False):
            if (entry.stream, entry.event.type) != (recorded.stream, recorded.type):
                decided = f"the rules decide {entry.event.type} in {entry.stream} here"
                self._find(recorded, "stream" if entry.event.type == recorded.type else "type", decided)
                return len(run)
            self._compare(entry, recorded)
        if len(actual) < len(entries):
            self._find(actual[-1], "", f"the rules decide {entries[len(actual)].event.type} after this")
        return min(len(entries), len(actual))

    def _compare(self, entry: Entry, recorded: Recorded) -> None:
        self.verdict.rederived[recorded.type] += 1
        reads, derived = dict(recorded.decision.reads), dict(entry.decision.reads)
        for stream, version in sorted(reads.items()):
            if self.asof[stream].version != version:
                self._find(recorded, f"decision.reads.{stream}", f"it stood at version {self.asof[stream].version}")
        for stream in sorted(derived.keys() - reads.keys()):
            self._find(recorded, f"decision.reads.{stream}", "the rules read it")
        for name, problem in compared(entry, recorded):
            self._find(recorded, name, problem)
