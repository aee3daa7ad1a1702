"""Silences as Alertmanager's clients write them."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from tests.gateway_world import KEYS, GatewayWorld
from tests.memory_world import MemoryWorld

SILENCES = "/api/v2/silences"


def matcher(name: str, value: str, is_regex: bool = False, is_equal: bool = True) -> dict[str, Any]:
    return {"name": name, "value": value, "isRegex": is_regex, "isEqual": is_equal}


def body(world: MemoryWorld, *matchers: Mapping[str, Any], after: float = 0, minutes: float = 60, **more: Any) -> Any:
    """A silence as amtool writes it; `after` and `minutes` are when it begins, and for how long."""
    begins = world.now() + timedelta(minutes=after)
    return {
        "matchers": list(matchers) or [matcher("service", "payments")],
        "startsAt": begins.isoformat(),
        "endsAt": (begins + timedelta(minutes=minutes)).isoformat(),
        "createdBy": "ada",
        "comment": "being repaired",
        **more,
    }


def post(world: GatewayWorld, sent: Any, role: str = "responder", **more: Any) -> Any:
    return world.request("POST", SILENCES, KEYS[role], **({"json": sent} if sent is not None else {}), **more)
