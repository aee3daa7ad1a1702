"""What the watchdog says, to whom and how often."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from domain.config import Config, ContactMethod, Member, Team, User
from domain.routing import Route
from gateway import standing
from gateway.standing import Standing
from projections.lag import Marks
from schemas.settings import Settings
from streams import gateways, notices, watchdog
from streams.channels.base import Channel, Notice, Rejected, Retry
from streams.channels.memory import MemoryChannel
from streams.gateways import Gateways
from streams.notices import Herald
from streams.store.base import Unavailable
from streams.watchdog import Watchdog
from tests.gateway_world import MemoryOutages
from tests.world import START

QUIET = Marks(10, {"projector": 10, "relay": 10}, {0: 7})
CONFIG = Config(
    users={
        "ada": User("ada", "Ada Example", (ContactMethod("email", "ada@example.test"),)),
        "grace": User("grace", "Grace Example", (ContactMethod("carrier-pigeon", "loft 3"),)),
        "edsger": User("edsger", "Edsger Example", (ContactMethod("email", "edsger@example.test"),)),
    },
    teams={
        "platform": Team("platform", (Member("ada", "primary"), Member("ada", "lead"), Member("grace", "secondary"))),
        "search": Team("search", (Member("edsger", "primary"),)),
    },
    root=Route(team="platform", policy="two-steps"),
)


class Scene:
    """One installation that a test freezes and thaws, and any number of gateways that watch it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.marks: Marks | None = QUIET
        self.now = 1000.0
        self.channel = MemoryChannel()
        self.outages = MemoryOutages(lambda: self.now)
        self.known: dict[int, int] = {0: 7}
        self.acknowledged: dict[int, int] = {}
        self.channels: dict[str, Channel] = {"email": self.channel}
        monkeypatch.setattr(standing, "_now", lambda: self.now)
        monkeypatch.setattr(watchdog, "_now", lambda: self.now)
        monkeypatch.setattr(notices, "PAUSE", 0.0)
        self.gateways = [self.gateway()]

    def gateway(self, settings: Settings | None = None, config: Config | None = CONFIG) -> tuple[Standing, Watchdog]:
        self.settings = settings or Settings()
        self.lags = self.ends = self.intake = self
        seen = Standing(self)  # type: ignore[arg-type]
        herald = Herald(self.settings.watchdog_team, self.channels, lambda: config)
        outages: Any = self.outages
        return seen, Watchdog(seen.visible, herald, outages, self.clock, self.settings.watchdog_after)

    def freeze(self) -> None:
        """Alerts come, and nobody folds them."""
        self.known[0] += 4

    def thaw(self) -> None:
        """The worker has folded all there is, and the others have followed."""
        self.marks = replace(QUIET, tracking=dict(self.known))

    def clock(self) -> datetime:
        return START

    def look(self, _: object) -> Marks:
        if self.marks is None:
            raise Unavailable("Postgres does not answer")
        return self.marks

    def after(self, seconds: int) -> list[Notice]:
        """What has been said in so much time."""
        before = len(self.channel.notices)
        for _ in range(seconds):
            self.now += 1.0
            for seen, dog in self.gateways:
                asyncio.run(seen.look())
                asyncio.run(dog.look())
        return self.channel.notices[before:]


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    made = Scene(monkeypatch)
    assert made.after(60) == []
    yield made


def test_an_outage_is_told_once_and_so_is_its_end(scene: Scene) -> None:
    scene.freeze()
    assert scene.after(29) == []
    [said] = scene.after(600)
    assert (said.to, said.person_id, said.title) == ("ada@example.test", "ada", "[Tocsin] the worker stands still")
    assert "4 receipts wait to be folded, nothing has moved for 30 s" in said.text
    assert "What to do: See that a worker runs" in said.text
    scene.thaw()
    assert scene.after(29) == []
    [over] = scene.after(600)
    assert over.title == "[Tocsin] the worker works again"
    assert scene.outages.open == {}


