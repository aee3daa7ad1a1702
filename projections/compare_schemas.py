"""Two schemas of read models, row by row: which values of the live one the log does not say."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from projections.rows import Row, Rows
from projections.sentences import plain
from projections.tables import Connection

SHOWN = 100
"""Rows of one table that are told value by value; the others are counted."""
LONGEST = 120
"""Characters of a value that are shown."""
WHOLE_ROW = "(row)"

DIFFERENT = sql.SQL(
    """
select to_jsonb(l), to_jsonb(r), count(*) over ()
from {live}.{table} as l full join {rebuilt}.{table} as r on {same_key}
where to_jsonb(l) is distinct from to_jsonb(r) order by {key} limit {shown}
"""
)


@dataclass(frozen=True, slots=True)
class Cell:
    """One value that differs: `column` is `(row)` when a whole row is only on one side, None then on the other."""

    table: str
    key: str
    column: str
    live: Any
    rebuilt: Any

    def __str__(self) -> str:
        """For people, on one line."""
        return f"{self.table} {self.key} {self.column}: live {_shown(self.live)}, rebuilt {_shown(self.rebuilt)}"


@dataclass(frozen=True, slots=True)
class Compared:
    """What differs: how many rows in all, and the values of the first of each table."""

    rows: int
    cells: tuple[Cell, ...]


def compare_schemas(connection: Connection, live: str, rebuilt: str) -> Compared:
    """What differs between two schemas, as the transaction of `connection` sees them."""
    total, cells = 0, list[Cell]()
    for table in Rows():
        found = connection.execute(_query(table.kind, live, rebuilt)).fetchall()
        total += found[0][2] if found else 0
        cells += [cell for before, after, _ in found for cell in _cells(table.kind, before, after)]
    return Compared(total, tuple(cells))


def _query(kind: type[Row], live: str, rebuilt: str) -> sql.Composed:
    columns = [sql.Identifier(name) for name in kind.key]
    return DIFFERENT.format(
        live=sql.Identifier(live),
        rebuilt=sql.Identifier(rebuilt),
        table=sql.Identifier(kind.table),
        same_key=sql.SQL(" and ").join(sql.SQL("l.{0} = r.{0}").format(column) for column in columns),
        key=sql.SQL(", ").join(sql.SQL("coalesce(l.{0}, r.{0})").format(column) for column in columns),
        shown=sql.Literal(SHOWN),
    )


def _cells(kind: type[Row], live: Mapping[str, Any] | None, rebuilt: Mapping[str, Any] | None) -> Iterator[Cell]:
    known = live or rebuilt or {}
    key = " ".join(str(known[name]) for name in kind.key)
    if live is None or rebuilt is None:
        yield Cell(kind.table, key, WHOLE_ROW, live, rebuilt)
        return
    for column in sorted(live.keys() | rebuilt.keys()):
        before, after = live.get(column), rebuilt.get(column)
        if before != after:
            yield Cell(kind.table, key, column, before, after)


def _shown(value: Any) -> str:
    return "nothing" if value is None else plain(json.dumps(value, ensure_ascii=False), LONGEST)
