"""Everything that an operator can set, as one frozen value built once at the start of a process.

Nothing else in Tocsin reads the environment: `load_settings` does, and hands the value on. Each setting is the
environment variable TOCSIN_<NAME>; an empty variable counts as unset. Descriptions here are the reference: they
are written to complete the sentence "set it to ...".
"""

import difflib
import os
import re
from collections.abc import Iterator, Mapping
from email.utils import parseaddr
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "TOCSIN_"
TEST_PREFIX = "TOCSIN_TEST_"
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class BadSettings(ValueError):
    """Settings that cannot be used. `problems` has one sentence per setting, never a secret's value."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def _bootstrap(value: str) -> str:
    servers = [server.strip() for server in value.split(",")]
    for server in servers:
        if not re.fullmatch(r"(\[[0-9a-fA-F:]+\]|[^\s:/@]+):\d{1,5}", server):
            raise ValueError("a server is not written host:port")
    return ",".join(servers)


def _dsn(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not re.match(r"postgres(ql)?://|\s*\w+\s*=", text):
        raise ValueError("it is neither a postgresql:// address nor key=value pairs")
    return value


def _web_address(value: str) -> str:
    if not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", value):
        raise ValueError("it is not an http:// or https:// address without user, query and fragment")
    return value.rstrip("/")


def _secret_address(value: SecretStr) -> SecretStr:
    if not re.fullmatch(r"https?://[^\s/?#@]+([/?][^\s#]*)?", value.get_secret_value()):
        raise ValueError("it is not an http:// or https:// address without user and fragment")
    return value


def _sender(value: str) -> str:
    address = parseaddr(value)[1]
    if not re.fullmatch(r"[^@\s]+@[^@\s]+", address) or re.search(r"[\r\n\0]", value):
        raise ValueError("it holds no mail address")
    return value


Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Port = Annotated[int, Field(ge=0, le=65535)]
Words = Annotated[str, Field(pattern=r"^[a-zA-Z0-9._-]*$", max_length=100)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
Lower = BeforeValidator(lambda value: value.lower() if isinstance(value, str) else value)


class Settings(BaseSettings):
    """One process's settings. Build it with `load_settings`; hand it to whatever needs it."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", env_ignore_empty=True, hide_input_in_errors=True
    )

    org: Name = Field("default", description="the name of the organisation; part of every identifier, never change it")
    data_dir: Path = Field(Path(".tocsin"), description="the directory of embedded services, secrets and run.json")
    clock_file: Path | None = Field(
        None, description="a file by which tests move the application's clock; unset in production"
    )
    failpoints: Path | None = Field(
        None, description="a file by which tests make roles fail (tests/faults); unset in production"
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], Lower] = Field(
        "info", description="the least severe level that is logged"
    )
    log_format: Annotated[Literal["json", "console"], Lower] = Field(
        "console", description="json for machines, console for people"
    )

    kafka_bootstrap: Annotated[str, AfterValidator(_bootstrap)] | None = Field(
        None, description="the brokers as host:port,host:port; unset starts the embedded broker"
    )
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="how the brokers are spoken to"
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", description="the SASL mechanism, used when the protocol is SASL_PLAINTEXT or SASL_SSL"
    )
    kafka_sasl_username: str | None = Field(None, description="the SASL user name")
    kafka_sasl_password: SecretStr | None = Field(None, description="the SASL password")
    kafka_ssl_cafile: Path | None = Field(
        None, description="a PEM file of the authorities that signed the brokers; unset means the system's"
    )
    kafka_cluster: Name = Field(
        "default", description="the name that positions (cluster/topic/partition@offset) give this cluster"
    )
    topic_prefix: Words = Field("", description="what every topic's name begins with, e.g. staging-")
    alerts_partitions: Annotated[int, Field(ge=1, le=10_000)] = Field(
        24, description="the number of partitions of each topic when it is created"
    )
    produce_timeout: Seconds = Field(0.3, description="the seconds that a webhook waits for Kafka to keep its alerts")

    postgres_dsn: Annotated[SecretStr, AfterValidator(_dsn)] | None = Field(
        None, description="postgresql://user:password@host:5432/name; unset starts the embedded database"
    )
    postgres_pool_size: Annotated[int, Field(ge=1, le=1000)] = Field(
        8, description="the most connections of one pool; docs/how-to/existing-servers.md counts those of each role"
    )
    statement_timeout: Seconds = Field(
        30.0, description="the seconds after which Postgres ends a statement; a second later it is waited for no more"
    )
    lock_timeout: Seconds = Field(5.0, description="the seconds that a statement waits for a lock")

    gateway_host: str = Field("127.0.0.1", description="the address that the gateway listens on")
    gateway_port: Port = Field(0, description="the port that the gateway listens on, 0 to 65535; 0 picks a free one")
    gateway_connections: Annotated[int, Field(ge=1, le=100_000)] = Field(
        800, description="the most connections that the gateway serves at once; a request on one more is answered 503"
    )
    metrics_host: str = Field("127.0.0.1", description="the address that a role listens on for metrics")
    metrics_port: Annotated[int, Field(ge=1, le=65_533)] | None = Field(
        None,
        description="the port on which a role serves /metrics and /healthz; unset serves none. "
        "`up` serves worker, pager and projector on this port and the next two; unset, on free ones",
    )
    public_url: Annotated[str, AfterValidator(_web_address)] | None = Field(
        None, description="the address of the gateway as people reach it, for links in messages"
    )
    max_body_bytes: Annotated[int, Field(ge=1024, le=64 * 1024 * 1024)] = Field(
        4 * 1024 * 1024, description="the most bytes a webhook may post: 1024 to 67108864; a larger one is 413"
    )
    max_alerts: Annotated[int, Field(ge=1, le=1000)] = Field(
        1000, description="the most alerts in one webhook, 1 to 1000, because one record is one transaction"
    )

    smtp_host: str | None = Field(
        None,
        description="the mail server; unset, `up` starts a local mailbox, and a pager on its own sends no mail",
    )
    smtp_port: Annotated[int, Field(ge=1, le=65535)] = Field(
        587, description="the mail server's port: usually 587 for starttls, 465 for tls, 25 for plain"
    )
    smtp_mode: Annotated[Literal["starttls", "tls", "plain"], Lower] = Field(
        "starttls", description="starttls (required, not just tried), tls from the first byte, or plain"
    )
    smtp_username: str | None = Field(None, description="the user name at the mail server")
    smtp_password: SecretStr | None = Field(None, description="the password at the mail server")
    smtp_ca_file: Path | None = Field(
        None, description="a PEM file of the authorities that signed the mail server; unset means the system's"
    )
    smtp_from: Annotated[str, AfterValidator(_sender)] = Field(
        "Tocsin <tocsin@localhost>", description="the sender of mails, e.g. Tocsin <tocsin@example.test>"
    )

    seal_key_file: Path | None = Field(
        None, description="a PEM file of the ed25519 key that signs seals; unset makes one in the data directory"
    )

    watchdog_team: Name | None = Field(
        None, description="the team that hears when Tocsin itself stands still; unset means the root route's team"
    )
    watchdog_after: Seconds = Field(
        30.0, description="the seconds that a role may stand still with work waiting before that team hears of it"
    )

    heartbeat_url: Annotated[SecretStr, AfterValidator(_secret_address)] | None = Field(
        None,
        description="an address that a gateway asks for again and again while worker and pager move, where somebody "
        "outside is told when that ends; it may hold a token, so it is written down nowhere; unset asks for none",
    )
    heartbeat_interval: Annotated[float, Field(ge=1, le=86_400)] = Field(
        60.0, description="the seconds between these requests, 1 to 86400; they come up to a fifth earlier"
    )

    pages_per_minute: Annotated[int, Field(ge=1, le=100_000)] = Field(
        20,
        description="the most messages that one person gets by one method in a minute; more are bundled into the next",
    )
    retention_days: Annotated[int, Field(ge=1, le=36_500)] = Field(
        90, description="the days that rows of settled pages and past outages are kept; events are kept for ever"
    )
    text_retention_days: Annotated[int, Field(ge=1, le=36_500)] | None = Field(
        None, description="the days that texts of alerts that do not fire any more are kept; unset keeps them for ever"
    )
    catch_up_age: Seconds = Field(
        60.0, description="the age in seconds from which an alert counts as read while catching up"
    )
    catch_up_hold: Seconds = Field(
        30.0, description="the seconds that the first page of such an alert waits for a resolve behind it"
    )

    @model_validator(mode="after")
    def _agree(self) -> "Settings":
        problems = tuple(_disagreements(self))
        if problems:
            raise ValueError("\n".join(problems))
        return self


