"""How often the state of a stream is kept beside its events: seldom enough to be cheap, often enough to load fast.

And what was kept is read as it was.
"""

from datetime import UTC, datetime
from itertools import accumulate

import orjson
from hypothesis import example, given
from hypothesis import strategies as st
from immutables import Map

from domain.book import Loaded
from domain.groups import Group
from domain.incidents import Incident
from domain.suppression import Suppression
from schemas.events import decode_state, encode_state
from streams.store.writing import SNAPSHOT_EVERY, is_kept

AT = datetime(2026, 3, 2, 3, 0, tzinfo=UTC)
LONGEST = 20_000
NONE: Map[str, int] = Map()
ALERTS = list(accumulate(range(LONGEST), lambda alerts, number: alerts.set(str(number), 1), initial=NONE))
"""None that fires, one, two ... `LONGEST`."""


def stream(version: int, firing: int) -> Loaded:
    return Loaded(Group(1, "incident-1", ALERTS[firing], {1: firing}), version, b"tip", AT)


@given(st.integers(1, 400), st.integers(0, 50))
@example(1, 0)
@example(50, 1)
def test_a_group_that_grows_is_kept_as_often_as_it_pays(each: int, others: int) -> None:
    """Saves of `each` alerts that begin, after `others` events of another kind: what all snapshots name together grows
    with the events, not with their square; loading reads no more events than half of the alerts that fire."""
    firing, version, kept, named = 0, others, 0, 0
    for _ in range(LONGEST // each):
        before, version, firing = version, version + each, firing + each
        if is_kept(before, stream(version, firing)):
            kept, named = version, named + firing
        assert version - kept < max(2 * SNAPSHOT_EVERY, firing / 2) + each
    assert named <= 10 * version


@given(st.integers(0, 10_000), st.integers(1, 400))
def test_a_stream_of_no_group_is_kept_each_so_many_events(before: int, each: int) -> None:
    kept = is_kept(before, Loaded(Incident(), before + each, b"tip", AT))
    assert kept == any((before + number) % SNAPSHOT_EVERY == 0 for number in range(1, each + 1))


def test_a_group_is_read_as_it_was_kept_also_by_an_earlier_version() -> None:
    silenced = Suppression("silence", "s-1", None, None, None)
    group = Group(2, "incident-2", {"a": 1, "b": 2, "c": 2}, {1: 1, 2: 2}, {"b": silenced}, hushed={2: 1})
    kept = orjson.loads(encode_state(group))
    assert decode_state("group", orjson.dumps(kept)) == group
    del kept["hushed"]
    earlier = decode_state("group", orjson.dumps(kept))
    assert earlier == group
    assert isinstance(earlier, Group)
    assert [earlier.loud_in(episode) for episode in (1, 2)] == [1, 1]
