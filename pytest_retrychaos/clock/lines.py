"""Where threads stand in line: those that are ready, those with a deadline, and those that wait for something.

Nothing here runs anyone. A place that is no longer true is left where it is and passed over when its turn comes,
by the number that the thread had when it took the place.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable

from pytest_retrychaos.clock.strands import Strand

Alarm = Callable[[], None]


class Ready:
    """Who can go on, in what order."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Strand]] = []
        """By what rank each is to go on, and the number under which it was put there."""

    def add(self, strand: Strand, rank: float, number: int) -> None:
        """Put a thread in line, in place of where it stood before."""
        strand.ready_as = number
        heapq.heappush(self._heap, (rank, number, strand))

    def first(self) -> Strand | None:
        """Give who is next, and leave it there."""
        while self._heap:
            _, number, strand = self._heap[0]
            if strand.ready_as == number:
                return strand
            heapq.heappop(self._heap)
        return None

    def second(self) -> Strand | None:
        """Give who is next but one, and leave it there; `first` has just been asked."""
        if len(self._heap) < 2:
            return None
        place = heapq.heappop(self._heap)
        second = self.first()
        heapq.heappush(self._heap, place)
        return second


class Deadlines:
    """What is to happen when moments come: waits that end, and alarms."""

    def __init__(self) -> None:
        self.heap: list[tuple[int, int, Strand | Alarm]] = []
        """By their moments; some of them may not be true any more."""

    def add(self, due_ns: int, number: int, item: Strand | Alarm) -> None:
        """Note the end of a thread's wait of that number, or what to call."""
        heapq.heappush(self.heap, (due_ns, number, item))

    def earliest(self) -> int | None:
        """Tell the first moment at which something is to happen."""
        while self.heap:
            due, number, item = self.heap[0]
            if not isinstance(item, Strand) or item.number == number:
                return due
            heapq.heappop(self.heap)
        return None

    def has_by(self, moment_ns: int) -> bool:
        """Whether something is to happen until then."""
        if not self.heap:
            return False
        earliest = self.earliest()
        return earliest is not None and earliest <= moment_ns

    def take(self, moment_ns: int) -> Strand | Alarm | None:
        """Take out one that is due by a moment, the earliest first; ``None`` where none is left."""
        while self.heap and self.heap[0][0] <= moment_ns:
            _, number, item = heapq.heappop(self.heap)
            if not isinstance(item, Strand) or item.number == number:
                return item
        return None


class Waiting(dict[int, deque[Strand]]):
    """Who waits for what, the longest first. A key is the identity of what is waited for.

    It is a dictionary because every lock that is released looks here.
    """

    def add(self, strand: Strand, key: int) -> None:
        """Let a thread wait for a key."""
        self.setdefault(key, deque()).append(strand)

    def remove(self, strand: Strand) -> None:
        """Take a thread out, if it stands here."""
        line = self.get(strand.key) if strand.key is not None else None
        if line is not None and strand in line:
            line.remove(strand)
            if not line:
                del self[strand.key or 0]

    def take(self, key: int) -> Strand | None:
        """Take out who has waited longest for a key."""
        line = self.get(key)
        if line is None:
            return None
        strand = line.popleft()
        if not line:
            del self[key]
        return strand
