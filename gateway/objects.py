"""The objects of the configuration, one by one: read, put and deleted as JSON with the words of the YAML files.

Every change is an event with its author. An ETag is the version of the object's own history; a list's is the revision
of the whole configuration.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Header, Path, Request, Response

from domain.config import Config, ConfigObject
from domain.ids import config_stream
from gateway.acting import versions_of
from gateway.administration import cause_of
from gateway.auth import Admin, AtLeast
from gateway.blocking import in_thread
from gateway.bodies import read_json_body
from gateway.examples import OBJECTS, json_body
from gateway.parts import Parts
from gateway.refusals import Refusal, documented
from gateway.state import Here
from schemas.api import ApplyAnswer
from schemas.config_dump import written_of
from schemas.config_errors import ConfigErrors, path_text
from schemas.config_files import SECTIONS, parse_documents
from streams.applying import answer_of
from streams.configuring import Applied, Expected, Key, apply, objects_of

KINDS: Mapping[str, str] = {**SECTIONS, "route": "route_tree"}
"""Section of the files, which is the name in the path -> kind of object."""

READS = documented("unauthenticated", "forbidden", "not_found", "unavailable")
DELETES = {
    **READS,
    **documented("not_found", "conflict", "referenced", "precondition_failed", "bad_request_fields", "unavailable"),
}
PUTS = {**DELETES, **documented("body_too_large", "unsupported_media_type", "bad_request_fields", "bad_json")}
ETAG = {"headers": {"ETag": {"description": "the object's version", "schema": {"type": "string"}}}}
BODY = json_body(
    {"type": ["object", "array"], "description": "What stands in the YAML files under its name."}, **OBJECTS
)

IfMatch = Annotated[
    str | None, Header(max_length=1000, description="ETags: only if the object is still at one of them")
]


_ONLY_JSON = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""Characters that stand for themselves in JSON, and in YAML for a line's end, or nowhere unless escaped."""


async def key_of(
    kind: Annotated[str, Path(description="a section of the files: " + ", ".join(KINDS), examples=["teams"])],
    name: Annotated[str, Path(description="the object's name; of the route: default", examples=["platform"])],
) -> Key:
    """The object that a path names. Raises Refusal (404) for an unknown kind."""
    found = _kind(kind)
    if found == "route_tree" and name != "default":
        raise _absent(kind, name)
    return found, name


At = Annotated[Key, Depends(key_of)]


async def body_of(request: Request, here: Here) -> object:
    """The JSON document of a request. Raises Refusal (400, 413, 415)."""
    raw = await read_json_body(request, here.parts.settings.max_body_bytes)
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise Refusal("bad_json", "The body is not a JSON document.") from None


def router() -> APIRouter:
    """Every route about single objects."""
    made = APIRouter(prefix="/api/v1/config", tags=["configuration"], dependencies=[Depends(AtLeast("admin"))])
    made.get("/{kind}", summary="Objects of one kind", responses={200: ETAG, **READS})(list_objects)
    one = "/{kind}/{name}"
    made.get(one, summary="One object", responses={200: ETAG, **READS})(show_object)
    made.put(one, summary="Create or replace it", responses={200: ETAG, 201: ETAG, **PUTS}, openapi_extra=BODY)(
        put_object
    )
    made.delete(one, summary="Remove it", responses=DELETES)(remove_object)
    return made


@in_thread
def list_objects(here: Here, kind: str, response: Response) -> dict[str, Any]:
    """Every object of the kind by name, each as it stands in the YAML files. Of tokens and keys, hashes only."""
    wanted = _kind(kind)
    config = here.parts.store.config()
    response.headers["ETag"] = f'"{config.revision}"'
    return {name: written_of(thing)[1] for (of, name), thing in objects_of(config).items() if of == wanted}


@in_thread
def show_object(here: Here, key: At, response: Response) -> Any:
    """The object as it stands in the YAML files; `PUT` takes it back."""
    version = _version(here.parts, key)  # before the object: an ETag may be too old, never too new
    thing = objects_of(here.parts.store.config()).get(key)
    if thing is None:
        raise _absent(*key)
    response.headers["ETag"] = f'"{version}"'
    return written_of(thing)[1]


@in_thread
def put_object(
    request: Request,
    response: Response,
    here: Here,
    caller: Admin,
    key: At,
    body: Annotated[Any, Depends(body_of)],
    if_match: IfMatch = None,
) -> ApplyAnswer:
    """Make the object what the body says, if it then fits the whole configuration.

    An integration without `token_hashes` keeps those it has.
    """
    parts = here.parts
    thing = parsed(key, body, parts.store.config())
    cause = cause_of(request, parts, caller)
    done = apply(
        parts.store,
        parts.settings.org,
        {key: thing},
        cause,
        parts.clock(),
        parts.salt(),
        expected=_expected(key, if_match),
    )
    if done.changes and done.changes[0][2] == "create":
        response.status_code = 201
    return _answered(here, response, key, done)


@in_thread
def remove_object(
    request: Request, response: Response, here: Here, caller: Admin, key: At, if_match: IfMatch = None
) -> ApplyAnswer:
    """Remove the object, unless another names it."""
    parts = here.parts
    if key not in objects_of(parts.store.config()):
        raise _absent(*key)
    if key == (caller.kind, caller.id):
        raise Refusal("referenced", "This is the key that asks.", remedy="Remove it with another admin's key.")
    cause = cause_of(request, parts, caller)
    done = apply(
        parts.store, parts.settings.org, {}, cause, parts.clock(), b"", removed={key}, expected=_expected(key, if_match)
    )
    return _answered(here, response, key, done)


def parsed(key: Key, body: object, config: Config) -> ConfigObject:
    """The object that `body` describes.

    Raises Refusal: 400 nested too deep, 422 with the field, if it does not fit `config`.
    """
    kind, name = key
    section = next(section for section, of in KINDS.items() if of == kind)
    inner = body if section == "route" else {name: body}
    try:
        written = orjson.dumps({"version": 1, section: inner}).decode()
    except orjson.JSONEncodeError:
        raise Refusal("bad_json", "The body is nested too deep.", remedy="Make it flatter.") from None
    document = _ONLY_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", written)
    try:
        return parse_documents({"body": document}, objects_of(config))[key]
    except ConfigErrors as errors:
        first = errors.errors[0]
        more = f" ({len(errors.errors) - 1} more)" if len(errors.errors) > 1 else ""
        field = path_text(first.path[1 if section == "route" else 2 :])
        raise Refusal(
            "bad_request_fields", f"{first.problem}{more}.", field=field or "body", remedy=first.remedy
        ) from None


def _answered(here: Here, response: Response, key: Key, done: Applied) -> ApplyAnswer:
    here.configured.forget()
    response.headers["ETag"] = f'"{done.versions.get(key) or _version(here.parts, key)}"'
    return answer_of(done, applied=True)


def _expected(key: Key, if_match: str | None) -> Expected:
    versions = versions_of(if_match)
    return Expected() if versions is None else Expected(versions={key: versions})


def _version(parts: Parts, key: Key) -> int:
    stream = config_stream(parts.settings.org, *key)
    return parts.store.load([stream])[stream].version


def _kind(word: str) -> str:
    kind = KINDS.get(word)
    if kind is None:
        raise Refusal("not_found", "There is no such kind of object.", remedy=f"Known: {', '.join(KINDS)}.")
    return kind


def _absent(kind: str, name: str) -> Refusal:
    return Refusal("not_found", f"There is no {kind} `{name[:63]}`.", remedy="See GET /api/v1/config.")
