"""The record on the `alerts` topic: what a machine told us, normalised, in the form that the fold reads.

One webhook is one receipt. A receipt is one record per shard that its alerts touch (`split`), each naming its
part. JSON with sorted keys; the shape is the dataclass's, its golden copy is in tests/unit/test_received.py. A
reader ignores members it does not know; a change that an old reader would misread takes another `version`.
"""

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Annotated, Literal

import orjson
from pydantic import AwareDatetime, Field, TypeAdapter, ValidationError

from domain import ids
from domain.alerts import Alert
from schemas.sources.parsed import Rejected

VERSION: Literal[1] = 1


class BadRecord(ValueError):
    """A record that cannot be read; `reason` says why and quotes nothing of it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class AlertReceived:
    """One part of a receipt.

    `part` counts from 1 to `parts`. `raw` is the whole redacted body and `rejected` its members that could not be
    alerts: both are in part 1 only, so that a storm over many shards is not multiplied. `raw_digest` (hex, sha256 of
    the salt and `raw` in UTF-8) is in every part. `salt` (hex, random) is what the texts of this receipt are digested
    with, so that a digest tells nothing about a short text once the text is erased. `received_at` and all times are
    aware.
    """

    receipt: str
    integration: str
    received_at: AwareDatetime
    alerts: tuple[Alert, ...]
    raw: str
    raw_digest: str
    salt: Annotated[str, Field(pattern=r"^([0-9a-f]{2})+$")]
    rejected: tuple[Rejected, ...] = ()
    part: Annotated[int, Field(ge=1)] = 1
    parts: Annotated[int, Field(ge=1)] = 1
    version: Literal[1] = VERSION


_READER = TypeAdapter(AlertReceived)


def received(
    receipt: str,
    integration: str,
    received_at: datetime,
    alerts: tuple[Alert, ...],
    raw: str,
    salt: bytes,
    rejected: tuple[Rejected, ...] = (),
) -> AlertReceived:
    """A whole receipt, before it is split. `received_at` is put into UTC; raises ValueError for a naive one.

    `salt` are random bytes, fresh for every receipt.
    """
    if received_at.tzinfo is None:
        raise ValueError("received_at has no time zone")
    digest = sha256(salt + raw.encode()).hexdigest()
    return AlertReceived(receipt, integration, received_at.astimezone(UTC), alerts, raw, digest, salt.hex(), rejected)


def encode(record: AlertReceived) -> bytes:
    """The record's bytes: the same record, the same bytes."""
    return orjson.dumps(record, default=dict, option=orjson.OPT_SORT_KEYS | orjson.OPT_UTC_Z)


def decode(data: bytes) -> AlertReceived:
    """The record in `data`. Raises BadRecord for anything else, and nothing but BadRecord."""
    try:
        record = _READER.validate_json(data, strict=True)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"])) or "record"
        raise BadRecord(f"{where}: {first['msg']}") from None
    if record.part > record.parts:
        raise BadRecord("part: is larger than parts")
    for index, alert in enumerate(record.alerts):
        for time in (alert.source_time, alert.starts_at, alert.ends_at):
            if time is not None and time.tzinfo is None:
                raise BadRecord(f"alerts.{index}: has a time without a zone")
    return record


def alert_key(org: str, integration: str, fingerprint: str, shards: int) -> bytes:
    """The record key of an alert, `integration:shard`: every report of one alert is in one partition, in order.

    The shard is sha256 of the alert's identity, modulo the integration's `shards` (at least 1).
    """
    if shards == 1:
        return f"{integration}:0".encode()
    digest = sha256(ids.alert_id(org, integration, fingerprint).encode()).digest()
    return f"{integration}:{int.from_bytes(digest) % shards}".encode()


def split(org: str, record: AlertReceived, shards: int) -> list[tuple[bytes, AlertReceived]]:
    """A whole receipt as (key, part), one per shard that its alerts touch, in the order of the keys.

    A receipt whose members were all rejected is one part in shard 0; one without any member is no part.
    """
    by_key: dict[bytes, list[Alert]] = defaultdict(list)
    for alert in record.alerts:
        by_key[alert_key(org, record.integration, alert.fingerprint, shards)].append(alert)
    if record.rejected and not by_key:
        by_key[f"{record.integration}:0".encode()] = []
    if len(by_key) == 1:
        return [(key, record) for key in by_key]
    return [
        (
            key,
            replace(
                record,
                alerts=tuple(by_key[key]),
                raw=record.raw if part == 1 else "",
                rejected=record.rejected if part == 1 else (),
                part=part,
                parts=len(by_key),
            ),
        )
        for part, key in enumerate(sorted(by_key), start=1)
    ]
