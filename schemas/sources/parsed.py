"""What every source's parser is given and answers: limits in; alerts, warnings and rejections, or a refusal, out."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from domain.alerts import Alert

MAX_WARNINGS = 20


@dataclass(frozen=True, slots=True)
class Limits:
    """What one webhook body may hold. Lengths are characters.

    The first two are settings and refuse the body, as does nesting. The others clip with a warning: an over-long
    annotation must not lose a page. They stand far above what is seen in the field (Prometheus itself defaults
    to no limit; alerts carry 5 to 25 labels).
    """

    max_body_bytes: int = 4 * 1024 * 1024
    max_alerts: int = 1000
    max_depth: int = 32
    max_labels: int = 64
    max_annotations: int = 64
    max_name: int = 128
    max_label_value: int = 1024
    max_annotation_value: int = 4096
    max_url: int = 2048


DEFAULT_LIMITS = Limits()


class BadBody(Exception):
    """A body that is refused as a whole.

    `status` is the HTTP status of the answer, `field` the part that is wrong ("" for the body itself), `problem`
    a sentence saying what is wrong, `remedy` one saying what to do.
    """

    def __init__(self, status: Literal[400, 413, 422], field: str, problem: str, remedy: str) -> None:
        super().__init__(f"{status} {field or 'body'}: {problem} {remedy}")
        self.status = status
        self.field = field
        self.problem = problem
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Rejected:
    """A member of a good body that cannot be an alert; it goes to the dead letters, the others go on.

    `index` counts from 0 in the body's list and is -1 for the whole body, `field` is its part that is wrong, `problem`
    says why.
    """

    index: int
    field: str
    problem: str


@dataclass(frozen=True, slots=True)
class Parsed:
    """A body understood. `raw` is the whole body as JSON text after redaction, for the record and for auditors.

    `warnings` are sentences for the sender's operator; they name fields and never quote values.
    """

    alerts: tuple[Alert, ...]
    raw: str
    rejected: tuple[Rejected, ...] = ()
    warnings: tuple[str, ...] = ()


Parser = Callable[[bytes, Limits], Parsed]


def bounded(warnings: list[str]) -> tuple[str, ...]:
    """The first `MAX_WARNINGS` warnings and how many there were beyond them."""
    more = len(warnings) - MAX_WARNINGS
    return (*warnings[:MAX_WARNINGS], *([f"and {more} more warnings"] if more > 0 else []))
