"""Configuration as files of YAML: read into domain objects with every error in its place, and written back.

The steps: read each document with positions (`config_yaml`), collect the names that all of them define, validate
each against the format (`config_models`; references are checked there), say what is wrong (`config_sentences`),
then build domain objects (`config_build`). Names are `[a-z0-9][a-z0-9._-]{0,62}`. Everything wrong is reported at
once, up to 1,000 errors.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from pydantic import ValidationError

from domain.config import ConfigObject, Team, hashes
from schemas.config_build import build
from schemas.config_dump import dump_config
from schemas.config_errors import ConfigError, ConfigErrors
from schemas.config_models import ConfigFile
from schemas.config_sentences import explain
from schemas.config_types import KnownNames
from schemas.config_yaml import MAX_BYTES, Node, at_offset, read_yaml, too_large

__all__ = ["ConfigError", "ConfigErrors", "dump_config", "load_config", "parse_config", "parse_documents"]

Objects = Mapping[tuple[str, str], ConfigObject]

MAX_OBJECTS = 10_000
MAX_ERRORS = 1000
NOTHING: Objects = MappingProxyType({})
SECTIONS: Mapping[str, str] = MappingProxyType(
    {
        "users": "user",
        "teams": "team",
        "services": "service",
        "escalation_policies": "policy",
        "inhibition_rules": "inhibition_rule",
        "correlation_rules": "correlation_rule",
        "time_intervals": "time_interval",
        "maintenance_windows": "window",
        "integrations": "integration",
        "heartbeats": "heartbeat",
        "api_keys": "api_key",
    }
)
ROUTE = ("route_tree", "default")
_REFERRED = {
    "user": "user",
    "team": "team",
    "service": "service",
    "policy": "escalation policy",
    "time_interval": "time interval",
    "window": "maintenance window",
}


@dataclass(frozen=True, slots=True)
class _Document:
    """A document that is YAML: where it came from and what is in it."""

    file: str
    root: Node

    def named(self) -> Iterator[tuple[tuple[str, str], tuple[str | int, ...], Node]]:
        """Every object it defines, valid or not: (kind, id), path, node."""
        for section, kind in SECTIONS.items():
            node = self.root.children.get(section)
            for name, child in (node.children if node and node.kind == "map" else {}).items():
                yield (kind, str(name)), (section, name), child
        route = self.root.children.get("route")
        if route is not None and not route.empty:
            yield ROUTE, ("route",), route


def load_config(paths: Sequence[Path], known: Objects = NOTHING) -> Objects:
    """The objects in files and directories (their *.yaml and *.yml, by name, not below).

    Parameters:
        paths: what to read.
        known: objects that exist already; references may name them.

    Raises ConfigErrors with everything that is wrong, also when neither the files nor `known` have a route.
    """
    texts: dict[str, str] = {}
    errors: list[ConfigError] = []
    for path in paths:
        for file in _files(path, errors):
            text = _read(file, errors)
            if text is not None:
                texts[str(file)] = text
    objects = _parse(texts, known, errors)
    if ROUTE not in objects and ROUTE not in known:
        first = next(iter(texts), ".")
        remedy = (
            "Add `route:` with a team and a policy to one file; if it is to be added to a configuration that has one, "
            "`tocsin apply --dry-run` checks both together"
        )
        raise ConfigErrors((ConfigError(first, 1, 1, ("route",), "No file has a route", remedy),))
    return objects


def parse_config(text: str, name: str, known: Objects = NOTHING) -> Objects:
    """The objects in one document called `name`; see `parse_documents`."""
    return parse_documents({name: text}, known)


def parse_documents(documents: Mapping[str, str], known: Objects = NOTHING) -> Objects:
    """The objects in documents by name; each object in one of them, references may cross and may name `known` ones.

    Raises ConfigErrors with everything that is wrong, in the order of the documents.
    """
    return _parse(documents, known, [])


def _parse(documents: Mapping[str, str], known: Objects, errors: list[ConfigError]) -> Objects:
    """The objects in `documents`, if neither they nor what was read before them (`errors`) has any error."""
    read: list[_Document] = []
    for name, text in documents.items():
        root, found = read_yaml(text, name)
        errors += found
        if root is not None and not root.empty:
            read.append(_Document(name, root))
        elif not found:
            errors.append(ConfigError(name, 1, 1, (), "The file is empty", "Begin it with `version: 1`"))
    errors += _repeated(read)
    names = _names(read, known)
    objects: dict[tuple[str, str], ConfigObject] = {}
    for document in read:
        objects.update(_validated(document, names, errors))
    if not errors:
        errors += _shared_tokens(read, objects)
    if errors:
        order = {name: place for place, name in enumerate(documents)}
        errors.sort(key=lambda e: (order.get(e.file, -1), e.line, e.column))
        raise ConfigErrors(tuple(errors[:MAX_ERRORS]))
    return objects


def _validated(
    document: _Document, names: KnownNames, errors: list[ConfigError]
) -> Mapping[tuple[str, str], ConfigObject]:
    try:
        parts = ConfigFile.model_validate(document.root.plain(), context=names)
    except ValidationError as error:
        refused = {refusal.path for refusal in errors if refusal.file == document.file}
        first = error.errors(include_url=False)[:MAX_ERRORS]
        found = [explain(details, document.root, document.file) for details in first]
        errors += [one for one in found if one.path not in refused]
        return {}
    return {(built.kind, built.id): built for built in build(parts)}


def _names(read: Sequence[_Document], known: Objects) -> KnownNames:
    """The names that references may use, by what a reference calls the kind."""
    names: dict[str, set[str]] = {word: set() for word in _REFERRED.values()}
    for kind, name in (*known, *(key for document in read for key, _, _ in document.named())):
        if kind in _REFERRED:
            names[_REFERRED[kind]].add(name)
    return KnownNames(names, channels=_channels(read, known))


def _channels(read: Sequence[_Document], known: Objects) -> frozenset[str]:
    """The teams that have an address of their own, right or wrong; what a document says of a team is all of it."""
    found = {thing.id: bool(thing.contacts) for thing in known.values() if isinstance(thing, Team)}
    for document in read:
        for (kind, name), _, node in document.named():
            if kind == "team":
                email = node.children.get("email")
                found[name] = email is not None and not email.empty
    return frozenset(name for name, reachable in found.items() if reachable)


def _repeated(read: Sequence[_Document]) -> Iterator[ConfigError]:
    """Objects that two files define, and the limit on their number."""
    first: dict[tuple[str, str], str] = {}
    for document in read:
        for key, path, node in document.named():
            place = f"{document.file}:{node.key_line}"
            if key in first:
                yield ConfigError(
                    document.file,
                    node.key_line,
                    node.key_column,
                    path,
                    f"It is defined already in {first[key]}",
                    "Remove one of the two, or merge them",
                )
            elif len(first) == MAX_OBJECTS:
                yield ConfigError(
                    document.file,
                    node.key_line,
                    node.key_column,
                    path,
                    f"There are more than {MAX_OBJECTS} objects",
                    "Split the organisation into several, each with its own Tocsin",
                )
                return
            first.setdefault(key, place)


def _shared_tokens(read: Sequence[_Document], objects: Objects) -> Iterator[ConfigError]:
    """Tokens that would let in two integrations or keys: nobody could say who came."""
    owners: dict[str, tuple[str, str]] = {}
    for document in read:
        for key, path, node in document.named():
            for token in hashes(objects[key]):
                if owners.setdefault(token, key) != key:
                    yield ConfigError(
                        document.file,
                        node.key_line,
                        node.key_column,
                        path,
                        f"It has the same hash as {owners[token][0]} `{owners[token][1]}`",
                        "Run `tocsin token` for one of its own",
                    )


def _files(path: Path, errors: list[ConfigError]) -> list[Path]:
    """The files that `path` stands for."""
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.iterdir() if file.suffix in (".yaml", ".yml") and file.is_file())
    if not files:
        errors.append(
            ConfigError(str(path), 1, 1, (), "The directory has no *.yaml or *.yml file", "Name the files instead")
        )
    return files


def _read(path: Path, errors: list[ConfigError]) -> str | None:
    """The text of a file, or None and an error."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        errors.append(
            ConfigError(str(path), 1, 1, (), f"It cannot be read: {error.strerror}", "Check the path and its rights")
        )
        return None
    if len(data) > MAX_BYTES:
        errors.append(too_large(str(path)))
        return None
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start].decode()
        errors.append(at_offset(str(path), before, len(before), "The file is not UTF-8", "Save it as UTF-8"))
        return None
