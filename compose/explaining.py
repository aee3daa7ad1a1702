"""`tocsin explain`: what would become of an alert, from files or from what runs, now or at another time."""

import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
from rich.console import Console, Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from compose.people import COLOURS, client, gateway_options
from compose.progress import console
from domain.config import Config
from domain.recipients import called
from projections.sentences import plain
from schemas.api_explained import AlertExplained, ExplainAnswer, RouteExplained, RouteTried, SuppressedBy, write_answer
from schemas.config_errors import ConfigErrors
from schemas.config_files import load_config
from schemas.durations import parse_duration
from schemas.explained import read_subject, read_text, read_words
from schemas.settings import Settings
from schemas.sources.bodies import Json
from schemas.sources.normalise import parse_time
from schemas.sources.parsed import BadBody
from streams.looking import Blank, look

LONGEST = 300
"""Characters of a value that are shown."""
SHOWN = 40
"""Pages that are listed; `--json` has all of them."""
DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
OFFLINE = "From files alone: no silences, and nothing else fires or has fired."


class Moment(click.ParamType):
    """A time: RFC 3339, UTC unless it has an offset; a date, which is its first moment; or so long from now."""

    name = "time"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Read it. Fails with a sentence."""
        try:
            found = _from_now(value) if value[:1] in ("-", "+") else _time(value)
        except ValueError as error:
            self.fail(f"{value!r}: {error}: write 2026-03-02T03:00:00Z, 2026-03-02, -2h or +30m.", param, ctx)
        if found is None:
            self.fail(f"{value!r} means no time.", param, ctx)
        return found


def _from_now(text: str) -> datetime:
    """So long ago (`-2h`), or in so long (`+30m`). Raises ValueError."""
    length = timedelta(seconds=parse_duration(text[1:]))
    return datetime.now(UTC) + (length if text[0] == "+" else -length)


def _time(text: str) -> datetime | None:
    """Raises ValueError for what is not a time; None: one that means none, such as the year 1."""
    if DATE.fullmatch(text):
        return parse_time(f"{text}T00:00:00Z")
    written = text.replace(" ", "T", 1)
    if written[-1:] not in ("Z", "z") and written[-6:-5] not in ("+", "-"):
        written += "Z"
    return parse_time(written if written.count(":") > 1 else written.replace("Z", ":00Z"))


@click.command("explain")
@click.argument("words", metavar="[ALERT]...", nargs=-1)
@click.option(
    "--config",
    "paths",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    help="Explain by these files or directories, without a gateway; may be repeated.",
)
@click.option(
    "--at",
    type=Moment(),
    help="As things stood at that time, or as far as is known will: 2026-03-02T03:00:00Z, 2026-03-02 (its first moment,"
    " UTC), -2h or +30m from now; default: now.",
)
@click.option(
    "--integration",
    help="Who is taken to report it, `heartbeat` for a missed heartbeat; default: the first one of its source.",
)
@click.option("--source", help="Its format: alertmanager, elastic or generic; default: what it looks like.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@gateway_options
def explain(
    words: tuple[str, ...],
    paths: tuple[Path, ...],
    at: datetime | None,
    integration: str | None,
    source: str | None,
    as_json: bool,
    url: str | None,
    key: str | None,
    data_dir: Path,
) -> None:
    """Say what would become of an alert, and why: nothing is sent, nobody is paged.

    ALERT is labels (alertname=Down service=payments, or '{service="payments"}'), an alert or a webhook as JSON; without
    it, standard input is read. Shown are the routes with every matcher that was tried, what keeps it quiet, the
    incident that it would open or join, and who would be paged when, if nobody answered.
    """
    body = _body(words)
    if paths:
        answer = _offline(paths, body, source, integration, at or datetime.now(UTC))
    else:
        asked = {"alert": body, "source": source, "integration": integration, "at": at.isoformat() if at else None}
        with client(url, key, data_dir, "viewer") as gateway:
            answer = gateway.explain(asked)
    if as_json:
        click.echo(answer.model_dump_json(indent=2))
    else:
        show(console(), answer)


def _body(words: tuple[str, ...]) -> Json:
    """What is asked about. Several words are labels each, and may hold spaces; a single one may be anything."""
    if not words and sys.stdin.isatty():
        click.echo("Paste an alert, a webhook or labels, then press Ctrl-D.", err=True)
    try:
        if words and not words[0].lstrip().startswith(("{", "[")):
            return read_words(words)
        return read_text(" ".join(words) if words else click.get_text_stream("stdin").read())
    except BadBody as error:
        raise _refused(error) from None


def _refused(error: BadBody) -> click.ClickException:
    return click.ClickException(f"{error.problem} {error.remedy}")


def _offline(
    paths: tuple[Path, ...], body: Json, source: str | None, integration: str | None, at: datetime
) -> ExplainAnswer:
    """The answer of a configuration that may not be applied anywhere."""
    try:
        config = Config.of(0, load_config(paths))
        subject = read_subject(body, config, source, integration)
    except ConfigErrors as errors:
        click.echo(str(errors), err=True)
        raise click.ClickException("The configuration is refused; `tocsin validate` checks it alone.") from None
    except BadBody as error:
        raise _refused(error) from None
    org = Settings.model_fields["org"].default
    return write_answer(look(Blank(config), org, subject.integration, subject.alerts, at), 0, (*subject.notes, OFFLINE))


# -- for eyes ---------------------------------------------------------------------------------------------------------


def show(screen: Console, answer: ExplainAnswer) -> None:
    """The answer as a page of the terminal."""
    for one in (answer, *answer.others):
        screen.print(_head(one, answer.at))
        screen.print(_tree(one.tried))
        for routed in one.routes:
            screen.print(_routed(routed))
            _ways(screen, one, routed.path)
        _pages(screen, one, answer.at)
        screen.print("")
    for note in answer.notes:
        screen.print(f"[dim]{escape(note)}[/]")


def _head(one: AlertExplained, at: datetime) -> Text:
    labels = ", ".join(f"{name}={value}" for name, value in sorted(one.labels.items()))
    return Text.assemble(
        (one.severity, COLOURS[one.severity]),
        f"  {plain(labels, LONGEST)}",
        (f"  from {one.integration}, at {at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC", "dim"),
    )


def _tree(route: RouteTried) -> Tree:
    """Every route that was tried; what the alert has is shown where a matcher did not match."""
    tree = Tree(_tried(route), guide_style="dim")
    for child in route.routes:
        tree.children.append(_tree(child))
    if route.untried:
        tree.add(Text(f"{route.untried} more, not tried: the one before took it", "dim"))
    return tree


def _tried(route: RouteTried) -> Text:
    said = Text("✓ " if route.matched else "✗ ", "green" if route.matched else "red")
    for number, one in enumerate(route.matchers):
        said.append(", " if number else "")
        said.append(plain(one.matcher, LONGEST), "" if one.matched else "red")
        if not one.matched:
            said.append(f" (it is {plain(one.actual, LONGEST)!r})" if one.actual else " (there is none)", "dim")
    if not route.matchers:
        said.append("every alert" if route.matched else "")
    if route.taken:
        said.append("  ← taken", "bold green")
    return said


def _routed(routed: RouteExplained) -> Group:
    waits = [f"{name} {getattr(routed, name):g} s" for name in ("group_wait", "group_interval", "repeat_interval")
             if getattr(routed, name) is not None]  # fmt: skip
    more = [f"severity {routed.severity}"] if routed.severity else []
    more += ["cannot be acknowledged"] if routed.ack == "refused" else []
    return Group(
        Text.assemble(
            ("Route     ", "bold"),
            f"team {routed.team} · service {routed.service or '—'} · policy {routed.policy} · "
            + " · ".join(waits + more),
        ),
        Text.assemble(("Group     ", "bold"), plain(routed.group_key, LONGEST)),
    )


def _ways(screen: Console, one: AlertExplained, route: str) -> None:
    """What keeps it quiet on this route, and its incident there."""
    ways = [way for way in one.ways if way.route == route]
    for way in ways:
        _quiet(screen, one.suppressed_by if way.suppressed else (), route)
        screen.print(f"[bold]Incident[/]  {escape(way.incident.because)}.")
    if not ways:
        said = "It fires already, and does not go this way until it begins again" if one.ways else one.incident.because
        screen.print(f"[bold]Incident[/]  {escape(said)}.")


def _quiet(screen: Console, suppressed_by: Sequence[SuppressedBy], route: str) -> None:
    here = [why for why in suppressed_by if why.route == route]
    if not here:
        screen.print("[bold]Quiet[/]     No: nothing suppresses it.")
    for index, why in enumerate(here):
        title = "[bold]Quiet[/]     [yellow]Yes[/]: " if not index else "          also: "
        version = f" [dim](configuration {why.revision})[/]" if why.revision else ""
        screen.print(f"{title}{escape(why.because)}{version}.")


def _pages(screen: Console, one: AlertExplained, at: datetime) -> None:
    if not one.pages:
        why = next((way.unpaged for way in one.ways if way.unpaged), None)
        screen.print(f"[bold]Pages[/]     Nobody would be paged{f': {escape(why)}' if why else ''}.")
    else:
        table = Table("", "", "", "", box=None, pad_edge=False, show_header=False)
        for index, page in enumerate(one.pages[:SHOWN]):
            when = f"{page.at.astimezone(UTC):{'%H:%M:%S' if page.at.date() == at.date() else '%Y-%m-%d %H:%M:%S'}}"
            table.add_row(
                "[bold]Pages[/]    " if not index else "",
                f"{when} [dim]{_after((page.at - at).total_seconds())}[/]",
                f"{escape(called(page.who))} by {escape(page.via)}",
                f"[dim]{escape(page.because)}[/]",
            )
        screen.print(table)
    if len(one.pages) > SHOWN:
        screen.print(f"          and {len(one.pages) - SHOWN} more")
    for step in one.skipped[:SHOWN]:
        screen.print(f"          [red]{step.at.astimezone(UTC):%H:%M:%S}  {escape(step.because)}[/]")
    for way in one.ways:
        if way.repeats_at:
            by = f", by {plain(way.route, LONGEST)}" if len(one.ways) > 1 else ""
            screen.print(
                f"          and again from {way.repeats_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC on{escape(by)}"
            )


def _after(seconds: float) -> str:
    """How long after the alert."""
    minutes, left = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"+{hours} h {minutes} min"
    return f"+{minutes} min {left} s" if minutes else f"+{left} s"


COMMANDS = (explain,)
