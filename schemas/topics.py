"""The topics: their names, how they are made, which event goes to which; and how Kafka is spoken to.

`alerts` is written by gateways and read by the fold. The others are public: an ordered copy of the store, written
by the relay alone, for other systems to consume.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from schemas.settings import Settings

RETENTION_30_DAYS = str(30 * 24 * 3600 * 1000)
FOREVER = "-1"

PUBLIC = MappingProxyType(
    {
        "incident": "incidents",
        "escalation": "incidents",
        "page": "incidents",
        "group": "alert-groups",
        "config": "config",
        "intake": "alert-groups",
        "erasure": "config",
    }
)
"""Kind of stream -> public topic."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as it is to be created. `config` are Kafka's own topic settings."""

    name: str
    partitions: int
    config: Mapping[str, str]


def alerts_topic(settings: Settings) -> str:
    """The name of the topic that machines' alerts are written to."""
    return f"{settings.topic_prefix}alerts"


def public_topic(settings: Settings, kind: str) -> str:
    """The name of the public topic for streams of `kind` (`incident`, `page`, ...)."""
    return f"{settings.topic_prefix}{PUBLIC[kind]}"


def seals_topic(settings: Settings) -> str:
    """The name of the topic that seals are written to: one partition, so that they are in order."""
    return f"{settings.topic_prefix}seals"


def topics(settings: Settings) -> tuple[Topic, ...]:
    """Every topic. A record of `alerts` is flushed to disk before it is acknowledged: a single broker has no other copy
    of it, while the public topics can be written again from the store.
    """
    flushed = {"flush.messages": "1"}
    alerts = Topic(
        alerts_topic(settings),
        settings.alerts_partitions,
        {**flushed, "retention.ms": RETENTION_30_DAYS, "max.message.bytes": str(16 * 1024 * 1024)},
    )
    public = (
        Topic(f"{settings.topic_prefix}{name}", settings.alerts_partitions, {"retention.ms": FOREVER})
        for name in dict.fromkeys(PUBLIC.values())
    )
    return (alerts, *public, Topic(seals_topic(settings), 1, {**flushed, "retention.ms": FOREVER}))


def client_arguments(settings: Settings) -> dict[str, Any]:
    """How every aiokafka client connects. Raises ValueError when no broker is configured."""
    if settings.kafka_bootstrap is None:
        raise ValueError("TOCSIN_KAFKA_BOOTSTRAP is not set")
    arguments: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_bootstrap,
        "security_protocol": settings.kafka_security_protocol,
    }
    if settings.kafka_security_protocol.endswith("SSL"):
        arguments["ssl_context"] = ssl_context(settings)
    if settings.kafka_security_protocol.startswith("SASL") and settings.kafka_sasl_password:
        arguments["sasl_mechanism"] = settings.kafka_sasl_mechanism
        arguments["sasl_plain_username"] = settings.kafka_sasl_username
        arguments["sasl_plain_password"] = settings.kafka_sasl_password.get_secret_value()
    return arguments


def ssl_context(settings: Settings) -> ssl.SSLContext:
    """A context that verifies the brokers' certificates and host names."""
    return ssl.create_default_context(cafile=str(settings.kafka_ssl_cafile) if settings.kafka_ssl_cafile else None)
