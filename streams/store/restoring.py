"""After a restore from a backup: the store gets a new epoch, so that nobody mistakes what it says from now on.

The backup's log ends earlier than the lost one did, and positions behind its end are given out again, to other events.
The epoch is in the source of every public event and in every seal; the relay begins behind `since`.
"""

from streams.failpoints import effect
from streams.store.base import Identity, StoreError
from streams.store.connected import answers
from streams.store.leadership import TIMEOUT, Leadership, Seat
from streams.store.limits import connect
from streams.store.postgres import SCHEMA


class StillRunning(StoreError):
    """A relay works on the store: what it publishes would still carry the old epoch."""


def raise_epoch(dsn: str, schema: str = SCHEMA) -> Identity:
    """Raise the epoch of a store on which no role runs; returns who it is now.

    Parameters:
        dsn: libpq connection string of the restored and migrated database.
        schema: where the tables are.

    Raises StillRunning when a relay holds its seat, Unavailable when the database does not answer.
    """
    relay = Leadership(dsn, Seat.RELAY)
    try:
        if not relay.hold():
            raise StillRunning("Tocsin runs on this database: stop every role first")
        return _raise(dsn, schema)
    finally:
        relay.release()


def _raise(dsn: str, schema: str) -> Identity:
    query = (
        "update store_identity set epoch = epoch + 1,"
        " since = (select coalesce(max(notification_id), 0) from stored_events) returning store, epoch, since"
    )
    with answers(), effect("raise_epoch"), connect(dsn, TIMEOUT, search_path=schema) as connection:
        row = connection.execute(query).fetchone()
    assert row is not None  # the table has one row
    return Identity(str(row[0]), row[1], row[2])
