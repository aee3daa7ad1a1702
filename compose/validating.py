"""The commands that check what somebody wrote before anything is started or changed: validate, settings."""

import json
import os
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import click
from pydantic import SecretStr
from rich.markup import escape
from rich.table import Table

from compose.datadir import Running, read_running
from compose.options import data_dir_option
from compose.processes import StartError
from compose.progress import console
from domain.config import ConfigObject
from schemas.alertmanager_config import read_alertmanager
from schemas.config_errors import ConfigError, ConfigErrors, path_text
from schemas.config_files import SECTIONS, load_config
from schemas.config_warnings import warnings_of
from schemas.config_yaml import read_yaml
from schemas.foreign_yaml import read_foreign
from schemas.settings import PREFIX, BadSettings, Settings, load_settings

USUAL = Path("config")
"""What is checked when nothing is named."""
MASKED = "(set, not shown)"


@dataclass(frozen=True, slots=True)
class Checked:
    """What files hold, what is wrong with them, what an import would leave behind, and what is hardly meant."""

    objects: Sequence[ConfigObject]
    errors: tuple[ConfigError, ...]
    left: tuple[ConfigError, ...] = ()
    warnings: tuple[ConfigError, ...] = ()


@click.command("validate")
@click.argument("paths", metavar="[FILE]...", nargs=-1, type=click.Path(path_type=Path, exists=True))
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def validate(paths: tuple[Path, ...], as_json: bool) -> None:
    """Check configuration files or directories; nothing is changed and nothing has to run.

    Everything that is wrong is said at once, each with file, line, column and what to do; then the exit code is 1. The
    files are checked as one configuration; `tocsin apply --dry-run` checks them beside what is applied already. An
    alertmanager.yml that is named is checked for what `tocsin import` makes of it; in a directory it is refused, as
    `tocsin apply` does. Without FILE: the directory `config`.

    A route that no alert can reach is a warning, and valid: an earlier one takes all that it matches, or its matchers
    contradict each other or those above it. So is an inhibition rule that inhibits nothing, because its two sides want
    the same. Of a directory the files directly in it are read; those below it that have more are warnings too.
    """
    if not paths and not USUAL.is_dir():
        raise click.UsageError("Name files or directories: there is no directory `config` here.")
    checked = check(paths or (USUAL,))
    if as_json:
        said = {"errors": checked.errors, "warnings": checked.warnings, "not_imported": checked.left}
        click.echo(json.dumps({name: _plain(of) for name, of in said.items()}, indent=2))
    else:
        for error in checked.errors:
            click.echo(str(error), err=True)
        for one in checked.left:
            click.echo(f"not imported: {one}", err=True)
        for one in checked.warnings:
            click.echo(f"warning: {one}", err=True)
    if checked.errors:
        raise click.ClickException(f"{_counted(len(checked.errors), 'error')}.")
    if not as_json:
        click.echo(f"Valid: {_summary(checked.objects)}.")


def check(paths: Iterable[Path]) -> Checked:
    """Check files, and the *.yaml and *.yml of directories: ours together, each alertmanager.yml by itself.

    One of the latter that merely is in a directory is an error: `apply` takes the directory's files for ours.
    """
    paths = tuple(paths)
    inside = [file for path in paths if path.is_dir() for file in yaml_files(path)]
    files = [*(path for path in paths if not path.is_dir()), *inside]
    theirs = {file: text for file in files if (text := _foreign(file)) is not None}
    ours = [file for file in files if file not in theirs]
    misplaced = [_misplaced(theirs.pop(file), str(file)) for file in inside if file in theirs and file not in paths]
    parts = [Checked((), tuple(misplaced)), *(_theirs(file, text) for file, text in theirs.items())]
    if ours or not (theirs or misplaced):
        parts.append(_ours(ours))
    return Checked(
        tuple(chain.from_iterable(part.objects for part in parts)),
        tuple(chain.from_iterable(part.errors for part in parts)),
        tuple(chain.from_iterable(part.left for part in parts)),
        (*chain.from_iterable(part.warnings for part in parts), *not_read(paths)),
    )


def yaml_files(directory: Path) -> list[Path]:
    """What is read of a directory: its *.yaml and *.yml, by name, not those below it."""
    return sorted(directory.glob("*.y*ml"))


