"""One worker or three, one pager or three: the same people are paged about the same incidents at the same steps.

The crowd works on one store and gets in each other's way on purpose: between what one decides and its save, the others
decide and save theirs. Reports of one alert stay in order, as a partition keeps them; those of other groups do not.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from random import Random

import pytest

from domain import pages
from domain.decision import Refused
from domain.incidents import Opened
from domain.stepping import ESCALATE
from schemas.received import AlertReceived
from streams.fold import Arrival, Fold
from streams.messages import Delivery
from streams.pager import Pager
from streams.store.base import Conflict, Save, TrackingMove
from streams.store.memory import MemoryStore
from tests.histories import ALERTS, Say, report
from tests.memory_world import ORG, MemoryWorld

HISTORIES = range(250)
"""The others of a thousand are lived by `make test-faults`, in `long_one_or_three.py`."""
CROWDS = ((3, 1), (1, 3), (3, 3))
"""Workers and pagers."""
GROUPS = ((0, 1), (2,), (3,))
"""The alerts of each group: two share one."""
GONE = -1.0
"""Seconds of a lease that is over at once: what it takes is taken by others, too."""
TICK = 60
"""Seconds between looks at the deadlines while time passes."""
Told = tuple[str, str, int, int]
"""Who was paged, by which escalation of which incident (its id is derived from it), in which loop, at which step."""


@dataclass
class CrowdedStore(MemoryStore):
    """A store in which others work just before a save."""

    others: list[Callable[[], object]] = field(default_factory=list)
    conflicts: int = 0

    def save(self, save: Save) -> int:
        while self.others:
            self.others.pop()()
        try:
            return super().save(save)
        except Conflict:
            self.conflicts += 1
            raise


class Crowd(MemoryWorld):
    """A world with so many workers and pagers; `random` says who is first and who gets in whose way."""

    def __init__(self, workers: int, pagers: int, seed: int) -> None:
        store = CrowdedStore()
        super().__init__(store)
        self.crowd, self.random = store, Random(seed)
        store.wall = self.now
        minute, half = timedelta(seconds=60), timedelta(seconds=30)
        self.folds = [Fold(store, ORG, self.now, minute, half) for _ in range(workers)]
        self.pagers = [Pager(store, ORG, self.now, {"email": self.channel}) for _ in range(pagers)]
        self.offsets = [-1] * workers

    def say(self, records: Sequence[tuple[int, AlertReceived]]) -> None:
        """Reports come in at once, each to the worker that has its alert's partition."""
        shares: dict[int, list[AlertReceived]] = {}
        for alert, record in records:
            shares.setdefault(alert % len(self.folds), []).append(record)
        self._at_once([partial(self._fold, worker, share) for worker, share in shares.items()])

    def _fold(self, worker: int, records: Sequence[AlertReceived]) -> None:
        last, end = self.offsets[worker], self.offsets[worker] + len(records)
        arrivals = [Arrival(record, f"default/alerts/{worker}@{last + n}") for n, record in enumerate(records, 1)]
        self.folds[worker].save(arrivals, (TrackingMove("default", "alerts", worker, last, end),))
        self.offsets[worker] = end

    def settle(self) -> None:
        """Every pager works until there is nothing left to do for any."""
        if not hasattr(self, "pagers"):
            return
        while True:
            head = self.store.head()
            slow, *others = self._shuffled(self.pagers)
            late = self.store.claim_due(self.now(), GONE, 100, ESCALATE) if others else []
            self._at_once([pager.step for pager in self._shuffled(self.pagers)])
            slow._meet(late) if late else None
            taken = [(pager, pager.claim(100)) for pager in self._shuffled(self.pagers)]
            self._at_once([partial(self._deliver, *one) for one in taken if one[1]])
            if self.store.head() == head and not any(claimed for _, claimed in taken):
                return

    def _deliver(self, pager: Pager, claimed: Sequence[Delivery]) -> None:
        self.pager = pager
        self.deliver(claimed)

    def _at_once(self, work: Sequence[Callable[[], object]]) -> None:
        """Do all of it, in any order, the others between the first one's decision and its save."""
        first, *others = self._shuffled(work) or [lambda: None]
        self.crowd.others = others
        first()
        while self.crowd.others:
            self.crowd.others.pop()()

    def _shuffled(self, things: Sequence[object]) -> list:  # type: ignore[type-arg]
        return self.random.sample(list(things), len(things))

    def pass_time(self, seconds: int) -> None:
        """Time passes while pagers look at the deadlines."""
        for start in range(0, seconds, TICK):
            self._now += timedelta(seconds=min(TICK, seconds - start))
            self.settle()

    def act(self, verb: str, alert: int) -> None:
        """A person acts on the latest incident of an alert's group, if its status allows it."""
        name, labels = ALERTS[alert]
        title = f"{name} ({labels['service']})"
        log = [one for one in self.store.tail(0, 1_000_000) if isinstance(one.event, Opened)]
        found = [one for one in log if isinstance(one.event, Opened) and one.event.title == title]
        if found and isinstance(found[-1].event, Opened):
            with suppress(Refused):
                self.command_only(verb, f"INC-{found[-1].event.number}", "ada")

    def told(self) -> tuple[set[Told], set[Told]]:
        """Who was to be paged, and who was told."""
        queued: dict[str, Told] = {}
        sent: set[Told] = set()
        for one in self.store.tail(0, 1_000_000):
            if isinstance(one.event, pages.Queued):
                event = one.event
                queued[one.stream] = (event.user, event.escalation, event.loop, event.step)
            if isinstance(one.event, pages.Sent):
                sent.add(queued[one.stream])
        assert len(set(queued.values())) == len(queued), "a step was decided twice"
        return set(queued.values()), sent


def live(world: Crowd, seed: int) -> None:
    """Carry out the history of a seed: the same in every world."""
    random = Random(seed)
    for number in range(random.randint(4, 14)):
        match random.choice(("say", "say", "say", "act", "wait", "sleep")):
            case "say":
                groups = random.sample(GROUPS, random.randint(1, 3))
                fires = {random.choice(group): random.random() < 0.7 for group in groups}
                if random.random() < 0.5:  # two of one group at once: firing, the order does not matter
                    fires |= {0: True, 1: True}
                world.say([(a, report(world, Say(a, fires[a]), 10 * number + a)) for a in fires])
            case "act":
                world.act(random.choice(("ack", "unack", "start", "resolve", "reopen")), random.randrange(len(ALERTS)))
            case "wait":
                world.pass_time(random.choice((20, 70, 301, 620)))
            case "sleep":
                world._now += timedelta(seconds=random.choice((100, 2000)))
        world.settle()


def same(seeds: range) -> None:
    """Every history of these ends in one world as in the other, and there was something to get wrong."""
    conflicts = told = 0
    for seed in seeds:
        alone, crowd = Crowd(1, 1, seed), Crowd(*CROWDS[seed % len(CROWDS)], seed)
        live(alone, seed)
        live(crowd, seed)
        assert crowd.told() == alone.told(), f"history {seed}"
        conflicts += crowd.crowd.conflicts
        told += len(crowd.told()[1])
    assert told > len(seeds)
    assert conflicts > len(seeds) / 10


@pytest.mark.usefixtures("haste")
def test_the_same_people_are_paged_about_the_same_at_the_same_steps() -> None:
    same(HISTORIES)
