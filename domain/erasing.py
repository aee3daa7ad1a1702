"""Erasing what people may ask to have erased: an event that says which payloads are gone, and never what they said."""

from dataclasses import dataclass, replace
from typing import ClassVar

from domain import ids


@dataclass(frozen=True, slots=True)
class PayloadErased:
    """The texts under these references are gone for good: body and salt. Events that point at them stay.

    `reason` is a word or two of whoever asked, e.g. a ticket's number; it is public and kept for ever.
    """

    type: ClassVar[str] = "erasure.payload_erased.v1"
    refs: tuple[str, ...]
    reason: str


ErasureEvent = PayloadErased


@dataclass(frozen=True, slots=True)
class Erasure:
    """One request to erase, as its events left it: how many texts are gone."""

    erased: int = 0


def evolve(erasure: Erasure, event: ErasureEvent) -> Erasure:
    """The erasure after `event`."""
    return replace(erasure, erased=erasure.erased + len(event.refs))


def erasure_stream(org: str, request: str) -> str:
    """The stream of one request to erase."""
    return f"erasure-{ids.derive(org, 'erasure', request)}"
