"""Whoever adds an effect adds a failpoint beside it, or says here why not."""

import ast
from collections import Counter
from pathlib import Path

import pytest

from streams import failpoints
from tests.faults.catalogue import effects, effects_of, points

WITHOUT = {
    "streams.channels.maildir.__init__": "the demo's mailbox is not a role",
    "streams.channels.maildir.add": "the demo's mailbox is not a role",
    "streams.channels.maildir._make_room": "the demo's mailbox is not a role",
    "streams.channels.maildir._sync_folder": "the demo's mailbox is not a role",
    "streams.clock.move": "tests move the clock",
    "streams.replaying._make": "an operator's replay: it is given up as a whole and asked for again",
    "streams.replaying._write": "an operator's replay: it is given up as a whole and asked for again",
    "streams.seal_key.signing_key": "an empty folder, made before the key, which has a failpoint",
    "streams.store.erasing.erase": "reads what is to be erased; the save has failpoints",
    "streams.store.migrate.migrate": "before any role starts, in one transaction that is made again",
    "streams.store.recorder.transaction": "opens a transaction for others, who have the failpoints",
    "streams.topics._create": "before any role starts, and made again when it exists already",
    "projections.rebuild._compare": "reads, in a snapshot",
    "gateway.intake._send": "`put`, its only caller, has the failpoints of all records of a receipt",
}


def test_every_effect_has_a_failpoint() -> None:
    bare = {effect.place: f"line {effect.line}: {effect.call}" for effect in effects() if not effect.has_failpoint}
    missing = {place: call for place, call in bare.items() if place not in WITHOUT}
    assert not missing, "effects without a failpoint (streams/failpoints.py)"
    assert set(WITHOUT) <= set(bare), "these have one, or are no effects any more"


def test_a_failpoint_has_one_name_and_one_place() -> None:
    names = Counter(points())
    assert len(names) > 60
    assert set(names.values()) == {1}


@pytest.mark.parametrize(
    "body",
    [
        "cursor.execute('update pages set at = %s', (at,))",
        "connection.execute(SAY)",
        "with self._recorder.transaction() as cursor: pass",
        "await producer.send('alerts', b'')",
        "os.fsync(3)",
        "self._rows('with x as (select 1 for update) delete from due')",
    ],
)
def test_the_listing_sees_an_effect(body: str) -> None:
    source = f"SAY = 'insert into progress values (1)'\nasync def say(self, at):\n    {body}\n"
    assert [one.has_failpoint for one in effects_of("m", ast.parse(source))] == [False]
    source = source.replace(body, f"with effect('x'):\n        {body}")
    assert [one.has_failpoint for one in effects_of("m", ast.parse(source))] == [True]


@pytest.mark.parametrize("body", ["connection.execute('select 1 for update')", "book.write(stream, event)"])
def test_the_listing_sees_none_where_there_is_none(body: str) -> None:
    assert effects_of("m", ast.parse(f"def say(self, at):\n    {body}\n")) == []


async def test_an_action_happens_once_the_nth_time_and_only_to_its_role(tmp_path: Path) -> None:
    plan = tmp_path / "plan"
    failpoints.arm(plan, "pager")
    try:
        failpoints.reach("save:begin")  # no plan yet
        plan.write_text("worker save:begin raise 1\n")
        failpoints.reach("save:begin")
        plan.write_text("pager save:begin lose 2\n")
        failpoints.reach("save:begin")
        failpoints.reach("save:commit")
        with pytest.raises(ConnectionError):
            failpoints.reach("save:begin")
        assert plan.with_suffix(failpoints.STRUCK).exists()
        failpoints.reach("save:begin")
    finally:
        failpoints.arm(None, "pager")


async def test_an_effect_that_failed_has_no_afterwards(tmp_path: Path) -> None:
    plan = tmp_path / "plan"
    plan.write_text(failpoints.OBSERVE)
    failpoints.arm(plan, "worker")
    try:
        with pytest.raises(ValueError, match="refused"), failpoints.effect("forward"):
            raise ValueError("refused")
        with failpoints.effect("forward"):
            pass
    finally:
        failpoints.arm(None, "worker")
    assert plan.with_suffix(".worker").read_text().split() == ["forward:before", "forward:before", "forward:after"]