def _disagreements(settings: Settings) -> Iterator[str]:
    """One sentence for each pair of settings that cannot stand together."""
    sasl = settings.kafka_security_protocol.startswith("SASL")
    if sasl and not (settings.kafka_sasl_username and settings.kafka_sasl_password):
        yield (
            f"TOCSIN_KAFKA_SECURITY_PROTOCOL is {settings.kafka_security_protocol} without credentials: "
            "set TOCSIN_KAFKA_SASL_USERNAME and TOCSIN_KAFKA_SASL_PASSWORD."
        )
    if not sasl and (settings.kafka_sasl_username or settings.kafka_sasl_password):
        yield (
            f"TOCSIN_KAFKA_SASL_USERNAME and _PASSWORD have no effect with {settings.kafka_security_protocol}: "
            "set TOCSIN_KAFKA_SECURITY_PROTOCOL to SASL_SSL, or unset them."
        )
    if bool(settings.smtp_username) != bool(settings.smtp_password):
        yield "TOCSIN_SMTP_USERNAME and TOCSIN_SMTP_PASSWORD come together: set both or neither."
    if settings.smtp_mode == "plain" and settings.smtp_password and settings.smtp_host not in LOOPBACK:
        yield (
            "TOCSIN_SMTP_MODE is plain and would send TOCSIN_SMTP_PASSWORD readable over the network: "
            "set it to starttls or tls."
        )


