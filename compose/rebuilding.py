"""The command rebuild: the read models made again from the log, compared with the live ones, and swapped in."""

import sys
from importlib import import_module
from pathlib import Path

import click

from compose.auditing import data_dir_option, dsn_of, placed
from compose.plainly import plainly


@click.command("rebuild")
@click.option("--accept", is_flag=True, help="Put the rebuilt ones in place even if they differ.")
@data_dir_option
def rebuild(accept: bool, data_dir: Path) -> None:
    """Make the read models again from the log, and say every value that differs from the live ones.

    They are swapped in when nothing differs, or with --accept; exits 1 when they were not. All goes on meanwhile.
    """
    rebuilding, postgres = import_module("projections.rebuild"), import_module("streams.store.postgres")
    dsn = dsn_of(placed(data_dir))
    with plainly():
        store = postgres.PostgresStore(dsn)
        try:
            difference = rebuilding.rebuild(dsn, store, accept, click.echo)
        finally:
            store.close()
    sys.exit(0 if difference.swapped else 1)


COMMANDS = (rebuild,)
