"""Reading a request's body without trusting its size, its kind or its speed."""

import asyncio
from typing import TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from gateway.refusals import Refusal, of_fields

M = TypeVar("M", bound=BaseModel)

BODY_TIMEOUT = 15.0
"""Seconds in which a body has to arrive."""


async def read_json_body(request: Request, limit: int) -> bytes:
    """The body of a request that says it is JSON, or says nothing.

    Parameters:
        limit: the most bytes taken; the reading stops there, whatever Content-Length says.

    Raises Refusal: 415 another media type or compressed, 413 too large, 503 too slow.
    """
    _require_json(request)
    return await read_body(request, limit)


async def read_body(request: Request, limit: int) -> bytes:
    """The body of a request, whatever it is.

    Raises Refusal: 415 compressed, 413 larger than `limit` bytes, 503 too slow (senders try that again).
    """
    _require_plain(request)
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and (len(declared) > 15 or int(declared) > limit):
        raise _too_large(limit)
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise _too_large(limit)
    except TimeoutError:
        raise Refusal("unavailable", f"The body did not arrive within {BODY_TIMEOUT:g} s.") from None
    return bytes(body)


def validated(model: type[M], raw: bytes) -> M:
    """A body as `model`. Raises Refusal: 400 not JSON, 422 with the first field that is wrong."""
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False, include_context=False)
        if found[0]["type"] == "json_invalid":
            raise Refusal("bad_json", "The body is not a JSON document.") from None
        wrong = of_fields(found)
        raise Refusal("bad_request_fields", wrong.detail, field=wrong.field) from None


def _require_json(request: Request) -> None:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type and media_type != "application/json" and not media_type.endswith("+json"):
        raise Refusal("unsupported_media_type", "The Content-Type is not application/json.", field="Content-Type")


def _require_plain(request: Request) -> None:
    """No compression: what a few bytes become is not known before they are unpacked, and no sender of ours does it."""
    encodings = {word.strip().lower() for word in request.headers.get("content-encoding", "").split(",")}
    if encodings - {"", "identity"}:
        raise Refusal(
            "unsupported_media_type",
            "The body is compressed, or otherwise encoded.",
            field="Content-Encoding",
            remedy="Send it as it is, without Content-Encoding.",
        )


def _too_large(limit: int) -> Refusal:
    return Refusal("body_too_large", f"The body is larger than {limit} bytes.")
