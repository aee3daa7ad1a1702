"""The commands that prove: audit show, audit verify, audit key. They read the database itself.

Which one: that of the settings (TOCSIN_POSTGRES_DSN), else of what runs on the data directory. No gateway is asked,
because an auditor should not have to believe one. `erasing` has the commands erase and replay.
"""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib import import_module
from itertools import dropwhile
from pathlib import Path

import click
import orjson
from pydantic import SecretStr
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from compose import options
from compose.datadir import read_running
from compose.plainly import plainly
from compose.processes import StartError
from compose.progress import console
from domain.recipients import called
from projections.audit import Account, NoIncident, NotPaged, account
from projections.findings import Verdict
from projections.references import incident_key
from projections.sealed import compare_copy, seals_of
from projections.verify import Walk
from schemas.seals import public_hex
from schemas.settings import BadSettings, Settings, load_settings
from streams import seal_file
from streams.seal_key import BadKey, key_path, public_key
from streams.store.ledger import PostgresLedger

data_dir_option = options.data_dir_option("Where it runs, or ran.")


def placed(data_dir: Path) -> Settings:
    """The settings, with the database and broker of what runs on `data_dir` where they name none.

    Raises ClickException when no database is known.
    """
    try:
        settings, running = load_settings(data_dir=data_dir), read_running(data_dir)
    except BadSettings as error:
        raise click.ClickException("\n".join(error.problems)) from None
    except StartError as error:
        raise click.ClickException(str(error)) from None
    if settings.postgres_dsn is None and running is not None:
        found = {
            "postgres_dsn": SecretStr(running.postgres_dsn),
            "kafka_bootstrap": settings.kafka_bootstrap or running.kafka_bootstrap,
            "topic_prefix": settings.topic_prefix or running.topic_prefix,
        }
        settings = settings.model_copy(update=found)
    if settings.postgres_dsn is None:
        raise click.ClickException(
            f"No database is known: nothing runs on {data_dir}. Start it with `make up`, or set TOCSIN_POSTGRES_DSN."
        )
    return settings


def dsn_of(settings: Settings) -> str:
    """The database's address."""
    assert settings.postgres_dsn is not None
    return settings.postgres_dsn.get_secret_value()


@contextmanager
def reading(settings: Settings) -> Iterator[PostgresLedger]:
    """The log; what goes wrong ends the command with a sentence."""
    ledger = PostgresLedger(dsn_of(settings))
    try:
        with plainly():
            yield ledger
    finally:
        ledger.close()


def incident_of(ledger: PostgresLedger, ref: str) -> str:
    """The stream of the incident that people call `ref`. Raises ClickException."""
    key = incident_key(ref)
    stream = None if key is None else key[1] if key[0] == "id" else ledger.opened(int(key[1]))
    if stream is None:
        raise click.ClickException(f"The log has no incident {ref[:80]}.")
    return str(stream)


@click.group("audit")
def audit() -> None:
    """Ask the log what was decided and why, and prove that it is whole."""


# -- show --------------------------------------------------------------------------------------------------------------


@audit.command("show")
@click.argument("incident")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@data_dir_option
def show(incident: str, as_json: bool, data_dir: Path) -> None:
    """Say who was paged about an incident, when, by what and by which rule; and who was not, and why."""
    settings = placed(data_dir)
    with reading(settings) as ledger:
        try:
            given = account(ledger, settings.org, incident_of(ledger, incident))
        except NoIncident:
            raise click.ClickException(f"The log has no incident {incident[:80]}.") from None
    if as_json:
        click.echo(orjson.dumps(asdict(given), option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z).decode())
        return
    print_account(console(), given)


def print_account(screen: Console, given: Account) -> None:
    """An account, for eyes."""
    screen.print(f"[bold]{given.name}[/]  {escape(given.title)}  {given.status}, {given.severity}")
    screen.print(escape(given.opened))
    screen.print("\n[bold]Paged[/]" if given.paged else "\nNobody was paged.")
    if given.paged:
        table = Table("who", "by", "asked (UTC)", "sent (UTC)", "because of", "event", box=None, pad_edge=False)
        for page in given.paged:
            repeat = f" (attempt {page.attempt})" if page.attempt > 1 else ""
            repeat += " (possible repeat)" if page.possible_repeat else ""
            sent = f"{page.sent_at:%Y-%m-%d %H:%M:%S}{repeat}"
            asked = f"{page.asked_at:%H:%M:%S}"
            table.add_row(
                escape(called(page.user)), page.method, asked, sent, escape(str(page.rule)), str(page.position)
            )
        screen.print(table)
    if given.not_paged:
        screen.print("\n[bold]Not paged[/]")
        for one in given.not_paged:
            screen.print(f"  {escape(_not_paged(one))}")
    screen.print("\n[bold]Every decision[/]")
    table = Table("event", "when (UTC)", "", "who", "decided on", "config", box=None, pad_edge=False)
    for done in given.decisions:
        when = f"{done.at:%Y-%m-%d %H:%M:%S}"
        actor = f"{done.actor} ({done.origin})"
        table.add_row(
            str(done.position), when, escape(done.text), escape(actor), escape(done.pointer), str(done.config_revision)
        )
    screen.print(table)


