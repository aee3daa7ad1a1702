"""Settings: what an operator may set, what a wrong value says, and that no secret ever shows."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.settings import BadSettings, Settings, as_environment, load_settings

SECRET = "hunter2-hunter2"


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.upper().startswith("TOCSIN_")]:
        monkeypatch.delenv(name)


def problems(**overrides: object) -> str:
    with pytest.raises(BadSettings) as refused:
        load_settings(**overrides)
    assert str(refused.value) == "\n".join(refused.value.problems)
    return str(refused.value)


def test_defaults_are_those_of_the_reference() -> None:
    settings = load_settings()
    assert (settings.org, settings.data_dir, settings.kafka_cluster) == ("default", Path(".tocsin"), "default")
    assert (settings.alerts_partitions, settings.produce_timeout) == (24, 0.3)
    assert (settings.max_body_bytes, settings.max_alerts) == (4 * 1024 * 1024, 1000)
    assert (settings.catch_up_age, settings.catch_up_hold) == (60, 30)
    assert settings.smtp_mode == "starttls"
    assert settings.kafka_bootstrap is settings.postgres_dsn is settings.clock_file is None


def test_overrides_go_before_the_environment_and_that_before_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOCSIN_ORG", "from-env")
    monkeypatch.setenv("TOCSIN_LOG_LEVEL", "DEBUG")
    monkeypatch.setenv("TOCSIN_KAFKA_BOOTSTRAP", "")
    assert load_settings().org == "from-env"
    assert load_settings(org="given").org == "given"
    assert load_settings().log_level == "debug"
    assert load_settings().kafka_bootstrap is None, "an empty variable counts as unset"


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        load_settings().org = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("overrides", "variable", "remedy"),
    [
        ({"gateway_port": "http"}, "TOCSIN_GATEWAY_PORT", "the port that the gateway listens on, 0 to 65535"),
        ({"gateway_port": 65536}, "TOCSIN_GATEWAY_PORT", "or unset it for 0"),
        ({"kafka_bootstrap": "broker"}, "TOCSIN_KAFKA_BOOTSTRAP", "host:port,host:port"),
        ({"kafka_security_protocol": "TLS"}, "TOCSIN_KAFKA_SECURITY_PROTOCOL", "'SASL_SSL'"),
        ({"postgres_dsn": "mysql:x"}, "TOCSIN_POSTGRES_DSN", "postgresql://user:password@host:5432/name"),
        ({"smtp_mode": "ssl"}, "TOCSIN_SMTP_MODE", "tls from the first byte"),
        ({"smtp_from": "nobody"}, "TOCSIN_SMTP_FROM", "Tocsin <tocsin@example.test>"),
        ({"smtp_from": "a@b.test\r\nBcc: c@d.test"}, "TOCSIN_SMTP_FROM", "the sender of mails"),
        ({"public_url": "https://u:p@host/"}, "TOCSIN_PUBLIC_URL", "as people reach it"),
        ({"max_alerts": 1001}, "TOCSIN_MAX_ALERTS", "1 to 1000"),
        ({"produce_timeout": "0"}, "TOCSIN_PRODUCE_TIMEOUT", "the seconds that a webhook waits for Kafka"),
        ({"produce_timeout": "inf"}, "TOCSIN_PRODUCE_TIMEOUT", "the seconds that a webhook waits for Kafka"),
        ({"org": "Ärger"}, "TOCSIN_ORG", "the name of the organisation"),
        ({"topic_prefix": "a/b"}, "TOCSIN_TOPIC_PREFIX", "staging-"),
        ({"nonsense": 1}, "TOCSIN_NONSENSE", "remove it"),
        ({"kafka_security_protocol": "SASL_SSL"}, "TOCSIN_KAFKA_SASL_USERNAME", "set"),
        ({"kafka_sasl_password": SECRET}, "TOCSIN_KAFKA_SECURITY_PROTOCOL", "SASL_SSL"),
        ({"smtp_username": "me"}, "TOCSIN_SMTP_PASSWORD", "both or neither"),
        (
            {"smtp_mode": "plain", "smtp_host": "mx.test", "smtp_username": "me", "smtp_password": SECRET},
            "TOCSIN_SMTP_MODE",
            "starttls or tls",
        ),
    ],
)
def test_a_wrong_setting_is_one_sentence_with_its_variable_and_a_remedy(
    overrides: dict[str, object], variable: str, remedy: str
) -> None:
    text = problems(**overrides)
    assert len(text.splitlines()) == 1
    assert variable in text
    assert remedy in text
    assert SECRET not in text


def test_every_wrong_setting_is_named_at_once() -> None:
    text = problems(gateway_port="x", smtp_port="y", log_level="loud")
    assert [line.split()[0] for line in text.splitlines()] == [
        "TOCSIN_LOG_LEVEL",
        "TOCSIN_GATEWAY_PORT",
        "TOCSIN_SMTP_PORT",
    ]


def test_a_misspelt_variable_is_refused_with_the_right_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOCSIN_KAFKA_BOOSTRAP", "broker:9092")
    assert problems() == "TOCSIN_KAFKA_BOOSTRAP is not a setting: did you mean TOCSIN_KAFKA_BOOTSTRAP?"


def test_variables_of_tests_and_of_kubernetes_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TOCSIN_TEST_PEERS", "TOCSIN_SERVICE_HOST", "TOCSIN_PORT_8080_TCP_ADDR", "TOCSIN_PORT"):
        monkeypatch.setenv(name, "x")
    load_settings()


def test_a_kubernetes_service_link_in_the_place_of_a_port_is_recognised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOCSIN_GATEWAY_PORT", "tcp://10.0.0.1:8080")
    assert "enableServiceLinks: false" in problems()


def test_secrets_show_neither_in_repr_nor_in_errors() -> None:
    settings = load_settings(
        postgres_dsn=f"postgresql://me:{SECRET}@db/x",
        kafka_security_protocol="SASL_SSL",
        kafka_sasl_username="me",
        kafka_sasl_password=SECRET,
        smtp_username="me",
        smtp_password=SECRET,
    )
    assert SECRET not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"
    with pytest.raises(ValidationError) as refused:
        Settings(postgres_dsn=SECRET)
    assert SECRET not in f"{refused.value} {refused.value!r}"
    assert SECRET not in problems(postgres_dsn=SECRET, gateway_port=SECRET, kafka_bootstrap=SECRET)


@settings(deadline=None)
@given(st.sampled_from(sorted(Settings.model_fields)), st.one_of(st.none(), st.integers(), st.text(), st.binary()))
def test_any_value_is_taken_or_refused_in_words(name: str, value: object) -> None:
    try:
        load_settings(**{name: value})
    except BadSettings as refused:
        assert all(sentence.startswith("TOCSIN_") for sentence in refused.problems)


def test_a_child_process_gets_the_same_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    parent = load_settings(
        org="acme",
        kafka_bootstrap="a:1, [::1]:2",
        postgres_dsn="host=/run dbname=x",
        public_url="https://tocsin.test/",
        produce_timeout=0.25,
        topic_prefix="t-",
    )
    for name, value in as_environment(parent).items():
        monkeypatch.setenv(name, value)
    assert load_settings() == parent
    assert parent.public_url == "https://tocsin.test"


def test_every_setting_is_described() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []
