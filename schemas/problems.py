"""Every refusal of the API: one document shape (RFC 9457, application/problem+json) and the list of its kinds.

A client switches on `type`, a person reads `detail` and `remedy`. Adding a kind is adding a line to `_KINDS`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.sources.parsed import BadBody

MEDIA_TYPE = "application/problem+json"
TYPE_BASE = "/problems/"

ProblemName = Literal[
    "bad_http",
    "bad_json",
    "unauthenticated",
    "forbidden",
    "not_found",
    "method_not_allowed",
    "not_acceptable",
    "conflict",
    "incident_resolved",
    "alert_resolved",
    "alert_suppressed",
    "incident_merged",
    "ack_not_allowed",
    "nothing_left",
    "referenced",
    "too_many",
    "precondition_failed",
    "body_too_large",
    "unsupported_media_type",
    "bad_request_fields",
    "head_too_large",
    "unsupported_payload",
    "idempotency_key_reused",
    "internal",
    "unavailable",
    "read_model_behind",
]


class Problem(BaseModel):
    """A problem document. Members that do not apply are left out of the answer (`document`)."""

    model_config = ConfigDict(frozen=True)

    type: str = Field(description="which kind of problem, stable for programs: /problems/<name>")
    title: str = Field(description="the kind in words, the same for every occurrence")
    status: int = Field(description="the HTTP status of the answer", ge=400, le=599)
    detail: str = Field(description="what is wrong this time")
    instance: str | None = Field(None, description="the path that was asked for")
    field: str | None = Field(None, description="which part of the request is wrong, e.g. alerts[3].status")
    remedy: str | None = Field(None, description="what to do about it")
    request_id: str | None = Field(None, description="the id under which the log knows this request")

    def document(self) -> dict[str, str | int]:
        """What is sent: the members that say something."""
        return self.model_dump(exclude_none=True)


@dataclass(frozen=True, slots=True)
class ProblemKind:
    """A kind of problem. `retry_after` is seconds for the Retry-After header, None when a retry cannot help."""

    name: ProblemName
    status: int
    title: str
    remedy: str
    retry_after: int | None = None


_KINDS = (
    ProblemKind(
        "bad_http", 400, "This is not HTTP/1.1", "Send an HTTP/1.1 request, without TLS unless a proxy takes it."
    ),
    ProblemKind("bad_json", 400, "The body is not valid JSON", "Send one JSON document in UTF-8."),
    ProblemKind(
        "unauthenticated",
        401,
        "Nobody is known by these credentials",
        "Send `Authorization: Bearer <token>` with a token of this integration or an API key.",
    ),
    ProblemKind("forbidden", 403, "This key may not do that", "Use a key whose role allows it."),
    ProblemKind("not_found", 404, "There is no such thing", "Check the path and the id in it."),
    ProblemKind("method_not_allowed", 405, "This path has no such method", "See the Allow header and /docs."),
    ProblemKind("not_acceptable", 406, "No such representation", "Accept application/json."),
    ProblemKind("conflict", 409, "Somebody changed it at the same time", "Read it again, then decide again.", 1),
    ProblemKind(
        "incident_resolved",
        409,
        "The incident is resolved already",
        "Nothing is left to do; a new firing alert opens the next incident.",
    ),
    ProblemKind("alert_resolved", 409, "The alert does not fire", "Nothing is left to do about it."),
    ProblemKind(
        "alert_suppressed",
        409,
        "Nothing is said of the alert",
        "See what suppresses it: GET /api/v1/alerts/{alert}.",
    ),
    ProblemKind(
        "incident_merged",
        409,
        "The incident is merged into another",
        "Do it to that one, which `detail` names, or unmerge this one first.",
    ),
    ProblemKind(
        "nothing_left",
        409,
        "Nothing of the incident would be left",
        "Merge it into the other incident instead.",
    ),
    ProblemKind(
        "ack_not_allowed",
        409,
        "The incident cannot be acknowledged",
        "Its route says so: assign it, comment on it, or resolve it.",
    ),
    ProblemKind("referenced", 409, "Something else needs it", "Change what needs it first."),
    ProblemKind("too_many", 409, "There are as many as there may be", "End or remove what is not needed first."),
    ProblemKind("precondition_failed", 412, "It is not as If-Match says", "Read it again, then decide again."),
    ProblemKind(
        "body_too_large",
        413,
        "The body is too large",
        "Send fewer alerts at once, or raise TOCSIN_MAX_BODY_BYTES.",
    ),
    ProblemKind(
        "unsupported_media_type", 415, "The body has another media type", "Send `Content-Type: application/json`."
    ),
    ProblemKind("bad_request_fields", 422, "A field of the request is wrong", "Correct the field named here."),
    ProblemKind(
        "unsupported_payload",
        422,
        "The body is not what this integration speaks",
        "Check that the sender's kind and the integration's `source` are the same.",
    ),
    ProblemKind(
        "idempotency_key_reused",
        422,
        "This Idempotency-Key came with another request",
        "Use a new key for a new request.",
    ),
    ProblemKind("head_too_large", 431, "The request's head is too large", "Send fewer or shorter headers."),
    ProblemKind("internal", 500, "Tocsin failed", "Report the request_id to whoever runs Tocsin."),
    ProblemKind(
        "unavailable", 503, "Tocsin cannot keep this safely now", "Send it again after Retry-After seconds.", 5
    ),
    ProblemKind(
        "read_model_behind",
        503,
        "The read model has not reached that position yet",
        "Ask again after Retry-After seconds.",
        1,
    ),
)

KINDS: Mapping[str, ProblemKind] = MappingProxyType({kind.name: kind for kind in _KINDS})

_OF_STATUS: Mapping[int, ProblemName] = {400: "bad_json", 413: "body_too_large", 422: "unsupported_payload"}


def problem(
    name: ProblemName,
    detail: str,
    *,
    instance: str | None = None,
    field: str | None = None,
    remedy: str | None = None,
    request_id: str | None = None,
) -> Problem:
    """A problem of the kind `name`; its default remedy serves unless `remedy` knows better."""
    kind = KINDS[name]
    return Problem(
        type=TYPE_BASE + name,
        title=kind.title,
        status=kind.status,
        detail=detail,
        instance=instance,
        field=field,
        remedy=remedy or kind.remedy,
        request_id=request_id,
    )


def of_bad_body(error: BadBody, *, instance: str | None = None, request_id: str | None = None) -> Problem:
    """The problem document for a webhook body that a source's parser refused."""
    return problem(
        _OF_STATUS[error.status],
        error.problem,
        instance=instance,
        field=error.field or None,
        remedy=error.remedy,
        request_id=request_id,
    )


def headers(document: Problem) -> dict[str, str]:
    """The headers that go with a problem: its media type, Retry-After, and WWW-Authenticate for 401."""
    kind = KINDS[document.type.removeprefix(TYPE_BASE)]
    found = {"Content-Type": MEDIA_TYPE}
    if kind.retry_after is not None and kind.status == 503:
        found["Retry-After"] = str(kind.retry_after)
    if kind.status == 401:
        found["WWW-Authenticate"] = 'Bearer realm="tocsin"'
    return found
