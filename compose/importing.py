"""The commands that make configuration of what other programs are configured with: `tocsin import ...`."""

import os
from collections.abc import Callable
from pathlib import Path

import click

from schemas.alertmanager_config import read_alertmanager
from schemas.config_errors import ConfigErrors
from schemas.config_files import dump_config, parse_config
from schemas.imported import Imported
from schemas.team_mapping import read_team_mapping

FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
OUTPUT = click.option(
    "-o",
    "--output",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write a file into this directory; default: standard output.",
)


@click.group("import")
def importing() -> None:
    """Make configuration of what another program is configured with. Nothing is applied: `apply` does that."""


@importing.command("alertmanager")
@click.argument("file", type=FILE)
@OUTPUT
def alertmanager(file: Path, directory: Path | None) -> None:
    """Take over an alertmanager.yml: routes, receivers, inhibition rules, time intervals.

    A receiver becomes a team and the escalation policy that pages it, a mail address a user. What has no place here is
    listed on standard error, with its line and what to do about it.
    """
    _import(read_alertmanager, file, directory, "alertmanager.yaml")


@importing.command("team-mapping")
@click.argument("file", type=FILE)
@OUTPUT
def team_mapping(file: Path, directory: Path | None) -> None:
    """Take over who owns which service, from {"SERVICE": {"team_name": "...", "description": "..."}} (JSON)."""
    _import(read_team_mapping, file, directory, "team-mapping.yaml")


def _import(read: Callable[[str, str], Imported], file: Path, directory: Path | None, name: str) -> None:
    try:
        imported = read(file.read_text(encoding="utf-8"), str(file))
        text = dump_config(imported.objects)
        parse_config(text, name)
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(f"{file} cannot be read as UTF-8 text: {error}.") from None
    except ConfigErrors as errors:
        raise click.ClickException(f"Nothing is imported.\n{errors}") from None
    if directory is None:
        click.echo(text, nl=False)
    else:
        click.echo(f"Written to {_keep(directory / name, text)}.")
    for one in imported.left:
        click.echo(str(one), err=True)


def _keep(target: Path, text: str) -> Path:
    """Write a new file, for its owner to read: it holds addresses. One that is there stays, unless it says the same."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists() and target.read_text(encoding="utf-8") == text:
            return target
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise click.ClickException(f"{target} says something else already: move it away first.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(f"{target} cannot be written: {error}.") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    return target


COMMANDS = (importing,)
