"""What a save writes in Postgres, statement by statement, under the insert lock."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Any

from domain.book import Book, Entry, Loaded
from domain.groups import Group
from domain.ids import stream_kind
from schemas.events import encode, encode_state, hash_event
from streams.store.base import Save
from streams.store.correlating import check_alone, write_spots
from streams.store.inhibiting import check_places, write_places
from streams.store.recorder import Encoded, Prepared
from streams.store.statements import Statements

CHANNEL = "tocsin"
IS = "pages.status || '' = "
"""Asks what no index knows, where the key is known: an index of all that is queued is no way to a few by key."""
SNAPSHOT_EVERY = 200
"""Events of one stream between snapshots at least, and what loading reads at most, unless..."""
SNAPSHOT_SHARE = 4
"""...more than so many times as many alerts fire in a group. A snapshot names all of them, so there are fewer then: one
after as many events as a quarter to a half of the alerts that fire."""


def prepare(book: Book) -> Prepared:
    """Encode and chain a book's events. Raises RuntimeError when its last decision was not closed."""
    book.end()
    tips = {entry.stream: book.streams[entry.stream].tip for entry in book.entries}
    events: list[Encoded] = []
    hashes: list[bytes] = []
    for entry in book.entries:
        state = encode(entry.event, entry.decision, tips[entry.stream])
        tips[entry.stream] = hash_event(entry.stream, entry.version, entry.event.type, state)
        events.append((entry, state))
        hashes.append(tips[entry.stream])
    states = {stream: replace(book.streams[stream], tip=tip) for stream, tip in tips.items()}
    return Prepared(events, hashes, states)


def write_rows(sends: Statements, save: Save) -> None:
    """Everything of a save but its events, if all is as it was looked at."""
    book = save.book
    _track(sends, save)
    _check_reads(sends, book)
    _check_revision(sends, book)
    _write_payloads(sends, book)
    check_places(sends, book)
    check_alone(sends, book)
    _write_alerts(sends, book)
    _move_alerts(sends, book)
    write_places(sends, book)
    write_spots(sends, book)
    _write_due(sends, book)
    _ensure_due(sends, book)
    _write_pages(sends, book)
    _settle(sends, save)
    _write_inputs(sends, save)
    sends.execute(f"notify {CHANNEL}")


def _track(sends: Statements, save: Save) -> None:
    for move in sorted(save.tracking, key=lambda move: (move.cluster, move.topic, move.partition)):
        place = (move.cluster, move.topic, move.partition)
        if move.expected < 0:
            query = 'insert into tracking values (%s, %s, %s, %s) on conflict do nothing returning "offset"'
            sends.execute(query, (*place, move.offset))
        else:
            sends.execute(
                'update tracking set "offset" = %s where cluster = %s and topic = %s and partition = %s'
                ' and "offset" = %s returning "offset"',
                (move.offset, *place, move.expected),
            )
        sends.expect(1, f"the position of {move.topic}/{move.partition} has moved")


def _check_reads(sends: Statements, book: Book) -> None:
    reads = book.reads
    if not reads:
        return
    sends.execute(
        "select 1 from unnest(%b::text[], %b::bigint[]) as r(stream, version), lateral ("
        " select from stored_events e where e.originator_id = r.stream and e.originator_version = r.version + 1 limit 1"
        ") as moved limit 1",
        (list(reads), list(reads.values())),
    )
    sends.expect(0, "what was read has moved")


def _check_revision(sends: Statements, book: Book) -> None:
    """The configuration is as the book has it; configuration events move it to the position they will get."""
    changes = [index for index, entry in enumerate(book.entries, 1) if stream_kind(entry.stream) == "config"]
    if changes:
        sends.execute(
            "update config_head set revision ="
            " (select coalesce(max(notification_id), 0) from stored_events) + %s where revision = %s returning 1",
            (changes[-1], book.config.revision),
        )
    elif book.entries:
        sends.execute("select 1 from config_head where revision = %s", (book.config.revision,))
    else:
        return
    sends.expect(1, "the configuration has changed")


def _write_payloads(sends: Statements, book: Book) -> None:
    if book.payloads:
        salts, bodies = zip(*book.payloads.values(), strict=True)
        sends.execute(
            "insert into payloads select * from unnest(%b::text[], %b::bytea[], %b::bytea[])"
            " on conflict (ref) do nothing",
            (list(book.payloads), list(salts), list(bodies)),
        )


