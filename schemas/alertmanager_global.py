"""The section `global` of an alertmanager.yml: none of it is taken over; it is refused where Alertmanager does so."""

from collections.abc import Mapping

from schemas.alertmanager_keys import GLOBAL, check_address, check_pairs, check_smarthost, closed, flag, seconds
from schemas.config_yaml import Node
from schemas.imported import Import, Path

NO_LOSS = "Nothing, unless you miss it"
ELSEWHERE = {
    "resolve_timeout": (
        "Nothing: Alertmanager applies it before it posts. For a source that falls silent, give the integration an "
        "`expires_after` longer than Alertmanager's `repeat_interval`"
    ),
    "smtp": "Set the mail server in Tocsin's settings",
}


def read_global(file: Import, node: Node | None) -> Mapping[str, Node]:
    """What the section says, which receivers fall back to. All of it is left behind."""
    path: Path = ("global",)
    said = closed(file, node, path, GLOBAL)
    for key, child in said.items():
        where = (*path, key)
        if key == "resolve_timeout":
            seconds(file, child, where)
        elif key.endswith("_url"):
            check_address(file, child, where)
        elif key.endswith("_tls"):
            flag(file, child, where)
        elif key == "smtp_smarthost":
            check_smarthost(file, child, where)
        elif not key.endswith("_config"):
            file.text(child, where)
        remedy = ELSEWHERE.get(key) or ELSEWHERE.get(key.partition("_")[0]) or NO_LOSS
        file.leave(child, where, f"`{key}` has no place here", remedy)
    check_pairs(file, said, path)
    return said
