"""`tocsin`: everything is started and asked from here.

`up` and `demo` run a whole installation; `gateway`, `worker`, `pager` and `projector` are its roles; `list`, `show`,
`ack`, `resolve`, `apply` and `status` are for people. Roles are imported when they run: a person's command should
not wait for Faust.
"""

import asyncio
import secrets
import sys
from collections.abc import Callable
from importlib import import_module

import click

from compose import (
    acting,
    alerting,
    auditing,
    configuring,
    erasing,
    explaining,
    firing,
    heartbeats,
    importing,
    merging,
    people,
    rebuilding,
    restoring,
    silencing,
    validating,
)
from compose.prepare import hashed
from schemas.settings import BadSettings, Settings, load_settings


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Tocsin: alerts become incidents, people are paged, and every decision can be proved."""


PEOPLE = (
    people.list_incidents,
    people.show,
    people.mail,
    *acting.COMMANDS,
    *alerting.COMMANDS,
    *merging.COMMANDS,
    *explaining.COMMANDS,
    *firing.COMMANDS,
    *silencing.COMMANDS,
    *heartbeats.COMMANDS,
    *configuring.COMMANDS,
    *importing.COMMANDS,
    *validating.COMMANDS,
    people.status,
)
AUDITORS = (*auditing.COMMANDS, *erasing.COMMANDS, *rebuilding.COMMANDS, *restoring.COMMANDS)
for command in (*PEOPLE, *AUDITORS):
    main.add_command(command)


def _settings() -> Settings:
    try:
        return load_settings()
    except BadSettings as error:
        raise click.ClickException("\n".join(error.problems)) from None


def _role(name: str, doc: str) -> None:
    @main.command(name, help=doc)
    def start() -> None:
        roles, server = import_module("compose.roles"), import_module("gateway.server")
        try:
            with auditing.plainly():
                roles.run(name, getattr(roles, name), _settings())
        except server.ServeError as error:
            raise click.ClickException(str(error)) from None


_role("gateway", "Run the gateway: webhooks, API, readiness.")
_role("worker", "Run a worker: folds alerts into incidents.")
_role("pager", "Run a pager: escalation steps and messages to people.")
_role("projector", "Run the projector and the relay: read models and public topics.")


@main.command("mailbox")
@click.option("--maildir", required=True, type=click.Path(), help="The directory that mail is put into.")
@click.option("--port", required=True, type=int, help="The TCP port to listen on.")
def mailbox(maildir: str, port: int) -> None:
    """Run the local mailbox, where mail of the demo goes."""
    serve: Callable[[list[str]], int] = import_module("streams.channels.mailbox").main
    sys.exit(serve(["--maildir", maildir, "--port", str(port)]))


@main.command("migrate")
def migrate() -> None:
    """Bring the database and the topics up to date; for installations that do not use `up`."""
    prepare, settings = import_module("compose.prepare").prepare, _settings()
    with auditing.plainly():
        asyncio.run(prepare(settings, None))
    click.echo("Database and topics are up to date.")


@main.command("up")
def up() -> None:
    """Start everything on this machine and keep it running until Ctrl-C."""
    sys.exit(import_module("compose.installation").run(_settings(), fire=False))


@main.command("demo")
def demo() -> None:
    """Like up, then fire an alert and show what becomes of it."""
    sys.exit(import_module("compose.installation").run(_settings(), fire=True))


@main.command("token")
@click.option(
    "--kind",
    type=click.Choice(["webhook", "key", "heartbeat"]),
    default="webhook",
    show_default=True,
    help="What it is for.",
)
def token(kind: str) -> None:
    """Print a new token of a webhook or heartbeat, or API key, and the hash of it that the configuration keeps."""
    fresh = {"webhook": "wh_", "key": "tk_", "heartbeat": "hb_"}[kind] + secrets.token_urlsafe(32)
    click.echo(f"token: {fresh}\nhash:  sha256:{hashed(fresh)}")


if __name__ == "__main__":
    main(prog_name="tocsin")
