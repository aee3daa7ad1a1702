"""The commands about what belongs to an incident: `merge`, `unmerge`, `split`, `attach` and `detach`."""

from pathlib import Path

import click

from compose.alerting import whole
from compose.client import Client, Refusal
from compose.people import client, gateway_options


@click.command("merge")
@click.argument("incidents", nargs=-1, required=True)
@click.option("--into", required=True, help="The incident that is worked on instead.")
@gateway_options
def merge(incidents: tuple[str, ...], into: str, url: str | None, key: str | None, data_dir: Path) -> None:
    """Say that incidents are the same as another: nobody is paged about them any more, but about that one."""
    with client(url, key, data_dir, "responder") as gateway:
        for incident in incidents:
            answer = gateway.act(incident, "merge", {"into": into})
            click.echo(f"{answer.name} is merged into {answer.other or into}{'' if answer.changed else ' already'}.")


@click.command("unmerge")
@click.argument("incidents", nargs=-1, required=True)
@gateway_options
def unmerge(incidents: tuple[str, ...], url: str | None, key: str | None, data_dir: Path) -> None:
    """Undo a merge: the incident is again what it was before, with its alerts."""
    with client(url, key, data_dir, "responder") as gateway:
        for incident in incidents:
            answer = gateway.act(incident, "unmerge")
            said = f"{answer.name} is {answer.status}"
            click.echo(
                f"{said} again, and no part of {answer.other}." if answer.changed else f"{said}: it is not merged."
            )


@click.command("split")
@click.argument("incident")
@click.argument("alerts", nargs=-1, required=True)
@gateway_options
def split(incident: str, alerts: tuple[str, ...], url: str | None, key: str | None, data_dir: Path) -> None:
    """Make an incident of its own of some of an incident's alerts, given by their ids or how those begin."""
    with client(url, key, data_dir, "responder") as gateway:
        answer = gateway.act(incident, "split", {"alerts": [whole(gateway, alert) for alert in alerts]})
    click.echo(f"{answer.other} is about {_counted(alerts)} of {answer.name} now.")


@click.command("attach")
@click.argument("incident")
@click.argument("alerts", nargs=-1, required=True)
@click.option("--group", "grouped", is_flag=True, help="With the whole alert group of the alert.")
@gateway_options
def attach(
    incident: str, alerts: tuple[str, ...], grouped: bool, url: str | None, key: str | None, data_dir: Path
) -> None:
    """Say that alerts of another incident belong to this one, given by their ids or how those begin."""
    if grouped and len(alerts) != 1:
        raise click.UsageError("Name one alert: its --group is attached as a whole.")
    with client(url, key, data_dir, "responder") as gateway:
        body = (
            {"group": _group(gateway, alerts[0])}
            if grouped
            else {"alerts": [whole(gateway, alert) for alert in alerts]}
        )
        answer = gateway.act(incident, "attach", body)
    what = "that alert group" if grouped else _counted(alerts)
    click.echo(f"{answer.name} has {what}{f' of {answer.other}' if answer.changed else ' already'}.")


@click.command("detach")
@click.argument("incident")
@click.argument("alert")
@gateway_options
def detach(incident: str, alert: str, url: str | None, key: str | None, data_dir: Path) -> None:
    """Make an incident of its own of the whole alert group of one of an incident's alerts."""
    with client(url, key, data_dir, "responder") as gateway:
        answer = gateway.act(incident, "detach", {"group": _group(gateway, alert)})
    click.echo(f"{answer.other} is about that alert group of {answer.name} now.")


def _group(gateway: Client, alert: str) -> str:
    """The alert group of an alert. Raises Refusal."""
    found = gateway.alert(whole(gateway, alert))
    if found.group is None:
        raise Refusal(f"Alert {found.id} has never fired: it is in no group.")
    return found.group


def _counted(alerts: tuple[str, ...]) -> str:
    return "that alert" if len(alerts) == 1 else f"those {len(alerts)} alerts"


COMMANDS = (merge, unmerge, split, attach, detach)
