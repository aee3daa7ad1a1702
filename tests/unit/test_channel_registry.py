"""Channels by name."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from streams.channels.email import EmailChannel
from streams.channels.registry import open_channels
from streams.channels.smtp import SmtpSettings

SETTINGS = SmtpSettings("127.0.0.1", 1025, "tocsin@example.test", "example.test", "plain")


def now() -> datetime:
    return datetime(2026, 3, 3, tzinfo=UTC)


def test_the_configured_channels_are_opened() -> None:
    opened = open_channels({"email": SETTINGS}, now)

    assert isinstance(opened["email"], EmailChannel)
    assert opened["email"].name == "email"


def test_an_unknown_channel_is_named_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="no such channel: pigeon; there are: email"):
        open_channels({"pigeon": SETTINGS}, now)
