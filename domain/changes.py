"""Configuration changes as events: one stream per object, each change with its author in the decision.

A user's name and contact methods are personal data: the event holds the user without them, and a reference to
the payload that has them.
"""

from dataclasses import dataclass
from typing import ClassVar

from domain.config import Standing
from domain.decision import PayloadRef


@dataclass(frozen=True, slots=True)
class ObjectPut:
    """An object was created or replaced; `private` points at its personal data, if it has any."""

    type: ClassVar[str] = "config.object_put.v1"
    object: Standing
    private: PayloadRef | None = None


@dataclass(frozen=True, slots=True)
class ObjectRemoved:
    """An object is no more."""

    type: ClassVar[str] = "config.object_removed.v1"
    kind: str
    id: str


ConfigEvent = ObjectPut | ObjectRemoved


@dataclass(frozen=True, slots=True)
class Setting:
    """A configuration object's stream: the object as it stands, None when it was removed or never was."""

    object: Standing | None = None
    private: PayloadRef | None = None


def evolve(_: Setting, event: ConfigEvent) -> Setting:
    """The setting after `event`."""
    match event:
        case ObjectPut():
            return Setting(event.object, event.private)
        case ObjectRemoved():
            return Setting()
