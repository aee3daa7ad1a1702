"""A whole installation on this machine, as `tocsin up` and `tocsin demo` start it."""

import asyncio
from pathlib import Path

from compose.client import Refusal
from compose.datadir import Running
from compose.demo import play
from compose.health import folds
from compose.logs import configure_logs
from compose.prepare import prepare
from compose.processes import StartError
from compose.progress import Progress
from compose.up import Hooks, Mailbox, Services, UpSettings, up
from schemas.settings import Settings
from streams.store.base import StoreError
from streams.topics import TopicsNotMade


def run(settings: Settings, fire: bool) -> int:
    """Start everything and stay; with `fire`, play the demo first. Returns the exit code."""
    configure_logs(settings.model_copy(update={"log_level": "warning"}), "up")
    progress = Progress()

    async def on_ready(running: Running) -> None:
        if fire:
            await _play(running, progress)
        tell(running, progress)

    hooks = Hooks(prepare=_prepare, mailbox=_mailbox, folds=folds)
    return asyncio.run(up(UpSettings.from_environment(settings), hooks, on_ready, progress))


async def _play(running: Running, progress: Progress) -> None:
    try:
        await play(running, progress)
    except Refusal as refusal:
        raise StartError(str(refusal)) from refusal


async def _prepare(services: Services) -> None:
    try:
        await prepare(services.settings, services.secrets)
    except (StoreError, TopicsNotMade) as error:
        raise StartError(str(error)) from error


def _mailbox(services: Services) -> Mailbox:
    folder = services.data.path / "mailbox"
    port = services.data.port("smtp")
    child = services.role("mailbox", "--maildir", str(folder), "--port", str(port))
    return Mailbox(child, folder.as_uri(), port)


def tell(running: Running, progress: Progress) -> None:
    """Where everything is."""
    progress.say("")
    progress.say(f"API docs   {running.gateway_url}/docs")
    progress.say(f"Mailbox    {running.mailbox or 'mail goes to the configured server'}")
    progress.say(f"Logs       {running.data_dir}/logs")
    progress.say(f"Keys       {running.data_dir}/run.json")
    data_dir = "" if running.data_dir == str(Path(".tocsin").resolve()) else f" --data-dir {running.data_dir}"
    progress.say(f"Try        .venv/bin/tocsin list --all{data_dir}")
    progress.say("Ctrl-C stops everything.")
