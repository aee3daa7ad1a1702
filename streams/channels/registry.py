"""Which channels exist. A new one is a file, its line here, and its entry in the contract suite."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from streams.channels.base import Channel
from streams.channels.email import EmailChannel
from streams.channels.smtp import SmtpSettings

Clock = Callable[[], datetime]
ChannelSettings = SmtpSettings
"""The settings of any channel: a union that grows with the registry."""

FACTORIES: Mapping[str, Callable[[ChannelSettings, Clock], Channel]] = {"email": EmailChannel}


def open_channels(settings: Mapping[str, ChannelSettings], now: Clock) -> dict[str, Channel]:
    """The configured channels by name; nothing is connected yet.

    Params:
        settings: by channel name, e.g. {"email": SmtpSettings(...)}.
        now: the application's clock, aware.

    Raises:
        ValueError: a name that is not registered.
        OSError: a file named in the settings cannot be used.
    """
    unknown = settings.keys() - FACTORIES.keys()
    if unknown:
        raise ValueError(f"no such channel: {', '.join(sorted(unknown))}; there are: {', '.join(FACTORIES)}")
    return {name: FACTORIES[name](value, now) for name, value in settings.items()}
