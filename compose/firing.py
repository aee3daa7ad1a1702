"""`tocsin fire`: something goes wrong, as far as Tocsin can tell, and one sees what becomes of it."""

import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import click

from compose import missing
from compose.client import Client, Refusal
from compose.datadir import read_running
from compose.people import client, gateway_options, told
from compose.progress import Progress
from compose.scenarios import SCENARIOS, Scenario, webhooks
from compose.waiting import until
from domain.recipients import called
from projections.sentences import plain
from schemas.api import PageView
from schemas.api_explained import AlertExplained, ExplainAnswer
from schemas.api_receipts import ReceiptView

PATIENCE, FIRST_PAGE = 15.0, 5.0
"""Seconds that it is waited for what is decided, and for the first page or the end of an incident."""
FOLLOWED = 600.0
"""Seconds that an escalation is watched, at most."""
BETWEEN = 1.0
"""Seconds between the turns of what comes and goes."""
NOT_FOUND = 404
TOLD = 10
"""Incidents that are told of one by one."""


@click.command("fire")
@click.argument("name", metavar="SCENARIO", required=False, type=click.Choice(list(SCENARIOS)))
@click.option("--list", "listing", is_flag=True, help="Say which scenarios there are.")
@click.option("--end", "ends", is_flag=True, help="End its alerts instead.")
@click.option(
    "--token", envvar="TOCSIN_WEBHOOK_TOKEN", help="The webhook token; default: the running gateway's example."
)
@gateway_options
def fire(
    name: str | None, listing: bool, ends: bool, token: str | None, url: str | None, key: str | None, data_dir: Path
) -> None:
    """Post what Alertmanager would post if SCENARIO happened, and say what became of it: people are paged.

    Its alerts fire until they are ended with --end. heartbeat-missed posts nothing: with an admin's key it declares a
    heartbeat that pings once and then is missed; --end removes it.
    """
    if listing or name is None:
        for scenario in SCENARIOS.values():
            click.echo(f"{scenario.name:18} {scenario.says}")
        return
    scenario = SCENARIOS[name]
    if scenario.silent:
        with client(url, key, data_dir, "admin") as gateway:
            _remove(gateway) if ends else _miss(gateway, scenario)
        return
    with told():
        found = token or _token(data_dir, url)
    with client(url, key, data_dir, "viewer") as gateway:
        _play(gateway, found, scenario, ends)


def _token(data_dir: Path, url: str | None) -> str:
    """The webhook token of what runs here. Raises Refusal; StartError when that cannot be read."""
    running = read_running(data_dir)
    if running is None or (url and url.rstrip("/") != running.gateway_url.rstrip("/")):
        raise Refusal("No webhook token is known for that gateway: give one with --token or TOCSIN_WEBHOOK_TOKEN.")
    return running.webhook_tokens.alertmanager


def _play(gateway: Client, token: str, scenario: Scenario, ends: bool) -> None:
    receipts = list(_posted(gateway, token, scenario, ends))
    names = list(dict.fromkeys(_incidents(gateway, receipts)))
    if not names:
        click.echo(_why_nothing(gateway, scenario, ends))
        return
    for name in names[:TOLD]:
        click.echo(_ended(gateway, name) if ends else _opened(gateway, name))
    if len(names) > TOLD:
        click.echo(f"And {len(names) - TOLD} more incidents: `tocsin list` has all of them.")
    if not ends and (quiet := _why_no_more(gateway, scenario, names)):
        click.echo(quiet)
    if scenario.follows and not ends:
        _follow(gateway, names[0])
    if not ends:
        click.echo(f"`tocsin show {names[0]}` tells all of it; `tocsin fire {scenario.name} --end` ends it.")


def _posted(gateway: Client, token: str, scenario: Scenario, ends: bool) -> Iterator[str]:
    """Post it, in as many webhooks and turns as it takes; the receipts."""
    turns = [False] if ends else [turn % 2 == 0 for turn in range(2 * scenario.times - 1)]
    for number, fires in enumerate(turns):
        if number:
            time.sleep(BETWEEN)
        for body in webhooks(scenario.samples, fires, datetime.now(UTC)):
            receipt = gateway.fire("alertmanager", token, body)
            count = len(body["alerts"])
            said = "1 alert" if count == 1 else f"{count} alerts"
            click.echo(f"accepted: {said} {'firing' if fires else 'ended'}; receipt {receipt.receipt}", err=True)
            yield receipt.receipt


def _incidents(gateway: Client, receipts: Sequence[str]) -> Iterator[str]:
    """The incidents of these receipts' alerts. A repeat leaves no trace: it is waited for in vain."""
    end = time.monotonic() + PATIENCE
    for receipt in receipts:
        view = until(partial(_folded, gateway, receipt), end - time.monotonic())
        yield from (alert.incident for alert in (view.alerts if view else ()) if alert.incident)


