"""An existing alertmanager.yml as our configuration: routes, receivers, inhibition rules and time intervals.

Source of the format and of what it means: Alertmanager's configuration documentation. Read next:
`alertmanager_receivers`, `alertmanager_routes`, and `imported`, which they share.
"""

from collections.abc import Iterator

from pydantic import TypeAdapter, ValidationError

from domain.config import ConfigObject, RouteTree
from domain.inhibition import InhibitionRule
from schemas.alertmanager_receivers import Receivers
from schemas.alertmanager_routes import EVERY_ALERT, Routes, labels_of, matchers_of
from schemas.config_sentences import explain
from schemas.config_yaml import Node
from schemas.foreign_yaml import read_foreign
from schemas.imported import Import, Imported, Names, Path
from schemas.intervals import IntervalPart, SpanPart, interval_of

TAKEN = ("route", "receivers", "inhibit_rules", "time_intervals", "mute_time_intervals")
ELSEWHERE = {
    "resolve_timeout": "Write it as `expires_after` of the integration",
    "smtp": "Set the mail server in Tocsin's settings",
}
_SPANS: TypeAdapter[list[SpanPart]] = TypeAdapter(IntervalPart)


def read_alertmanager(text: str, file: str) -> Imported:
    """What the file says as our objects. `names` of the answer are those of the receivers.

    Raises ConfigErrors for what Alertmanager refuses too, as far as it is read here.
    """
    root = read_foreign(text, file)
    importing = Import(file)
    said = importing.members(root, ())
    for key, node in said.items():
        if key not in TAKEN:
            _leave(importing, key, node)
    receivers, intervals = Receivers(importing), Names("interval")
    objects = receivers.read(said.get("receivers"))
    for key in ("time_intervals", "mute_time_intervals"):
        objects += _intervals(importing, said.get(key), (key,), intervals)
    objects += _inhibitions(importing, said.get("inhibit_rules"))
    if "route" in said:
        objects.append(RouteTree(Routes(importing, receivers, intervals).root(said["route"])))
    else:
        importing.refuse(root, ("route",), "There is no `route`", "Name the right file")
    importing.check()
    return Imported(tuple(objects), importing.left_behind(), dict(receivers.teams.given))


def _leave(importing: Import, key: str, node: Node) -> None:
    """Take note of a section that is not about who is told of what."""
    if key != "global":
        importing.leave(node, (key,), f"`{key}` has no place here", "Nothing, unless you miss it")
        return
    for name, child in importing.members(node, (key,)).items():
        remedy = ELSEWHERE.get(name) or ELSEWHERE.get(name.partition("_")[0]) or "Nothing, unless you miss it"
        importing.leave(child, (key, name), f"`{name}` has no place here", remedy)


def _intervals(importing: Import, node: Node | None, path: Path, names: Names) -> Iterator[ConfigObject]:
    for where, item in importing.items(node, path):
        said = importing.members(item, where, ("name", "time_intervals"))
        name = importing.text(said.get("name"), (*where, "name"))
        if not name or name in names.given:
            importing.refuse(item, where, "Every time interval has a name of its own", "Correct the name")
            continue
        spans = said.get("time_intervals")
        within = (*where, "time_intervals")
        ours = names.of(name)
        try:
            yield interval_of(ours, _SPANS.validate_python(spans.plain() if spans else []))
        except ValidationError as error:
            for details in error.errors(include_url=False):
                found = explain(details, spans or item, importing.file)
                problem = Node(found.line, found.column)
                importing.refuse(problem, (*within, *found.path), found.problem, found.remedy)


def _inhibitions(importing: Import, node: Node | None) -> Iterator[ConfigObject]:
    names = Names("inhibition")
    sides = [f"{side}{form}" for side in ("source_", "target_") for form in ("match", "match_re", "matchers")]
    for where, item in importing.items(node, ("inhibit_rules",)):
        said = importing.members(item, where, ("name", "equal", *sides))
        theirs = importing.text(said.get("name"), (*where, "name"))
        source, target = (
            matchers_of(importing, said, where, side) or (EVERY_ALERT,) for side in ("source_", "target_")
        )
        equal = dict.fromkeys(labels_of(importing, said.get("equal"), (*where, "equal")))
        name = names.of(f"{where[-1]} {theirs}", like=theirs or f"inhibition-{int(where[-1]) + 1}")
        yield InhibitionRule(name, source, target, tuple(equal))
