"""What a verification finds wrong, and what it says when it is done."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it must be.

    `position`, `stream` and `type` name the event (0 and empty for what is about no event), `field` the part of it,
    e.g. `data.next_at`; `problem` is a sentence without a full stop and quotes no payload.
    """

    position: int
    stream: str
    type: str
    field: str
    problem: str

    def __str__(self) -> str:
        where = f"position {self.position}, {self.type} in {self.stream}" if self.position else "the log"
        return f"{where}{f', {self.field}' if self.field else ''}: {self.problem}"


@dataclass(slots=True)
class Verdict:
    """What a verification came to. Counts are of events unless they say otherwise.

    `epoch` is how often the store was restored, and one; the last backup ended at `since`.
    `findings` are the first `MAX_FINDINGS`, in the order in which they were found; `found` is how many there are.
    """

    head: int = 0
    epoch: int = 1
    since: int = 0
    events: int = 0
    seals: int = 0
    sealed: int = 0
    keys: set[str] = field(default_factory=set)
    rederived: "Counter[str]" = field(default_factory=Counter)
    erased: "Counter[int]" = field(default_factory=Counter)
    other_rules: "Counter[int]" = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    found: int = 0

    @property
    def is_intact(self) -> bool:
        """Whether nothing is wrong."""
        return self.found == 0

    def add(self, finding: Finding) -> None:
        """One more thing that is wrong."""
        self.found += 1
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(finding)


MAX_FINDINGS = 1_000
