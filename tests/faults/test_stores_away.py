"""The database is killed, then the broker too, and both come back: what was taken is kept, and people hear of it once.

With the broker alone: `tests/integration/test_kafka_away.py`. Away because a disk is full: `test_full_disk.py`.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.faults.site import SETTINGS, Site
from tests.faults.stores import Stores
from tests.stack import KEYS, Installation, until
from tests.world import alert, webhook

AWAY = {**SETTINGS, "PRODUCE_TIMEOUT": "3"}
"""While the database is away, a slow broker is waited for: no inbox would make up for it."""
NAMES = ("Before", "Alone", "Neither", "Inbox")


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    made = Stores(tmp_path)
    yield made
    made.close()


def post(site: Site, name: str) -> httpx.Response:
    """A machine posts once, and is answered."""
    running = site.installation.running
    body = webhook([alert(name, {"service": "payments"}, site.now())])
    headers = {"Authorization": f"Bearer {running.webhook_tokens.alertmanager}"}
    return httpx.post(f"{running.gateway_url}/api/v1/webhooks/alertmanager", json=body, headers=headers, timeout=15)


def acknowledge(site: Site, incident: str) -> httpx.Response:
    """A person acknowledges, once."""
    url = f"{site.installation.running.gateway_url}/api/v1/incidents/{incident}/ack"
    return httpx.post(url, headers={"Authorization": f"Bearer {KEYS['ada']}"}, timeout=20)


def told(site: Site, *names: str) -> None:
    """Ada hears of these alerts, of each in one message, by now.

    Not by number: a database that was killed skips up to 32 of them. What was refused may still arrive.
    """

    def look() -> Counter[str] | None:
        mails = {mail.headers["Message-ID"]: mail.text for mail in site.mails("ada@example.test")}
        heard = Counter(name for text in mails.values() for name in NAMES if name in text)
        return heard if set(heard) >= set(names) else None

    heard = until(f"{names} to be told", look, 90.0)
    assert set(heard) - {"Neither"} == set(names)
    assert set(heard.values()) == {1}


@pytest.mark.timeout(400)
def test_what_was_taken_while_the_database_and_then_both_were_away_is_told_once(
    stores: Stores, tmp_path: Path, topic_prefix: str
) -> None:
    plan = tmp_path / "plan"
    installation = Installation(stores.services(), stores.database.dsn, topic_prefix, tmp_path, **AWAY)
    try:
        site = Site(installation, plan)
        assert post(site, "Before").status_code == 202
        told(site, "Before")

        stores.database.kill()
        assert post(site, "Alone").status_code == 202, "Kafka is enough"
        refused = acknowledge(site, "INC-1")
        assert (refused.status_code, "retry-after" in refused.headers) == (503, True)

        stores.broker.kill()
        refused = post(site, "Neither")
        assert (refused.status_code, "retry-after" in refused.headers) == (503, True)

        stores.start_database()
        until("the inbox to be enough", lambda: post(site, "Inbox").status_code == 202 or None)
        stores.start_broker()
        told(site, "Before", "Alone", "Inbox")
        wanted = {"Before", "Alone", "Inbox"}
        until("the read models", lambda: wanted <= {seen.title.split()[0] for seen in site.incidents()} or None)
        assert acknowledge(site, "INC-1").status_code == 200
        site.close()
    finally:
        installation.close()
