"""Who runs: of the threads on virtual time the one that has the turn; it passes it on only where it would block.

Laws of this module:
1. Who is next: a thread that has to raise an interrupt; one that is ready (the seed chooses among them); one
   whose descriptor is ready; one that something outside wakes within bounded real time; then time jumps.
2. Nobody who could go on and no deadline is a deadlock, raised in the test's own thread; but first those are told
   who wait for another thread without a limit and can tell their caller (`wait_for`).
3. Threads without the turn touch nothing here but by one atomic append: `wake`.
4. After the end everyone repeats its wait in real time.
"""

from __future__ import annotations

import random
from _thread import get_ident
from collections import deque
from collections.abc import Callable, Iterator

from pytest_retrychaos.clock.active import ACTIVE
from pytest_retrychaos.clock.functions import real
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
_INSTANTS = 1_000
"""So many waits of no time at one moment are made by who waits for it to be over: `as_completed`, ``communicate``."""
_SETTLING = 10_000
"""So many turns may be taken at the end without time passing; a thread that wants more spins."""


class Turns:
    """The scheduler of one run. Its maker is the test's own thread and has the turn."""

    def __init__(
        self,
        clock: VirtualClock,
        outside: Outside,
        chooser: random.Random | None = None,
        switches: Switches | None = None,
    ) -> None:
        self.clock = clock
        self.outside = outside
        self.main = Strand("the test's own thread")
        self.main.ident = get_ident()
        self.main.chance = chooser
        self.turn = Turn(self.main, outside.stir)
        self.waiting = Waiting()
        self.ends: dict[int, Strand] = {}
        """By the identity of a thread's sentinel: whose it is."""
        self.company: Callable[[], None] = lambda: None
        """Called before a thread is started."""
        self.switches = Switches() if switches is None else switches
        self._chooser = chooser
        """Decides, by the seed, what a real machine leaves to chance."""
        self._looking: dict[int, Strand] = {}
        """Of those that wait, the ones that no one may announce anything to: only looking finds out."""
        self._ready = Ready()
        self._patient: dict[int, tuple[int, Strand]] = {}
        """Those that `wait_for` something without a limit, and since when."""
        self._instants_of: tuple[int, Strand] = 0, self.main
        self._instants = 0
        self._deadlines = Deadlines()
        self._count = 0
        self._arrivals: deque[int] = deque()

    @property
    def granted(self) -> Strand:
        """The thread that has the turn."""
        return self.turn.granted

    @property
    def strands(self) -> list[Strand]:
        """The threads on virtual time that have not ended, the oldest first."""
        return self.turn.strands

    @property
    def progress(self) -> tuple[int, ...]:
        """What changes whenever a thread waits, looks at the clock or gets the turn."""
        return self.turn.times_granted, self._count, self.clock.now_ns, self.clock.readings

    @property
    def population(self) -> int:
        """How many they are."""
        return self.turn.population

    # waiting

    def sleep_until(self, deadline_ns: int) -> None:
        """Block until a moment of the run."""
        if self.turn.is_alone and not self.outside.in_flight and not self._deadlines.has_by(deadline_ns):
            self.clock.move_to(deadline_ns)
            return
        if self.block(None, deadline_ns, "a moment to come") is Woke.BY_END:
            real("sleep")(max(0, deadline_ns - self.clock.now_ns) / SECOND)

    def wait_for(self, key: int, deadline_ns: int | None, waits_for: str) -> bool | None:
        """Block as `VirtualClock.wait_for` says."""
        me = self.turn.granted
        if me.ident != get_ident():
            return None
        if self.turn.is_alone:
            if deadline_ns is None:
                return False
            self.sleep_until(deadline_ns)
            return True
        if deadline_ns is None:
            self._patient[id(me)] = self.clock.now_ns, me
        try:
            woke = self.block(key, deadline_ns, waits_for)
        finally:
            self._patient.pop(id(me), None)
        return None if woke is Woke.BY_END else woke is not Woke.BY_SILENCE

    def skip_to(self, deadline_ns: int) -> bool:
        """Move time to a moment, if it is certain that nothing else can happen before; whether it was.

        What `block` would do for a thread that is alone, without its cost; the seed's chances go on alike.
        """
        if (
            not self.turn.is_alone
            or self._deadlines.has_by(deadline_ns)
            or self._arrivals
            or not self.outside.is_quiet(self)
            or self.turn.granted is not self.main
            or self.turn.is_over
        ):
            return False
        if self.main.chance is not None:
            self.main.chance.random()
        self.clock.move_to(deadline_ns)
        return True

    def block(
        self,
        key: int | None,
        deadline_ns: int | None,
        waits_for: str,
        *,
        is_free: Callable[[], bool] | None = None,
        poller: Poller | None = None,
    ) -> Woke:
        """Let others run until the key is woken or the deadline has come; say which.

        Raises `Deadlock`, in the test's own thread, where nobody can go on.
        """
        me = self.turn.granted
        if me.ident != get_ident():  # the turn was taken from this thread a moment ago
            return Woke.BY_END
        outer = self._set_aside(me)
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
            self._deadlines.add(deadline_ns, me.number, me)
        try:
            self.turn.hand_over(me, self._choose)
        finally:
            self._forget(me)
            woke = me.woke
            if outer is not None:
                self._take_up(me, *outer)
        if me.error is not None:
            error, me.error = me.error, None
            raise error
        return woke

    def _set_aside(self, me: Strand) -> tuple[int | None, int | None] | None:
        """Interrupt the wait that a thread is in the middle of, where a signal's handler waits there."""
        if not me.number:
            return None
        outer = me.key, me.deadline_ns
        self._forget(me)
        return outer

    def _forget(self, me: Strand) -> None:
        """Take a thread that goes on out of every line that it may still stand in."""
        self.waiting.remove(me)
        self._looking.pop(id(me), None)
        me.number, me.key, me.is_free, me.poller = 0, None, None, None

    def _take_up(self, me: Strand, key: int | None, deadline_ns: int | None) -> None:
        """Go on with the wait that the handler interrupted: what it is for may have come meanwhile."""
        if key is not None:
            self._make_ready(me, Woke.BY_KEY, at_once=True)
        elif deadline_ns is not None:
            me.number, me.deadline_ns = self._next_number(), deadline_ns
            self._deadlines.add(deadline_ns, me.number, me)

    def let_others_run(self) -> bool:
        """Give the turn to the others that are ready; whether there were any."""
        if self._ready.first() is None:
            return False
        self.block(None, self.clock.now_ns, "its next turn")
        return True

    def wait_an_instant(self) -> None:
        """Wait for no time; after some such waits the least time passes, since a real one takes some."""
        here = self.clock.now_ns, self.turn.granted
        self._instants = self._instants + 1 if here == self._instants_of else 1
        self._instants_of = here
        if self._instants > _INSTANTS:
            self.sleep_until(self.clock.now_ns + 1)

    def alarm(self, deadline_ns: int, act: Alarm) -> None:
        """Have something done when a moment comes."""
        self._deadlines.add(deadline_ns, self._next_number(), act)

    # waking

    def wake(self, key: int) -> None:
        """Announce what one thread waits for; called with the turn or without."""
        if get_ident() != ACTIVE.owner:
            self._arrivals.append(key)
            self.outside.stir()
            return
        self._wake(key)

    def _wake(self, key: int, *, everyone: bool = False) -> None:
        strand = self.waiting.take(key)
        while strand is not None:
            self._make_ready(strand, Woke.BY_KEY)
            strand = self.waiting.take(key) if everyone else None

    def _make_ready(self, strand: Strand, why: Woke, *, at_once: bool = False) -> None:
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

    # threads begin and end

    def bear(self, name: str, parent: object) -> Strand:
        """Take in a thread that is about to be started: it is in line before the system knows of it."""
        self.company()
        strand = Strand(name, parent)
        if self._chooser is not None:
            strand.chance = random.Random(self._chooser.getrandbits(64))
        self.turn.admit(strand)
        self._make_ready(strand, Woke.BY_KEY)
        return strand

    def drop(self, strand: Strand) -> None:
        """Forget a thread that could not be started."""
        strand.ready_as = 0
        self.turn.dismiss(strand)

    def enter(self, strand: Strand) -> None:
        """Begin a thread, in itself: wait for its first turn."""
        strand.ident = get_ident()
        self.turn.wait_for_first(strand)

    def leave(self, strand: Strand) -> None:
        """End a thread, in itself: wake who joins it and pass the turn on for good."""
        strand.is_done = True
        self.turn.dismiss(strand)
        if self.turn.granted is not strand or self.turn.is_over:
            self.wake(id(strand))
            return
        self._wake(id(strand), everyone=True)
        chosen = self._choose()
        if self.turn.granted is strand:
            self.turn.grant(chosen)

    # who is next

    def _choose(self) -> Strand:
        held = self.turn.granted
        while self.turn.granted is held:
            while self._arrivals:
                self._wake(self._arrivals.popleft())
            if self.turn.interrupted:
                return self.turn.interrupted[0]
            first = self._ready.first()
            if first is not None:
                second = self._ready.second()
                return second if second is not None and self.switches.second_first() else first
            if self._look():
                continue
            due = self._deadlines.earliest()
            if self._patient and self._tell(due):
                continue
            if self.outside.wait(self, due):
                continue
            if due is not None:
                self._jump(due)
                continue
            if self.turn.granted is held:
                return self._deadlocked()
        return held  # the turn was taken from it

    def blocked(self) -> Iterator[Strand]:
        """Iterate over the threads that wait for something."""
        return (strand for strand in self.turn.strands if strand.number)

    def pollers(self) -> list[Poller]:
        """List the descriptors that threads wait on, each with its thread's patience."""
        return [strand.poller for strand in self._looking.values() if strand.poller is not None]

    def _look(self) -> bool:
        """Wake those whose descriptors are ready, and those who wait for a lock that was released silently."""
        found = False
        for strand in list(self._looking.values()):
            poller, is_free = strand.poller, strand.is_free
            if (poller is not None and poller.look()) or (is_free is not None and is_free()):
                self.waiting.remove(strand)
                self._make_ready(strand, Woke.BY_KEY, at_once=poller is None or poller.patience > 0)
                found = True
        return found

    def has_news(self) -> bool:
        """Whether something came from outside that `_choose` has to look at."""
        return bool(self._arrivals or self.turn.interrupted) or self._look() or self._ready.first() is not None

    def _tell(self, due_ns: int | None) -> bool:
        """Wake the first that has waited for too long, or for nothing, if there is one."""
        for since_ns, strand in self._patient.values():
            if due_ns is None or due_ns - since_ns > LONGEST_SILENCE:
                self.waiting.remove(strand)
                self._make_ready(strand, Woke.BY_SILENCE)
                return True
        return False

    def _jump(self, due_ns: int) -> None:
        """Move time to a moment and make everyone ready whose moment it is."""
        self.clock.move_to(due_ns)
        while (item := self._deadlines.take(due_ns)) is not None:
            if isinstance(item, Strand):
                self.waiting.remove(item)
                self._make_ready(item, Woke.BY_TIME)
            else:
                item()

    def _deadlocked(self) -> Strand:
        stop = self.clock.why_stuck()
        if stop is None:
            stop = deadlock(self, self.outside)
            self.clock.stops.append(stop)
        self.main.error = stop
        self.waiting.remove(self.main)
        self._make_ready(self.main, Woke.BY_KEY)
        return self.main

    def _next_number(self) -> int:
        self._count += 1
        return self._count

    # the end

    def settle(self) -> None:
        """Let everyone run who can without time passing."""
        for _ in range(_SETTLING):
            due = self._deadlines.earliest()
            if self._ready.first() is None and (due is None or due > self.clock.now_ns):
                break
            self.block(None, self.clock.now_ns, "its next turn")

    def end(self) -> list[Strand]:
        """End virtual time: everyone repeats its wait for real. Return those that were in the middle of something.

        A thread that waits without a limit is idle: it goes on when someone calls it.
        """
        left = [one for one in self.strands if one is not self.main]
        busy = [one for one in left if not one.number or one.deadline_ns is not None]
        busy += [one for one in self.turn.seized if not one.is_done]
        self.turn.is_over = True
        for one in left:
            one.ring()
        return busy
