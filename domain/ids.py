"""Identifiers are derived, never drawn: the same input decided twice names the same things.

Every identifier is a uuid5 under the namespace of the organisation. Streams are named `kind-uuid`.
"""

from collections.abc import Iterable
from functools import cache, lru_cache
from hashlib import sha1
from uuid import UUID, uuid5

ROOT = UUID("6f1f7b0e-5f0d-5a3c-9a55-0c6f1f6f7463")
SEPARATOR = "\x1f"
REMEMBERED = 20_000
"""Identifiers that are not derived again; repeats and alerts of one group ask for the same ones."""


@lru_cache(REMEMBERED)
def derive(org: str, kind: str, *parts: str | int) -> str:
    """The uuid5 (RFC 9562, section 5.5) of `parts` as a `kind` of thing in organisation `org`, as text.

    Written out and remembered because one alert needs a dozen, and the standard library's takes five times as long.

    Parts are joined by a control character that no identifier contains, so that ("a", "bc") and ("ab", "c")
    differ.
    """
    name = SEPARATOR.join((kind, *map(str, parts))).encode()
    digest = bytearray(sha1(_namespace(org) + name, usedforsecurity=False).digest()[:16])
    digest[6], digest[8] = digest[6] & 0x0F | 0x50, digest[8] & 0x3F | 0x80
    text = digest.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


@cache
def _namespace(org: str) -> bytes:
    return uuid5(ROOT, org).bytes


def alert_id(org: str, integration: str, fingerprint: str) -> str:
    """An alert is identified by the integration that reports it and its fingerprint there."""
    return derive(org, "alert", integration, fingerprint)


def alert_way(alert: str, path: str) -> str:
    """The alert as it goes another way than its first: by a route that comes after one that says `continue`."""
    return derive(alert, "way", path)


def group_stream(org: str, group_key: str) -> str:
    """The stream of the alert group with this group key."""
    return f"group-{derive(org, 'group', group_key)}"


def incident_stream(org: str, group: str, episode: int) -> str:
    """The stream of the incident that an alert group's n-th episode opens (episodes count from 1)."""
    return f"incident-{derive(org, 'incident', group, episode)}"


def escalation_stream(org: str, incident: str, run: int) -> str:
    """The stream of an incident's n-th escalation (runs count from 1; unacknowledge and reopen start another)."""
    return f"escalation-{derive(org, 'escalation', incident, run)}"


def page_stream(org: str, escalation: str, loop: int, step: int, user: str, method: str) -> str:
    """The stream of one page: who is told, by what, in which step of which loop of which escalation."""
    return f"page-{derive(org, 'page', escalation, loop, step, user, method)}"


def config_stream(org: str, kind: str, name: str) -> str:
    """The stream of one configuration object."""
    return f"config-{derive(org, 'config', kind, name)}"


def intake_stream(org: str, cluster: str, topic: str, partition: int) -> str:
    """The stream of what happened to the records of one partition."""
    return f"intake-{derive(org, 'intake', cluster, topic, partition)}"


def delivery_id(org: str, pages: Iterable[str]) -> str:
    """The key of the message that carries exactly these pages: the same set sent again has the same key."""
    return derive(org, "delivery", *sorted(pages))


def stream_kind(stream: str) -> str:
    """`incident` for `incident-6f1f…`."""
    return stream.partition("-")[0]


def stream_uuid(stream: str) -> str:
    """`6f1f…` for `incident-6f1f…`."""
    return stream.partition("-")[2]
