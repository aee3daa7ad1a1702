"""The demo: one alert, live, through everything: accepted, opened, paged, escalated, acknowledged, resolved."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlparse

from compose.client import Access, Client
from compose.datadir import Running
from compose.processes import StartError
from compose.progress import Progress
from schemas.api import IncidentView
from streams.channels.mailbox import Mail, Mailbox, format_mail

PATIENCE = 60.0
"""Seconds that the demo waits for each thing to happen."""
LOOK = 0.2
TITLE, SERVICE = "ServiceDown", "payments"
LOOK_AT = "`make up` starts without it, then `tocsin status` says what stands still, and the logs why"
T = TypeVar("T")


async def play(running: Running, progress: Progress) -> None:
    """Fire an alert and tell what becomes of it. Raises StartError or Refusal when that does not happen in time."""
    mailbox = Mailbox(Path(unquote(urlparse(running.mailbox).path))) if running.mailbox else None
    with Client(Access(running.gateway_url, running.api_keys.responder)) as gateway:
        await _tidy(gateway, running, progress)
        seen = len(mailbox.messages()) if mailbox else 0
        started = datetime.now(UTC)
        receipt = await asyncio.to_thread(
            gateway.fire, "alertmanager", running.webhook_tokens.alertmanager, body("firing", started)
        )
        progress.say("")
        progress.say(f"accepted      Alertmanager says ServiceDown fires; receipt {receipt.receipt}")
        incident = await _until("the incident", lambda: _opened(gateway, started))
        progress.say(f"opened        {incident.name}: {incident.title}, {incident.severity}, team {incident.team}")
        if mailbox:
            await _escalate(gateway, incident.name, mailbox, seen, progress)
        answer = await asyncio.to_thread(gateway.act, incident.name, "ack")
        progress.say(f"acknowledged  {answer.name} is {answer.status}: nobody else is paged")
        await asyncio.to_thread(
            gateway.fire, "alertmanager", running.webhook_tokens.alertmanager, body("resolved", started)
        )
        await _until("the end", lambda: _resolved(gateway, incident.name))
        progress.say(f"resolved      the alert has ended, and so has {incident.name}")


async def _escalate(gateway: Client, name: str, mailbox: Mailbox, seen: int, progress: Progress) -> None:
    """Tell whom the first step pages, and whom the next one when nobody answers."""
    first, *others = await _until("the first page", lambda: _told(gateway, name, mailbox, seen))
    progress.say(f"paged         {first.to} was paged:")
    progress.say(format_mail(first))
    for mail in others:
        progress.say(f"paged         {mail.to} was paged, too: {mail.subject}")
    progress.say("              Nobody answers. The escalation policy waits 10 seconds …")
    mail = await _until("the escalation", lambda: _mail(mailbox, seen + 1 + len(others)))
    progress.say(f"escalated     {mail.to} was paged: {mail.subject}")


async def _tidy(gateway: Client, running: Running, progress: Progress) -> None:
    """End what an interrupted demo left open: the alert would join that incident, and open none of its own."""
    for left in gateway.incidents(status=("triggered", "acknowledged", "in_progress"), service=SERVICE).incidents:
        if left.title.startswith(TITLE):
            progress.say(f"{left.name} is still open, from a demo that did not end: its alert is ended first")
            gateway.fire("alertmanager", running.webhook_tokens.alertmanager, body("resolved", left.opened_at))
            await _until(f"{left.name} to end", partial(_resolved, gateway, left.name))


def _opened(gateway: Client, since: datetime) -> IncidentView | None:
    return next((found for found in gateway.incidents(limit=10).incidents if found.opened_at >= since), None)


def _resolved(gateway: Client, name: str) -> IncidentView | None:
    incident = gateway.incident(name)
    return incident if incident.status == "resolved" else None


def _told(gateway: Client, name: str, mailbox: Mailbox, seen: int) -> list[Mail] | None:
    """The mails to all who are told at once, by address, when they are there: which of them comes first is chance."""
    pages = [page for page in gateway.pages(name) if page.method == "email"]
    sent, mails = sum(page.status == "sent" for page in pages), mailbox.messages()[seen:]
    if not sent or len(mails) < sent or any(page.status == "queued" for page in pages):
        return None
    return sorted(mails[:sent], key=lambda mail: mail.to)


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
        raise StartError(f"The demo waited {PATIENCE:.0f} s for {what} in vain: {LOOK_AT}.") from None


def body(status: str, started: datetime) -> dict[str, Any]:
    """A webhook as Alertmanager 0.25 posts it. Its format: contract of webhook version 4."""
    ended = datetime.now(UTC).isoformat() if status == "resolved" else "0001-01-01T00:00:00Z"
    labels = {"alertname": TITLE, "severity": "critical", "service": SERVICE, "instance": "payments-7:9090"}
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