ALERT_COLUMNS = (
    "id", "integration", "fingerprint", "status", "severity", "rev", "source_time", "received_at", "receipt",
    "first_seen", "last_seen", "count", "group", "episode", "incident", "payload", "suppressed", "flips", "ways",
    "acknowledged", "closed", "ends_at",
)  # fmt: skip
ALERT_TYPES = (
    "uuid", "text", "text", "text", "text", "bigint", "timestamptz", "timestamptz", "text",
    "timestamptz", "timestamptz", "bigint", "text", "int", "text", "text", "text", "text", "text",
    "text", "timestamptz", "timestamptz",
)  # fmt: skip
_VALUES = attrgetter(*ALERT_COLUMNS)
_NAMES = ", ".join(f'"{name}"' for name in ALERT_COLUMNS)
_ARRAYS = ", ".join(f"%b::{kind}[]" for kind in ALERT_TYPES)
_SETS = ", ".join(f'"{name}" = r."{name}"' for name in ALERT_COLUMNS if name != "id")
INSERT_ALERTS = f"insert into alert_state ({_NAMES}) select * from unnest({_ARRAYS}) on conflict (id) do nothing"
UPDATE_ALERTS = (
    f"update alert_state a set {_SETS} from unnest({_ARRAYS}, %b::bigint[]) as r({_NAMES}, base)"
    " where a.id = r.id and a.rev = r.base"
)


def _write_alerts(sends: Statements, book: Book) -> None:
    new = sorted(alert for alert in book.changed_alerts if book.alert_revs[alert] == 0)
    old = sorted(alert for alert in book.changed_alerts if book.alert_revs[alert] > 0)
    if new:
        sends.execute(INSERT_ALERTS, _alert_columns(book, new))
        sends.expect(len(new), "an alert was first seen elsewhere")
    if old:
        bases = [book.alert_revs[alert] for alert in old]
        sends.execute(UPDATE_ALERTS, (*_alert_columns(book, old), bases))
        sends.expect(len(old), "an alert was reported elsewhere")


def _move_alerts(sends: Statements, book: Book) -> None:
    """Alerts that belong to another incident now: however many they are, it is one statement."""
    if book.moved:
        rows = [(before, part.group, part.episode, after) for (part, before), after in book.moved.items()]
        sends.execute(
            "update alert_state a set incident = r.after, rev = rev + 1"
            " from unnest(%b::text[], %b::text[], %b::int[], %b::text[]) as r(before, part, episode, after)"
            ' where a.incident = r.before and a."group" = r.part and a.episode = r.episode',
            tuple(map(list, zip(*rows, strict=True))),
        )


def _alert_columns(book: Book, alerts: list[str]) -> tuple[list[Any], ...]:
    rows = [book.changed_alerts[alert] for alert in alerts]
    columns = dict(zip(ALERT_COLUMNS, map(list, zip(*map(_VALUES, rows), strict=True)), strict=True))
    columns["ways"] = [" ".join(row.ways) for row in rows]
    columns["flips"] = [" ".join(at.isoformat() for at in row.flips) for row in rows]
    return tuple(columns.values())


def _write_due(sends: Statements, book: Book) -> None:
    _drop_due(sends, book)
    rows = [due for _, due in sorted(book.due_put.items())]
    new, moved = [due for due in rows if due.rev == 0], [due for due in rows if due.rev]
    if new:
        sends.execute(
            "insert into due (kind, key, at, held, ready_at, rev) select *, 1"
            " from unnest(%b::text[], %b::text[], %b::timestamptz[], %b::text[], %b::timestamptz[])"
            " on conflict do nothing",
            (
                [due.kind for due in new],
                [due.key for due in new],
                [due.at for due in new],
                [due.held and due.held.partition for due in new],
                [due.held and due.held.ready_at for due in new],
            ),
        )
        sends.expect(len(new), "a deadline exists already")
    if moved:
        sends.execute(
            "update due d set at = r.at, rev = d.rev + 1, lease_until = null, held = null"
            " from unnest(%b::text[], %b::text[], %b::timestamptz[], %b::bigint[]) as r(kind, key, at, rev)"
            " where d.kind = r.kind and d.key = r.key and d.rev = r.rev",
            (
                [due.kind for due in moved],
                [due.key for due in moved],
                [due.at for due in moved],
                [due.rev for due in moved],
            ),
        )
        sends.expect(len(moved), "a deadline was met elsewhere")


def _drop_due(sends: Statements, book: Book) -> None:
    """Delete deadlines: those that a pager claimed have to be there, the others may be gone."""
    claimed = sorted((*place, rev) for place, rev in book.due_dropped.items() if rev is not None)
    other = sorted(place for place, rev in book.due_dropped.items() if rev is None)
    if claimed:
        kinds, keys, revs = zip(*claimed, strict=True)
        sends.execute(
            "delete from due d using unnest(%b::text[], %b::text[], %b::bigint[]) as r(kind, key, rev)"
            " where d.kind = r.kind and d.key = r.key and d.rev = r.rev",
            (list(kinds), list(keys), list(revs)),
        )
        sends.expect(len(claimed), "a deadline was met elsewhere")
    if other:
        kinds, keys = zip(*other, strict=True)
        sends.execute(
            "delete from due d using unnest(%b::text[], %b::text[]) as r(kind, key)"
            " where d.kind = r.kind and d.key = r.key",
            (list(kinds), list(keys)),
        )


