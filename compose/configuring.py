"""The commands that change the configuration and tell of it: apply, export, config history."""

import os
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Protocol

import click

from compose.people import client, gateway_options, told
from compose.validating import not_read, yaml_files
from projections.sentences import plain
from schemas.api import ApplyAnswer, ConfigFieldChange
from schemas.config_errors import ConfigError
from schemas.config_files import SECTIONS

EXPORTED = "tocsin.yaml"
LONGEST = 200
"""Characters of a value that are shown."""
NAMED = 5
"""Directories that a refusal names."""
ROUTE = "route"
SECTION_OF = {kind: section for section, kind in SECTIONS.items()}


class Applies(Protocol):
    """Whoever can apply documents. Raises Refusal."""

    def apply(
        self, documents: Mapping[str, str], dry_run: bool, prune: bool = False, revision: int | None = None
    ) -> ApplyAnswer:
        """See `compose.client.Client.apply`."""
        ...


@click.command("apply")
@click.option(
    "-f",
    "--file",
    "paths",
    multiple=True,
    required=True,
    type=click.Path(path_type=Path, exists=True),
    help="A file, or a directory of them; may be repeated.",
)
@click.option("--dry-run", is_flag=True, help="Show what would change.")
@click.option("--prune", is_flag=True, help="Also remove what the files do not name.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask; nor is asked when standard input is no terminal.")
@click.option("--direct", is_flag=True, help="Ask the database itself, not a gateway: for the first API key.")
@gateway_options
def apply(
    paths: tuple[Path, ...],
    dry_run: bool,
    prune: bool,
    yes: bool,
    direct: bool,
    url: str | None,
    key: str | None,
    data_dir: Path,
) -> None:
    """Make the configuration what these files or directories say; what they do not name stays.

    Shows first what changes: each object and its fields, old -> new. Of tokens and keys it shows hashes. What is hardly
    meant, such as a route that no alert can reach, is a warning, as for `tocsin validate`. Of a directory the files
    directly in it are read; when directories below have more, that is a warning, and --prune is refused.
    """
    _warn(not_read(paths), paths, prune)
    documents = _documents(paths)
    with _door(direct, url, key, data_dir) as door:
        answer = door.apply(documents, dry_run=True, prune=prune)
        _show(answer)
        for one in answer.warnings:
            click.echo(f"warning: {one}", err=True)
        if not dry_run and answer.changes:
            if not yes and sys.stdin.isatty():
                click.confirm(f"Change {_counted(len(answer.changes))}?", abort=True)
            answer = door.apply(documents, dry_run=False, prune=prune, revision=answer.revision)
    _sum_up(len(answer.changes), dry_run, answer.revision)


def _warn(unread: Iterable[ConfigError], paths: Sequence[Path], prune: bool) -> None:
    """Say which directories are not read. Raises UsageError when what stands in them would be removed."""
    found = tuple(unread)
    if found and prune:
        below = [one.file for one in found]
        said = ", ".join(below[:NAMED]) + (f" and {len(below) - NAMED} more" if len(below) > NAMED else "")
        named = " ".join(f"-f {shlex.quote(str(path))}" for path in (*paths, *below[:NAMED]))
        verb = "is" if len(below) == 1 else "are"
        raise click.UsageError(
            f"Pruning would remove what stands in {said}, which {verb} not read. Name every directory: {named}."
        )
    for one in found:
        click.echo(f"warning: {one}", err=True)


def _documents(paths: tuple[Path, ...]) -> dict[str, str]:
    files = sorted(file for path in paths for file in (yaml_files(path) if path.is_dir() else (path,)))
    try:
        return {str(file): file.read_text(encoding="utf-8") for file in files}
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(f"A file cannot be read as UTF-8 text: {error}.") from None


@contextmanager
def _door(is_direct: bool, url: str | None, key: str | None, data_dir: Path) -> Iterator[Applies]:
    """Where to apply: a gateway, or the database itself. A refusal ends the command with its sentence."""
    if not is_direct:
        with client(url, key, data_dir, "admin") as gateway:
            yield gateway
        return
    with told(), import_module("compose.direct").direct(data_dir) as database:
        yield database