def load_settings(**overrides: Any) -> Settings:
    """The settings of this process: `overrides` first, then the environment, then the defaults.

    Raises BadSettings with a sentence for every setting that is wrong or misspelt.
    """
    misspelt = tuple(_misspelt(os.environ))
    try:
        settings = Settings(**overrides)
    except ValidationError as error:
        problems = [line for details in error.errors(include_input=False) for line in _sentences(details)]
        raise BadSettings((*misspelt, *problems)) from None
    if misspelt:
        raise BadSettings(misspelt)
    return settings


def as_environment(settings: Settings) -> Mapping[str, str]:
    """The variables that make `load_settings` in a child process answer `settings`. Holds secrets: never log it."""
    values = {name: getattr(settings, name) for name in Settings.model_fields}
    return {
        PREFIX + name.upper(): value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        for name, value in values.items()
        if value is not None
    }


def _misspelt(environ: Mapping[str, str]) -> Iterator[str]:
    """A sentence for each variable that is nearly the name of a setting.

    Other TOCSIN_ variables pass: Kubernetes sets TOCSIN_SERVICE_HOST and the like for a service named tocsin.
    """
    names = {PREFIX + name.upper() for name in Settings.model_fields}
    for name in sorted(environ):
        if name.upper() in names or not name.startswith(PREFIX) or name.startswith(TEST_PREFIX):
            continue
        close = difflib.get_close_matches(name, sorted(names), n=1, cutoff=0.93)
        if close:
            yield f"{name} is not a setting: did you mean {close[0]}?"


def _sentences(details: ErrorDetails) -> Iterator[str]:
    """What one validation error says to an operator, without the value that was given."""
    message = re.sub(r"^Value error, ", "", details["msg"])
    if not details["loc"]:
        yield from message.splitlines()
        return
    name = str(details["loc"][0])
    variable = PREFIX + name.upper()
    field = Settings.model_fields.get(name)
    if field is None:
        yield f"{variable} is not a setting: remove it."
        return
    unset = "" if field.default in (None, "") else f", or unset it for {field.default}"
    yield f"{variable} is wrong ({message[:1].lower()}{message[1:]}): set it to {field.description}{unset}."
    if name.endswith("_port") and str(os.environ.get(variable, "")).startswith("tcp://"):
        yield (f"{variable} looks like a Kubernetes service link: set enableServiceLinks: false in the pod's spec.")
