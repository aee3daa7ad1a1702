"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path

import click

Command = Callable[..., None]


def data_dir_option(of: str) -> Callable[[Command], Command]:
    """--data-dir, with what it is the directory of."""
    return click.option(
        "--data-dir",
        envvar="TOCSIN_DATA_DIR",
        default=".tocsin",
        show_default=True,
        type=click.Path(path_type=Path),
        help=of,
    )
