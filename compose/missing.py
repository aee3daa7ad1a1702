"""The heartbeat of `tocsin fire heartbeat-missed`: declared, pinged once, and silent from then on.

It is an object of the configuration like any other: whoever has an admin's key may do all of this by hand, as
docs/how-to/heartbeats.md says.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from functools import partial

from compose.client import Client, Refusal
from compose.progress import Progress
from compose.waiting import until
from domain.config import hashed
from schemas.api_alerts import AlertDetail
from schemas.api_heartbeats import HeartbeatView, PingAnswer

KIND, NAME = "heartbeats", "fire-heartbeat-missed"
WRITTEN: Mapping[str, str] = {"interval": "5s", "severity": "critical"}
"""What stands in the configuration, besides the token."""
PATIENCE = 35.0
"""Seconds that it is waited for its alert: the interval, and what gateways and the pager take."""
KNOWN = 5.0
"""Seconds that it is waited for a gateway to know the token."""
UNAUTHENTICATED, NOT_FOUND = 401, 404


@dataclass(frozen=True, slots=True)
class Missed:
    """It is missed: the `incident` that has its alert, and the rule that keeps that `quiet`, if one does.

    `token` is what it pings with; None when it was missed already: whoever fired it then was told.
    """

    incident: str | None
    quiet: str | None
    token: str | None


@dataclass(frozen=True, slots=True)
class Removed:
    """Whether there was anything to remove, and the incident that had its alert, if that fired."""

    was_there: bool
    incident: str | None = None


def miss(gateway: Client, progress: Progress) -> Missed:
    """Declare it, ping once and wait; one that is missed already is left as it is.

    Stopped meanwhile (KeyboardInterrupt) it is removed again. Raises Refusal, also when another heartbeat has its name.
    """
    if _is_ours(gateway) and _view(gateway).state == "missed":
        return _told(until(partial(_firing, gateway), PATIENCE), None)
    token = f"hb_{secrets.token_urlsafe(32)}"
    gateway.put_object(KIND, NAME, {**WRITTEN, "token_hashes": [f"sha256:{hashed(token)}"]})
    try:
        ping = until(partial(_pinged, gateway, token), KNOWN) or gateway.ping(NAME, token)
        at, due = (f"{moment.astimezone(UTC):%H:%M:%S} UTC" for moment in (ping.at, ping.missed_at))
        progress.say(f"Heartbeat {NAME} is declared, pinged at {at}, and falls silent: it is missed from {due} on.")
        with progress.step("Waiting until that is noticed; Ctrl-C removes the heartbeat"):
            return _told(until(partial(_firing, gateway), PATIENCE), token)
    except KeyboardInterrupt:
        gateway.remove_object(KIND, NAME)
        progress.say(f"Heartbeat {NAME} is removed again.")
        raise


def remove(gateway: Client) -> Removed:
    """Remove it, which ends its alert. Raises Refusal, also when another heartbeat has its name."""
    if not _is_ours(gateway):
        return Removed(False)
    alert = _firing(gateway)
    gateway.remove_object(KIND, NAME)
    return Removed(True, alert.incident if alert else None)


def _is_ours(gateway: Client) -> bool:
    """Whether it is declared. Raises Refusal for another of its name."""
    found = gateway.config_object(KIND, NAME)
    if found is None:
        return False
    if {name: value for name, value in found.items() if name != "token_hashes"} != WRITTEN:
        raise Refusal(f"Another heartbeat is called {NAME}, and is left alone: give it another name.")
    return True


def _pinged(gateway: Client, token: str) -> PingAnswer | None:
    """None: the gateway that was asked does not know the token yet."""
    try:
        return gateway.ping(NAME, token)
    except Refusal as refusal:
        if refusal.status != UNAUTHENTICATED:
            raise
        return None


def _view(gateway: Client) -> HeartbeatView:
    return next(one for one in gateway.heartbeats().heartbeats if one.name == NAME)


def _firing(gateway: Client) -> AlertDetail | None:
    """Its alert, once that fires and it is known where it belongs."""
    view = _view(gateway)
    if view.state != "missed":
        return None
    try:
        alert = gateway.alert(view.alert)
    except Refusal as refusal:
        if refusal.status != NOT_FOUND:
            raise
        return None
    return alert if alert.status == "firing" and (alert.incident or alert.suppressed) else None


def _told(alert: AlertDetail | None, token: str | None) -> Missed:
    if alert is None:
        raise Refusal(
            f"Heartbeat {NAME} is not missed after {PATIENCE:.0f} s: `tocsin status` says what stands still. "
            "`tocsin fire heartbeat-missed --end` removes it."
        )
    quiet = alert.suppressed
    return Missed(alert.incident, f"{quiet.reason} {quiet.rule}" if quiet else None, token)
