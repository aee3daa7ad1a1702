"""An existing alertmanager.yml as our configuration: routes, receivers, inhibition rules and time intervals.

Source of the format and of what it means: Alertmanager's configuration documentation. Read next:
`alertmanager_receivers`, `alertmanager_routes`, and `imported`, which they share.
"""

from collections.abc import Iterator

from domain.config import ConfigObject, RouteTree
from domain.inhibition import InhibitionRule
from schemas.alertmanager_global import NO_LOSS, read_global
from schemas.alertmanager_intervals import read_intervals
from schemas.alertmanager_keys import INHIBIT_RULE, ROOT, TAKEN, closed
from schemas.alertmanager_receivers import Receivers
from schemas.alertmanager_routes import EVERY_ALERT, Routes, labels_of, matchers_of
from schemas.config_yaml import Node
from schemas.foreign_yaml import read_foreign
from schemas.imported import Import, Imported, Names


def read_alertmanager(text: str, file: str) -> Imported:
    """What the file says as our objects. `names` of the answer are those of the receivers.

    Raises ConfigErrors for what Alertmanager refuses too, as far as it is read here.
    """
    root = read_foreign(text, file)
    importing = Import(file)
    said = closed(importing, root, (), ROOT)
    for key, node in said.items():
        if key not in (*TAKEN, "global"):
            importing.leave(node, (key,), f"`{key}` has no place here", NO_LOSS)
    for where, template in importing.items(said.get("templates"), ("templates",)):
        importing.text(template, where)
    receivers = Receivers(importing, read_global(importing, said.get("global")))
    intervals = Names("interval")
    objects = receivers.read(said.get("receivers"))
    for key in ("time_intervals", "mute_time_intervals"):
        objects += read_intervals(importing, said.get(key), (key,), intervals)
    objects += _inhibitions(importing, said.get("inhibit_rules"))
    if "route" in said:
        objects.append(RouteTree(Routes(importing, receivers, intervals).root(said["route"])))
    else:
        importing.refuse(root, ("route",), "There is no `route`", "Name the right file")
    importing.check()
    return Imported(tuple(objects), importing.left_behind(), dict(receivers.teams.given))


def _inhibitions(importing: Import, node: Node | None) -> Iterator[ConfigObject]:
    names = Names("inhibition")
    for where, item in importing.items(node, ("inhibit_rules",)):
        said = closed(importing, item, where, INHIBIT_RULE)
        theirs = importing.text(said.get("name"), (*where, "name"))
        source, target = (
            matchers_of(importing, said, where, side) or (EVERY_ALERT,) for side in ("source_", "target_")
        )
        equal = dict.fromkeys(labels_of(importing, said.get("equal"), (*where, "equal")))
        name = names.of(f"{where[-1]} {theirs}", like=theirs or f"inhibition-{int(where[-1]) + 1}")
        if "sources" in said:
            # Without its sources the rule would be one that every alert inhibits by.
            problem = "A rule with several `sources` at once has no place here"
            importing.leave(said["sources"], (*where, "sources"), problem, "Write a rule for one source")
            continue
        yield InhibitionRule(name, source, target, tuple(equal))
