"""The command restored: after a backup was put back, before anything is started on it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from compose.auditing import data_dir_option, dsn_of
from compose.datadir import DataDir
from compose.embedded.postgres import EmbeddedPostgres
from compose.plainly import plainly
from compose.processes import StartError
from schemas.settings import BadSettings, Settings, load_settings
from streams.store.migrate import migrate
from streams.store.postgres import SCHEMA
from streams.store.restoring import raise_epoch


@click.command("restored")
@data_dir_option
def restored(data_dir: Path) -> None:
    """Say that the database was restored from a backup: its log goes on under a new epoch.

    Run it once after each restore, with every role stopped. Consumers of the public topics, and seals, tell by the
    epoch that what an earlier one said after the backup is gone.
    """
    try:
        settings = load_settings(data_dir=data_dir)
    except BadSettings as error:
        raise click.ClickException("\n".join(error.problems)) from None
    with plainly(), _database(settings) as dsn:
        migrate(dsn, "streams.store", SCHEMA)
        identity = raise_epoch(dsn)
    click.echo(f"Epoch {identity.epoch} of store {identity.store} goes on behind position {identity.since}.")


@contextmanager
def _database(settings: Settings) -> Iterator[str]:
    """The address of the database that is set, else of the data directory's own, which runs for as long as this."""
    if settings.postgres_dsn is not None:
        yield dsn_of(settings)
        return
    with DataDir(settings.data_dir) as data:
        if not (data.path / "postgres").exists():
            raise StartError(f"There is no database in {data.path}: put the backup there, or set TOCSIN_POSTGRES_DSN.")
        server = EmbeddedPostgres(data.path / "postgres", password=data.secrets().postgres_password)
        running = server.start()
        try:
            running.wait_ready()
            yield running.dsn
        finally:
            running.stop()


COMMANDS = (restored,)
