"""`tocsin`: everything is started and asked from here.

`up` and `demo` run a whole installation; `gateway`, `worker`, `pager` and `projector` are its roles; `list`, `show`,
`ack`, `resolve`, `apply` and `status` are for people. What a command needs is imported when it runs: who acknowledges
at night waits neither for Faust nor for the auditor's tools, and a role that died is back sooner.
"""

import asyncio
import secrets
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from importlib import import_module
from types import MappingProxyType

import click

from schemas.settings import BadSettings, Settings, load_settings

ELSEWHERE: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "people": ("list", "show", "mail", "status"),
        "acting": ("ack", "unack", "start", "resolve", "reopen", "assign", "severity", "comment", "create"),
        "alerting": ("alert",),
        "merging": ("merge", "unmerge", "split", "attach", "detach"),
        "explaining": ("explain",),
        "firing": ("fire",),
        "silencing": ("silence",),
        "heartbeats": ("heartbeat",),
        "configuring": ("apply", "export", "config"),
        "importing": ("import",),
        "validating": ("validate", "settings"),
        "auditing": ("audit",),
        "erasing": ("erase", "replay"),
        "rebuilding": ("rebuild",),
        "restoring": ("restored",),
    }
)
"""Module of this package -> the commands in its `COMMANDS`."""


class OnDemand(click.Group):
    """A group whose commands are imported when somebody asks for them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every name, sorted."""
        return sorted([*super().list_commands(ctx), *(name for names in ELSEWHERE.values() for name in names)])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, None when there is none."""
        module = next((module for module, names in ELSEWHERE.items() if cmd_name in names), None)
        if module is None:
            return super().get_command(ctx, cmd_name)
        found: tuple[click.Command, ...] = import_module(f"compose.{module}").COMMANDS
        return next(command for command in found if command.name == cmd_name)


@click.group(cls=OnDemand, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Tocsin: alerts become incidents, people are paged, and every decision can be proved."""


def _settings() -> Settings:
    try:
        return load_settings()
    except BadSettings as error:
        raise click.ClickException("\n".join(error.problems)) from None


def _plainly() -> AbstractContextManager[None]:
    made: AbstractContextManager[None] = import_module("compose.plainly").plainly()
    return made


def _role(name: str, doc: str) -> None:
    @main.command(name, help=doc)
    def start() -> None:
        roles, server = import_module("compose.roles"), import_module("gateway.server")
        try:
            with _plainly():
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
    with _plainly():
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
    click.echo(f"token: {fresh}\nhash:  sha256:{import_module('domain.config').hashed(fresh)}")


if __name__ == "__main__":
    main(prog_name="tocsin")
