"""`tocsin rebuild`: the read models made anew from the whole log, compared with the live ones, and put in their place.

The projector goes on meanwhile. The whole log up to the live position is replayed into a shadow schema; then one
transaction with one snapshot fixes the live position, brings the shadow to exactly it, and compares. A swap renames two
schemas while nobody can write. Killed at any moment it leaves the live read models as they are: what is left of a
shadow is dropped by the next rebuild.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import LiteralString

from psycopg import sql

from projections.compare_schemas import Cell, compare_schemas
from projections.database import READ_SCHEMA, asking
from projections.runner import BATCH, Session
from streams.failpoints import effect, reach
from streams.store.base import Store, StoreError, Unavailable, WrongStore
from streams.store.migrate import migrate
from streams.store.recorder import BY_KEY

Say = Callable[[str], None]

COMPARE_TIMEOUT = 900
"""Seconds for each table to be compared."""
LOCK_TIMEOUT = 5
"""Seconds to wait for the projector's batch, and for readers of what is dropped."""
SWAPS = 5
"""Attempts at the swap."""
PASSES = 5
"""Times that the shadow follows the live read models before it takes the rest with them locked."""
SAY_EVERY = 2.0
"""Seconds between two words of progress."""


class RebuildRunning(StoreError):
    """Another rebuild of the same read models is under way."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What a rebuild found at `position`: how many rows differ, in which values, and whether it was swapped in."""

    position: int
    rows: int
    cells: tuple[Cell, ...]
    swapped: bool

    @property
    def is_equal(self) -> bool:
        """Whether the live read models were what the log says."""
        return self.rows == 0


def rebuild(dsn: str, store: Store, accept: bool, say: Say, schema: str = READ_SCHEMA) -> Difference:
    """Rebuild the read models, tell what differs, and swap them in when nothing does. Blocks; for long.

    Parameters:
        dsn: libpq connection string of a role that owns the database's schemas; migrated.
        store: the log.
        accept: swap even if rows differ.
        say: told each line for people: progress, every differing value (of at most 100 rows a table), the outcome.
        schema: where the live read models are.

    Raises RebuildRunning, Unavailable, WrongStore (the read models are not migrated), ProjectionFailed.
    """
    session = Session.open(dsn, f"{schema}_shadow")
    if session is None:
        raise RebuildRunning("another rebuild is under way")
    working = _Rebuild(dsn, store, say, schema, session)
    try:
        return working.run(accept)
    finally:
        working.session.close()


