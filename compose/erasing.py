"""The commands erase and replay: texts that must go, and the log told again. They use the database itself."""

import asyncio
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import click

from compose.auditing import data_dir_option, dsn_of, incident_of, placed, reading
from projections.replay import Replay
from streams.clock import clock_from
from streams.publishing import record_of, source_of

if TYPE_CHECKING:
    from streams.store.erasing import Erased


@click.command("erase")
@click.option("--alert", metavar="ID", help="Everything an alert (its id, a uuid) ever said.")
@click.option("--incident", metavar="INC-7", help="Everything about an incident: its alerts, comments and words.")
@click.option("--user", metavar="NAME", help="Name and addresses of a user who is not configured any more.")
@click.option("--text", metavar="TEXT", help="Every payload that contains this text.")
@click.option("--reason", required=True, help="A reference of the request, e.g. its number: it is kept for ever.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@data_dir_option
def erase(
    alert: str | None, incident: str | None, user: str | None, text: str | None, reason: str, yes: bool, data_dir: Path
) -> None:
    """Erase personal data and free text for good. Events stay, and the log still verifies.

    Not erased: label values that routing reads and titles (they are in events), and topic `alerts`, which keeps
    redacted webhooks until its retention ends.
    """
    erasing = import_module("streams.store.erasing")
    if len([one for one in (alert, incident, user, text) if one]) != 1:
        raise click.UsageError("Say what to erase: one of --alert, --incident, --user, --text.")
    if not re.fullmatch(r"[\w #./:-]{1,60}", reason):
        raise click.UsageError("--reason is a reference of at most 60 letters, digits, blanks and #./:- only.")
    settings = placed(data_dir)
    if not yes:
        click.confirm("What is erased cannot be brought back. Erase?", abort=True)
    with reading(settings) as ledger:
        stream = incident_of(ledger, incident) if incident else None
        what = erasing.What(alert, stream, user, text)
        now = clock_from(settings.clock_file)()
        try:
            done = erasing.erase(dsn_of(settings), settings.org, what, reason, str(uuid4()), now)
        except erasing.StillConfigured:
            raise click.ClickException(
                f"{user} is still configured: remove them from the configuration first."
            ) from None
    for line in _erased(done):
        click.echo(line)


def _erased(done: "Erased") -> Iterator[str]:
    """What was erased, in sentences."""
    yield (
        f"Erased {done.payloads} payloads, {done.inbox} inbox rows and {done.dead_letters} dead letters;"
        f" the log is at position {done.position}."
    )
    if done.on_their_way:
        yield f"{done.on_their_way} inbox rows are still on their way: erase again in a minute."
    if done.kept:
        yield f"{done.kept} payloads are of users who are still configured, and were kept: remove these users first."
    if done.in_events:
        yield f"{done.in_events} events hold the text in a label that routing reads or in a title: that stays."
    yield "Topic alerts keeps redacted webhooks until its retention ends."


@click.command("replay")
@click.option(
    "--to",
    "target",
    required=True,
    metavar="FILE|TOPIC",
    help="A new file, - for standard output, or a new topic replay-….",
)
@click.option("--after", default=0, show_default=True, help="The position before the first event.")
@click.option("--until", type=int, help="The position of the last event; default: the log's end.")
@data_dir_option
def replay(target: str, after: int, until: int | None, data_dir: Path) -> None:
    """Tell the log again, to a file or a topic of its own. Nobody is paged, nothing is written to the store."""
    settings = placed(data_dir)
    with reading(settings) as ledger:
        telling = Replay(ledger, after, until)
        if target.startswith("replay-"):
            replaying = import_module("streams.replaying")
            source = source_of(ledger.identity())
            records = (record_of(told.event, told.about, source) for told in telling.events())
            try:
                written = asyncio.run(replaying.write(settings, target, records))
            except (replaying.ReplayRefused, ValueError) as refused:
                raise click.ClickException(f"{refused}.") from None
        else:
            written = _to_file(target, telling.lines())
    click.echo(f"{written} events told again to {target}.", err=target == "-")


def _to_file(target: str, lines: Iterator[bytes]) -> int:
    """Write to a file that does not exist yet, or to standard output; returns how many lines."""
    if target == "-":
        return sum(1 for line in lines if sys.stdout.buffer.write(line))
    try:
        with Path(target).open("xb") as file:
            return sum(1 for line in lines if file.write(line))
    except FileExistsError:
        raise click.ClickException(f"{target} exists: a replay goes to a new file.") from None
    except OSError as error:
        raise click.ClickException(f"{target} cannot be written ({error.strerror}).") from None


COMMANDS = (erase, replay)
