"""What has to be there before the roles start: migrated schemas, topics, and, in an empty store, the example config."""

import asyncio
import dataclasses
import secrets
from pathlib import Path

from compose.datadir import Secrets
from compose.roles import NotConfigured, open_store, required
from domain.config import ApiKey, ConfigObject, Integration, hashed
from domain.decision import Actor, Cause
from projections.database import READ_SCHEMA
from schemas.config_files import load_config
from schemas.settings import Settings
from streams.clock import clock_from
from streams.configuring import Key, apply
from streams.store.migrate import migrate
from streams.store.postgres import SCHEMA
from streams.topics import ensure_topics

__all__ = ["NotConfigured", "example_objects", "load_example", "migrate_all", "prepare"]

EXAMPLE = Path(__file__).parent / "example"


async def prepare(settings: Settings, generated: Secrets | None) -> None:
    """Migrate, make the topics, and load the example configuration if nothing was ever configured.

    Parameters:
        generated: the example keys and tokens; None loads no example.

    Raises WrongStore, Unavailable, TopicsNotMade: each says in a sentence what to do.
    """
    required(settings.kafka_bootstrap, "TOCSIN_KAFKA_BOOTSTRAP")
    await asyncio.gather(asyncio.to_thread(migrate_all, settings), ensure_topics(settings))
    if generated is not None:
        await asyncio.to_thread(load_example, settings, generated)


def migrate_all(settings: Settings) -> None:
    """Bring the write side and the read models up to date."""
    dsn = required(settings.postgres_dsn, "TOCSIN_POSTGRES_DSN").get_secret_value()
    migrate(dsn, "streams.store", SCHEMA)
    migrate(dsn, "projections", READ_SCHEMA)


def load_example(settings: Settings, generated: Secrets) -> bool:
    """Configure an empty store from the example files; one that was ever configured is left alone."""
    store = open_store(settings)
    try:
        if store.config().revision:
            return False
        cause = Cause(Actor("system", "up"), "cli", "command/example", "example", "example")
        objects = example_objects(generated)
        apply(store, settings.org, objects, cause, clock_from(settings.clock_file)(), secrets.token_bytes(16))
        return True
    finally:
        store.close()


def example_objects(generated: Secrets) -> dict[Key, ConfigObject]:
    """The example configuration with the generated tokens and keys in it, as hashes."""
    objects = dict(load_config([EXAMPLE]))
    for name, token in dataclasses.asdict(generated.webhook_tokens).items():
        known = objects.get(("integration", name))
        if isinstance(known, Integration):
            objects["integration", name] = dataclasses.replace(known, token_hashes=(hashed(token),))
    keys = generated.api_keys
    for made in (
        ApiKey("example-viewer", "viewer", hashed(keys.viewer)),
        ApiKey("example-responder", "responder", hashed(keys.responder)),
        ApiKey("example-admin", "admin", hashed(keys.admin)),
    ):
        objects[made.kind, made.id] = made
    return objects