@dataclass(slots=True)
class _Rebuild:
    """One rebuild: the session holds the lock of the shadow and writes it."""

    dsn: str
    store: Store
    say: Say
    live: str
    session: Session
    shadow: str = field(init=False)
    replaced: str = field(init=False)
    _said_at: float = field(default_factory=time.monotonic)
    _said: int = 0

    def __post_init__(self) -> None:
        self.shadow, self.replaced = f"{self.live}_shadow", f"{self.live}_replaced"

    def run(self, accept: bool) -> Difference:
        self._drop(self.shadow, self.replaced)
        migrate(self.dsn, "projections", self.shadow)
        for _ in range(PASSES):
            self._follow(self._target())
        found = self._compare()
        self._tell(found)
        if not (found.is_equal or accept):
            self._drop(self.shadow)
            self.say("The live read models stay as they are. `--accept` puts the rebuilt ones in their place.")
            return found
        self._swap()
        return Difference(found.position, found.rows, found.cells, swapped=True)

    # -- following the log -----------------------------------------------------------------------------------------

    def _live_position(self) -> int | None:
        query = sql.SQL("select position from {}.cursor").format(sql.Identifier(self.live))
        with asking():
            row = self.session.connection.execute(query).fetchone()
        return int(row[0]) if row else None

    def _target(self) -> int:
        """The position that the live read models have reached, as far as the log confirms it."""
        live, head = self._live_position(), self.store.head()
        return head if live is None else min(live, head)

    def _follow(self, target: int) -> None:
        """Bring the shadow to `target`."""
        while (position := self.session.position()) < target:
            events = self.store.tail(position, min(BATCH, target - position))
            if not events:
                raise WrongStore(f"the log ends at position {position}, before {target}")
            self.session.apply(position, events)
            self._progress(events[-1].position, target)

    def _progress(self, position: int, target: int) -> None:
        took = time.monotonic() - self._said_at
        if took >= SAY_EVERY:
            speed = (position - self._said) / took
            self.say(f"{position:,} of {target:,} events ({100 * position // target} %), {speed:,.0f} a second")
            self._said_at, self._said = time.monotonic(), position

    # -- comparing -------------------------------------------------------------------------------------------------

    def _compare(self) -> Difference:
        """What differs, both at the live position of one snapshot: the shadow is brought to it inside of it."""
        connection = self.session.connection
        with asking(), connection.transaction():
            connection.execute("set transaction isolation level repeatable read")
            connection.execute(sql.SQL("set local statement_timeout = {}").format(sql.Literal(f"{COMPARE_TIMEOUT}s")))
            live, target = self._live_position(), self._target()
            self._follow(target)
            for name in BY_KEY:  # whole tables are compared, not rows by their keys
                connection.execute(sql.SQL("set local {} = on").format(sql.Identifier(name)))
            found = compare_schemas(connection, self.live, self.shadow)
        if live == target:
            return Difference(target, found.rows, found.cells, swapped=False)
        cursor = Cell("cursor", "", "position", live, target)
        return Difference(target, found.rows + 1, (cursor, *found.cells), swapped=False)

    def _tell(self, found: Difference) -> None:
        for cell in found.cells:
            self.say(str(cell))
        told = len({(cell.table, cell.key) for cell in found.cells})
        if found.rows > told:
            self.say(f"and {found.rows - told:,} more rows")
        differs = {0: "no row differs", 1: "1 row differs"}.get(found.rows, f"{found.rows:,} rows differ")
        self.say(f"Rebuilt from {found.position:,} events and compared at position {found.position}: {differs}.")

    # -- swapping --------------------------------------------------------------------------------------------------

    def _swap(self) -> None:
        """Put the shadow in the place of the live read models. Raises Unavailable when the projector leaves no gap."""
        for _ in range(PASSES):
            self._follow(self._target())
        for left in reversed(range(SWAPS)):
            try:
                self._rename()
                break
            except Unavailable:
                if not left:
                    raise
                time.sleep(random.uniform(0.2, 1.0))  # noqa: S311
        self.say("The rebuilt read models are in place.")
        try:
            self._clear()
        except Unavailable:
            self.say(f"The old ones cannot be deleted now: schema {self.replaced} stays until the next rebuild.")

    def _clear(self) -> None:
        """Delete what was replaced; once more on another connection when that fails. Raises Unavailable."""
        try:
            self._drop(self.replaced)
        except Unavailable:
            self.session.close()
            again = Session.open(self.dsn, self.shadow)
            if again is None:
                raise
            self.session = again
            self._drop(self.replaced)

    def _rename(self) -> None:
        """In one transaction. The lock stops the projector before its next batch, at a position that is then ours."""
        with asking(), self.session.connection.transaction():
            self._execute("set local lock_timeout = {}", sql.Literal(f"{LOCK_TIMEOUT}s"))
            self._execute("lock table {}.cursor in exclusive mode", sql.Identifier(self.live))
            self._follow(self._target())
            self._execute("alter schema {} rename to {}", sql.Identifier(self.live), sql.Identifier(self.replaced))
            self._execute("alter schema {} rename to {}", sql.Identifier(self.shadow), sql.Identifier(self.live))
            reach("swap:commit")

    def _drop(self, *schemas: str) -> None:
        with asking(), effect("drop_schema"), self.session.connection.transaction():
            self._execute("set local lock_timeout = {}", sql.Literal(f"{LOCK_TIMEOUT}s"))
            for schema in schemas:
                self._execute("drop schema if exists {} cascade", sql.Identifier(schema))

    def _execute(self, statement: LiteralString, *parts: sql.Composable) -> None:
        self.session.connection.execute(sql.SQL(statement).format(*parts))
