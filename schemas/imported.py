"""What an import makes of another program's configuration, and what it could not take along.

`Import` is what the readers of single formats (`alertmanager_config`, `team_mapping`) work with.
"""

import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from domain.config import ConfigObject, Policy, Step, Target
from schemas.config_errors import ConfigError, ConfigErrors
from schemas.config_yaml import Node

ONCALL = "oncall"
"""The role of whoever is paged."""

PATIENCE = 300.0
"""Seconds that a step of an imported policy waits for an acknowledgement."""

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Imported:
    """The objects, and each thing that has no place among them, where it stood and what to do about it.

    `names` says what receivers, teams or services are called here whose names could not stay.
    """

    objects: tuple[ConfigObject, ...]
    left: tuple[ConfigError, ...]
    names: Mapping[str, str] = field(default_factory=dict)


class Names:
    """Names of ours for another program's, each its own; the same names in the same order give the same ones."""

    def __init__(self, otherwise: str) -> None:
        self.otherwise = otherwise
        self.given: dict[str, str] = {}

    def of(self, theirs: str, like: str = "") -> str:
        """Our name for what they call `theirs`, made from the text `like` where that is better."""
        if theirs not in self.given:
            taken = set(self.given.values())
            plain = _plain(like or theirs) or self.otherwise
            tries = (plain if n == 1 else f"{plain[:56]}-{n}" for n in range(1, len(taken) + 2))
            self.given[theirs] = next(name for name in tries if name not in taken)
        return self.given[theirs]


def _plain(text: str) -> str:
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9._-]+", "-", ascii_text).strip("._-")[:63]


@dataclass
class Import:
    """One file that is being imported: what is wrong with it, and what is left behind."""

    file: str
    errors: list[ConfigError] = field(default_factory=list)
    left: list[ConfigError] = field(default_factory=list)

    def refuse(self, node: Node, path: Path, problem: str, remedy: str = "Correct it in the file") -> None:
        """Take note of what makes the file unusable."""
        self.errors.append(ConfigError(self.file, node.line, node.column, path, problem, remedy))

    def leave(self, node: Node, path: Path, problem: str, remedy: str) -> None:
        """Take note of what cannot be carried over."""
        line, column = (node.key_line, node.key_column) if node.key_line else (node.line, node.column)
        self.left.append(ConfigError(self.file, line, column, path, problem, remedy))

    def members(
        self, node: Node | None, path: Path, known: Collection[str] = (), empty: bool = False
    ) -> Mapping[str, Node]:
        """The members of a mapping, {} for none; those that say nothing only if `empty`.

        With `known`, all others are refused.
        """
        if node is None or node.empty:
            return {}
        if node.kind != "map":
            self.refuse(node, path, "A mapping is wanted here")
            return {}
        for name in node.children if known else ():
            if name not in known:
                self.refuse(node.children[name], (*path, name), f"There is no `{name}` here", "Correct or remove it")
        return {str(name): child for name, child in node.children.items() if empty or not child.empty}

    def items(self, node: Node | None, path: Path) -> Iterator[tuple[Path, Node]]:
        """The items of a list with their paths."""
        if node is None or node.empty:
            return
        if node.kind != "list":
            self.refuse(node, path, "A list is wanted here")
            return
        for index, child in node.children.items():
            yield (*path, index), child

    def text(self, node: Node | None, path: Path) -> str | None:
        """The text of a scalar; None for none."""
        if node is None or node.empty:
            return None
        if node.kind != "scalar":
            self.refuse(node, path, "A text is wanted here")
            return None
        return str(node.value)

    def left_behind(self) -> tuple[ConfigError, ...]:
        """What is left behind, in the order of the file."""
        return tuple(sorted(self.left, key=lambda one: (one.line, one.column)))

    def check(self) -> None:
        """Raise ConfigErrors, in the order of the file, when anything was refused."""
        if self.errors:
            raise ConfigErrors(tuple(sorted(self.errors, key=lambda error: (error.line, error.column))))


def policy_for(team: str) -> Policy:
    """The policy that pages whoever is on call in a team."""
    return Policy(team, (Step((Target(team=team, role=ONCALL),), PATIENCE),))
