"""Who is next: where each thread on virtual time stands in line, and which of them the turn goes to.

Laws of this module:
1. Who is next: a thread that has to raise an interrupt; one that is ready (the seed chooses among them); one
   whose descriptor is ready; one that something outside wakes within bounded real time; then time jumps.
2. Nobody who could go on and no deadline is a deadlock, raised in the test's own thread; but first those are told
   who wait for another thread without a limit and can tell their caller (`patient`).
3. The thread that has the turn calls all that is here. The others append to `arrivals`, which is atomic.
4. A thread draws from the seed once for each place among those that are ready, when it takes the place, and from
   its own chance alone: what the others do does not change what it draws.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from pytest_retrychaos.clock.lines import Alarm, Deadlines, Ready, Waiting
from pytest_retrychaos.clock.outside import Outside
from pytest_retrychaos.clock.report import deadlock
from pytest_retrychaos.clock.strands import Poller, Strand, Woke
from pytest_retrychaos.clock.switches import Switches
from pytest_retrychaos.clock.turn import Turn
from pytest_retrychaos.clock.virtual import VirtualClock
from pytest_retrychaos.model import SECOND

_WINDOW = 64
"""So many turns may be taken by others before one that is ready: the seed decides, but nobody starves."""
LONGEST_SILENCE = 3600 * SECOND
"""So long one waits without a limit while others go on: a refresher may tick for ever. Time-outs of clients and of
who waits for them are shorter (the longest default of a client in the tests is 600 s)."""
LONGEST_SILENCE_IN_LOOPS = 24 * LONGEST_SILENCE
"""The same for what an event loop has asked: whether a timer of its own lies on that is not known, so it gets a day."""


class Scheduler:
    """The lines of one run, and the choice among those who stand in them."""

    def __init__(self, turn: Turn, clock: VirtualClock, outside: Outside, switches: Switches) -> None:
        self.turn = turn
        self.clock = clock
        self.waiting = Waiting()
        self.patient: dict[int, tuple[int, Strand]] = {}
        """Those that can be told that nobody will ever announce what they wait for, and since when they wait."""
        self.arrivals: deque[int] = deque()
        """Keys that threads without the turn have announced."""
        self.numbered = 0
        """How many numbers have been given to waits, places and alarms."""
        self._outside = outside
        self._switches = switches
        self._ready = Ready()
        self.deadlines = Deadlines()
        self._looking: dict[int, Strand] = {}
        """Of those that wait, the ones that no one may announce anything to: only looking finds out."""

    # taking a place and leaving it

    def begin_wait(
        self,
        me: Strand,
        key: int | None,
        deadline_ns: int | None,
        waits_for: str,
        is_free: Callable[[], bool] | None,
        poller: Poller | None,
    ) -> None:
        """Let a thread stand in every line in which what it waits for may come."""
        me.number = self._next_number()
        if deadline_ns is not None:
            deadline_ns = max(deadline_ns, self.clock.now_ns)  # one that has passed must not come before others
        me.key, me.deadline_ns, me.waits_for = key, deadline_ns, waits_for
        me.is_free, me.poller = is_free, poller
        if is_free is not None or poller is not None:
            self._looking[id(me)] = me
        if key is not None:
            self.waiting.add(me, key)
        if deadline_ns is not None:
            self.deadlines.add(deadline_ns, me.number, me)

    def forget(self, me: Strand) -> None:
        """Take a thread that goes on out of every line that it may still stand in."""
        self.waiting.remove(me)
        self._looking.pop(id(me), None)
        me.number, me.key, me.is_free, me.poller = 0, None, None, None

    def set_aside(self, me: Strand) -> tuple[int | None, int | None] | None:
        """Interrupt the wait that a thread is in the middle of, where a signal's handler waits there."""
        if not me.number:
            return None
        outer = me.key, me.deadline_ns
        self.forget(me)
        return outer

    def take_up(self, me: Strand, key: int | None, deadline_ns: int | None) -> None:
        """Go on with the wait that the handler interrupted: what it is for may have come meanwhile."""
        if key is not None:
            self.make_ready(me, Woke.BY_KEY, at_once=True)
        elif deadline_ns is not None:
            me.number, me.deadline_ns = self._next_number(), deadline_ns
            self.deadlines.add(deadline_ns, me.number, me)

    def alarm(self, deadline_ns: int, act: Alarm) -> None:
        """Have something done when a moment comes."""
        self.deadlines.add(deadline_ns, self._next_number(), act)

    def wake(self, key: int, *, everyone: bool = False, at_once: bool = False) -> None:
        """Make ready who has waited longest for a key, or everyone who waits for it."""
        strand = self.waiting.take(key)
        while strand is not None:
            self.make_ready(strand, Woke.BY_KEY, at_once=at_once)
            strand = self.waiting.take(key) if everyone else None

    def make_ready(self, strand: Strand, why: Woke, *, at_once: bool = False) -> None:
        """Put a thread in line, by chance or (``at_once``) before those that come by chance.

        What comes from outside comes in real time: it must not use up any of the seed's chances.
        """
        strand.woke = why
        strand.number = 0
        strand.key = None
        self._looking.pop(id(strand), None)
        number = self._next_number()
        rank = float(number)
        if strand.chance is not None:
            rank = self.turn.times_granted + (0.0 if at_once else _WINDOW * strand.chance.random())
        self._ready.add(strand, rank, number)

    def _next_number(self) -> int:
        self.numbered += 1
        return self.numbered

    # what stands in the lines

    def has_ready(self) -> bool:
        """Whether a thread is ready."""
        return self._ready.first() is not None

    def has_due_by(self, moment_ns: int) -> bool:
        """Whether a deadline or an alarm comes until then."""
        return self.deadlines.has_by(moment_ns)

    def pollers(self) -> list[Poller]:
        """List the descriptors that threads wait on, each with its thread's patience."""
        return [strand.poller for strand in self._looking.values() if strand.poller is not None]

    def has_news(self) -> bool:
        """Whether something came from outside that `choose` has to look at."""
        return bool(self.arrivals or self.turn.interrupted) or self._look() or self._ready.first() is not None

    # who is next

    def choose(self) -> Strand:
        """Let happen what has to until somebody can go on, and say who."""
        turn = self.turn
        held = turn.granted
        while turn.granted is held:
            while self.arrivals:
                self.wake(self.arrivals.popleft(), at_once=True)
            if turn.interrupted:
                return turn.interrupted[0]
            first = self._ready.first()
            if first is not None:
                second = self._ready.second()
                return second if second is not None and self._switches.second_first() else first
            if self._look():
                continue
            due = self.deadlines.earliest()
            if self.patient and self._tell(due):
                continue
            if self._outside.wait(self, due):
                continue
            if due is not None:
                self._jump(due)
                continue
            if turn.granted is held:
                return self._deadlocked()
        return held  # the turn was taken from it

    def _look(self) -> bool:
        """Wake those whose descriptors are ready, and those who wait for a lock that was released silently."""
        found = False
        for strand in list(self._looking.values()):
            poller, is_free = strand.poller, strand.is_free
            if (poller is not None and poller.look()) or (is_free is not None and is_free()):
                self.waiting.remove(strand)
                self.make_ready(strand, Woke.BY_KEY, at_once=poller is None or poller.patience > 0)
                found = True
        return found

    def _tell(self, due_ns: int | None) -> bool:
        """Wake the first that has waited for too long, or for nothing, if there is one."""
        for since_ns, strand in self.patient.values():
            if due_ns is None or due_ns - since_ns > LONGEST_SILENCE:
                self.waiting.remove(strand)
                self.make_ready(strand, Woke.BY_SILENCE)
                return True
        return False

    def _jump(self, due_ns: int) -> None:
        """Move time to a moment and make everyone ready whose moment it is.

        An event loop that meets silence has no line of its own to stand in: it is told where it waits for too long.
        """
        since_ns = self.clock.silent_since_ns
        if since_ns is not None and due_ns - since_ns > LONGEST_SILENCE_IN_LOOPS:
            stop = self.clock.why_stuck(due_ns - LONGEST_SILENCE_IN_LOOPS)
            if stop is not None:
                self._end_by(stop)
                return
        self.clock.move_to(due_ns)
        while (item := self.deadlines.take(due_ns)) is not None:
            if isinstance(item, Strand):
                self.waiting.remove(item)
                self.make_ready(item, Woke.BY_TIME)
            else:
                item()

    def _deadlocked(self) -> Strand:
        """Have the test's own thread raise why nobody can go on."""
        stop = self.clock.why_stuck(None)
        if stop is None:
            stop = deadlock(self.turn, self._outside)
            self.clock.stops.append(stop)
        return self._end_by(stop)

    def _end_by(self, stop: BaseException) -> Strand:
        main = self.turn.main
        main.error = stop
        self.waiting.remove(main)
        self.make_ready(main, Woke.BY_KEY)
        return main
