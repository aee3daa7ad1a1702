"""The commands by which people act on incidents: `ack`, `assign`, `comment`, `create` and the others in `COMMANDS`."""

import sys
from http import HTTPStatus
from pathlib import Path

import click

from compose.client import Client, Refusal
from compose.people import client, gateway_options
from schemas.api import CommandAnswer

MAX_COMMENT = 10_000
"""Characters of a comment; the gateway takes no more."""
MOST_AT_ONCE = 200
"""Incidents in one page of a list; the gateway gives no more."""


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


@click.command("ack")
@click.argument("incidents", nargs=-1)
@click.option("--service", help="All incidents of this service that nobody has acknowledged, instead.")
@gateway_options
def ack(incidents: tuple[str, ...], service: str | None, url: str | None, key: str | None, data_dir: Path) -> None:
    """Acknowledge incidents: nobody else is paged about them."""
    if bool(incidents) == bool(service):
        raise click.UsageError("Name incidents, or a --service.")
    with client(url, key, data_dir, "responder") as gateway:
        if service:
            _acknowledge_all(gateway, service)
        for incident in incidents:
            answer = gateway.act(incident, "ack")
            click.echo(f"{answer.name} is {answer.status}{'' if answer.changed else ' already'}.")


def _acknowledge_all(gateway: Client, service: str) -> None:
    """One after the other, because each is a decision; one that has ended meanwhile is said and passed over."""
    acknowledged = 0
    for incident in _triggered(gateway, service):
        try:
            acknowledged += gateway.act(incident, "ack").changed
        except Refusal as refusal:
            if refusal.status != HTTPStatus.CONFLICT:
                raise
            click.echo(str(refusal), err=True)
    click.echo(f"{acknowledged:,} {'incident' if acknowledged == 1 else 'incidents'} of {service} acknowledged.")


def _triggered(gateway: Client, service: str) -> list[str]:
    """The names of a service's incidents that nobody has acknowledged, newest first."""
    found: list[str] = []
    cursor = None
    while True:
        listed = gateway.incidents(status=["triggered"], service=service, limit=MOST_AT_ONCE, cursor=cursor)
        found += [incident.name for incident in listed.incidents]
        cursor = listed.next_cursor
        if cursor is None:
            return found


@click.command("assign")
@click.argument("incident")
@click.argument("users", nargs=-1)
@click.option("--nobody", is_flag=True, help="Take it from everyone instead.")
@gateway_options
def assign(
    incident: str, users: tuple[str, ...], nobody: bool, url: str | None, key: str | None, data_dir: Path
) -> None:
    """Give an incident to users; whoever had it before has it no more."""
    if bool(users) == nobody:
        raise click.UsageError("Name users, or say --nobody.")
    with client(url, key, data_dir, "responder") as gateway:
        answer = gateway.act(incident, "assign", {"users": list(users)})
    _tell(answer, f"assigned to {', '.join(users) or 'nobody'}")


@click.command("severity")
@click.argument("incident")
@click.argument("severity")
@gateway_options
def severity(incident: str, severity: str, url: str | None, key: str | None, data_dir: Path) -> None:
    """Make an incident more or less severe: critical, high, medium, low or info."""
    with client(url, key, data_dir, "responder") as gateway:
        answer = gateway.act(incident, "severity", {"severity": severity})
    _tell(answer, f"of severity {severity}")


@click.command("comment")
@click.argument("incident")
@click.argument("text")
@gateway_options
def comment(incident: str, text: str, url: str | None, key: str | None, data_dir: Path) -> None:
    """Write something down about an incident; `-` reads it from standard input. It can be erased later."""
    words = sys.stdin.read(MAX_COMMENT + 1) if text == "-" else text
    with client(url, key, data_dir, "responder") as gateway:
        answer = gateway.act(incident, "comment", {"text": words})
    click.echo(f"Written down about {answer.name}.")


@click.command("create")
@click.argument("title")
@click.option("--service", help="What it is about; its team and escalation policy are taken.")
@click.option("--team", help="Whose it is; default: the service's, else the root route's.")
@click.option("--policy", help="The escalation policy that pages; default: the service's, else the root route's.")
@click.option(
    "--severity", default="medium", show_default=True, help="How bad it is: critical, high, medium, low or info."
)
@gateway_options
def create(
    title: str,
    service: str | None,
    team: str | None,
    policy: str | None,
    severity: str,
    url: str | None,
    key: str | None,
    data_dir: Path,
) -> None:
    """Open an incident that no alert reports: somebody is paged at once. The title can be erased later."""
    asked = {"title": title, "service": service, "team": team, "policy": policy, "severity": severity}
    with client(url, key, data_dir, "responder") as gateway:
        answer = gateway.create({name: value for name, value in asked.items() if value is not None})
    click.echo(f"{answer.name} is {answer.status}.")


def _tell(answer: CommandAnswer, how: str) -> None:
    click.echo(f"{answer.name} is {how}{'' if answer.changed else ' already'}.")


COMMANDS = (
    ack,
    _acting("unack", "Give incidents back: they escalate again from the first step."),
    _acting("start", "Say that you work on incidents; that acknowledges them too."),
    _acting("resolve", "Resolve incidents: they are over."),
    _acting("reopen", "Reopen incidents: they are not over, and escalate again."),
    assign,
    severity,
    comment,
    create,
)