def _sum_up(count: int, dry_run: bool, revision: int) -> None:
    click.echo(f"{_counted(count)} {'would change' if dry_run else 'changed'}; revision {revision}.")


def _counted(objects: int) -> str:
    return "1 object" if objects == 1 else f"{objects} objects"


def _show(answer: ApplyAnswer) -> None:
    for change in answer.changes:
        click.echo(f"{change.change:7} {_called(change.kind, change.id)}")
        if change.change != "remove":
            _show_fields(change.fields)


def _called(kind: str, name: str) -> str:
    """An object as people ask for it: by the section of the files that it stands in, `teams/platform`."""
    return ROUTE if kind == "route_tree" else f"{SECTION_OF.get(kind, kind)}/{name}"


def _show_fields(fields: Iterable[ConfigFieldChange]) -> None:
    for one in fields:
        if one.before is None and one.after is None:
            click.echo(f"        {one.field}")
        elif one.before is None:
            click.echo(f"        {one.field}: {_value(one.after)}")
        else:
            click.echo(f"        {one.field}: {_value(one.before)} -> {_value(one.after)}")


def _value(value: str | None) -> str:
    return "(nothing)" if value is None else plain(value, LONGEST)


@click.command("export")
@click.option(
    "-o",
    "--output",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    help=f"Write {EXPORTED} into this directory; default: standard output.",
)
@gateway_options
def export(directory: Path | None, url: str | None, key: str | None, data_dir: Path) -> None:
    """Write the whole configuration as YAML that `apply` takes back without a change. Of tokens and keys, hashes."""
    with client(url, key, data_dir, "admin") as gateway:
        text = gateway.config()
    if directory is None:
        click.echo(text, nl=False)
        return
    try:
        click.echo(f"Written to {_keep(directory, text)}.")
    except OSError as error:
        raise click.ClickException(f"The configuration cannot be written: {error}.") from None


def _keep(directory: Path, text: str) -> Path:
    """Write the file whole or not at all, for its owner to read: it holds names and addresses."""
    others = [file.name for file in directory.glob("*.y*ml") if file.name != EXPORTED]
    if others:
        raise click.ClickException(
            f"{directory} holds other configuration files ({', '.join(sorted(others)[:5])}): choose another directory."
        )
    directory.mkdir(parents=True, exist_ok=True)
    target, temporary = directory / EXPORTED, directory / f".{EXPORTED}.{os.getpid()}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    return temporary.replace(target)


@click.group("config")
def config() -> None:
    """Ask about the configuration's past."""


@config.command("history")
@click.argument("thing", metavar="[KIND/ID]", required=False)
@click.option("--limit", default=50, show_default=True, help="How many changes; 200 at most.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@gateway_options
def history(thing: str | None, limit: int, as_json: bool, url: str | None, key: str | None, data_dir: Path) -> None:
    """Say who changed what, newest first; with `teams/platform` or `route`, of that object only, from what it was
    created as.
    """
    kind, _, name = ("route/default" if thing == ROUTE else thing or "").partition("/")
    if thing and not (kind and name):
        kinds = ", ".join(SECTIONS)
        raise click.UsageError(f"Name an object by kind and id, e.g. teams/platform, or `route`. Kinds: {kinds}.")
    with client(url, key, data_dir, "admin") as gateway:
        found = gateway.config_history(kind or None, name or None, limit)
    if as_json:
        click.echo(found.model_dump_json(indent=2))
        return
    for change in found.changes:
        who = f"{change.actor.partition(':')[2]} by {change.origin}"
        thing_changed = _called(change.kind, change.id)
        click.echo(f"{change.at:%Y-%m-%d %H:%M:%S} UTC  {change.change:7} {thing_changed}  {who}")
        if change.change == "update" or (thing and change.change == "create"):
            _show_fields(change.fields)


COMMANDS = (apply, export, config)
