"""What a change of a configuration object changes, field by field, in the words of the files."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from domain.config import Standing
from domain.silences import Silence
from schemas.config_dump import written_of
from schemas.matchers import format_matcher


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field: its path (`steps[0].escalate_after`), what it was and what it is; None where it says nothing.

    A route is known by its matchers, wherever it stands: `routes{category="database"}.group_wait`. The order of those
    that were there and still are is the field `routes`.

    Of tokens and keys it holds hashes, as the files do.
    """

    field: str
    before: str | None
    after: str | None


def differences(before: Standing | None, after: Standing | None) -> tuple[FieldChange, ...]:
    """The fields in which an object differs, in the order of the format; `None` stands for one that is not there."""
    old, new = (_written(thing) if thing is not None else {} for thing in (before, after))
    said, says = dict(_flat("", old)), dict(_flat("", new))
    orders = dict(_orders("", old)), dict(_orders("", new))
    for path in orders[0].keys() & orders[1].keys():
        both = set(orders[0][path]) & set(orders[1][path])
        said[path], says[path] = (", ".join(name for name in order[path] if name in both) for order in orders)
    paths = dict.fromkeys((*said, *says))
    return tuple(
        FieldChange(path, said.get(path), says.get(path)) for path in paths if said.get(path) != says.get(path)
    )


def _written(thing: Standing) -> Any:
    """An object in the words of the files; silences, which stand in none, in those of their API."""
    if isinstance(thing, Silence):
        matchers = [format_matcher(matcher) for matcher in thing.matchers]
        return {"matchers": matchers, "startsAt": thing.starts_at.isoformat(), "endsAt": thing.ends_at.isoformat()}
    return written_of(thing)[1]


def _flat(path: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _flat(f"{path}.{name}" if path else str(name), inner)
    elif isinstance(value, list) and _is_routes(path):
        for name, inner in _named(value):
            yield from _flat(f"{path}{name}", {key: said for key, said in inner.items() if key != "matchers"} or "all")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _flat(f"{path}[{index}]", inner)
    else:
        yield path, str(value)


def _orders(path: str, value: object) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The names of the routes below each route, in their order."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _orders(f"{path}.{key}" if path else str(key), inner)
    elif isinstance(value, list) and _is_routes(path):
        named = list(_named(value))
        yield path, tuple(name for name, _ in named)
        for name, inner in named:
            yield from _orders(f"{path}{name}", inner)


def _is_routes(path: str) -> bool:
    return path.rpartition(".")[2] == "routes"


def _named(routes: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each route with a name of its own: its matchers, and a number from the second that has the same."""
    seen: Counter[str] = Counter()
    for route in routes:
        name = "{" + ",".join(route.get("matchers", ())) + "}"
        seen[name] += 1
        yield name if seen[name] == 1 else f"{name}#{seen[name]}", route
