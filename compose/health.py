"""How each role is, from outside: is its process there, and what does the gateway say of what it works on."""

import json
from collections.abc import Iterator

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
    process = DependencyHealth(
        name="process", ok=alive, detail="not ours" if given else (f"pid {pid}" if alive else "is not running")
    )
    about = tuple(item for item in told if SPEAKS_OF.get(item.name, item.name) == role)
    return Health(role=role, ok=alive and all(item.ok for item in about), dependencies=(process, *about))
