"""The reference that follows from the code: API, settings, events, commands, problems, metrics, topics.

`python -m compose.reference` writes it.

What a page says is what the code says: descriptions of settings, docstrings and golden samples of events, help of
commands, kinds of problems and the routes that answer them, the shapes of what is on the topics.
`tests/unit/test_reference.py` fails when a committed file is not what this writes.
"""

import inspect
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click
import yaml

from compose.cli import main as tocsin
from compose.reference_api import api_page, row
from compose.reference_limits import limits_page
from compose.reference_metrics import metrics_page
from domain.events import KINDS
from gateway.app import add_routes
from gateway.bodies import BODY_TIMEOUT
from gateway.openapi import Api
from gateway.protocol import ARRIVAL, HEAD_LIMIT, RESERVE, TAKING
from schemas import asyncapi
from schemas.config_models import config_schema_text
from schemas.problems import KINDS as PROBLEMS
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

Below, each event's `data` by example; [schemas/](schemas) has the JSON Schema of every one, and
[asyncapi.yaml](asyncapi.yaml) describes the topics ([how to consume them](../how-to/consume-events.md)). Times are UTC.
Sources: `domain/`, `schemas/events.py`, `tests/golden/events/`.

`decision`, the same in every event (`domain/decision.py`):
"""

COMMANDS = """\
`tocsin` is `.venv/bin/tocsin`. Commands for people talk to a gateway over HTTP: the one that runs on the data
directory, or the one named. `audit`, `erase`, `replay`, `rebuild` and `restored` use the database itself, `mail` the
local mailbox. All end with code 0 when done, 1 when refused (the reason is on standard error), 2 when the command line
is wrong.

Sources: `compose/cli.py`, `compose/people.py`, `compose/acting.py`, `compose/configuring.py`, `compose/auditing.py`,
`compose/erasing.py`, `compose/rebuilding.py`, `compose/restoring.py`, `compose/silencing.py`."""


PROBLEM_DOCUMENTS = """\
Every refusal is a problem document (RFC 9457, `application/problem+json`). `type` is `/problems/<name>` and stable for
programs; `detail` says what is wrong this time, `field` which part of the request, `remedy` what to do; `request_id` is
in the log and in the header `X-Request-Id`. Retry what has a Retry-After; anything else fails again unchanged.