def _folded(gateway: Client, receipt: str) -> ReceiptView | None:
    try:
        view = gateway.receipt(receipt)
    except Refusal as refusal:
        if refusal.status != NOT_FOUND:
            raise
        return None
    return view if view.state in ("folded", "dead_lettered") else None


def _why_nothing(gateway: Client, scenario: Scenario, ends: bool) -> str:
    if ends:
        return "Nothing of it was firing, or nothing was said of it."
    said = _explained(gateway, scenario)
    quiet = _suppressed(said)
    return f"Nothing is said of it: {quiet}." if quiet else f"{said.incident.because}."


def _why_no_more(gateway: Client, scenario: Scenario, names: Iterable[str]) -> str | None:
    """What keeps quiet what fires on, when all its incidents `names` are over; None when it is spoken of."""
    if any(gateway.incident(name).status != "resolved" for name in names):
        return None
    quiet = _suppressed(_explained(gateway, scenario))
    return f"It fires, and nothing is said of it: {quiet}." if quiet else None


def _explained(gateway: Client, scenario: Scenario) -> ExplainAnswer:
    (body, *_) = webhooks(scenario.samples, True, datetime.now(UTC))
    return gateway.explain({"alert": body})


def _suppressed(said: AlertExplained) -> str | None:
    """What keeps an alert quiet on all of its ways."""
    return said.suppressed_by[0].because if said.suppressed and said.suppressed_by else None


# -- what falls silent ------------------------------------------------------------------------------------------------


def _miss(gateway: Client, scenario: Scenario) -> None:
    """A heartbeat of ours pings once and is missed; what became of that, and how it ends."""
    missed = missing.miss(gateway, Progress())
    if missed.token is None:
        click.echo(f"It is missed already{f', in {missed.incident}' if missed.incident else ''}.")
    elif missed.quiet or not missed.incident:
        click.echo(f"It is missed, and nothing is said of it: {missed.quiet}.")
    else:
        click.echo(_opened(gateway, missed.incident))
    if missed.token:
        click.echo(
            f"A ping ends it, until it is missed again: tocsin heartbeat ping {missing.NAME} --token {missed.token}"
        )
    about = f"`tocsin show {missed.incident}` tells all of it; " if missed.incident else ""
    click.echo(f"{about}`tocsin fire {scenario.name} --end` removes the heartbeat, which ends it.")


def _remove(gateway: Client) -> None:
    removed = missing.remove(gateway)
    if not removed.was_there:
        click.echo(f"There is no heartbeat {missing.NAME}: nothing of it fires.")
        return
    click.echo(f"Heartbeat {missing.NAME} is removed.")
    if removed.incident:
        click.echo(_ended(gateway, removed.incident))


# -- what became of it ------------------------------------------------------------------------------------------------


def _opened(gateway: Client, name: str) -> str:
    """An incident in a sentence, and who was paged, or will be."""
    incident = gateway.incident(name)
    said = f"{name} is {incident.status}: {plain(incident.title)}, {incident.severity}, team {incident.team}"
    pages = until(lambda: _sent(gateway, name) or None, FIRST_PAGE)
    if pages:
        return f"{said}; paged: {_list(dict.fromkeys(f'{called(page.user)} by {page.method}' for page in pages))}."
    due = gateway.due(name).due
    if not due:
        return f"{said}; nobody is paged."
    step = due[0].escalation
    whom = _list(dict.fromkeys(called(page.user) for page in (step.pages if step else ())))
    return f"{said}; the next page, to {whom or 'nobody'}, is due at {due[0].at.astimezone(UTC):%H:%M:%S} UTC."


def _sent(gateway: Client, name: str) -> list[PageView]:
    return [page for page in gateway.pages(name) if page.status == "sent"]


def _list(words: Iterable[str]) -> str:
    return ", ".join(words)


def _ended(gateway: Client, name: str) -> str:
    done = until(lambda: one if (one := gateway.incident(name)).status == "resolved" else None, FIRST_PAGE)
    return f"{name} is resolved." if done else f"{name} is {gateway.incident(name).status}: other alerts of it fire."


def _follow(gateway: Client, name: str) -> None:
    """Tell of every page until somebody answers, or nothing is to come any more."""
    click.echo(f"Watching {name}: acknowledge it with `tocsin ack {name}`, or stop with Ctrl-C.", err=True)
    told, end = set[str](), time.monotonic() + FOLLOWED
    while time.monotonic() < end:
        for page in _sent(gateway, name):
            if page.id not in told:
                click.echo(f"{page.queued_at.astimezone(UTC):%H:%M:%S}  {called(page.user)} was paged by {page.method}")
            told.add(page.id)
        incident = gateway.incident(name)
        if incident.status != "triggered":
            click.echo(f"{name} is {incident.status}{f' by {who}' if (who := incident.acknowledged_by) else ''}.")
            return
        if all(due.at - datetime.now(UTC) > timedelta(seconds=FOLLOWED) for due in gateway.due(name).due):
            click.echo("Everybody was told, and nobody answered.")
            return
        time.sleep(1.0)


COMMANDS = (fire,)
