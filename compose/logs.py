"""Structured logs: one line per thing that happened, for machines (json) or people (console), on standard error.

Our own lines are rendered and written at once; those of libraries, which log with `logging`, go through the same
processors and the same renderer. Values whose names say that they are secret never do.
"""

import json
import logging
import sys
from collections.abc import Callable, MutableMapping
from functools import lru_cache
from typing import Any

import orjson
import structlog
from structlog.typing import Processor

from schemas.settings import Settings

SECRET_WORDS = ("password", "token", "secret", "authorization", "cookie", "api_key", "dsn")
NOISY = ("faust", "mode", "streams.worker", "httpx", "uvicorn", "asyncio", "psycopg", "psycopg.pool")
"""Libraries of which only warnings are worth a line. What Faust says of a class of ours goes by our module's name; our
own lines do not pass through here."""
VERY_NOISY = ("aiokafka",)
"""Writes dozens of lines a second while the broker is away; what that means is said by our own lines."""


def configure_logs(settings: Settings, role: str) -> None:
    """Set up logging for this process; `role` is in every line. Call it once, first."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        _named(role),
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        hide_secrets,
    ]
    renderer = structlog.processors.JSONRenderer(_json) if settings.log_format == "json" else _console()
    structlog.configure(
        processors=[*shared, renderer],
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(settings.log_level),
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in VERY_NOISY:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _json(event: dict[str, Any], default: Callable[[Any], Any]) -> str:
    """What `json.dumps` makes of an event, ten times as fast; what orjson refuses (large numbers, half characters)
    goes the slow way. `default` is for all that is not JSON: no object's fields are written because it has some.
    """
    try:
        return orjson.dumps(event, default, orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME).decode()
    except TypeError:
        return json.dumps(event, default=default)


def _named(role: str) -> Processor:
    def add(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event["role"] = role
        return event

    return add


def _console() -> structlog.dev.ConsoleRenderer:
    return structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)


def hide_secrets(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Blank the values of fields whose names say that they are secret."""
    for name in event:
        if _is_secret(name):
            event[name] = "[redacted]"
    return event


@lru_cache(maxsize=1024)
def _is_secret(name: str) -> bool:
    return any(word in name.lower() for word in SECRET_WORDS)
