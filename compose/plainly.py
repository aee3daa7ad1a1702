"""How a command ends that cannot go on: with a sentence, and what to do."""

from collections.abc import Iterator
from contextlib import contextmanager

import click

from compose.processes import StartError
from compose.roles import NotConfigured
from schemas.seals import BadSeal
from streams.seal_key import BadKey
from streams.store.base import StoreError, Unavailable
from streams.topics import TopicsNotMade


@contextmanager
def plainly() -> Iterator[None]:
    """What goes wrong with the store, the topics or the seals within ends the command with a sentence and a remedy."""
    try:
        yield
    except Unavailable as error:
        raise click.ClickException(f"{error}: is it running, and is its address right (TOCSIN_POSTGRES_DSN)?") from None
    except (NotConfigured, StartError, StoreError, TopicsNotMade, BadKey, BadSeal) as error:
        raise click.ClickException(f"{error}.".replace("..", ".").replace("?.", "?")) from None
