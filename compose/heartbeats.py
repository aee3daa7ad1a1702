"""The commands about heartbeats: `heartbeat list`, and `heartbeat ping` for scripts that have to be heard of."""

import random
import time
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.markup import escape
from rich.table import Table

from compose.client import ATTEMPTS, Client, Refusal
from compose.options import data_dir_option
from compose.people import ago, client, gateway_options
from compose.progress import console
from schemas.api_heartbeats import HeartbeatView, PingAnswer
from schemas.durations import format_duration

COLOURS = {"heard": "green", "waiting": "dim", "missed": "bold red"}


@click.group("heartbeat")
def heartbeat() -> None:
    """See what has to ping, or ping."""


@heartbeat.command("list")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@gateway_options
def list_heartbeats(as_json: bool, url: str | None, key: str | None, data_dir: Path) -> None:
    """List heartbeats: when each pinged last, and whether it is missed."""
    with client(url, key, data_dir, "viewer") as gateway:
        found = gateway.heartbeats()
    if as_json:
        click.echo(found.model_dump_json(indent=2))
        return
    if not found.heartbeats:
        click.echo("No heartbeats are configured.")
        return
    table = Table("", "state", "every", "last ping", "missed at", "service", "severity", box=None, pad_edge=False)
    for one in found.heartbeats:
        table.add_row(
            escape(one.name),
            f"[{COLOURS[one.state]}]{one.state}[/]",
            _every(one),
            ago(one.last_ping) if one.last_ping else "never",
            _moment(one.missed_at) if one.missed_at else "",
            escape(one.service or ""),
            one.severity,
        )
    console().print(table)


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"


def _every(one: HeartbeatView) -> str:
    grace = f" + {format_duration(one.grace)}" if one.grace else ""
    return format_duration(one.interval) + grace


@heartbeat.command("ping")
@click.argument("name")
@click.option(
    "--token", envvar="TOCSIN_HEARTBEAT_TOKEN", required=True, help="The heartbeat's token; see `tocsin token`."
)
@click.option("--url", envvar="TOCSIN_URL", help="The gateway; default: the one that runs on the data directory.")
@data_dir_option("Of the gateway that runs on this machine.")
def ping(name: str, token: str, url: str | None, data_dir: Path) -> None:
    """Say that NAME lives; tried again when no gateway answers. For example at the end of a backup."""
    with client(url, token, data_dir, "viewer") as gateway:
        answer = _ping(gateway, name)
    click.echo(f"{answer.heartbeat} was heard; it is missed unless it pings again before {_moment(answer.missed_at)}.")


def _ping(gateway: Client, name: str) -> PingAnswer:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return gateway.ping(name)
        except Refusal as refusal:
            if attempt == ATTEMPTS or refusal.status not in (0, 503):
                raise
            time.sleep(random.uniform(0.5, 1.5) * attempt)  # noqa: S311
    raise AssertionError("the last attempt returns or raises")


COMMANDS = (heartbeat,)