def _not_paged(one: NotPaged) -> str:
    person = f"{called(one.user)}{f' by {one.method}' if one.method else ''}" if one.user else one.rule.target
    event = f" (event {one.position})" if one.position else ""
    return f"{person}, {one.rule}: {one.reason}{event}"


# -- verify ------------------------------------------------------------------------------------------------------------


@audit.command("verify")
@click.option(
    "--public-key",
    "keys",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    help="A PEM file of a key that may seal; default: this installation's, else the first seal's.",
)
@click.option(
    "--seals",
    "copies",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    help="An append-only file of seals to compare with; default: this epoch's in the data directory.",
)
@click.option("--topic", is_flag=True, help="Compare with topic `seals` too.")
@click.option("--chain-only", is_flag=True, help="Chain and seals; no decision is made again.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@data_dir_option
def verify(
    keys: tuple[Path, ...], copies: tuple[Path, ...], topic: bool, chain_only: bool, as_json: bool, data_dir: Path
) -> None:
    """Check the whole log: its chain, its seals, and every decision by making it again.

    Exits 1 when anything is wrong.
    """
    settings = placed(data_dir)
    with reading(settings) as ledger:
        trusted = {public_hex(public_key(path)) for path in keys or _own_key(settings)}
        walk = Walk(ledger, settings.org, trusted, decisions=not chain_only)
        verdict = walk.verify(_progress if sys.stderr.isatty() else None)
        own = seal_file.seal_file(data_dir, ledger.identity())
        for path in copies or filter(Path.exists, [own]):
            compare_copy(seals_of(ledger), seal_file.read(path), str(path), verdict.add)
        if topic:
            published = asyncio.run(import_module("streams.sealer").published(settings))
            table, copy = (dropwhile(lambda seal: seal.epoch < verdict.epoch, s) for s in (seals_of(ledger), published))
            compare_copy(table, copy, "the topic", verdict.add)
    if as_json:
        click.echo(orjson.dumps(_plain(verdict), option=orjson.OPT_INDENT_2).decode())
    else:
        for line in said(verdict, chain_only):
            click.echo(line)
    sys.exit(0 if verdict.is_intact else 1)


def _own_key(settings: Settings) -> tuple[Path, ...]:
    path = key_path(settings)
    public = path.with_suffix(".pub")
    return next(((found,) for found in (public, path) if found.exists()), ())


def _progress(position: int, head: int) -> None:
    click.echo(f"\rverified {position} of {head}", err=True, nl=position >= head)


def said(verdict: Verdict, chain_only: bool = False) -> Iterator[str]:
    """A verdict in sentences."""
    for finding in verdict.findings:
        yield str(finding)
    if verdict.found > len(verdict.findings):
        yield f"… and {verdict.found - len(verdict.findings)} more."
    yield f"{verdict.events} events read, up to position {verdict.head}."
    if verdict.epoch > 1:
        yield f"Restored from a backup: epoch {verdict.epoch} goes on behind position {verdict.since}."
        yield "What an earlier epoch said behind that is not in this log; its file of seals shows it: --seals FILE."
    if verdict.seals:
        keys = ", ".join(f"{key[:16]}…" for key in sorted(verdict.keys))
        yield f"{verdict.seals} seals by key {keys} cover positions 1 to {verdict.sealed}."
    if verdict.sealed < verdict.head:
        yield f"Not sealed yet: positions {verdict.sealed + 1} to {verdict.head}."
    if not chain_only:
        yield f"{sum(verdict.rederived.values())} events were decided again from their recorded inputs."
    for position, count in sorted(verdict.erased.items()):
        yield f"{count} events: chain intact, input erased at {position}."
    for rules, count in sorted(verdict.other_rules.items()):
        yield f"{count} events: decided under rules {rules}, which this version does not have."
    yield "Nothing is wrong." if verdict.is_intact else f"{verdict.found} things are wrong."


def _plain(verdict: Verdict) -> dict[str, object]:
    return {
        "intact": verdict.is_intact,
        "head": verdict.head,
        "epoch": verdict.epoch,
        "since": verdict.since,
        "events": verdict.events,
        "seals": verdict.seals,
        "sealed": verdict.sealed,
        "keys": sorted(verdict.keys),
        "rederived": dict(sorted(verdict.rederived.items())),
        "erased": {str(position): count for position, count in sorted(verdict.erased.items())},
        "other_rules": {str(rules): count for rules, count in sorted(verdict.other_rules.items())},
        "found": verdict.found,
        "findings": [asdict(finding) for finding in verdict.findings],
    }


@audit.command("key")
@data_dir_option
def key(data_dir: Path) -> None:
    """Print the public key of this installation's seals, for whoever verifies elsewhere."""
    try:
        settings = load_settings(data_dir=data_dir)
        pem = import_module("streams.seal_key").pem(public_key(key_path(settings)))
    except BadSettings as error:
        raise click.ClickException("\n".join(error.problems)) from None
    except BadKey as error:
        raise click.ClickException(str(error)) from None
    click.echo(pem.decode(), nl=False)


COMMANDS = (audit,)
