"""Silences at Alertmanager's API: amtool and everything else that sets silences there sets them here.

Whoever may read incidents may read silences, whoever may act on them may set one. See schemas/alertmanager_api.py for
the shapes and gateway/alertmanager.py for how a no is said.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from domain.config import ApiKey
from domain.matching import Matcher, MatchOperator
from domain.silences import Silence, SilenceState
from gateway.administration import cause_of
from gateway.alertmanager import AlertmanagerRoute, documented
from gateway.auth import AtLeast, Responder
from gateway.blocking import in_thread
from gateway.bodies import read_json_body, validated
from gateway.examples import SILENCE, json_body
from gateway.hiding import warnings_of
from gateway.once import Once, answered, kept
from gateway.openapi import VERSION
from gateway.refusals import Refusal
from gateway.state import Gateway, Here
from schemas.alertmanager_api import (
    AlertmanagerConfig,
    AlertmanagerStatus,
    ClusterStatus,
    GettableSilence,
    PostableSilence,
    SilenceSet,
    VersionInfo,
    read_silence,
    write_silence,
)
from schemas.matchers import BadMatcher, parse_matchers
from schemas.problems import ProblemName
from streams.silencing import end_silence, set_silence
from streams.store.base import CommandRecord, Conflict

CONFIGURATION = "# Tocsin's configuration is at GET /api/v1/config; `tocsin export` writes it down.\n"
NEGATIVE = (MatchOperator.NOT_EQUAL, MatchOperator.NOT_MATCHES)

READS = documented("unauthenticated", "unavailable")
SETTING: tuple[ProblemName, ...] = (
    "unauthenticated",
    "forbidden",
    "not_found",
    "conflict",
    "too_many",
    "bad_json",
    "bad_request_fields",
    "body_too_large",
    "unsupported_media_type",
    "unavailable",
)
SETS = documented(*SETTING)
ENDS = documented("unauthenticated", "forbidden", "not_found", "conflict", "unavailable")

Filters = Annotated[
    list[Annotated[str, Query(max_length=2000)]],
    Query(alias="filter", max_length=100, description='matchers of the silences\' own matchers: `service="payments"`'),
]
Creators = Annotated[
    list[Annotated[str, Query(max_length=200)]], Query(max_length=100, description="who set it: one of these")
]


@dataclass(frozen=True, slots=True)
class Asked:
    """A silence that is asked for, and the key it is asked with."""

    key: ApiKey
    silence: PostableSilence


async def asked(request: Request, here: Here, key: Responder) -> Asked:
    """The body, read once the key is known. Raises Refusal (400, 413, 415, 422)."""
    raw = await read_json_body(request, here.parts.settings.max_body_bytes)
    return Asked(key, validated(PostableSilence, raw))


def router() -> APIRouter:
    """Every route of Alertmanager's API that is served."""
    made = APIRouter(prefix="/api/v2", tags=["silences"], route_class=AlertmanagerRoute)
    viewers = [Depends(AtLeast("viewer"))]
    found = {**READS, **documented("unauthenticated", "bad_request_fields", "unavailable")}
    made.get("/silences", summary="Silences", dependencies=viewers, responses=found)(list_silences)
    made.post(
        "/silences",
        summary="Set a silence, or change one",
        responses=SETS,
        openapi_extra=json_body(PostableSilence.model_json_schema(), silence=SILENCE),
    )(post_silence)
    one = "/silence/{silence_id}"
    missing = {**READS, **documented("unauthenticated", "not_found", "unavailable")}
    made.get(one, summary="One silence", dependencies=viewers, responses=missing)(get_silence)
    made.delete(one, summary="End a silence before its time", responses=ENDS)(delete_silence)
    made.get("/status", summary="As Alertmanager's clients ask for it", dependencies=viewers, responses=READS)(
        get_status
    )
    return made


@in_thread
def list_silences(here: Here, filters: Filters = [], creator: Creators = []) -> list[GettableSilence]:  # noqa: B006
    """Active ones first, by their end; then those to come, by their start; then the expired, the latest first.

    Those that expired are kept for five days.
    """
    now = here.parts.clock()
    try:
        wanted = [matcher for text in filters for matcher in parse_matchers(text)]
    except BadMatcher as error:
        raise _unread("filter", error) from None
    silences = here.parts.store.config().silences.values()
    found = [s for s in silences if _meets(s, wanted) and (not creator or s.author in creator)]
    return [write_silence(silence, now) for silence in sorted(found, key=partial(_place, now=now))]


