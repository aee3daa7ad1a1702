"""No secret that a monitoring system sends is stored: by key, in text, in addresses, at any depth."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.config import FieldMapping
from schemas.sources import DEFAULT_LIMITS, SOURCES, BadBody, generic, redaction, rejected_whole
from schemas.sources.alertmanager import parse
from schemas.sources.redaction import REDACTED, is_secret_key, redact_text
from tests.unit.test_alertmanager_source import body, member, one

SECRET_KEYS = [
    *("password", "DB_PASSWORD", "db-passwd", "Authorization", "proxy-authorization", "apiKey", "X-Api-Key", "api_key"),
    *("access_token", "token", "clientSecret", "secret", "Set-Cookie", "cookie", "private_key", "credentials", "PGPWD"),
]


class TestRedaction:
    @pytest.mark.parametrize("key", SECRET_KEYS)
    def test_keys_that_hold_secrets(self, key: str) -> None:
        assert is_secret_key(key)
        assert one(labels={"alertname": "X", key: "hunter2"}).labels[key] == REDACTED
        assert one(annotations={key: ["hunter2"]}).annotations[key] == REDACTED

    @pytest.mark.parametrize(
        "key", ["alertname", "severity", "service", "key", "secret_name", "secret_namespace", "token_count", "keyspace"]
    )
    def test_keys_that_hold_none(self, key: str) -> None:
        assert not is_secret_key(key)

    @pytest.mark.parametrize(
        ("text", "left"),
        [
            ("https://ada:hunter2@host/x?y=1", "https://[redacted]@host/x?y=1"),
            ("postgres://u:hunter@2@db:5432/x", "postgres://[redacted]@db:5432/x"),
            ("http://h/p?a=1&token=hunter2&b=2", "http://h/p?a=1&token=[redacted]&b=2"),
            ("http://h/p?url=http://i/?api_key=hunter2", "http://h/p?url=http://i/?api_key=[redacted]"),
            ("http://h/g0.expr=up%7Btoken%3Dhunter2", "http://h/g0.expr=up%7Btoken%3D[redacted]"),
            ("host=db password=hunter2 user=u", "host=db password=[redacted] user=u"),
            ('cfg {"password": "hun ter2", "a": 1}', 'cfg {"password": [redacted], "a": 1}'),
            ("curl -H 'Authorization: Bearer hunter2'", "curl -H 'Authorization: [redacted]"),
            ("X-Auth-Token: hunter2\nnext", "X-Auth-Token: [redacted]\nnext"),
            ("Cookie: a=hunter2; b=hunter2", "Cookie: [redacted]"),
            ('{"password":"hunter2"}', '{"password":[redacted]}'),
            ("up%7Btoken%3Dhunter2", "up%7Btoken%3D[redacted]"),
            ("Cookie:\ta", "Cookie:\t[redacted]"),
            ("the token: expired at noon", "the token: expired at noon"),
            ("mail ada@example.test", "mail ada@example.test"),
            ("secret_name=tls-cert", "secret_name=tls-cert"),
            ("password=", "password="),
        ],
    )
    def test_secrets_in_text(self, text: str, left: str) -> None:
        assert redact_text(text) == left

    def test_a_long_key_is_judged_and_not_remembered(self) -> None:
        before = redaction._judged_before.cache_info().currsize
        assert is_secret_key("x" * 1000 + "_password")
        assert not is_secret_key("x" * 1000)
        assert redaction._judged_before.cache_info().currsize == before

    def test_the_whole_body_is_redacted(self) -> None:
        raw = body(member(generatorURL="http://u:hunter2@p/?token=hunter2"), extra={"deep": [{"password": "hunter2"}]})
        parsed = parse(raw)
        assert "hunter2" not in parsed.raw + repr(parsed.alerts)
        assert rejected_whole(raw, DEFAULT_LIMITS, BadBody(422, "", "It is wrong.", "Correct it.")).raw == parsed.raw

    @pytest.mark.parametrize(
        "pattern",
        ["tokentoken", "://a", "token=", "x-", "token='", 'token:\\"', '\\"', "://", "a.b-", "%3D", "token: "],
    )
    def test_no_text_takes_long(self, pattern: str) -> None:
        """Each of these is quadratic in a careless expression: minutes, not a fraction of a second."""
        started = datetime.now(UTC)
        redact_text(pattern * (1_000_000 // len(pattern)))
        assert (datetime.now(UTC) - started).total_seconds() < 5


SECRET = "QJX7-planted-zW"
WRAPPINGS: list[Callable[[str, str], Any]] = [
    lambda key, around: {key: SECRET},
    lambda key, around: {key: [around, {"v": SECRET}]},
    lambda key, around: {"text": f"{around} {key}={SECRET} {around}"},
    lambda key, around: {"text": f'{around} {key}="{SECRET} {SECRET}" {around}'},
    lambda key, around: {"text": f"https://user:{SECRET}@host/{around}"},
    lambda key, around: {"url": f"https://host/path?a=b&{key}={SECRET}&c=d"},
    lambda key, around: {"text": f"{around}\nAuthorization: Bearer {SECRET}\n{around}"},
    lambda key, around: {"log": json.dumps({key: SECRET, "x": around})},
]
secret_keys = st.sampled_from(["password", "Authorization", "api_key", "apiKey", "X-Auth-Token", "cookie", "db.secret"])


def said(near: dict[str, Any]) -> str:
    """The same as a text, where the key of a text is in it."""
    return " ".join(f"{key}={value}" for key, value in near.items() if isinstance(value, str))


BODIES: dict[str, Callable[[dict[str, Any], dict[str, Any], str], dict[str, Any]]] = {
    "alertmanager": lambda near, far, name: {
        "version": "4",
        "alerts": [{"status": "firing", "labels": {"alertname": "X"} | near, "annotations": near, "fingerprint": name}],
        "more": far,
    },
    "elastic": lambda near, far, name: {
        "alert_name": "X",
        "alert_id": name,
        "state": {"state": "active"},
        "message": said(near),
        "tags": near,
        "links": {"app": f"https://u:{SECRET}@host/?token={SECRET}"},
        "more": far,
    },
    "generic": lambda near, far, name: {
        "title": "X",
        "id": name,
        "summary": said(near),
        "labels": near,
        "more": far,
    },
}
"""Bodies of each source with something in the texts that are kept, something elsewhere, and an identity."""


@pytest.mark.parametrize("source", SOURCES)
@settings(deadline=None)
@given(
    st.sampled_from(WRAPPINGS),
    secret_keys,
    st.text(st.characters(exclude_characters="/?#@", exclude_categories=["Cs"]), max_size=8),
    st.sampled_from(["plain", f"https://user:{SECRET}@host", f"host?token={SECRET}"]),
)
def test_redaction_leaves_no_planted_secret(
    source: str, wrap: Callable[[str, str], Any], key: str, around: str, name: str
) -> None:
    planted = wrap(key, around)
    raw = json.dumps(BODIES[source](planted, {"deep": [[planted]]}, name)).encode()
    parsed = SOURCES[source](raw, DEFAULT_LIMITS)
    assert len(parsed.alerts) == 1
    whole = rejected_whole(raw, DEFAULT_LIMITS, BadBody(422, "", "It is wrong.", "Correct it."))
    for kept in (parsed.raw, repr(parsed.alerts), "".join(parsed.warnings), repr(whole)):
        assert SECRET not in kept


@pytest.mark.parametrize("source", SOURCES)
def test_alerts_that_differ_in_a_secret_only_are_different(source: str) -> None:
    made = [
        SOURCES[source](json.dumps(BODIES[source]({"instance": name}, {}, name)).encode(), DEFAULT_LIMITS).alerts[0]
        for name in (f"https://user:{SECRET}@host", "https://user:another@host")
    ]
    assert made[0].fingerprint != made[1].fingerprint


def test_an_identity_from_a_field_for_secrets_is_a_digest() -> None:
    body = json.dumps({"title": "X", "auth": {"token": SECRET}}).encode()
    made = generic.parse(body, mapping=FieldMapping(fingerprint="auth.token")).alerts[0]
    assert made.fingerprint.startswith("sha256:")