def not_read(paths: Sequence[Path]) -> Iterator[ConfigError]:
    """A warning for each directory below those in `paths` with YAML files that are not read, as nobody named them.

    Directories that begin with a dot, and what is below them, do not count.
    """
    read = {file.resolve() for path in paths for file in (yaml_files(path) if path.is_dir() else (path,))}
    told: set[Path] = set()
    for named, below in ((path, each) for path in paths if path.is_dir() for each in _below(path)):
        if below.resolve() in told or all(file.resolve() in read for file in yaml_files(below)):
            continue
        told.add(below.resolve())
        problem = f"The directory is not read: of {named} only the files directly in it are"
        both = shlex.quote(str(named)), shlex.quote(str(below))
        remedy = f"Name it as well: `tocsin validate {both[0]} {both[1]}`, `tocsin apply -f {both[0]} -f {both[1]}`"
        yield ConfigError(str(below), 1, 1, (), problem, remedy)


def _below(directory: Path) -> Iterator[Path]:
    """Every directory below it that is not hidden. Links to directories are not followed any further."""
    for parent, names, _ in os.walk(directory):
        names[:] = sorted(name for name in names if not name.startswith("."))
        yield from (Path(parent) / name for name in names)


def _theirs(file: Path, text: str) -> Checked:
    """What an import makes of an alertmanager.yml."""
    try:
        imported = read_alertmanager(text, str(file))
    except ConfigErrors as found:
        return Checked((), found.errors)
    roots = {str(file): read_foreign(text, str(file))}
    return Checked(imported.objects, (), imported.left, warnings_of(roots, imported.objects))


def _ours(files: Sequence[Path]) -> Checked:
    """Files of ours as one configuration."""
    try:
        objects = tuple(load_config(files).values())
    except ConfigErrors as found:
        return Checked((), found.errors)
    roots = {str(file): read_yaml(file.read_text(encoding="utf-8"), str(file))[0] for file in files}
    return Checked(objects, (), (), warnings_of(roots, objects))


def _foreign(file: Path) -> str | None:
    """The text of an alertmanager.yml, which has receivers; None for any other file, readable or not."""
    try:
        text = file.read_text(encoding="utf-8")
        root = read_foreign(text, str(file))
    except (OSError, UnicodeDecodeError, ConfigErrors):
        return None
    return text if "receivers" in root.children else None


def _misplaced(text: str, file: str) -> ConfigError:
    """That a directory of ours has an alertmanager.yml, at its receivers."""
    receivers = read_foreign(text, file).children["receivers"]
    remedy = f"Import it with `tocsin import alertmanager {file}`, and keep it in another directory"
    problem = "The file is an Alertmanager's, none of ours"
    return ConfigError(file, receivers.key_line, receivers.key_column, ("receivers",), problem, remedy)


def _plain(errors: Iterable[ConfigError]) -> list[dict[str, str | int]]:
    return [
        {
            "file": e.file,
            "line": e.line,
            "column": e.column,
            "path": path_text(e.path),
            "problem": e.problem,
            "remedy": e.remedy,
        }
        for e in errors
    ]


def _summary(objects: Iterable[ConfigObject]) -> str:
    """`2 users, 1 team, a route`."""
    counts: Counter[str] = Counter(one.kind for one in objects)
    words = [_said(counts[kind], section.replace("_", " ")) for section, kind in SECTIONS.items() if counts[kind]]
    return ", ".join([*words, *(["routes"] if counts["route_tree"] else [])])


def _said(count: int, several: str) -> str:
    """`2 escalation policies`, `1 escalation policy`."""
    one = f"{several.removesuffix('ies')}y" if several.endswith("ies") else several.removesuffix("s")
    return f"1 {one}" if count == 1 else f"{count} {several}"


def _counted(count: int, what: str) -> str:
    return f"1 {what}" if count == 1 else f"{count} {what}s"


# -- settings ---------------------------------------------------------------------------------------------------------