def test_a_team_with_a_channel_is_told_there_too(scene: Scene) -> None:
    mailbox = (ContactMethod("email", "platform@example.test"), ContactMethod("carrier-pigeon", "loft 1"))
    team = replace(CONFIG.teams["platform"], contacts=mailbox)
    scene.gateways = [scene.gateway(config=replace(CONFIG, teams={"platform": team}))]
    scene.after(31)
    scene.freeze()
    told = scene.after(40)
    assert sorted((said.person_id, said.to) for said in told) == [
        ("ada", "ada@example.test"),
        ("team:platform", "platform@example.test"),
    ]
    assert all("This goes to everybody in team platform" in said.text for said in told)


def test_a_role_that_stops_and_goes_is_one_outage(scene: Scene) -> None:
    scene.freeze()
    assert len(scene.after(31)) == 1
    for _ in range(10):
        scene.thaw()
        assert scene.after(10) == []
        scene.freeze()
        assert scene.after(35) == []


def test_the_next_outage_is_told_again(scene: Scene) -> None:
    for _ in range(2):
        scene.freeze()
        assert len(scene.after(40)) == 1
        scene.thaw()
        assert len(scene.after(40)) == 1


def test_several_roles_at_once_are_one_message(scene: Scene) -> None:
    scene.freeze()
    scene.marks = replace(QUIET, head=20)
    [said] = scene.after(40)
    assert said.title == "[Tocsin] the worker, the projector and the relay stand still"
    scene.thaw()
    [over] = scene.after(40)
    assert over.title.endswith("work again")


def test_several_gateways_tell_it_once(scene: Scene) -> None:
    scene.gateways += [scene.gateway(), scene.gateway()]
    scene.after(31)
    scene.freeze()
    assert len(scene.after(120)) == 1
    scene.thaw()
    assert len(scene.after(120)) == 1


def test_without_the_database_everybody_tells_it(scene: Scene) -> None:
    scene.marks, scene.outages.down = None, True
    [said] = scene.after(120)
    assert said.title == "[Tocsin] Postgres stands still"
    assert "nobody is paged" in said.text
    scene.marks, scene.outages.down = QUIET, False
    [over] = scene.after(120)
    assert over.title == "[Tocsin] Postgres works again"


def test_a_gateway_that_was_restarted_tells_the_end_and_not_the_beginning(scene: Scene) -> None:
    scene.freeze()
    assert len(scene.after(40)) == 1
    scene.gateways = [scene.gateway()]
    assert scene.after(40) == []
    scene.gateways = [scene.gateway()]
    scene.thaw()
    assert [said.title for said in scene.after(40)] == ["[Tocsin] the worker works again"]


def test_what_could_not_be_said_is_tried_again_after_a_minute(scene: Scene) -> None:
    scene.freeze()
    scene.channel.script(Rejected("login: 535", broken=True))
    assert scene.after(60) == []
    assert len(scene.after(60)) == 1


def test_the_end_is_told_when_nobody_knows_whether_the_beginning_was(scene: Scene) -> None:
    scene.freeze()
    scene.channel.script(Rejected("login: 535", broken=True))
    assert scene.after(40) == []
    scene.thaw()
    assert [said.title for said in scene.after(40)] == ["[Tocsin] the worker works again"]


def test_an_end_that_could_not_be_said_is_tried_again_after_a_minute(scene: Scene) -> None:
    scene.freeze()
    assert len(scene.after(40)) == 1
    scene.thaw()
    scene.channel.script(Rejected("login: 535", broken=True))
    assert scene.after(60) == []
    assert [said.title for said in scene.after(60)] == ["[Tocsin] the worker works again"]
    assert scene.after(600) == []


