"""The one loop of every blocking call, and how its limit is counted."""

from __future__ import annotations

import select
from collections.abc import Callable

from pytest_retrychaos.clock.active import ACTIVE
from pytest_retrychaos.clock.durations import nanoseconds
from pytest_retrychaos.clock.outside import REAL_POLL
from pytest_retrychaos.clock.strands import Poller, Woke
from pytest_retrychaos.clock.turns import Turns
from pytest_retrychaos.clock.virtual import SHORTEST_WAIT
from pytest_retrychaos.model import SECOND


def running() -> Turns:
    """Give what a thread does with its turn, to the one that has it."""
    assert ACTIVE.turns is not None
    return ACTIVE.turns


def deadline(seconds: float) -> int:
    """Convert a timeout into the moment of the run at which it is over."""
    return ACTIVE.clock.now_ns + nanoseconds(seconds)


def seconds_left(deadline_ns: int | None) -> float | None:
    """Convert a moment of the run into what is left until then; ``None`` is no limit."""
    return None if deadline_ns is None else max(0, deadline_ns - ACTIVE.clock.now_ns) / SECOND


def wait(
    attempt: Callable[[], bool],
    key: int,
    deadline_ns: int | None,
    waits_for: str,
    *,
    is_free: Callable[[], bool] | None = None,
    poller: Poller | None = None,
) -> bool | None:
    """Block until an attempt succeeds; whether it did before the deadline, ``None`` where virtual time has ended.

    The attempt never waits by itself. ``None`` tells the caller to repeat the wait with the real function.
    """
    turns = running()
    began_ns = turns.clock.now_ns
    while True:
        woke = turns.block(key, deadline_ns, waits_for, is_free=is_free, poller=poller)
        if turns.clock.now_ns - began_ns >= SHORTEST_WAIT:
            turns.clock.note_traffic()  # who waits does not poll
        if woke is Woke.BY_END:
            return None
        if attempt():
            return True
        if woke is Woke.BY_TIME:
            return False


class Readiness:
    """Descriptors that are waited on, each with its events, and the real seconds that something outside gets."""

    def __init__(self, descriptors: list[tuple[int, int]], patience: float = 0.0) -> None:
        self.patience = patience
        self.is_endless = False
        self.descriptors = descriptors
        self._poll = select.poll()
        for number, events in descriptors:
            self._poll.register(number, events)

    def look(self) -> bool:
        """Whether one is ready now."""
        return bool(REAL_POLL(self._poll, 0))


def await_ready(poller: Readiness, until_ns: int | None, waits_for: str) -> bool | None:
    """Wait for descriptors; whether one is ready before the deadline, ``None`` where virtual time has ended."""
    if poller.look():
        return True
    return wait(poller.look, id(poller), until_ns, waits_for, poller=poller)