GATEWAY, WORKER, PAGER, PROJECTOR = "gateway", "worker", "pager", "projector"
ALL = (GATEWAY, WORKER, PAGER, PROJECTOR)
WITH_KAFKA = (GATEWAY, WORKER, PROJECTOR)
NEEDED: Mapping[str, tuple[str, ...]] = {"postgres_dsn": ALL, "kafka_bootstrap": WITH_KAFKA}
"""Settings without which a role does not start by itself; `up` finds or starts what they name."""
READ_BY: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("org", "data_dir", "clock_file", "failpoints", "log_level", "log_format"), ALL),
    **dict.fromkeys((name for name in Settings.model_fields if name.startswith("kafka_")), WITH_KAFKA),
    **dict.fromkeys(("topic_prefix", "alerts_partitions"), WITH_KAFKA),
    **dict.fromkeys(("postgres_dsn", "postgres_pool_size", "statement_timeout", "lock_timeout"), ALL),
    **dict.fromkeys((name for name in Settings.model_fields if name.startswith("gateway_")), (GATEWAY,)),
    **dict.fromkeys(("metrics_host", "metrics_port"), ALL),
    **dict.fromkeys(("produce_timeout", "max_body_bytes", "max_alerts"), (GATEWAY,)),
    **dict.fromkeys((name for name in Settings.model_fields if name.startswith("smtp_")), (GATEWAY, PAGER)),
    "public_url": (PAGER,),
    "pages_per_minute": (PAGER,),
    **dict.fromkeys(("watchdog_team", "watchdog_after"), (GATEWAY, PAGER)),
    **dict.fromkeys(("heartbeat_url", "heartbeat_interval"), (GATEWAY,)),
    **dict.fromkeys(("seal_key_file",), (PROJECTOR,)),
    **dict.fromkeys(("retention_days", "text_retention_days"), (PROJECTOR,)),
    **dict.fromkeys(("catch_up_age", "catch_up_hold"), (WORKER, PAGER)),
}
"""The roles that look at each setting."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A setting as it stands. `origin`: environment, run.json (what runs on the data directory) or default."""

    variable: str
    value: str | None
    origin: str
    needed_by: tuple[str, ...]
    read_by: tuple[str, ...]
    description: str


@click.command("settings")
@click.option("--set", "only_set", is_flag=True, help="Only those that are not left at their defaults.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@data_dir_option("Of what runs on this machine.")
def settings(only_set: bool, as_json: bool, data_dir: Path) -> None:
    """Say how every TOCSIN_ setting stands: which role needs it, whether it is set, and where. Secrets are not shown.

    Exits 1 when a setting is wrong or misspelt.
    """
    try:
        found, running = load_settings(), read_running(data_dir)
    except BadSettings as error:
        raise click.ClickException("\n".join(error.problems)) from None
    except StartError as error:
        raise click.ClickException(str(error)) from None
    shown = [one for one in stand(found, os.environ, running) if not only_set or one.origin != "default"]
    if as_json:
        click.echo(json.dumps([_as_json(one) for one in shown], indent=2))
        return
    table = Table("setting", "value", "from", "needed by", "read by", box=None, pad_edge=False)
    for one in shown:
        missing = one.needed_by and one.value is None
        value = "[yellow]not set[/]" if missing else escape(one.value) if one.value is not None else "[dim]not set[/]"
        table.add_row(one.variable, value, one.origin, _roles(one.needed_by), f"[dim]{_roles(one.read_by)}[/]")
    console().print(table)


def stand(settings: Settings, environ: Mapping[str, str], running: Running | None) -> list[Shown]:
    """How every setting stands, given the environment that it was read from and what runs here."""
    theirs = {
        "kafka_bootstrap": running.kafka_bootstrap if running else None,
        "postgres_dsn": SecretStr(running.postgres_dsn) if running else None,
    }
    set_here = {name.upper() for name, value in environ.items() if value}
    found = []
    for name, field in Settings.model_fields.items():
        variable, value = PREFIX + name.upper(), getattr(settings, name)
        origin = "environment" if variable in set_here else "default"
        if origin == "default" and theirs.get(name) is not None:
            value, origin = theirs[name], "run.json"
        said = None if value is None else MASKED if _is_secret(name, value) else str(value)
        found.append(Shown(variable, said, origin, NEEDED.get(name, ()), READ_BY[name], field.description or ""))
    return found


def _is_secret(name: str, value: object) -> bool:
    return isinstance(value, SecretStr) or "password" in name


def _roles(names: tuple[str, ...]) -> str:
    return "every role" if names == ALL else ", ".join(names)


def _as_json(one: Shown) -> dict[str, object]:
    return {
        "name": one.variable,
        "value": one.value,
        "set": one.origin != "default",
        "from": one.origin,
        "needed_by": one.needed_by,
        "read_by": one.read_by,
        "description": one.description,
    }


COMMANDS = (validate, settings)