def _ensure_due(sends: Statements, book: Book) -> None:
    """Deadlines that are wanted at some time at the latest, and those that have to be met once more in any case."""
    again = {
        "at = excluded.at, rev = due.rev + 1, lease_until = null where due.at > excluded.at": book.due_by,
        "at = least(due.at, excluded.at), rev = due.rev + 1, lease_until = null": book.due_woken,
    }
    for change, wanted in again.items():
        if wanted:
            kinds, keys = zip(*sorted(wanted), strict=True)
            sends.execute(
                "insert into due (kind, key, at, rev) select *, 1"
                " from unnest(%b::text[], %b::text[], %b::timestamptz[])"
                f" on conflict (kind, key) do update set {change}",
                (list(kinds), list(keys), [at for _, at in sorted(wanted.items())]),
            )


def _write_pages(sends: Statements, book: Book) -> None:
    if book.pages_put:
        names = ("id", "escalation", "incident", "user", "method", "at")
        columns = tuple([getattr(row, name) for row in book.pages_put] for name in names)
        sends.execute(
            'insert into pages (id, escalation, incident, "user", method, at, status)'
            " select *, 'queued' from unnest(%b::text[], %b::text[], %b::text[], %b::text[], %b::text[],"
            " %b::timestamptz[]) on conflict do nothing",
            columns,
        )
        sends.expect(len(book.pages_put), "a page exists already")
    if book.pages_cancelled:
        sends.execute(
            f"update pages set status = 'cancelled' where id = any(%s) and {IS}'queued'",
            (sorted(book.pages_cancelled),),
        )
        sends.expect(len(book.pages_cancelled), "a page was claimed meanwhile")


def _settle(sends: Statements, save: Save) -> None:
    if not save.settlements:
        return
    done = sorted(save.settlements, key=lambda settlement: settlement.page)
    sends.execute(
        "update pages set status = r.status, at = coalesce(r.at, pages.at), claim = null, lease_until = null,"
        " possible_repeat = pages.possible_repeat or r.possible_repeat"
        " from unnest(%b::text[], %b::uuid[], %b::text[], %b::timestamptz[], %b::bool[])"
        " as r(id, claim, status, at, possible_repeat)"
        f" where pages.id = r.id and pages.claim = r.claim and {IS}'claimed'",
        tuple([getattr(one, name) for one in done] for name in ("page", "claim", "status", "at", "possible_repeat")),
    )
    sends.expect(len(done), "a page was taken over")


def _write_inputs(sends: Statements, save: Save) -> None:
    """What became of inbox rows, of what could not be decided, and of a command's caller."""
    if save.inbox:
        receipts, parts = zip(*sorted(save.inbox), strict=True)
        sends.execute(
            "update inbox i set folded_at = clock_timestamp(), lease_until = null"
            " from unnest(%b::text[], %b::int[]) as r(receipt, part)"
            " where i.receipt = r.receipt and i.part = r.part and coalesce(i.folded_at, 'infinity') = 'infinity'",
            (list(receipts), list(parts)),
        )
        sends.expect(len(save.inbox), "an inbox row was folded elsewhere")
    if save.dead_letters:
        names = ("pointer", "index", "receipt", "integration", "reason", "body", "at")
        sends.execute(
            "insert into dead_letters (pointer, index, receipt, integration, reason, body, at) select * from"
            " unnest(%b::text[], %b::int[], %b::text[], %b::text[], %b::text[], %b::bytea[], %b::timestamptz[])"
            " on conflict do nothing",
            tuple([getattr(dead, name) for dead in save.dead_letters] for name in names),
        )
    if save.command:
        command = save.command
        sends.execute(
            "insert into commands (api_key, idempotency_key, digest, answer, at, position) select %s, %s, %s, %s, %s,"
            " (select coalesce(max(notification_id), 0) from stored_events) + %s on conflict do nothing",
            (command.api_key, command.key, command.digest, command.answer, command.at, len(save.book.entries)),
        )
        sends.expect(1, "a command was answered under this key")


def write_snapshots(sends: Statements, states: Mapping[str, Loaded], entries: Sequence[Entry]) -> None:
    """Keep the states of streams that have grown enough since they were kept."""
    first: dict[str, int] = {}
    for entry in entries:
        first.setdefault(entry.stream, entry.version)
    for stream, loaded in sorted(states.items()):
        if is_kept(first[stream] - 1, loaded):
            sends.execute(
                "insert into snapshots (stream, version, state, tip, last_at) values (%s, %s, %s, %s, %s)"
                " on conflict (stream) do update set version = excluded.version, state = excluded.state,"
                " tip = excluded.tip, last_at = excluded.last_at where snapshots.version < excluded.version",
                (stream, loaded.version, encode_state(loaded.state), loaded.tip, loaded.last_at),
            )


def is_kept(before: int, loaded: Loaded) -> bool:
    """Whether a stream gets a snapshot now that it has grown from version `before`.

    That is so at every multiple of a distance, which doubles when twice as many alerts fire: were it to follow their
    number, it would move with the version, and either be a multiple all the time.
    """
    firing = len(loaded.state.firing) if isinstance(loaded.state, Group) else 0
    distance = SNAPSHOT_EVERY << (firing // (SNAPSHOT_EVERY * SNAPSHOT_SHARE)).bit_length()
    return loaded.version // distance > before // distance