@in_thread
def post_silence(request: Request, here: Here, asked: Annotated[Asked, Depends(asked)]) -> SilenceSet:
    """Without an `id` a new one. With one, it is changed; where that would rewrite what was (other matchers, another
    start, one that has expired), it ends and a new one begins. A start in the past becomes now.

    `warnings` says which critical incidents would not be spoken of, or for longer.
    """
    return silenced(here, request, asked)


def silenced(here: Gateway, request: Request, asked: Asked, once: Once | None = None) -> SilenceSet:
    """Set a silence; asked again under the same key `once`, the answer is the same. Blocks.

    Raises Refusal for matchers that cannot be read, or another request under the key; else as `set_silence`.
    """
    parts, now = here.parts, here.parts.clock()
    known = answered(parts.store, once, SilenceSet)
    if known is not None:
        return known[0]
    try:
        wanted = read_silence(asked.silence, now)
    except BadMatcher as error:
        raise _unread("matchers", error) from None
    warnings = warnings_of(parts, wanted, now)
    cause = cause_of(request, parts, asked.key)

    def answer(made: Silence) -> CommandRecord | None:
        return kept(parts, once, SilenceSet(silence_id=made.id, warnings=warnings))

    try:
        made = set_silence(parts.store, parts.settings.org, wanted, parts.ids(), cause, now, parts.salt(), answer)
    except Conflict:
        known = answered(parts.store, once, SilenceSet)
        if known is None:
            raise
        return known[0]
    here.configured.forget()
    return SilenceSet(silence_id=made.id, warnings=warnings)


@in_thread
def get_silence(here: Here, silence_id: str) -> GettableSilence:
    """The silence as it stands now."""
    silence = here.parts.store.config().silences.get(silence_id)
    if silence is None:
        raise Refusal("not_found", "There is no such silence.", remedy="See GET /api/v2/silences.")
    return write_silence(silence, here.parts.clock())


@in_thread
def delete_silence(request: Request, here: Here, key: Responder, silence_id: str) -> None:
    """It expires now, and what it kept quiet is spoken of again. One that has expired stays as it is."""
    parts = here.parts
    cause = cause_of(request, parts, key)
    end_silence(parts.store, parts.settings.org, silence_id, cause, parts.clock(), parts.salt())
    here.configured.forget()


async def get_status(here: Here) -> AlertmanagerStatus:
    """No cluster; `uptime` is when this gateway started."""
    return AlertmanagerStatus(
        cluster=ClusterStatus(),
        version_info=VersionInfo(version=VERSION),
        config=AlertmanagerConfig(original=CONFIGURATION),
        uptime=here.started_at,
    )


def _meets(silence: Silence, wanted: Iterable[Matcher]) -> bool:
    """Whether a silence's own matchers are as `wanted`: their values are compared as an alert's labels would be.

    `name!=""` asks whether there is a matcher of that name, whatever its value. Source: Alertmanager's api/v2, where
    silences are filtered.
    """
    written = {matcher.label: matcher.value for matcher in silence.matchers}
    return all(
        (matcher.operator in NEGATIVE and not matcher.value and matcher.label in written) or matcher.matches(written)
        for matcher in wanted
    )


def _place(silence: Silence, now: datetime) -> tuple[int, float, str]:
    match silence.state_at(now):
        case SilenceState.ACTIVE:
            return 0, silence.ends_at.timestamp(), silence.id
        case SilenceState.PENDING:
            return 1, silence.starts_at.timestamp(), silence.id
        case SilenceState.EXPIRED:
            return 2, -silence.ends_at.timestamp(), silence.id


def _unread(field: str, error: BadMatcher) -> Refusal:
    """What cannot be read as a matcher, for whoever wrote it."""
    remedy = error.remedy if error.remedy.endswith("?") else f"{error.remedy}."
    return Refusal("bad_request_fields", f"{field}: {error.problem}.", field=field, remedy=remedy)
