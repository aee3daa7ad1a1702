"""Reading YAML with the place of everything, strictly: what configuration needs and `yaml.safe_load` lacks.

The tree is built from parser events with a stack, so that no input can exhaust the interpreter's. Duplicate keys,
anchors and aliases (hence every YAML bomb), tags, and scalars that YAML 1.1 turns into something else than they
look like are found here or marked for the models (`Odd`) to refuse. Positions count from 1, as editors do.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import yaml

from schemas.config_errors import ConfigError

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 64

_Loader: Any = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
_PLAIN_INT = re.compile(r"-?(0|[1-9][0-9]{0,17})", re.ASCII)
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_NO_YAML = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NO_KEY = "\0"  # stands for a name that is not text; no text holds it
_ODD_WORDS = {"bool": "a boolean", "int": "a number", "float": "a number", "timestamp": "a date"}


@dataclass(frozen=True, slots=True)
class Odd:
    """A scalar that YAML 1.1 does not read as text or as a plain whole number: `word` says what it makes of it."""

    text: str
    word: str


@dataclass(slots=True)
class Node:
    """A place in a document. `value` is set for scalars; `children` by key or index for mappings and lists."""

    line: int
    column: int
    key_line: int = 0
    key_column: int = 0
    kind: str = "scalar"
    value: "str | int | Odd | None" = None
    children: "dict[str | int, Node]" = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        """Whether there is nothing: no value where one could be."""
        return self.kind == "scalar" and self.value is None

    def plain(self) -> "Plain":
        """The node as plain values, for the models."""
        if self.kind == "map":
            return {str(key): child.plain() for key, child in self.children.items()}
        if self.kind == "list":
            return [child.plain() for child in self.children.values()]
        return self.value


Plain: TypeAlias = "str | int | Odd | list[Plain] | dict[str, Plain] | None"


@dataclass(slots=True)
class _Frame:
    """A mapping or list that is being read; `key` is the one whose value comes next."""

    node: Node
    path: tuple[str | int, ...]
    key: str | None = None
    key_at: tuple[int, int] = (0, 0)


class _Reader:
    """Builds the tree of one document from the parser's events, collecting what is wrong."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.errors: list[ConfigError] = []
        self.root: Node | None = None
        self.stack: list[_Frame] = []

    def refuse(self, mark: Any, problem: str, remedy: str, path: tuple[str | int, ...] = ()) -> None:
        line, column = _place(mark)
        self.errors.append(ConfigError(self.file, line, column, path, problem, remedy))

    def read(self, events: Iterator[Any]) -> None:
        """Take in every event of the document; gives it up at a second document or too deep nesting."""
        documents = 0
        for event in events:
            match event:
                case yaml.DocumentStartEvent():
                    documents += 1
                    if documents > 1:
                        self.refuse(event.start_mark, "The file holds a second document", "Put it into its own file")
                        self.root = None
                        return
                case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                    if len(self.stack) >= MAX_DEPTH:
                        self.refuse(event.start_mark, f"It nests deeper than {MAX_DEPTH} levels", "Make it flatter")
                        self.root = None
                        return
                    self._open(event)
                case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                    self.stack.pop()
                case yaml.ScalarEvent():
                    self._scalar(event)
                case yaml.AliasEvent():
                    self._no_anchor(event)
                    self._attach(Node(*_place(event.start_mark)), event)

    def _open(self, event: Any) -> None:
        self._no_anchor(event)
        kind = "map" if isinstance(event, yaml.MappingStartEvent) else "list"
        node = Node(*_place(event.start_mark), kind=kind)
        self.stack.append(_Frame(node, self._attach(node, event)))

    def _scalar(self, event: Any) -> None:
        self._no_anchor(event)
        frame = self.stack[-1] if self.stack else None
        value = _resolved(event)
        if _UNSTORABLE.search(event.value):
            self.refuse(event.start_mark, "A text holds a character that cannot be stored", "Remove it", self._path())
            value = ""
        if frame is not None and frame.node.kind == "map" and frame.key is None:
            self._key(frame, event, value)
        else:
            self._attach(Node(*_place(event.start_mark), value=value), event)

    def _key(self, frame: _Frame, event: Any, value: "str | int | Odd | None") -> None:
        name = str(event.value)
        path = (*frame.path, name)
        if not isinstance(value, str):
            word = value.word if isinstance(value, Odd) else "nothing" if value is None else "a number"
            self.refuse(event.start_mark, f"YAML reads the name `{name}` as {word}", f'Write "{name}" in quotes', path)
        if name in frame.node.children:
            first = frame.node.children[name]
            self.refuse(
                event.start_mark,
                f"`{name}` is there twice; the first is in line {first.key_line}",
                "Remove one of them, or merge them",
                path,
            )
        frame.key, frame.key_at = name, _place(event.start_mark)

    def _attach(self, node: Node, event: Any) -> tuple[str | int, ...]:
        """Put `node` where it belongs and answer its path."""
        if not self.stack:
            self.root = node
            return ()
        frame = self.stack[-1]
        if frame.node.kind == "list":
            key: str | int = len(frame.node.children)
            node.key_line, node.key_column = node.line, node.column
        elif frame.key is None:
            self.refuse(event.start_mark, "A name is a list or a mapping", "Write the name as text", frame.path)
            frame.key = _NO_KEY
            return frame.path
        else:
            key, frame.key = frame.key, None
            node.key_line, node.key_column = frame.key_at
            if key == _NO_KEY:
                return frame.path
        frame.node.children.setdefault(key, node)
        return (*frame.path, key)

    def _path(self) -> tuple[str | int, ...]:
        if not self.stack:
            return ()
        frame = self.stack[-1]
        key = len(frame.node.children) if frame.node.kind == "list" else frame.key
        return frame.path if key is None else (*frame.path, key)

    def _no_anchor(self, event: Any) -> None:
        if event.anchor is not None:
            sign = "*" if isinstance(event, yaml.AliasEvent) else "&"
            self.refuse(
                event.start_mark,
                f"`{sign}{event.anchor}`: anchors and aliases are not part of this format",
                "Write the value out at each place",
                self._path(),
            )
        if getattr(event, "tag", None) not in (None, "!"):
            self.refuse(event.start_mark, "Tags (!) are not part of this format", "Remove the tag", self._path())


