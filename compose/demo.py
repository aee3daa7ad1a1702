"""The demo: one alert, live, through everything: accepted, opened, paged, escalated, acknowledged, resolved."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlparse

from compose.client import Access, Client
from compose.datadir import Running
from compose.progress import Progress
from schemas.api import IncidentView
from streams.channels.mailbox import Mail, Mailbox, format_mail

PATIENCE = 60.0
"""Seconds that the demo waits for each thing to happen."""
LOOK = 0.2
T = TypeVar("T")


class NotSeen(Exception):
    """Something that the demo waits for did not happen in time."""


async def play(running: Running, progress: Progress) -> None:
    """Fire an alert and tell what becomes of it. Raises NotSeen when something does not happen within a minute."""
    mailbox = Mailbox(Path(unquote(urlparse(running.mailbox).path))) if running.mailbox else None
    seen = len(mailbox.messages()) if mailbox else 0
    started = datetime.now(UTC)
    with Client(Access(running.gateway_url, running.api_keys.responder)) as gateway:
        receipt = await asyncio.to_thread(
            gateway.fire, "alertmanager", running.webhook_tokens.alertmanager, body("firing", started)
        )
        progress.say("")
        progress.say(f"accepted      Alertmanager says ServiceDown fires; receipt {receipt.receipt}")
        incident = await _until("the incident", lambda: _opened(gateway, started))
        progress.say(f"opened        {incident.name}: {incident.title}, {incident.severity}, team {incident.team}")
        if mailbox:
            mail = await _until("the first page", lambda: _mail(mailbox, seen))
            progress.say(f"paged         {mail.to} was paged:")
            progress.say(format_mail(mail))
            progress.say("              Nobody answers. The escalation policy waits 10 seconds …")
            mail = await _until("the escalation", lambda: _mail(mailbox, seen + 1))
            progress.say(f"escalated     {mail.to} was paged: {mail.subject}")
        answer = await asyncio.to_thread(gateway.act, incident.name, "ack")
        progress.say(f"acknowledged  {answer.name} is {answer.status}: nobody else is paged")
        await asyncio.to_thread(
            gateway.fire, "alertmanager", running.webhook_tokens.alertmanager, body("resolved", started)
        )
        await _until("the end", lambda: _resolved(gateway, incident.name))
        progress.say(f"resolved      the alert has ended, and so has {incident.name}")


def _opened(gateway: Client, since: datetime) -> IncidentView | None:
    return next((found for found in gateway.incidents(limit=10).incidents if found.opened_at >= since), None)


def _resolved(gateway: Client, name: str) -> IncidentView | None:
    incident = gateway.incident(name)
    return incident if incident.status == "resolved" else None


def _mail(mailbox: Mailbox, index: int) -> Mail | None:
    mails = mailbox.messages()
    return mails[index] if len(mails) > index else None


async def _until(what: str, look: Callable[[], T | None]) -> T:
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                if (found := await asyncio.to_thread(look)) is not None:
                    return found
                await asyncio.sleep(LOOK)
    except TimeoutError:
        raise NotSeen(f"The demo waited {PATIENCE:.0f} s for {what}: see the logs.") from None


def body(status: str, started: datetime) -> dict[str, Any]:
    """A webhook as Alertmanager 0.25 posts it. Its format: contract of webhook version 4."""
    ended = datetime.now(UTC).isoformat() if status == "resolved" else "0001-01-01T00:00:00Z"
    labels = {"alertname": "ServiceDown", "severity": "critical", "service": "payments", "instance": "payments-7:9090"}
    annotations = {
        "summary": "payments-7 has not answered its health check for two minutes",
        "runbook_url": "https://runbooks.example.test/ServiceDown",
    }
    alert = {
        "status": status,
        "labels": labels,
        "annotations": annotations,
        "startsAt": started.isoformat(),
        "endsAt": ended,
        "generatorURL": "http://prometheus.example.test:9090/graph?g0.expr=up%7Bjob%3D%22payments%22%7D+%3D%3D+0",
        "fingerprint": "955bdf9692ad12ea",
    }
    return {
        "version": "4",
        "groupKey": '{}:{alertname="ServiceDown"}',
        "truncatedAlerts": 0,
        "status": status,
        "receiver": "tocsin",
        "groupLabels": {"alertname": "ServiceDown"},
        "commonLabels": labels,
        "commonAnnotations": annotations,
        "externalURL": "http://alertmanager.example.test:9093",
        "alerts": [alert],
    }
