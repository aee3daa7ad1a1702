"""The configuration over HTTP: what it is, and making it what some documents say. Admins only."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from domain.config import ApiKey
from domain.decision import Actor, Cause
from gateway.auth import Admin, AtLeast
from gateway.blocking import in_thread
from gateway.bodies import read_json_body, validated
from gateway.examples import APPLY as EXAMPLE
from gateway.examples import json_body
from gateway.parts import Parts
from gateway.refusals import documented, request_id_of
from gateway.state import Here
from schemas.api import ApplyAnswer, ApplyRequest
from schemas.config_dump import dump_config
from streams.applying import apply_documents
from streams.configuring import objects_of

YAML = "application/yaml"
"""RFC 9512."""

APPLY = documented(
    "unauthenticated",
    "forbidden",
    "conflict",
    "referenced",
    "precondition_failed",
    "bad_json",
    "body_too_large",
    "unsupported_media_type",
    "bad_request_fields",
    "unavailable",
)
SHOW: dict[int | str, dict[str, Any]] = {
    200: {"content": {YAML: {"schema": {"type": "object"}}}},
    **documented("unauthenticated", "forbidden", "unavailable"),
}


async def apply_request(request: Request, here: Here) -> ApplyRequest:
    """The body of `apply`, read once the key is known. Raises Refusal (400, 413, 415, 422)."""
    return validated(ApplyRequest, await read_json_body(request, here.parts.settings.max_body_bytes))


def router() -> APIRouter:
    """Every route about the configuration."""
    made = APIRouter(prefix="/api/v1/config", tags=["configuration"], dependencies=[Depends(AtLeast("admin"))])
    extra = json_body(ApplyRequest.model_json_schema(), services=EXAMPLE)
    made.post("/apply", summary="Apply documents", responses=APPLY, openapi_extra=extra)(apply_config)
    made.get("", summary="Show it as YAML", responses=SHOW, response_class=Response)(show_config)
    return made


@in_thread
def apply_config(
    request: Request, here: Here, key: Admin, asked: Annotated[ApplyRequest, Depends(apply_request)]
) -> ApplyAnswer:
    """Make the objects what the documents say; what they do not name stays, unless `prune`. `dry_run` only says it.

    All or nothing: when anything is wrong, `errors` of the problem lists everything, each with file, line, column
    and remedy.
    """
    parts = here.parts
    answer = apply_documents(
        parts.store,
        parts.settings.org,
        asked.documents,
        cause_of(request, parts, key),
        parts.clock(),
        parts.salt(),
        prune=asked.prune,
        dry_run=asked.dry_run,
        revision=asked.revision,
        asks=(key.kind, key.id),
    )
    here.configured.forget()
    return answer


@in_thread
def show_config(here: Here) -> Response:
    """The whole configuration in the format that `apply` takes. Of tokens and keys it holds hashes only."""
    config = here.parts.store.config()
    text = dump_config(objects_of(config).values())
    return Response(text, media_type=YAML, headers={"ETag": f'"{config.revision}"'})


def cause_of(request: Request, parts: Parts, key: ApiKey) -> Cause:
    """Why the configuration changes: the person behind the key asked for it."""
    request_id = request_id_of(request)
    door = "cli" if request.headers.get("x-tocsin-origin") == "cli" else "api"
    return Cause(Actor("user", key.user or key.id), door, f"command/{parts.ids()}", request_id, request_id)
