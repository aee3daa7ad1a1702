"""How bad an alert is: five canonical words, and the words other systems use for them.

Source of the aliases: contract page 00, section B. The canonical words map to themselves from every source;
`page` is critical, because a rule that says "page" means that somebody is to be woken.
"""

from collections.abc import Mapping
from enum import StrEnum


class Severity(StrEnum):
    """The canonical severities, worst first."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INFO = "info"

    @property
    def rank(self) -> int:
        """0 for the worst; a smaller rank is more severe."""
        return _RANK[self]

    def worse_than(self, other: "Severity") -> bool:
        """Whether this severity is strictly more severe than `other`."""
        return self.rank < other.rank


_RANK = {severity: rank for rank, severity in enumerate(Severity)}

ALIASES: Mapping[str, Severity] = {
    **{severity.value: severity for severity in Severity},
    **{f"p{rank}": severity for rank, severity in enumerate(Severity)},
    "page": Severity.CRITICAL,
    "fatal": Severity.CRITICAL,
    "emergency": Severity.CRITICAL,
    "error": Severity.HIGH,
    "major": Severity.HIGH,
    "warning": Severity.MEDIUM,
    "warn": Severity.MEDIUM,
    "minor": Severity.MEDIUM,
    "informational": Severity.INFO,
    "none": Severity.INFO,
    "debug": Severity.INFO,
    "success": Severity.INFO,
}


def parse_severity(word: str | None, default: Severity = Severity.MEDIUM) -> Severity:
    """Read a severity word in any case.

    Parameters:
        word: what the source said, or None when it said nothing.
        default: the answer for a missing or unknown word; an unknown severity is medium, never dropped.
    """
    return ALIASES.get((word or "").strip().lower(), default)
