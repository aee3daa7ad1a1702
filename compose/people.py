"""The commands by which people see how things are: list, show, mail, status. Tables for eyes, --json for programs."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from compose.client import Client, Refusal, find_access
from compose.datadir import read_running
from compose.health import health
from compose.options import Command, data_dir_option
from compose.processes import StartError
from compose.progress import console
from projections.sentences import plain
from schemas.api import MAX_ENTRIES, IncidentView, Timeline
from streams.channels.maildir import Mailbox, format_mail
from streams.channels.untrusted import web_url

COLOURS = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "cyan", "info": "dim"}
STATUS_COLOURS = {
    "triggered": "bold red",
    "acknowledged": "yellow",
    "in_progress": "yellow",
    "resolved": "green",
    "merged": "dim",
}

LAST = 100
"""Entries of a timeline that eyes are shown, unless they ask for more."""
LONGEST_WORDS = 500
"""Characters of a comment that a timeline shows."""


def gateway_options(command: Command) -> Command:
    """--url, --key and --data-dir: which gateway, as whom."""
    for option in (
        click.option(
            "--url", envvar="TOCSIN_URL", help="The gateway; default: the one that runs on the data directory."
        ),
        click.option("--key", envvar="TOCSIN_API_KEY", help="The API key; default: that gateway's example key."),
        data_dir_option("Of the gateway that runs on this machine."),
    ):
        command = option(command)
    return command


@contextmanager
def client(url: str | None, key: str | None, data_dir: Path, role: str) -> Iterator[Client]:
    """A client for a command; a refusal ends the command with its sentence and exit code 1."""
    with told(), Client(find_access(url, key, data_dir, role)) as opened:
        yield opened


@contextmanager
def told() -> Iterator[None]:
    """A refusal within ends the command with its sentence and exit code 1."""
    try:
        yield
    except (Refusal, StartError) as refusal:
        for line in getattr(refusal, "errors", ()):
            click.echo(line, err=True)
        raise click.ClickException(str(refusal)) from None


@click.command("list")
@click.option(
    "--status", multiple=True, help="triggered, acknowledged, in_progress, resolved, merged; may be repeated."
)
@click.option("--all", "everything", is_flag=True, help="Resolved and merged ones too.")
@click.option("--team", help="Of this team only.")
@click.option("--service", help="Of this service only.")
@click.option("--limit", default=50, show_default=True, help="How many; 200 at most.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
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
    """List incidents, newest first; by default those that are open."""
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
    console().print(table)
    say_if_more(len(found.incidents), found.next_cursor)


@click.command("show")
@click.argument("incident")
@click.option(
    "--last",
    type=click.IntRange(1, MAX_ENTRIES),
    help=f"How much of what happened, the latest last; without it {LAST}, and {MAX_ENTRIES:,} for programs.",
)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@gateway_options
def show(incident: str, last: int | None, as_json: bool, url: str | None, key: str | None, data_dir: Path) -> None:
    """Show an incident and what happened to it."""
    with client(url, key, data_dir, "viewer") as gateway:
        timeline = gateway.timeline(incident, limit=last or (MAX_ENTRIES if as_json else LAST))
        instead = None if as_json else _instead(gateway, timeline.incident)
    if as_json:
        click.echo(timeline.model_dump_json(indent=2))
        return
    print_timeline(console(), timeline, instead)


def _instead(gateway: Client, incident: IncidentView) -> str | None:
    """What is worked on instead of a merged incident; what that was merged into, if it was too."""
    into = incident.merged_into
    while into and (further := gateway.incident(into).merged_into):
        into = further
    return into


def print_timeline(screen: Console, timeline: Timeline, instead: str | None = None) -> None:
    """An incident and its timeline, for eyes; `instead` names what is worked on if it is merged."""
    incident = timeline.incident
    screen.print(f"[bold]{incident.name}[/]  {escape(incident.title)}  {_status(incident)}")
    if instead:
        screen.print(f"{instead} is worked on instead: `tocsin show {instead}`.")
    screen.print(
        f"[{COLOURS[incident.severity]}]{incident.severity}[/] · service {escape(incident.service or '—')} · team "
        f"{escape(incident.team)} · escalation policy {escape(incident.policy)} · opened {ago(incident.opened_at)} · "
        f"{incident.alerts_firing} of {incident.alerts_total} alerts firing"
    )
    ours = [("runbook", incident.runbook or ""), *((link.name, link.url) for link in incident.links)]
    for name, url in ours:
        if web_url(url):
            screen.print(f"{escape(plain(name))}: {escape(url)}", soft_wrap=True)
    table = Table("when (UTC)", "", "who", box=None, pad_edge=False)
    for entry in timeline.entries:
        said = f"{entry.text}: {plain(entry.words, LONGEST_WORDS)}" if entry.words else entry.text
        table.add_row(f"{entry.at:%H:%M:%S}", escape(said), f"[dim]{escape(entry.actor)}[/]")
    screen.print(table)
    if timeline.next_cursor is not None:
        shown = len(timeline.entries)
        click.echo(f"These are the last {shown}: more happened. --last takes up to {MAX_ENTRIES:,}.", err=True)


@click.command("mail")
@click.option("--last", default=1, show_default=True, type=click.IntRange(1), help="How many, the newest last.")
@click.option("--to", help="Only to addresses with this in them.")
@data_dir_option("Of what runs, or ran, on this machine.")
def mail(last: int, to: str | None, data_dir: Path) -> None:
    """Print mail that the local mailbox took because no mail server is set."""
    found = [one for one in Mailbox(data_dir / "mailbox").messages() if (to or "") in one.to][-last:]
    if not found:
        whose, whom = (f" to {to}", "they were not") if to else ("", "nobody was")
        raise click.ClickException(
            f"There is no mail{whose} in {data_dir / 'mailbox'}: {whom} mailed, or a real server is set."
        )
    click.echo("\n\n".join(map(format_mail, found)))


@click.command("status")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@gateway_options
def status(as_json: bool, url: str | None, key: str | None, data_dir: Path) -> None:
    """Say how each role is, what stands still and what to do; exits 1 when one is not well.

    With --url it asks that gateway; otherwise it also looks for the processes of the data directory.
    """
    if url:
        _remote_status(as_json, url, key, data_dir)
        return
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
            table.add_row(role.role, _well(role.ok), escape(words))
        console().print(table)
    sys.exit(0 if all(role.ok for role in report) else 1)


def _remote_status(as_json: bool, url: str, key: str | None, data_dir: Path) -> None:
    """Every role as the gateway at `url` sees it."""
    with client(url, key, data_dir, "viewer") as gateway:
        told = gateway.status()
    if as_json:
        click.echo(told.model_dump_json(indent=2))
    else:
        table = Table("role", "", "since", "", box=None, pad_edge=False)
        for role in told.roles:
            words = ". ".join(filter(None, (role.detail, role.remedy)))
            table.add_row(role.role, _well(role.ok), ago(role.since) if role.since else "", escape(words))
        console().print(table)
    sys.exit(0 if told.ok else 1)


def _well(ok: bool) -> str:
    return "[green]ok[/]" if ok else "[bold red]not ok[/]"


def say_if_more(shown: int, next_cursor: str | None) -> None:
    """That a list does not end here."""
    if next_cursor is not None:
        click.echo(f"These are the first {shown}: there are more. --limit takes up to 200, the API has all.", err=True)


def ago(moment: datetime) -> str:
    """How long ago, in one unit."""
    seconds = max(0, int((datetime.now(UTC) - moment).total_seconds()))
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"


def _status(incident: IncidentView) -> str:
    if incident.merged_into:
        return f"[{STATUS_COLOURS[incident.status]}]{incident.status} into {incident.merged_into}[/]"
    by = (
        f" by {escape(incident.acknowledged_by)}"
        if incident.status == "acknowledged" and incident.acknowledged_by
        else ""
    )
    return f"[{STATUS_COLOURS[incident.status]}]{incident.status}[/]{by}"


COMMANDS = (list_incidents, show, mail, status)
