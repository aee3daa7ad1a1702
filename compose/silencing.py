"""The commands about silences: `silence add`, `silence list` and `silence expire`. amtool does the same."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
from rich.markup import escape
from rich.table import Table

from compose.people import client, gateway_options
from compose.progress import console
from domain.matching import Matcher
from projections.sentences import plain
from schemas.alertmanager_api import OPERATORS, GettableSilence, SilenceMatcher, write_matcher
from schemas.durations import parse_duration
from schemas.matchers import BadMatcher, format_matcher, parse_matchers

COLOURS = {"active": "green", "pending": "yellow", "expired": "dim"}
LONGEST, LONGEST_COMMENT = 500, 200
"""Characters of matchers and of a comment that a list shows."""


class Duration(click.ParamType):
    """A length of time such as 2h or 1h30m."""

    name = "duration"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Read it. Fails with a sentence."""
        try:
            return timedelta(seconds=parse_duration(value))
        except ValueError as error:
            self.fail(f"{value!r}: {error}.", param, ctx)


class Filter(click.ParamType):
    """Matchers, one or several with commas between them."""

    name = "matchers"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Matcher, ...]:
        """Read them. Fails with a sentence."""
        try:
            return parse_matchers(value)
        except BadMatcher as error:
            self.fail(str(error), param, ctx)


@click.group("silence")
def silence() -> None:
    """Keep quiet about alerts for some time; what still fires then is announced."""


@silence.command("add")
@click.argument("matchers", nargs=-1, required=True, type=Filter())
@click.option("--for", "length", default="2h", show_default=True, type=Duration(), help="How long: 30m, 2h, 1d.")
@click.option("--in", "wait", default="0", show_default=True, type=Duration(), help="Begin only after so long.")
@click.option("--comment", required=True, help="Why; it can be erased.")
@click.option("--author", envvar="USER", default="", help="Who; it can be erased.")
@gateway_options
def add(
    matchers: tuple[tuple[Matcher, ...], ...],
    length: timedelta,
    wait: timedelta,
    comment: str,
    author: str,
    url: str | None,
    key: str | None,
    data_dir: Path,
) -> None:
    """Silence the alerts that every matcher matches, such as service=payments or 'severity!=critical'.

    Prints the silence's id, and on standard error which critical incidents are not spoken of any more.
    """
    begins = datetime.now(UTC) + wait
    asked = {
        "matchers": [write_matcher(matcher).model_dump(by_alias=True) for given in matchers for matcher in given],
        "startsAt": begins.isoformat(),
        "endsAt": (begins + length).isoformat(),
        "createdBy": author,
        "comment": comment,
    }
    with client(url, key, data_dir, "responder") as gateway:
        made = gateway.set_silence(asked)
    click.echo(made.silence_id)
    for warning in made.warnings:
        click.echo(f"Warning: {warning}", err=True)


@silence.command("list")
@click.argument("filters", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Those that expired too; they are kept for five days.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@gateway_options
def list_silences(
    filters: tuple[str, ...], everything: bool, as_json: bool, url: str | None, key: str | None, data_dir: Path
) -> None:
    """List silences, or those whose own matchers are as FILTERS ask, such as service=payments."""
    with client(url, key, data_dir, "viewer") as gateway:
        found = [s for s in gateway.silences(filters) if everything or s.status.state != "expired"]
    if as_json:
        click.echo(json.dumps([one.model_dump(mode="json", by_alias=True) for one in found], indent=2))
        return
    if not found:
        click.echo("No silences." if everything or filters else "No silences now.")
        return
    table = Table("", "state", "matchers", "ends (UTC)", "by", "comment", box=None, pad_edge=False)
    for one in found:
        table.add_row(*_row(one))
    console().print(table)


@silence.command("expire")
@click.argument("silences", nargs=-1, required=True)
@gateway_options
def expire(silences: tuple[str, ...], url: str | None, key: str | None, data_dir: Path) -> None:
    """End silences, given by their ids, before their time: what they kept quiet and still fires is announced."""
    with client(url, key, data_dir, "responder") as gateway:
        for one in silences:
            gateway.end_silence(one)
            click.echo(f"{one} is expired.")


def _row(one: GettableSilence) -> tuple[str, ...]:
    state = one.status.state
    matchers = ", ".join(map(_text, one.matchers))
    ends = f"{one.ends_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    words = (plain(one.created_by), plain(one.comment, LONGEST_COMMENT))
    return (one.id, f"[{COLOURS[state]}]{state}[/]", escape(plain(matchers, LONGEST)), ends, *map(escape, words))


def _text(matcher: SilenceMatcher) -> str:
    return format_matcher(Matcher(matcher.name, OPERATORS[matcher.is_regex, matcher.is_equal], matcher.value))


COMMANDS = (silence,)
