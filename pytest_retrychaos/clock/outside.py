"""What lives in real time and is waited for before virtual time jumps: older threads, real descriptors, children.

The wait is bounded: by what is left until the next deadline, and by a patience. What came in vain is not waited
for again.
"""

from __future__ import annotations

import _thread
import contextlib
import math
import os
import select
from typing import TYPE_CHECKING, Any

from pytest_retrychaos.clock.functions import real
from pytest_retrychaos.model import SECOND

if TYPE_CHECKING:
    from pytest_retrychaos.clock.turns import Turns

LEAST_GRACE = 0.001
"""Real seconds; below that a thread that is ready may not get the processor."""
_SLICE = 0.002
"""Real seconds between two looks where an older thread may give silently what is waited for."""
_LONGEST = 3600.0
"""Real seconds of one wait of the system's: it takes no infinity."""

REAL_POLL: Any = type(select.poll()).__dict__["poll"]  # Any: the method of a C type


class Outside:
    """What may come from outside, and how long that is waited for."""

    def __init__(self, *, patience: float, grace: float) -> None:
        self.patience = patience
        """Real seconds for what only something outside can bring about."""
        self.grace = grace
        """Real seconds that older threads get before time jumps to a deadline."""
        self.in_flight: set[int] = set()
        """Real sockets on which something was sent and nothing has been received since, by identity."""
        self.children: set[int] = set()
        """Child processes of event loops that have not been reaped."""
        self._grace_left = grace
        """The same, halved each time that it was in vain."""
        self._bell = -1

    def older_threads(self, turns: Turns) -> int:
        """Count the threads that are not on virtual time."""
        return max(0, _thread._count() + 1 - len(turns.strands))

    def stir(self) -> None:
        """Wake whoever waits here; called by threads without the turn."""
        if self._bell >= 0:
            os.eventfd_write(self._bell, 1)

    def close(self) -> None:
        """Give back the descriptor that `stir` writes to."""
        bell, self._bell = self._bell, -1
        if bell >= 0:
            os.close(bell)

    def wait(self, turns: Turns, due_ns: int | None) -> bool:
        """Wait in real time for something to come, if it may; whether time must not jump yet."""
        left = math.inf if due_ns is None else (due_ns - turns.clock.now_ns) / SECOND
        if left <= 0:
            return False
        blocked = list(turns.blocked())
        pollers = [one.poller for one in blocked if one.poller is not None]
        limit = max((one.patience for one in pollers), default=0.0)
        if self.in_flight:
            limit = max(limit, self.patience)
        if self.children:
            limit = math.inf
        is_certain = limit > 0
        older = self.older_threads(turns)
        if not is_certain and any(one.key is not None for one in blocked) and (older or due_ns is None):
            limit = self._grace_left if due_ns is not None else self.patience if older else self.grace
        if limit <= 0:
            return False
        if self._idle(turns, min(limit, left), slices=bool(older)):
            self._grace_left = self.grace
            return True
        self._grace_left = max(self._grace_left / 2, min(LEAST_GRACE, self.grace))
        self.in_flight.clear()
        if due_ns is None:
            return is_certain  # without a limit it is waited for as long as it takes
        for poller in pollers:
            poller.patience = 0.0
        return False

    def _idle(self, turns: Turns, seconds: float, *, slices: bool) -> bool:
        if self._bell < 0:
            self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        poll = select.poll()
        poll.register(self._bell, select.POLLIN)
        for one in turns.blocked():
            for number, events in one.poller.descriptors if one.poller is not None else ():
                poll.register(number, events)
        monotonic = real("monotonic")
        end = monotonic() + seconds
        while not turns.has_news():
            left = end - monotonic()
            if left <= 0:
                return False
            REAL_POLL(poll, 1000 * min(left, _SLICE if slices else _LONGEST))
        self._quiet()
        return True

    def _quiet(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._bell)
