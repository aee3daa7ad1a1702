"""Making the topics, before anything reads or writes them."""

import asyncio

import structlog
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaConnectionError, KafkaError, TopicAlreadyExistsError

from schemas.settings import Settings
from schemas.topics import client_arguments, topics

log = structlog.get_logger()

TIMEOUT = 30.0
"""Seconds for everything."""
COPIES = 3
"""Replication factor, where there are as many brokers."""


class TopicsNotMade(Exception):
    """The topics could not be created; the message says why and what to do."""


async def ensure_topics(settings: Settings) -> None:
    """Create the topics that do not exist; those that do are left as they are.

    Raises TopicsNotMade when the broker does not answer within 30 s or refuses.
    """
    try:
        async with asyncio.timeout(TIMEOUT):
            await _ensure(settings)
    except (TimeoutError, KafkaConnectionError) as error:
        raise TopicsNotMade(
            f"Kafka at {settings.kafka_bootstrap} does not answer: is it running, and is its address right"
            " (TOCSIN_KAFKA_BOOTSTRAP)?"
        ) from error
    except KafkaError as error:
        raise TopicsNotMade(f"Kafka refused to create the topics: {type(error).__name__}") from error


async def _ensure(settings: Settings) -> None:
    admin = AIOKafkaAdminClient(**client_arguments(settings), request_timeout_ms=10_000)
    await admin.start()
    try:
        existing = set(await admin.list_topics())
        brokers = len((await admin.describe_cluster())["brokers"])
        for topic in topics(settings):
            if topic.name not in existing:
                copies = min(COPIES, brokers)
                await _create(admin, NewTopic(topic.name, topic.partitions, copies, topic_configs=dict(topic.config)))
    finally:
        await admin.close()


async def _create(admin: AIOKafkaAdminClient, topic: NewTopic) -> None:
    answer = await admin.create_topics([topic])
    for name, code, *rest in answer.topic_errors:
        if code and code != TopicAlreadyExistsError.errno:
            raise TopicsNotMade(f"Kafka refused to create topic {name}: {(rest or [f'error {code}'])[0]}")
        log.info("topic created", topic=name)