def test_an_end_is_told_by_who_failed_to_in_a_way_that_nobody_expected(scene: Scene) -> None:
    scene.freeze()
    assert len(scene.after(40)) == 1
    scene.thaw()
    working = scene.channels["email"]
    scene.channels["email"] = object()  # type: ignore[assignment]
    with pytest.raises(AttributeError):
        scene.after(40)
    scene.channels["email"] = working
    assert [said.title for said in scene.after(100)] == ["[Tocsin] the worker works again"]


def test_somebody_else_tells_the_end_when_who_wanted_to_has_died(scene: Scene) -> None:
    scene.freeze()
    assert len(scene.after(40)) == 1
    scene.thaw()
    [over] = scene.outages.end(["worker"], START)  # and then it dies
    assert over.ours
    scene.gateways = [scene.gateway()]
    assert scene.after(40) == []
    assert [said.title for said in scene.after(60)] == ["[Tocsin] the worker works again"]
    assert scene.after(600) == []


def test_a_message_that_is_put_off_is_tried_at_once_again(scene: Scene) -> None:
    scene.freeze()
    scene.channel.script(Retry("connect: timed out"), Retry("connect: timed out"))
    assert len(scene.after(31)) == 1


def test_the_team_that_is_set_hears_it(scene: Scene) -> None:
    scene.gateways = [scene.gateway(Settings(watchdog_team="search"))]
    scene.after(31)
    scene.freeze()
    assert [said.to for said in scene.after(40)] == ["edsger@example.test"]


def test_nobody_to_tell_is_said_in_the_log(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    scene.gateways = [scene.gateway(config=None)]
    scene.freeze()
    assert scene.after(40) == []
    assert "there is nobody to tell" in capsys.readouterr().out


# -- the gateways themselves, which the pager watches ---------------------------------------------------------------


class Pagers(Scene):
    """An installation whose gateway a test stops, and pagers that watch it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.beats, self.last, self.away = True, START, False
        super().__init__(monkeypatch)
        monkeypatch.setattr(gateways, "_now", lambda: self.now)

    def gateway(self, settings: Settings | None = None, config: Config | None = CONFIG) -> tuple[Any, Watchdog]:
        """What a pager has to watch with."""
        seen = Gateways(self.heard, self.clock, 30.0)
        outages: Any = self.outages
        return seen, Watchdog(seen.roles, Herald(None, self.channels, lambda: config), outages, self.clock, 30.0)

    def heard(self) -> datetime | None:
        if self.away:
            raise Unavailable("Postgres does not answer")
        if self.beats:
            self.last += timedelta(seconds=1)
        return self.last


@pytest.fixture
def pagers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pagers]:
    made = Pagers(monkeypatch)
    made.gateways += [made.gateway()]
    assert made.after(60) == []
    yield made


def test_the_last_gateway_that_dies_is_told_of_once_by_a_pager(pagers: Pagers) -> None:
    pagers.beats = False
    assert pagers.after(32) == []
    [said] = pagers.after(600)
    assert (said.to, said.title) == ("ada@example.test", "[Tocsin] the gateway stands still")
    assert "no gateway has left a heartbeat for 30 s" in said.text
    assert "See that a gateway runs" in said.text
    pagers.beats = True
    assert pagers.after(29) == []
    [over] = pagers.after(600)
    assert over.title == "[Tocsin] the gateway works again"


def test_a_gateway_cannot_be_seen_while_the_database_is_away(pagers: Pagers) -> None:
    pagers.beats, pagers.away = False, True
    assert pagers.after(600) == []
    pagers.away = False
    assert pagers.after(32) == []
    assert len(pagers.after(10)) == 1


def test_a_pager_that_was_stopped_itself_blames_nobody(pagers: Pagers) -> None:
    pagers.now += 600.0
    for _, dog in pagers.gateways:
        asyncio.run(dog.look())
    assert pagers.after(60) == []


def test_where_there_never_was_a_gateway_none_is_missed(pagers: Pagers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pagers, "heard", lambda: None)
    pagers.gateways = [pagers.gateway()]
    assert pagers.after(600) == []
