"""The one way in which a thread on virtual time blocks: `wait`.

Whatever is waited for is given as an attempt that may take so many real seconds. Before time jumps, threads
older than the clock get a short real grace: they may hold what is waited for, and they live in real time.
"""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Callable
from typing import SupportsIndex

from pytest_retrychaos.clock.active import ACTIVE, place
from pytest_retrychaos.clock.errors import Deadlock
from pytest_retrychaos.model import SECOND

LEAST_GRACE = 0.001
"""Real seconds; below that a thread that is ready may not get the processor."""

Attempt = Callable[[float], bool]
"""Try to get what is waited for, within so many real seconds (0: at once); whether it was got."""


def nanoseconds(seconds: float | SupportsIndex) -> int:
    """Convert a duration as the interpreter does for a timeout: rounded up, only floats and integers."""
    if isinstance(seconds, float):
        return math.ceil(seconds * 1e9)
    return operator.index(seconds) * SECOND


def wait(attempt: Attempt, deadline_ns: int | None, what: str) -> bool:
    """Block until the attempt succeeds or virtual time has reached the deadline; whether it succeeded.

    ``deadline_ns`` counts from the start of the run; ``None`` is no limit. Raises `Deadlock` where there is
    no limit and nothing can end the wait: at once if this is the only thread, else after the patience.
    """
    if attempt(0):
        return True
    alone = ACTIVE.forbid_threads and len(sys._current_frames()) == 1
    if deadline_ns is None:
        # Alone, too, for a moment: a signal's handler may come, or another thread has just ended.
        if not attempt(ACTIVE.grace if alone else ACTIVE.patience):
            raise _deadlock(what, alone=alone)
        return True
    if deadline_ns > ACTIVE.clock.now_ns and not alone and _graced(attempt):
        return True
    ACTIVE.clock.wait_until(deadline_ns)
    return attempt(0)


def wait_outside(attempt: Attempt, deadline_ns: int | None) -> bool:
    """Block on something that lives in real time (a real descriptor): time jumps only after the patience."""
    if attempt(0):
        return True
    if deadline_ns is None:
        while not attempt(ACTIVE.patience):
            pass
        return True
    left = (deadline_ns - ACTIVE.clock.now_ns) / SECOND
    if left > 0 and attempt(min(left, ACTIVE.patience)):
        return True
    ACTIVE.clock.wait_until(deadline_ns)
    return attempt(0)


def _graced(attempt: Attempt) -> bool:
    if attempt(ACTIVE.grace_left):
        ACTIVE.grace_left = ACTIVE.grace
        return True
    ACTIVE.grace_left = max(ACTIVE.grace_left / 2, min(LEAST_GRACE, ACTIVE.grace))
    return False


def _deadlock(what: str, *, alone: bool) -> Deadlock:
    why = (
        "there is no other thread that could end the wait"
        if alone
        else f"no other thread has ended the wait within {ACTIVE.patience:g} s of real time"
    )
    stop = Deadlock(f"{place()} waits for {what} without a limit, and {why}. Wait with a timeout.")
    ACTIVE.clock.stops.append(stop)
    return stop
