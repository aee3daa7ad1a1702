"""The commands that people use: list, show, ack, resolve, apply, status. Tables for eyes, --json for programs."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from compose.client import Client, Refusal, find_access
from compose.datadir import read_running
from compose.health import health
from compose.processes import StartError
from schemas.api import IncidentView, Timeline
from schemas.config_errors import ConfigErrors
from schemas.settings import BadSettings, load_settings
from streams.store.base import StoreError

COLOURS = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "cyan", "info": "dim"}
STATUS_COLOURS = {"triggered": "bold red", "acknowledged": "yellow", "in_progress": "yellow", "resolved": "green"}

Command = Callable[..., None]


def gateway_options(command: Command) -> Command:
    """--url, --key and --data-dir: which gateway, as whom."""
    for option in (
        click.option(
            "--url", envvar="TOCSIN_URL", help="The gateway; default: the one that runs on the data directory."
        ),
        click.option("--key", envvar="TOCSIN_API_KEY", help="The API key; default: that gateway's example key."),
        click.option(
            "--data-dir",
            envvar="TOCSIN_DATA_DIR",
            default=".tocsin",
            show_default=True,
            type=click.Path(path_type=Path),
        ),
    ):
        command = option(command)
    return command


@contextmanager
def client(url: str | None, key: str | None, data_dir: Path, role: str) -> Iterator[Client]:
    """A client for a command; a refusal ends the command with its sentence and exit code 1."""
    try:
        with Client(find_access(url, key, data_dir, role)) as opened:
            yield opened
    except (Refusal, StartError) as refusal:
        for line in getattr(refusal, "errors", ()):
            click.echo(line, err=True)
        raise click.ClickException(str(refusal)) from None


@click.command("list")
@click.option("--status", multiple=True, help="triggered, acknowledged, in_progress, resolved; may be repeated.")
@click.option("--all", "everything", is_flag=True, help="Resolved ones too.")
@click.option("--team")
@click.option("--service")
@click.option("--limit", default=50, show_default=True)
@click.option("--json", "as_json", is_flag=True)
@gateway_options
def list_incidents(
    status: tuple[str, ...],
    everything: bool,
    team: str | None,
    service: str | None,
    limit: int,
    as_json: bool,
    url: str | None,
    key: str | None,
    data_dir: Path,
) -> None:
    """List incidents, newest first; by default those that are not resolved."""
    wanted = status or (() if everything else ("triggered", "acknowledged", "in_progress"))
    with client(url, key, data_dir, "viewer") as gateway:
        found = gateway.incidents(status=wanted, team=team, service=service, limit=limit)
    if as_json:
        click.echo(found.model_dump_json(indent=2))
        return
    if not found.incidents:
        click.echo("No incidents." if everything or status else "No open incidents.")
        return
    table = Table("", "status", "severity", "title", "service", "team", "alerts", "opened", box=None, pad_edge=False)
    for incident in found.incidents:
        table.add_row(
            incident.name,
            _status(incident),
            f"[{COLOURS[incident.severity]}]{incident.severity}[/]",
            escape(incident.title),
            escape(incident.service),
            escape(incident.team),
            str(incident.alerts_firing),
            ago(incident.opened_at),
        )
    _console().print(table)


@click.command("show")
@click.argument("incident")
@click.option("--json", "as_json", is_flag=True)
@gateway_options
def show(incident: str, as_json: bool, url: str | None, key: str | None, data_dir: Path) -> None:
    """Show an incident and everything that happened to it."""
    with client(url, key, data_dir, "viewer") as gateway:
        timeline = gateway.timeline(incident)
    if as_json:
        click.echo(timeline.model_dump_json(indent=2))
        return
    print_timeline(_console(), timeline)


def print_timeline(console: Console, timeline: Timeline) -> None:
    """An incident and its timeline, for eyes."""
    incident = timeline.incident
    console.print(f"[bold]{incident.name}[/]  {escape(incident.title)}  {_status(incident)}")
    console.print(
        f"[{COLOURS[incident.severity]}]{incident.severity}[/] · service {escape(incident.service or '—')} · team "
        f"{escape(incident.team)} · escalation policy {escape(incident.policy)} · opened {ago(incident.opened_at)} · "
        f"{incident.alerts_firing} of {incident.alerts_total} alerts firing"
    )
    table = Table("when (UTC)", "", "who", box=None, pad_edge=False)
    for entry in timeline.entries:
        table.add_row(f"{entry.at:%H:%M:%S}", escape(entry.text), f"[dim]{escape(entry.actor)}[/]")
    console.print(table)


def _acting(verb: str, doc: str) -> click.Command:
    @click.command(verb, help=doc)
    @click.argument("incidents", nargs=-1, required=True)
    @gateway_options
    def act(incidents: tuple[str, ...], url: str | None, key: str | None, data_dir: Path) -> None:
        with client(url, key, data_dir, "responder") as gateway:
            for incident in incidents:
                answer = gateway.act(incident, verb)
                click.echo(f"{answer.name} is {answer.status}{'' if answer.changed else ' already'}.")

    return act


ack = _acting("ack", "Acknowledge incidents: nobody else is paged about them.")
resolve = _acting("resolve", "Resolve incidents: they are over.")


@click.command("apply")
@click.option("-f", "--file", "paths", multiple=True, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--dry-run", is_flag=True, help="Show what would change.")
@click.option("--direct", is_flag=True, help="Write to the database of the settings: for the first API key.")
@gateway_options
def apply(
    paths: tuple[Path, ...], dry_run: bool, direct: bool, url: str | None, key: str | None, data_dir: Path
) -> None:
    """Make the configuration what these files or directories say; what they do not name stays."""
    if direct:
        changes, revision = _apply_directly(paths, dry_run)
    else:
        with client(url, key, data_dir, "admin") as gateway:
            answer = gateway.apply(_documents(paths), dry_run)
        changes = tuple((change.kind, change.id, change.change) for change in answer.changes)
        revision = answer.revision
    for kind, name, change in changes:
        click.echo(f"{change:7} {kind}/{name}")
    click.echo(f"{len(changes)} objects {'would change' if dry_run else 'changed'}; revision {revision}.")


def _documents(paths: tuple[Path, ...]) -> dict[str, str]:
    files = sorted(file for path in paths for file in (path.glob("*.y*ml") if path.is_dir() else (path,)))
    try:
        return {str(file): file.read_text(encoding="utf-8") for file in files}
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(f"A file cannot be read as UTF-8 text: {error}.") from None


def _apply_directly(paths: tuple[Path, ...], dry_run: bool) -> tuple[tuple[tuple[str, str, str], ...], int]:
    prepare = import_module("compose.prepare")
    try:
        applied = prepare.apply_files(load_settings(), paths, dry_run)
    except (BadSettings, ConfigErrors, StoreError, prepare.NotConfigured) as error:
        raise click.ClickException(str(error)) from None
    return applied.changes, applied.revision


@click.command("status")
@click.option("--json", "as_json", is_flag=True)
@click.option(
    "--data-dir", envvar="TOCSIN_DATA_DIR", default=".tocsin", show_default=True, type=click.Path(path_type=Path)
)
def status(as_json: bool, data_dir: Path) -> None:
    """Say how each role is; exits 1 when one is not well."""
    try:
        running = read_running(data_dir)
    except StartError as error:
        raise click.ClickException(str(error)) from None
    if running is None:
        raise click.ClickException(f"Nothing runs on {data_dir}: start it with `make up`.")
    report = health(running)
    if as_json:
        click.echo(json.dumps({role.role: role.model_dump(exclude={"role"}) for role in report}, indent=2))
    else:
        table = Table("role", "", "", box=None, pad_edge=False)
        for role in report:
            words = "; ".join(f"{d.name}: {d.detail}" if d.detail else d.name for d in role.dependencies)
            table.add_row(role.role, "[green]ok[/]" if role.ok else "[bold red]not ok[/]", escape(words))
        _console().print(table)
    sys.exit(0 if all(role.ok for role in report) else 1)


def ago(moment: datetime) -> str:
    """How long ago, in one unit."""
    seconds = max(0, int((datetime.now(UTC) - moment).total_seconds()))
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"


def _status(incident: IncidentView) -> str:
    by = (
        f" by {escape(incident.acknowledged_by)}"
        if incident.status == "acknowledged" and incident.acknowledged_by
        else ""
    )
    return f"[{STATUS_COLOURS[incident.status]}]{incident.status}[/]{by}"


def _console() -> Console:
    return Console(highlight=False, soft_wrap=not sys.stdout.isatty())
