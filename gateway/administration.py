"""The configuration over HTTP: what it is, and making it what some documents say. Admins only."""

from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import ValidationError

from domain.config import ApiKey
from domain.decision import Actor, Cause
from gateway.auth import Admin, AtLeast
from gateway.blocking import in_thread
from gateway.bodies import read_json_body
from gateway.parts import Parts
from gateway.refusals import Refusal, documented, of_fields, request_id_of
from gateway.state import Here
from schemas.api import ApplyAnswer, ApplyRequest, ConfigDiffEntry, ConfigFieldChange
from schemas.config_differences import FieldChange
from schemas.config_dump import dump_config
from schemas.config_files import parse_documents
from streams.configuring import Applied, Expected, apply, objects_of

YAML = "application/yaml"
"""RFC 9512."""

APPLY = documented(
    "unauthenticated",
    "forbidden",
    "conflict",
    "referenced",
    "precondition_failed",
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
    """The body of `apply`, read once the key is known. Raises Refusal (413, 415, 422)."""
    raw = await read_json_body(request, here.parts.settings.max_body_bytes)
    try:
        return ApplyRequest.model_validate_json(raw)
    except ValidationError as error:
        wrong = of_fields(error.errors(include_input=False, include_url=False, include_context=False))
        raise Refusal("bad_request_fields", wrong.detail, field=wrong.field) from None


def router() -> APIRouter:
    """Every route about the configuration."""
    made = APIRouter(prefix="/api/v1/config", tags=["configuration"], dependencies=[Depends(AtLeast("admin"))])
    body = {"required": True, "content": {"application/json": {"schema": ApplyRequest.model_json_schema()}}}
    extra = {"requestBody": body}
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
    objects = parse_documents(asked.documents, {} if asked.prune else objects_of(parts.store.config()))
    if asked.prune and (key.kind, key.id) not in objects:
        remedy = f"Name the API key `{key.id}` in the documents, or use another admin's."
        raise Refusal("referenced", "Pruning would remove the key that asks.", remedy=remedy)
    done = apply(
        parts.store,
        parts.settings.org,
        objects,
        cause_of(request, parts, key),
        parts.clock(),
        parts.salt(),
        prune=asked.prune,
        dry_run=asked.dry_run,
        expected=Expected(None if asked.revision is None else frozenset({asked.revision})),
    )
    here.configured.forget()
    return answer_of(done, applied=not asked.dry_run)


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


def answer_of(done: Applied, applied: bool) -> ApplyAnswer:
    """What a change of the configuration changed."""
    return ApplyAnswer(
        changes=tuple(
            ConfigDiffEntry(kind=kind, id=name, change=change, fields=fields_of(fields))
            for (kind, name, change), fields in zip(done.changes, done.fields, strict=True)
        ),
        applied=applied,
        revision=done.revision,
        position=done.position,
    )


def fields_of(changes: Iterable[FieldChange]) -> tuple[ConfigFieldChange, ...]:
    """Field changes as the API says them."""
    return tuple(ConfigFieldChange(field=one.field, before=one.before, after=one.after) for one in changes)