Sources: `schemas/problems.py`, `gateway/refusals.py`, `schemas/sources/parsed.py` (the limits of a webhook)."""

BEFORE_ROUTES = f"""\
- `bad_http`, and `head_too_large` beyond {HEAD_LIMIT // 1024} KiB of request line and headers, come before any
  route and close the connection. There is no `request_id` then.
- Beyond `TOCSIN_GATEWAY_CONNECTIONS` open connections, a request on one more is answered with `unavailable` and its
  connection closed; `/healthz` is answered all the same. {RESERVE} more than that are closed without an answer.
- A request that is not there whole within {ARRIVAL:g} s gets no answer, its connection is closed. A body that is not
  there within {BODY_TIMEOUT:g} s is answered with `unavailable`: senders try again. Whoever does not read on for
  {TAKING:g} s loses the rest of the answer.
- A body comes with a Content-Length or in chunks. It is never unpacked: with a Content-Encoding it is
  `unsupported_media_type`. One that is too large closes the connection.
- Of a header that comes twice, the first counts. HEAD (but of the probes), OPTIONS and whatever a path does not list
  are `method_not_allowed`, methods that HTTP does not know are `bad_http`."""


def files() -> Mapping[str, str]:
    """Everything that is written to docs/reference, by path there."""
    made = {
        "api.md": api_page(_api()),
        "settings.md": settings_page(),
        "events.md": events_page(),
        "cli.md": cli_page(),
        "problems.md": problems_page(),
        "limits.md": limits_page(),
        "metrics.md": metrics_page(),
    }
    return {
        **{name: "\n".join((WRITTEN, "", *lines)).rstrip() + "\n" for name, lines in made.items()},
        "asyncapi.yaml": f"# {WRITTEN[5:-4]}\n" + yaml.dump(asyncapi.document(), Dumper=_Plain, **YAML),
        **{f"schemas/{name}.json": _pretty(schema) + "\n" for name, schema in asyncapi.schemas().items()},
    }


YAML: Mapping[str, Any] = {"sort_keys": False, "allow_unicode": True, "width": 110}


class _Plain(yaml.SafeDumper):
    """YAML without anchors: what is said twice is written twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def settings_page() -> Iterator[str]:
    """A row per setting."""
    yield from ("# Settings", "", SETTINGS, "", "| variable | default | values | set it to |", "|---|---|---|---|")
    for name, shape in Settings.model_json_schema()["properties"].items():
        default = Settings.model_fields[name].default
        shown = "" if default is None or default == "" else f"`{default}`"
        yield row(f"`{PREFIX}{name.upper()}`", shown, _values(shape), shape["description"])


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
    for name, command in _commands(tocsin):
        context = click.Context(command, info_name=name)
        usage = " ".join(command.collect_usage_pieces(context))
        yield from ("", f"## tocsin {name}", "", inspect.cleandoc(command.help or ""), "", f"    tocsin {name} {usage}")
        options = [param for param in command.params if isinstance(param, click.Option)]
        if options:
            yield from ("", "| option | default | variable | |", "|---|---|---|---|")
            yield from map(_option, options)


def _commands(group: click.Group, within: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command by the words that call it."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from _commands(command, f"{within}{name} ")
        else:
            yield within + name, command


def _option(option: click.Option) -> str:
    words = ", ".join(f"`{word}`" for word in option.opts)
    taken = "" if option.is_flag else f" {option.type.name}"
    choices = ", ".join(option.type.choices) if isinstance(option.type, click.Choice) else ""
    default = f"`{option.default}`" if isinstance(option.default, str | int) and not option.is_flag else ""
    default = "required" if option.required else default
    variable = f"`{option.envvar}`" if option.envvar else ""
    return row(words + taken, default, variable, option.help or choices)


def problems_page() -> Iterator[str]:
    """A row per kind of problem, and a row per route."""
    yield from ("# Problems", "", PROBLEM_DOCUMENTS, "", "| name | status | | what to do | Retry-After |")
    yield "|---|---|---|---|---|"
    for kind in PROBLEMS.values():
        after = f"{kind.retry_after} s" if kind.retry_after and kind.status == 503 else ""
        yield row(f"`{kind.name}`", str(kind.status), kind.title, kind.remedy, after)
    yield from ("", "## Before a route is asked", "", BEFORE_ROUTES)
    yield from ("", "## Which route answers what", "", "| route | answers | refuses |", "|---|---|---|")
    for path, methods in _api()["paths"].items():
        for method, operation in methods.items():
            yield row(f"`{method.upper()} {path}`", *_answers(operation["responses"]))


def _api() -> dict[str, Any]:
    """The OpenAPI document."""
    described = Api(lifespan=lambda _: nullcontext())
    add_routes(described)
    return described.openapi()


def _answers(responses: Mapping[str, Mapping[str, Any]]) -> tuple[str, str]:
    """The statuses of a route that are answers, and the names of its problems."""
    names = [re.findall(r"`(\w+)`", responses[status]["description"]) for status in sorted(responses)]
    fine = [status for status, named in zip(sorted(responses), names, strict=True) if not named]
    return ", ".join(fine), ", ".join(f"`{name}`" for named in names for name in named)


def _doc(thing: type) -> str:
    return inspect.cleandoc(thing.__doc__ or "")


def _json(value: object) -> Iterable[str]:
    return ("```json", _pretty(value), "```")


def _pretty(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def written() -> set[str]:
    """The files there are in docs/reference, by path there."""
    return {file.relative_to(FOLDER).as_posix() for file in FOLDER.rglob("*") if file.is_file()}


def main() -> None:
    """Write every file, remove what is left of others, and write the JSON Schema of configuration files."""
    made = files()
    for name in sorted(written() - set(made)):
        (FOLDER / name).unlink()
        print(f"docs/reference/{name} removed")
    (FOLDER / "schemas").mkdir(parents=True, exist_ok=True)
    for name, text in made.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    print(f"docs/reference: {len(made)} files")
    SCHEMA.write_text(config_schema_text(), encoding="utf-8")
    print(SCHEMA.relative_to(ROOT))


if __name__ == "__main__":
    main()
