"""Reading YAML that other programs understand, with the place of everything: anchors, aliases and merges included.

Our own files are read by `config_yaml`, which is stricter. Scalars stay the text that stands in the file, because
what a `yes` or a `1:30` means is for whoever reads the field to say.
"""

from typing import Any

import yaml

from schemas.config_errors import ConfigError, ConfigErrors
from schemas.config_yaml import MAX_BYTES, MAX_DEPTH, Node, too_large

MAX_NODES = 200_000
"""Values in a document, those that an alias repeats included."""

_Loader: Any = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
_MERGE = "tag:yaml.org,2002:merge"
_NULL = "tag:yaml.org,2002:null"
_STR = "tag:yaml.org,2002:str"


class Quoted(str):
    """A scalar in quotes or in a block: in YAML that is a text, whatever word it is."""

    __slots__ = ()


def read_foreign(text: str, file: str) -> Node:
    """The tree of the one document in `text`. Raises ConfigErrors for what is not YAML, or is too large or deep."""
    if len(text.encode(errors="replace")) > MAX_BYTES:
        raise ConfigErrors((too_large(file),))
    try:
        composed = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        place = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        problem = getattr(error, "problem", None) or "the syntax is broken"
        raise _refused(file, place, f"This is not YAML: {problem}", "Correct the file") from None
    except RecursionError:
        raise _refused(file, (1, 1), "It nests too deep", "Make it flatter") from None
    if composed is None:
        raise _refused(file, (1, 1), "The file is empty", "Name the right one")
    return _Converter(file).node(composed, 0)


def _refused(file: str, place: tuple[int, int], problem: str, remedy: str) -> ConfigErrors:
    return ConfigErrors((ConfigError(file, *place, (), problem, remedy),))


class _Converter:
    """Turns PyYAML's nodes into ours; what an alias repeats is there as often as it is repeated."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.count = 0

    def node(self, yamls: Any, depth: int) -> Node:
        line, column = _place(yamls)
        self.count += 1
        if depth > MAX_DEPTH or self.count > MAX_NODES:
            raise _refused(self.file, (line, column), "It nests too deep, or repeats too much", "Make it flatter")
        match yamls:
            case yaml.MappingNode():
                return Node(line, column, kind="map", children=self._members(yamls, depth))
            case yaml.SequenceNode():
                items = [self.node(item, depth + 1) for item in yamls.value]
                return Node(line, column, kind="list", children=dict(enumerate(items)))
            case _:
                return Node(line, column, value=None if yamls.tag == _NULL else _text(yamls))

    def _members(self, yamls: Any, depth: int) -> dict[str | int, Node]:
        """The members of a mapping; what it merges (`<<`) stands behind what it says itself."""
        own: dict[str | int, Node] = {}
        merged: dict[str | int, Node] = {}
        for key, value in yamls.value:
            if key.tag == _MERGE:
                for source in value.value if isinstance(value, yaml.SequenceNode) else (value,):
                    merged = {**self.node(source, depth + 1).children, **merged}
                continue
            if not isinstance(key, yaml.ScalarNode):
                raise _refused(self.file, _place(key), "A name is a list or a mapping", "Write the name as text")
            if key.value in own:
                raise _refused(self.file, _place(key), f"`{key.value}` is there twice", "Remove one of the two")
            child = self.node(value, depth + 1)
            child.key_line, child.key_column = _place(key)
            own[key.value] = child
        return {**merged, **own}


def _text(yamls: Any) -> str:
    """What a scalar says; one with a tag of its own is what the tag says, in quotes too."""
    return Quoted(yamls.value) if yamls.style and yamls.tag == _STR else str(yamls.value)


def _place(yamls: Any) -> tuple[int, int]:
    return yamls.start_mark.line + 1, yamls.start_mark.column + 1
