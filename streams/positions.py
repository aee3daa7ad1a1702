"""Where the fold stands in each partition it is assigned, and what that means beside what the topic holds.

Bookkeeping only: `worker` asks Kafka and the store, and tells this.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


class TopicReplaced(Exception):
    """The topic ends before the position: it was deleted and made again, or truncated. Nothing may be folded."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What a partition holds: the offset of its first record, and the one that its next record will get."""

    beginning: int
    end: int


@dataclass(frozen=True, slots=True)
class Lost:
    """Records that were deleted before they were folded, by the offsets of the first and the last."""

    partition: int
    first: int
    last: int


@dataclass(slots=True)
class Positions:
    """The last folded offset of each assigned partition (-1: none yet) and which are still behind.

    `cluster` and `topic` are how pointers name them.
    """

    cluster: str
    topic: str
    folded: dict[int, int] = field(default_factory=dict)
    _goals: dict[int, int] = field(default_factory=dict)
    _caught_up: set[int] = field(default_factory=set)

    def assign(self, standing: Mapping[int, Standing], tracked: Mapping[int, int]) -> tuple[Lost, ...]:
        """Take over partitions from the positions in the store; returns what was lost of them.

        Raises TopicReplaced when a partition ends before its position.
        """
        for partition, stands in sorted(standing.items()):
            folded = tracked.get(partition, -1)
            if stands.end < folded + 1:
                raise TopicReplaced(
                    f"{self.topic}/{partition} ends at offset {stands.end}, but {folded} is folded already: the topic"
                    " was made again or truncated. Restore it, or give its cluster another name"
                    " (TOCSIN_KAFKA_CLUSTER): positions under a new name start from the beginning."
                )
        self.folded = {partition: tracked.get(partition, -1) for partition in standing}
        self._caught_up.clear()
        self._goals = {p: s.end - 1 for p, s in standing.items() if s.end - 1 > self.folded[p]}
        return tuple(
            Lost(partition, self.folded[partition] + 1, stands.beginning - 1)
            for partition, stands in sorted(standing.items())
            if stands.beginning > self.folded[partition] + 1
        )

    def moved(self, partition: int, offset: int) -> None:
        """The position is now `offset`; nothing, if the partition was taken away meanwhile."""
        if partition not in self.folded:
            return
        self.folded[partition] = offset
        if self._goals.get(partition, offset + 1) <= offset:
            del self._goals[partition]
            self._caught_up.add(partition)

    def caught_up(self) -> list[str]:
        """The partitions that have caught up with what was there when they were assigned, once all have; each is told
        once. What they held back is said together then: a person is not messaged for each partition.
        """
        if self._goals:
            return []
        done = [self.name(partition) for partition in sorted(self._caught_up)]
        self._caught_up.clear()
        return done

    @property
    def catching_up(self) -> frozenset[str]:
        """The partitions, as pointers name them, that have not reached the end they had when they were assigned."""
        return frozenset(map(self.name, self._goals))

    def name(self, partition: int) -> str:
        """`default/alerts/7`."""
        return f"{self.cluster}/{self.topic}/{partition}"

    def behind(self, ends: Mapping[int, int]) -> list[int]:
        """The partitions that hold records after the position, given the offsets their next records will get."""
        return sorted(p for p, folded in self.folded.items() if ends.get(p, 0) > folded + 1)
