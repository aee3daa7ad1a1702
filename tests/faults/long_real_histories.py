"""One worker and one pager, or three of each, on the real stack: the same people are paged at the same steps.

Run by `make test-faults`. A thousand histories of this kind are lived in memory, in `test_one_or_three.py`.
"""

from contextlib import ExitStack
from datetime import timedelta
from random import Random

import httpx
import psycopg
import pytest

from tests.faults.site import Site, labels
from tests.stack import KEYS
from tests.world import alert, webhook

HISTORIES = 20
VERBS = ("ack", "unack", "start", "resolve", "reopen")
Told = tuple[str, str, int, int, int]
"""Who was paged about which alert's incident, in which escalation of it, in which loop, at which step."""

TOLD = """
with log as (
    select originator_id as stream, topic, convert_from(state, 'UTF8')::jsonb -> 'data' as data
    from tocsin.stored_events
)
select page.data ->> 'user', opened.data ->> 'title', (begun.data -> 'run')::int, (page.data -> 'loop')::int,
       (page.data -> 'step')::int
from log page join log begun on begun.stream = page.data ->> 'escalation' and begun.topic = 'escalation.started.v1'
join log opened on opened.stream = page.data ->> 'incident' and opened.topic = 'incident.opened.v1'
where page.topic = 'page.queued.v1' and opened.data ->> 'title' like %s
"""


def live(site: Site, seed: int, prefix: str) -> set[Told]:
    """Carry out the history of a seed under names of its own; returns who was told what."""
    random = Random(seed)
    names = [f"{prefix}{seed}n{number}" for number in range(3)]
    began = site.now()
    for _ in range(random.randint(4, 8)):
        match random.choice(("say", "say", "act", "wait")):
            case "say":
                said = [(name, random.random() < 0.7) for name in random.sample(names, random.randint(1, 3))]
                now = site.now()
                alerts = [
                    alert(name, labels("a"), now if fires else began, None if fires else now) for name, fires in said
                ]
                site.posts(webhook(alerts))
            case "act":
                act(site, random.choice(VERBS), random.choice(names))
            case "wait":
                site.installation.clock.move(timedelta(seconds=random.choice((20, 301, 620))))
        site.rest(f"history {seed}")
    for name in names:
        act(site, "resolve", name)
    site.rest(f"history {seed}")
    with psycopg.connect(site.installation.dsn) as connection:
        rows = connection.execute(TOLD, (f"{prefix}{seed}n%",)).fetchall()
    return {(user, title.removeprefix(prefix), run, loop, step) for user, title, run, loop, step in rows}


def act(site: Site, verb: str, name: str) -> None:
    """A person acts on an alert's latest incident; it may be refused, or there may be none."""
    with psycopg.connect(site.installation.dsn) as connection:
        query = "select number from read_models.incidents where title like %s order by number desc limit 1"
        row = connection.execute(query, (f"{name} %",)).fetchone()
    if row:
        url = f"{site.installation.running.gateway_url}/api/v1/incidents/INC-{row[0]}/{verb}"
        answer = httpx.post(url, headers={"Authorization": f"Bearer {KEYS['ada']}"}, timeout=10)
        assert answer.status_code in (200, 409), answer.text


@pytest.mark.timeout(900)
def test_three_of_each_tell_people_what_one_tells_them(site: Site) -> None:
    alone = [live(site, seed, "One") for seed in range(HISTORIES)]
    with ExitStack() as spares:
        for role in ("worker", "pager") * 2:
            spares.enter_context(site.spare(role))
        three = [live(site, seed, "Three") for seed in range(HISTORIES)]
    assert three == alone
    assert sum(map(len, alone)) > HISTORIES
