"""The commands about single alerts: `alert list`, `show`, `ack`, `unack` and `resolve`."""

import re
from datetime import UTC
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from compose.client import Client, Refusal
from compose.people import COLOURS, ago, client, gateway_options, say_if_more
from compose.progress import console
from projections.sentences import plain
from schemas.api_alerts import AlertAnswer, AlertDetail
from schemas.api_reads import AlertView
from streams.channels.untrusted import web_url

SHORT = 8
"""Digits of an alert's id that a list shows."""
WHOLE = 36
LONGEST = 300
"""Characters of a label, an annotation or a link that are shown."""
STATUS_COLOURS = {"firing": "bold red", "resolved": "green"}


@click.group("alert")
def alert() -> None:
    """See single alerts, and say that you have one or that it is over."""


@alert.command("list")
@click.option("--incident", help="Of this incident only, those that it has had included.")
@click.option("--label", "labels", multiple=True, help="With this label: name=value; may be repeated.")
@click.option("--all", "everything", is_flag=True, help="Those that have ended too.")
@click.option("--limit", default=50, show_default=True, help="How many; 200 at most.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@gateway_options
def list_alerts(
    incident: str | None,
    labels: tuple[str, ...],
    everything: bool,
    limit: int,
    as_json: bool,
    url: str | None,
    key: str | None,
    data_dir: Path,
) -> None:
    """List the alerts that fire, the latest to appear first."""
    with client(url, key, data_dir, "viewer") as gateway:
        status = () if everything else ("firing",)
        found = gateway.alerts(status=status, incident=incident, label=labels, limit=limit)
    if as_json:
        click.echo(found.model_dump_json(indent=2))
        return
    if not found.alerts and not found.next_cursor:
        click.echo("No alerts." if everything or incident or labels else "Nothing fires.")
        return
    table = Table("", "status", "severity", "alert", "service", "incident", "", "since", box=None, pad_edge=False)
    for one in found.alerts:
        table.add_row(*_row(one))
    console().print(table)
    say_if_more(len(found.alerts), found.next_cursor)


def _row(one: AlertView) -> tuple[str, ...]:
    return (
        one.id[:SHORT],
        f"[{STATUS_COLOURS[one.status]}]{one.status}[/]",
        f"[{COLOURS[one.severity]}]{one.severity}[/]",
        escape(plain(one.name or one.fingerprint)),
        escape(plain(one.labels.get("service", ""))),
        one.incident or "",
        escape(_standing(one)),
        ago(one.source_time),
    )


def _standing(one: AlertView) -> str:
    """Who has it, or why nothing is said of it."""
    if one.suppressed:
        return f"not spoken of: {one.suppressed.reason.replace('_', ' ')} {plain(one.suppressed.rule)}"
    if one.closed:
        return "a person said that it is over"
    return f"acknowledged by {one.acknowledged_by}" if one.acknowledged_by else ""


@alert.command("show")
@click.argument("alert")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@gateway_options
def show(alert: str, as_json: bool, url: str | None, key: str | None, data_dir: Path) -> None:
    """Show an alert, given by its id or how that begins: what it says, where it belongs and what happened to it."""
    with client(url, key, data_dir, "viewer") as gateway:
        found = gateway.alert(whole(gateway, alert))
    if as_json:
        click.echo(found.model_dump_json(indent=2))
        return
    print_alert(console(), found)


def print_alert(screen: Console, one: AlertDetail) -> None:
    """An alert and its history, for eyes."""
    colour = STATUS_COLOURS[one.status]
    screen.print(f"[bold]{escape(plain(one.name or one.fingerprint))}[/]  [{colour}]{one.status}[/]  {one.id}")
    if one.summary:
        screen.print(escape(plain(one.summary, LONGEST)))
    where = f"in {one.incident}" if one.incident else "in no incident"
    screen.print(
        f"[{COLOURS[one.severity]}]{one.severity}[/] · {where} · by {escape(one.integration)} · reported "
        f"{_times(one.reports)} · began or ended {_times(len(one.flips))} lately · "
        f"{one.group_firing:,} firing in its group"
    )
    if standing := _standing(one):
        until, revision = (one.suppressed.until, one.suppressed.revision) if one.suppressed else (None, None)
        more = f" until {until.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if until else ""
        more += f" (configuration {revision})" if revision is not None else ""
        screen.print(escape(standing) + more)
    if one.erased:
        screen.print("Its texts were erased.")
    _print_pairs(screen, "label", one.labels)
    _print_pairs(screen, "annotation", one.annotations)
    _print_pairs(screen, "matchers read", one.facts)
    _print_pairs(screen, "link", {link.name: link.url for link in one.links if web_url(link.url)})
    table = Table("when (UTC)", "", "who", box=None, pad_edge=False)
    for entry in one.history:
        said = f"{entry.text} ({entry.incident})" if entry.incident else entry.text
        table.add_row(f"{entry.at:%m-%d %H:%M:%S}", escape(said), f"[dim]{escape(entry.actor)}[/]")
    screen.print(table)


def _print_pairs(screen: Console, name: str, pairs: dict[str, str]) -> None:
    said = {key: value for key, value in sorted(pairs.items()) if value}
    if said:
        table = Table(name, "", box=None, pad_edge=False)
        for key, value in said.items():
            table.add_row(escape(plain(key)), escape(plain(value, LONGEST)))
        screen.print(table)


def _acting(verb: str, doc: str) -> click.Command:
    @click.command(verb, help=doc)
    @click.argument("alerts", nargs=-1, required=True)
    @gateway_options
    def act(alerts: tuple[str, ...], url: str | None, key: str | None, data_dir: Path) -> None:
        with client(url, key, data_dir, "responder") as gateway:
            for one in alerts:
                click.echo(_said(gateway.act_on_alert(whole(gateway, one), verb), verb))

    return act


def _said(answer: AlertAnswer, verb: str) -> str:
    """What became of an alert and its incident, e.g. `3f2a91c0 is acknowledged; INC-7 is triggered.`"""
    is_ = {"ack": "acknowledged", "unack": "not acknowledged", "resolve": "resolved"}[verb]
    incident = f"; {answer.incident} is {answer.incident_status}" if answer.incident else ""
    return f"{answer.id[:SHORT]} is {is_}{'' if answer.changed else ' already'}{incident}."


def whole(gateway: Client, begins: str) -> str:
    """The id of the one alert whose id begins so. Raises Refusal."""
    if len(begins) >= WHOLE:
        return begins
    if not re.fullmatch("[0-9a-fA-F-]{4,}", begins):
        raise Refusal(f"`{begins}` names no alert: give its id, or at least the first four of its digits (0-9, a-f).")
    found = [one.id for one in gateway.alerts(id=begins, limit=2).alerts]
    if len(found) == 1:
        return found[0]
    many = f"Several alerts begin with {begins}" if found else f"There is no alert {begins}"
    raise Refusal(f"{many}: see `tocsin alert list --all`.")


for command in (
    _acting("ack", "Acknowledge alerts: an incident all of whose alerts are acknowledged pages nobody else."),
    _acting("unack", "Give alerts back; their incidents escalate again."),
    _acting("resolve", "Say that alerts are over, until their source says that they begin anew."),
):
    alert.add_command(command)


def _times(count: int) -> str:
    return f"{count:,} {'time' if count == 1 else 'times'}"


COMMANDS = (alert,)