def read_yaml(text: str, file: str) -> tuple[Node | None, list[ConfigError]]:
    """The tree of the one document in `text`, and everything that is wrong with it as YAML.

    The tree is None for an empty document and for one that cannot be read to its end.
    """
    bad = _NO_YAML.search(text)
    if bad:
        return None, [at_offset(file, text, bad.start(), "A character here is not allowed in YAML", "Remove it")]
    if len(text.encode()) > MAX_BYTES:
        return None, [too_large(file)]
    reader = _Reader(file)
    try:
        reader.read(yaml.parse(text, Loader=_Loader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        reader.refuse(mark, *_syntax(error))
        return None, reader.errors
    return reader.root, reader.errors


def too_large(file: str) -> ConfigError:
    """The refusal of a file beyond `MAX_BYTES`."""
    return ConfigError(file, 1, 1, (), f"The file has more than {MAX_BYTES} bytes", "Split it into several files")


def at_offset(file: str, text: str, offset: int, problem: str, remedy: str) -> ConfigError:
    """An error at the character `offset` of `text`."""
    line = text.count("\n", 0, offset) + 1
    return ConfigError(file, line, offset - text.rfind("\n", 0, offset), (), problem, remedy)


def _resolved(event: Any) -> "str | int | Odd | None":
    """What YAML 1.1 makes of a scalar, as far as configuration takes it."""
    text: str = event.value
    if not event.implicit[0]:
        return text
    resolver = yaml.SafeLoader.yaml_implicit_resolvers
    for tag, pattern in (*resolver.get(text[:1], ()), *resolver.get(None, ())):
        if pattern.match(text):
            word = tag.rpartition(":")[2]
            if word == "null":
                return None
            if word == "int" and _PLAIN_INT.fullmatch(text):
                return int(text)
            return Odd(text, _ODD_WORDS.get(word, f"a {word} sign"))
    return text


def _syntax(error: yaml.YAMLError) -> tuple[str, str]:
    problem = getattr(error, "problem", None) or "the syntax is broken"
    context = getattr(error, "context", None)
    remedy = "Check the indentation, colons and quotes just before this place"
    if "cannot start any token" in problem:
        remedy = "Indent with spaces, never with tabs, and put a value that begins with a sign in quotes"
    return f"This is not YAML: {problem}{f', {context}' if context else ''}", remedy


def _place(mark: Any) -> tuple[int, int]:
    return (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
