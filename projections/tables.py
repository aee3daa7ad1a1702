"""Rows in Postgres: what a batch of events needs is read, and what it changed is written, one statement per table.

Rows travel as JSON, whole, so that every table is read and written the same way. Schemas are never named.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import fields
from functools import cache
from typing import Any, TypeVar

import orjson
import psycopg
from psycopg import sql
from pydantic import TypeAdapter

from domain.ids import stream_kind
from domain.pages import Queued
from projections.handlers import project
from projections.rows import Row, Rows, Table
from streams.store.base import Recorded

Connection = psycopg.Connection[Any]
R = TypeVar("R", bound=Row)

_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")


class ProjectionFailed(Exception):
    """The read models cannot go on at an event, and do not skip it: a handler is wrong, or the rows are."""


def apply(connection: Connection, events: Sequence[Recorded]) -> None:
    """Bring the read models to the state after `events`, which are in order of position.

    `connection` is in a transaction that the caller commits. Raises ProjectionFailed, with position and event type.
    """
    rows = load(connection, events)
    for recorded in events:
        try:
            project(rows, recorded)
        except Exception as error:
            raise ProjectionFailed(
                f"the projection of {recorded.type} at position {recorded.position} ({recorded.stream}) failed:"
                f" {type(error).__name__}: {error}"
            ) from error
    try:
        for table in rows:
            _write(connection, table)
    except (psycopg.DataError, psycopg.IntegrityError) as error:
        what = f"positions {events[0].position} to {events[-1].position}, last {events[-1].type}"
        raise ProjectionFailed(f"the rows of {what} cannot be written: {error}") from error


def load(connection: Connection, events: Sequence[Recorded]) -> Rows:
    """The rows that `events` look at, as they are."""
    rows = Rows()
    streams: dict[str, set[str]] = {}
    for recorded in events:
        streams.setdefault(stream_kind(recorded.stream), set()).add(recorded.stream)
    _read(connection, rows.escalations, streams.get("escalation", set()))
    _read(connection, rows.pages, streams.get("page", set()))
    paged = {page.incident for page in rows.pages.known.values()}
    queued = {recorded.event.incident for recorded in events if isinstance(recorded.event, Queued)}
    _read(connection, rows.incidents, streams.get("incident", set()) | paged | queued)
    return rows


def _read(connection: Connection, table: Table[R], ids: Collection[str]) -> None:
    if ids:
        query = sql.SQL("select to_jsonb(t) from {} as t where id = any(%s)").format(sql.Identifier(table.kind.table))
        found = connection.execute(query, (sorted(ids),)).fetchall()
        table.add(_adapter(table.kind).validate_python([row for (row,) in found]))


@cache
def _adapter(kind: type[R]) -> TypeAdapter[list[R]]:
    return TypeAdapter(list[kind])  # type: ignore[valid-type]


def _write(connection: Connection, table: Table[Row]) -> None:
    if table.changed:
        connection.execute(_upsert(table.kind), (as_json(list(table.changed.values())),))


@cache
def _upsert(kind: type[Row]) -> sql.Composed:
    """Insert rows or replace them; a row in the database that has seen a later event stays as it is."""
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    return sql.SQL(
        "insert into {table} as t ({columns})"
        " select {columns} from json_populate_recordset(null::{table}, %s::json)"
        " on conflict ({key}) do update set ({columns}) = ({new}) where t.position < excluded.position"
    ).format(
        table=sql.Identifier(kind.table),
        columns=sql.SQL(", ").join(map(sql.Identifier, names)),
        key=sql.SQL(", ").join(map(sql.Identifier, kind.key)),
        new=sql.SQL(", ").join(sql.Identifier("excluded", name) for name in names),
    )


def as_json(rows: Sequence[Row]) -> str:
    """Rows as a JSON array; NUL, which labels may hold and Postgres may not, becomes the replacement character."""
    written = orjson.dumps(rows)
    return (_NUL.sub(rb"\1\\ufffd", written) if b"\\u0000" in written else written).decode()
