"""The configuration without a gateway: whoever can write the database may. It is how the first API key comes in."""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from compose.auditing import placed
from compose.client import Refusal
from compose.roles import open_store
from domain.decision import Actor, Cause, Refused
from schemas.api import ApplyAnswer
from schemas.config_errors import ConfigErrors
from schemas.settings import Settings
from streams.applying import apply_documents
from streams.clock import clock_from
from streams.store.base import Store, StoreError


class Direct:
    """The database, asked what a gateway is asked (`compose.client.Client.apply`)."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store, self._org, self._clock = store, settings.org, clock_from(settings.clock_file)

    def apply(
        self, documents: Mapping[str, str], dry_run: bool, prune: bool = False, revision: int | None = None
    ) -> ApplyAnswer:
        """See `Client.apply`. Raises Refusal."""
        command = str(uuid4())
        cause = Cause(Actor("system", "cli"), "cli", f"command/{command}", command, command)
        now, salt = self._clock(), secrets.token_bytes(16)
        try:
            return apply_documents(
                self._store, self._org, documents, cause, now, salt, prune=prune, dry_run=dry_run, revision=revision
            )
        except ConfigErrors as error:
            count = len(error.errors)
            sentence = f"The configuration has {count} error{'' if count == 1 else 's'}; nothing was changed."
            raise Refusal(sentence, errors=tuple(map(str, error.errors))) from None
        except Refused as refused:
            raise Refusal(" ".join(filter(None, (refused.detail, refused.remedy)))) from None
        except StoreError as error:
            raise Refusal(f"{error}.") from None


@contextmanager
def direct(data_dir: Path) -> Iterator[Direct]:
    """The database of the settings, or of what runs on `data_dir`. Raises ClickException when none is known."""
    settings = placed(data_dir)
    store = open_store(settings)
    try:
        yield Direct(store, settings)
    finally:
        store.close()
