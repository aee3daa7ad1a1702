"""What is known of a receipt: the events that were decided from it, and its rows in the inbox."""

from dataclasses import dataclass
from datetime import datetime

from projections.incident_queries import Connection

EVENTS = """
select t.position, i.number from timeline t join incidents i on i.id = t.incident
where t.correlation_id = %s and t.type like 'group.%%' order by t.position limit %s
"""
INBOX = """
select convert_from(key, 'UTF8') as key, received_at, folded_at is not null as folded from inbox
where receipt = %s order by part
"""
MOST_EVENTS = 1000
"""A receipt has 1,000 alerts at most, and each is at most one event of a group."""


@dataclass(frozen=True, slots=True)
class InboxTrace:
    """A part of a receipt in the inbox."""

    integration: str
    received_at: datetime
    folded: bool


@dataclass(frozen=True, slots=True)
class ReceiptTrace:
    """`incidents` are the positions of the receipt's events about alerts, each with its incident's name."""

    incidents: dict[int, str]
    inbox: tuple[InboxTrace, ...]


def trace(connection: Connection, receipt: str) -> ReceiptTrace:
    """What is known of `receipt`; nothing, when nothing is."""
    events = connection.execute(EVENTS, (receipt, MOST_EVENTS)).fetchall()
    parts = connection.execute(INBOX, (receipt,)).fetchall()
    return ReceiptTrace(
        incidents={row["position"]: f"INC-{row['number']}" for row in events},
        inbox=tuple(InboxTrace(row["key"].rpartition(":")[0], row["received_at"], row["folded"]) for row in parts),
    )
