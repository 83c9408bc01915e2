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
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pytest_retrychaos.clock.functions import real
from pytest_retrychaos.clock.peers import Peers, borrow, is_listening
from pytest_retrychaos.clock.sleepers import Sleepers
from pytest_retrychaos.model import SECOND

if TYPE_CHECKING:
    from pytest_retrychaos.clock.scheduler import Scheduler
    from pytest_retrychaos.clock.strands import Poller
    from pytest_retrychaos.clock.turn import Turn

LEAST_GRACE = 0.001
"""Real seconds; below that a thread that is ready may not get the processor."""
DELIVERY = 0.002
"""Real seconds for the kernel to bring what was sent within this machine, when it is busy."""
_SLICE = 0.002
"""Real seconds between two looks where an older thread may give silently what is waited for."""
_LONGEST = 3600.0
"""Real seconds of one wait of the system's: it takes no infinity."""

REAL_POLL: Any = type(select.poll()).poll if hasattr(select, "poll") else None  # Any: the method of a C type


class Outside:
    """What may come from outside, and how long that is waited for."""

    def __init__(self, *, patience: float, grace: float, longest: float = math.inf) -> None:
        self.patience = patience
        """Real seconds for what only something outside can bring about."""
        self.longest = longest
        """The same where child processes may be at work for it, as those of a pool are."""
        self.grace = grace
        """Real seconds that older threads get before time jumps to a deadline."""
        self.in_flight: set[int] = set()
        """Descriptors of real sockets on which something was sent outside and nothing has come since."""
        self.children: set[int] = set()
        """Child processes of event loops that have not been reaped."""
        self.started: set[int] = set()
        """Child processes that threads on virtual time have started, some of them long gone."""
        self.peers = Peers()
        self.is_bounded = False
        """Whether a wait is under way that ends by itself, or that of a child process."""
        self.own_threads = 0
        """How many threads of this package's own there are: nobody waits for them."""
        self.silent = 0
        """The identity of a loop that had nothing in its own pipe, and to which nobody can have written since."""
        self._silent: set[int] = set()
        """Descriptors of real sockets that were waited for in vain."""
        self._flight_left = patience
        self._has_sent = False
        """Whether something was sent since the last wait: the kernel may be about to deliver it."""
        self._grace_left = grace
        """The same, halved each time that it was in vain."""
        self._sleepers = Sleepers()
        self._bell = -1
        self._ringing: deque[None] = deque()
        """One for each thread that is about to ring."""

    def older_threads(self, turn: Turn) -> int:
        """Count the threads that are not on virtual time."""
        return max(0, _thread._count() + 1 - turn.population - self.own_threads)

    def _may_bring(self, turn: Turn) -> bool:
        """Whether an older thread may be at work on what was handed to it."""
        return self.older_threads(turn) > 0 and not self._sleepers.sleep_on()

    # real sockets and children

    def sent(self, sock: Any) -> None:  # Any: a socket of whatever class
        """Note that something was sent: time does not jump over the answer."""
        self._has_sent = True
        self.silent = 0
        self.peers.ask(sock)
        number = sock.fileno()
        if number not in self._silent and self.peers.is_request(sock):
            self.in_flight.add(number)
            self._flight_left = self.patience

    def received(self, sock: Any) -> None:  # Any: as above
        """Note that something was received."""
        self.in_flight.discard(sock.fileno())
        self._silent.discard(sock.fileno())

    def closed(self, sock: Any) -> None:  # Any: as above
        """Forget a socket."""
        self.received(sock)
        self.peers.forget(sock)

    def has_children(self) -> bool:
        """Whether a child process that was started on virtual time is alive."""
        self.started = {pid for pid in self.started if is_running(pid)}
        return bool(self.started)

    def patience_for(self, sock: Any) -> float:  # Any: as above
        """Give the real seconds for which something is waited for on a real socket."""
        if is_listening(sock):
            return self._grace_left if self.has_children() else 0.0
        return self.patience if self.peers.is_outside(sock) else 0.0

    def patience_for_descriptors(self, numbers: Iterable[int]) -> float:
        """Give the same for the most promising of several descriptors, simulated ones left out."""
        return max((self._patience_for_descriptor(number) for number in set(numbers)), default=0.0)

    def _patience_for_descriptor(self, number: int) -> float:
        try:
            sock = borrow(number)
        except OSError:  # a pipe: a child has the other end
            return math.inf if self.has_children() else self.patience
        try:
            if number not in self.in_flight and not is_listening(sock) and self.peers.is_outside(sock):
                return self._grace_left  # idle: it does not hold time up
            return self.patience_for(sock)
        finally:
            sock.detach()

    def stir(self) -> None:
        """Wake whoever waits here; called by threads without the turn."""
        self._ringing.append(None)  # before the bell is looked at, so that it is not given back meanwhile
        try:
            if self._bell >= 0:
                os.eventfd_write(self._bell, 1)
        finally:
            self._ringing.pop()

    def open(self) -> None:
        """Begin, while nothing of the run has happened yet."""
        self._sleepers.settle()

    def close(self) -> None:
        """Give back all descriptors."""
        self._sleepers.close()
        bell, self._bell = self._bell, -1
        while self._ringing:
            real("sleep")(LEAST_GRACE)
        if bell >= 0:
            os.close(bell)

    def is_quiet(self, turn: Turn) -> bool:
        """Whether nothing can come from outside."""
        return not (
            self.in_flight
            or self.children
            or self._has_sent
            or _thread._count() >= len(turn.members) + self.own_threads
            or (self.started and self.has_children())
        )

    def wait(self, scheduler: Scheduler, due_ns: int | None) -> bool:
        """Wait in real time for something to come, if it may; whether time must not jump yet."""
        left = math.inf if due_ns is None else (due_ns - scheduler.clock.now_ns) / SECOND
        if left <= 0:
            return False
        pollers = scheduler.pollers()
        limit = max((one.patience for one in pollers), default=0.0)
        if self.in_flight:
            limit = max(limit, self._flight_left)
        if self.children or (due_ns is None and any(one.is_endless for one in pollers)):
            limit = math.inf
        is_certain = limit > 0
        if self._has_sent:
            self._has_sent = False
            limit = max(limit, DELIVERY)
        older = self.older_threads(scheduler.turn)
        by_children = False
        if not is_certain and scheduler.waiting:
            for_older = self._limit_for_older(scheduler, due_ns)
            by_children = older > 0 and due_ns is None and for_older > max(limit, self.patience)
            limit = max(limit, for_older)
        if limit <= 0:
            # Who was about to answer may have done so, and sleep again, while it was asked who sleeps.
            return older > 0 and scheduler.has_news()
        seconds = min(limit, left)
        self.is_bounded = limit == math.inf or due_ns is not None or not is_certain
        try:
            has_news = self._idle(scheduler, seconds, slices=bool(older), by_children=by_children)
        finally:
            self.is_bounded = False
        if has_news:
            self._grace_left = self.grace
            return True
        if due_ns is None and is_certain:
            return True  # without a limit it is waited for as long as it takes
        self._waited_in_vain(pollers, seconds)
        return False

    def _limit_for_older(self, scheduler: Scheduler, due_ns: int | None) -> float:
        """Give the real seconds for which older threads are waited for."""
        if due_ns is not None:
            return self._grace_left if self._may_bring(scheduler.turn) else 0.0
        if scheduler.clock.meets_silence() and self._sleepers.sleep_on():
            return 0.0
        return self.patience_for_older() if self.older_threads(scheduler.turn) else self.grace

    def patience_for_older(self) -> float:
        """Give the real seconds for which older threads are waited for where nothing else can end a wait."""
        return max(self.patience, self.longest) if self.has_children() else self.patience

    def _waited_in_vain(self, pollers: list[Poller], seconds: float) -> None:
        least = min(LEAST_GRACE, self.grace)
        self._grace_left = max(self._grace_left / 2, least)
        if self._grace_left == least:  # who sleeps now was waited for long enough
            self._sleepers.count()
        for poller in pollers:
            poller.patience = max(0.0, poller.patience - seconds)
        self._flight_left -= seconds
        if self._flight_left <= 0:
            self._silent |= self.in_flight
            self.in_flight.clear()

    def _idle(self, scheduler: Scheduler, seconds: float, *, slices: bool, by_children: bool) -> bool:
        """Wait for something to come; whether it did.

        ``by_children``: only child processes could bring it; once they have ended, older threads get the patience.
        """
        if self._bell < 0:
            self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        poll = select.poll()
        poll.register(self._bell, select.POLLIN)
        for poller in scheduler.pollers():
            for number, events in poller.descriptors:
                poll.register(number, events)
        for number in tuple(self.in_flight):  # at once: the collector may close a socket meanwhile
            poll.register(number, select.POLLIN)
        monotonic = real("monotonic")
        end = monotonic() + seconds
        patient = monotonic() + self.patience if by_children else end
        turn = scheduler.turn
        held = turn.granted
        while turn.granted is held and not scheduler.has_news():
            if by_children and self.has_children():
                patient = monotonic() + self.patience
            left = min(end, patient) - monotonic()
            if left <= 0:
                return False
            came = {number for number, _ in REAL_POLL(poll, 1000 * min(left, _SLICE if slices else _LONGEST))}
            if came & self.in_flight:
                self.in_flight -= came
                break
        self._quiet()
        return True

    def _quiet(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._bell)


def is_running(pid: int) -> bool:
    """Whether a child process has neither ended nor been reaped."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
    except ChildProcessError:
        return False
