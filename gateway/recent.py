"""The receipts that this gateway has taken lately: what is known of one before anything was decided from it."""

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime

KEPT = 10_000


@dataclass(frozen=True, slots=True)
class Taken:
    """A receipt that was made durable."""

    integration: str
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Recent:
    """The last `KEPT` receipts of this process; the oldest are forgotten."""

    _taken: "OrderedDict[str, Taken]" = field(default_factory=OrderedDict)

    def put(self, receipt: str, integration: str, received_at: datetime) -> None:
        """Remember a receipt."""
        self._taken[receipt] = Taken(integration, received_at)
        if len(self._taken) > KEPT:
            self._taken.popitem(last=False)

    def find(self, receipt: str) -> Taken | None:
        """What is known of a receipt."""
        return self._taken.get(receipt)
