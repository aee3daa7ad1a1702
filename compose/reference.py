"""The reference pages that follow from the code: settings, events, commands. `python -m compose.reference` writes them.

What a page says is what the code says: descriptions of settings, docstrings and golden samples of events, help of
commands. `tests/unit/test_reference.py` fails when a committed page is not what this writes.
"""

import inspect
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from compose.cli import main as tocsin
from domain.events import KINDS
from schemas.config_models import config_schema_text
from schemas.settings import PREFIX, Settings
from schemas.topics import PUBLIC

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "reference"
SCHEMA = ROOT / "schemas" / "config_schema.json"
GOLDEN = ROOT / "tests" / "golden" / "events"
WRITTEN = "<!-- Written by `python -m compose.reference`: change the code it names, then run it again. -->"

SETTINGS = """\
Every setting is an environment variable. An empty variable counts as unset; one that is nearly a setting's name stops
the start with a suggestion. Besides these, [the commands](cli.md) name a few, `JAVA_HOME` is looked at for a Java, and
the libraries underneath read theirs (libpq: `PG...`).

Source: `schemas/settings.py`."""

EVENTS = """\
What is stored, in order, for ever. A stored event is one JSON document: `data` is what happened, `decision` why, `prev`
the hash of the event before it in its stream ("" for the first). The same bytes are the value of the record on the
public topic; the type, the stream and the hash are in its headers
([ADR 0008](../adr/0008-public-topics-carry-the-stored-bytes.md)).

Below, each event's `data` by example. Times are UTC. Sources: `domain/`, `schemas/events.py`, `tests/golden/events/`.

`decision`, the same in every event (`domain/decision.py`):
"""

COMMANDS = """\
`tocsin` is `.venv/bin/tocsin`. Commands for people talk to a gateway over HTTP: the one that runs on the data
directory, or the one named. They end with code 0 when done, 1 when refused (the reason is on standard error), 2 when
the command line is wrong.

Source: `compose/cli.py`, `compose/people.py`."""


def pages() -> Mapping[str, str]:
    """Every page by file name."""
    made = {"settings.md": settings_page(), "events.md": events_page(), "cli.md": cli_page()}
    return {name: "\n".join((WRITTEN, "", *lines)).rstrip() + "\n" for name, lines in made.items()}


def settings_page() -> Iterator[str]:
    """A row per setting."""
    yield from ("# Settings", "", SETTINGS, "", "| variable | default | values | set it to |", "|---|---|---|---|")
    for name, shape in Settings.model_json_schema()["properties"].items():
        default = Settings.model_fields[name].default
        shown = "" if default is None or default == "" else f"`{default}`"
        yield _row(f"`{PREFIX}{name.upper()}`", shown, _values(shape), shape["description"])


def _values(shape: Mapping[str, Any]) -> str:
    """What a setting may be, as far as its JSON Schema says it in a word or two."""
    shape = {**next((one for one in shape.get("anyOf", ()) if one.get("type") != "null"), {}), **shape}
    if "enum" in shape:
        return ", ".join(f"`{word}`" for word in shape["enum"])
    if "maximum" in shape:
        return f"{shape['minimum']} to {shape['maximum']}"
    if "exclusiveMinimum" in shape:
        return f"more than {shape['exclusiveMinimum']:g}"
    return {"password": "secret", "path": "path"}.get(shape.get("format", ""), "")


def events_page() -> Iterator[str]:
    """A section per kind of stream, an entry per event."""
    yield from ("# Events", "", EVENTS)
    yield from _json(_golden("incident.opened.v1")["decision"])
    for kind, table in KINDS.items():
        yield from ("", f"## `{kind}-` streams, topic `{PUBLIC[kind]}`", "", _doc(type(table.initial)))
        for event in table.events:
            yield from ("", f"### `{event.type}`", "", _doc(event), "")
            yield from _json(_golden(event.type)["data"])


def _golden(event_type: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((GOLDEN / f"{event_type}.json").read_text(encoding="utf-8"))
    return found


def cli_page() -> Iterator[str]:
    """An entry per command."""
    yield from ("# Commands", "", COMMANDS)
    for name, command in tocsin.commands.items():
        context = click.Context(command, info_name=name)
        usage = " ".join(command.collect_usage_pieces(context))
        yield from ("", f"## tocsin {name}", "", command.help or "", "", f"    tocsin {name} {usage}")
        options = [param for param in command.params if isinstance(param, click.Option)]
        if options:
            yield from ("", "| option | default | variable | |", "|---|---|---|---|")
            yield from map(_option, options)


def _option(option: click.Option) -> str:
    words = ", ".join(f"`{word}`" for word in option.opts)
    taken = "" if option.is_flag else f" {option.type.name}"
    choices = ", ".join(option.type.choices) if isinstance(option.type, click.Choice) else ""
    default = f"`{option.default}`" if isinstance(option.default, str | int) and not option.is_flag else ""
    default = "required" if option.required else default
    variable = f"`{option.envvar}`" if option.envvar else ""
    return _row(words + taken, default, variable, option.help or choices)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _doc(thing: type) -> str:
    return inspect.cleandoc(thing.__doc__ or "")


def _json(value: object) -> Iterable[str]:
    return ("```json", json.dumps(value, indent=2, ensure_ascii=False), "```")


def main() -> None:
    """Write every page, and the JSON Schema of configuration files."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
        print(f"docs/reference/{name}")
    SCHEMA.write_text(config_schema_text(), encoding="utf-8")
    print(SCHEMA.relative_to(ROOT))


if __name__ == "__main__":
    main()
