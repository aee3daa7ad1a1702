"""How each role is, from outside: is its process there, and what does the gateway say of what it works on."""

import json
import re
from collections.abc import Iterator

import httpx
import psutil

from compose.client import Access, Client, Refusal
from compose.datadir import Running
from schemas.api import DependencyHealth, Health

SPEAKS_OF = {"relay": "projector", "sealer": "projector", "configuration": "gateway", "clock": "gateway"}
"""What the gateway speaks of -> the process whose work it is, where they are not called the same."""
ROLES = ("gateway", "worker", "pager", "projector", "kafka", "postgres")


def health(running: Running) -> tuple[Health, ...]:
    """The health of every role of a running installation. Blocks for a few seconds at most."""
    told = tuple(_told(running))
    return tuple(_role(role, running, told) for role in ROLES)


async def folds(metrics: str) -> bool:
    """Whether the worker whose metrics are at this URL has partitions to fold; takes 2 s at most to say no."""
    try:
        async with httpx.AsyncClient(timeout=2.0, trust_env=False) as client:
            text = (await client.get(metrics)).text
    except httpx.HTTPError:
        return False
    return bool(re.search(r"^tocsin_fold_partitions [1-9]", text, re.MULTILINE))


def _told(running: Running) -> Iterator[DependencyHealth]:
    """What the gateway says of its dependencies; that it does not answer, when it does not."""
    try:
        with Client(Access(running.gateway_url, running.api_keys.viewer)) as client:
            body = json.loads(client.ready().content)
    except (Refusal, ValueError) as error:
        yield DependencyHealth(name="gateway", ok=False, detail=str(error))
        return
    yield from Health.model_validate(body).dependencies


def _role(role: str, running: Running, told: tuple[DependencyHealth, ...]) -> Health:
    pid = getattr(running.pids, role)
    given = role in ("kafka", "postgres") and pid is None
    alive = given or (pid is not None and psutil.pid_exists(pid))
    detail = "not ours" if given else (f"pid {pid}" if alive else "is not running")
    if alive and role in running.metrics:
        detail += f", {running.metrics[role]}"
    process = DependencyHealth(name="process", ok=alive, detail=detail)
    about = tuple(item for item in told if SPEAKS_OF.get(item.name, item.name) == role)
    return Health(role=role, ok=alive and all(item.ok for item in about), dependencies=(process, *about))
