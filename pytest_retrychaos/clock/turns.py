"""What a thread on virtual time does with its turn: it waits, wakes another, begins and ends a thread.

Laws of this module:
1. A thread gives the turn away only where it would block. Who gets it is the `scheduler`'s to say; that one thread
   alone has it, the `turn`'s.
2. A thread without the turn may `wake`, begin and end, and nothing else.
3. A thread that is alone, with nothing outside that could wake it, moves time itself: nobody is asked.
4. After the end everyone repeats its wait in real time.
"""

from __future__ import annotations

import random
from _thread import get_ident
from collections.abc import Callable

from pytest_retrychaos.clock import stopping
from pytest_retrychaos.clock.active import ACTIVE
from pytest_retrychaos.clock.functions import real
from pytest_retrychaos.clock.lines import Alarm
from pytest_retrychaos.clock.outside import Outside
from pytest_retrychaos.clock.scheduler import LONGEST_SILENCE_IN_LOOPS, Scheduler
from pytest_retrychaos.clock.strands import Poller, Strand, Woke, tick
from pytest_retrychaos.clock.switches import Switches
from pytest_retrychaos.clock.turn import Turn
from pytest_retrychaos.clock.virtual import SHORTEST_WAIT, VirtualClock
from pytest_retrychaos.model import SECOND

_INSTANTS = 1_000
"""So many waits of no time at one moment are made by who waits for it to be over: `as_completed`, ``communicate``."""
_SETTLING = 10_000
"""So many turns may be taken at the end without time passing; a thread that wants more spins."""


class Turns:
    """The threads of one run on virtual time. Its maker is the test's own thread and has the turn."""

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
        self.switches = Switches() if switches is None else switches
        self.turn = Turn(self.main, outside.stir)
        self._scheduler = Scheduler(self.turn, clock, outside, self.switches)
        self.waiting = self._scheduler.waiting
        self._due = self._scheduler.deadlines.heap
        """Asked in every round of a loop whether it is empty, which it mostly is."""
        self.ends: dict[int, Strand] = {}
        """By the identity of a thread's sentinel: whose it is."""
        self.company: Callable[[], None] = lambda: None
        """Called before a thread is started."""
        self._chooser = chooser
        """Decides, by the seed, what a real machine leaves to chance."""
        self._instants_of: tuple[int, Strand] = 0, self.main
        self._instants = 0

    @property
    def granted(self) -> Strand:
        """The thread that has the turn."""
        return self.turn.granted

    @property
    def progress(self) -> tuple[int, ...]:
        """What changes whenever a thread waits, looks at the clock or gets the turn."""
        return self.turn.times_granted, self._scheduler.numbered, self.clock.now_ns, self.clock.readings

    # waiting

    def sleep_until(self, deadline_ns: int) -> None:
        """Block until a moment of the run."""
        if self.is_alone_until(deadline_ns):
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
            self._scheduler.patient[id(me)] = self.clock.now_ns, me
        try:
            woke = self.block(key, deadline_ns, waits_for)
        finally:
            self._scheduler.patient.pop(id(me), None)
        return None if woke is Woke.BY_END else woke is not Woke.BY_SILENCE

    def is_alone_until(self, deadline_ns: int) -> bool:
        """Whether no other thread is there, and nothing is due or on its way, until a moment."""
        return (
            len(self.turn.members) == 1
            and not self.outside.in_flight
            and not (self._due and self._scheduler.deadlines.has_by(deadline_ns))
        )

    def skip_to(self, deadline_ns: int) -> bool:
        """Move time to a later moment, if it is certain that nothing else can happen before; whether it was.

        What `block` would do for a thread that is alone, without its cost; the seed's chances go on alike.
        """
        turn, clock, main = self.turn, self.clock, self.main
        if (
            len(turn.members) > 1
            or (self._due and self._scheduler.deadlines.has_by(deadline_ns))
            or self._scheduler.arrivals
            or not self.outside.is_quiet(turn)
            or turn.granted is not main
            or turn.is_over
            or (clock.silent_since_ns is not None and deadline_ns - clock.silent_since_ns > LONGEST_SILENCE_IN_LOOPS)
        ):
            return False
        if main.chance is not None:
            main.chance.random()
        if deadline_ns - clock.now_ns >= SHORTEST_WAIT:
            clock.note_traffic()
        clock.now_ns = deadline_ns
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
        if self.clock.asides:
            self.clock.share()
        scheduler = self._scheduler
        outer = scheduler.set_aside(me)
        since = self.clock.now_ns, tick()
        scheduler.begin_wait(me, key, deadline_ns, waits_for, is_free, poller)
        try:
            self.turn.hand_over(me, scheduler.choose)
        finally:
            scheduler.forget(me)
            woke = me.woke
            if outer is not None:
                scheduler.take_up(me, *outer)
        if me.error is not None:
            error, me.error = me.error, None
            raise error
        if woke is Woke.BY_KEY and deadline_ns is not None:
            stopping.note_roused(me.work, since)
        return woke

    def let_others_run(self) -> bool:
        """Give the turn to the others that are ready; whether there were any."""
        if not self._scheduler.has_ready():
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
        self._scheduler.alarm(deadline_ns, act)

    def wake(self, key: int) -> None:
        """Announce what one thread waits for; called with the turn or without."""
        if get_ident() != ACTIVE.owner:
            self._scheduler.arrivals.append(key)
            self.outside.stir()
            return
        self._scheduler.wake(key)

    # threads begin and end

    def bear(self, name: str, parent: object) -> Strand:
        """Take in a thread that is about to be started: it is in line before the system knows of it."""
        self.company()
        strand = Strand(name, parent)
        if self._chooser is not None:
            strand.chance = random.Random(self._chooser.getrandbits(64))
        self.turn.admit(strand)
        self._scheduler.make_ready(strand, Woke.BY_KEY)
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
        self._scheduler.wake(id(strand), everyone=True)
        chosen = self._scheduler.choose()
        if self.turn.granted is strand:
            self.turn.grant(chosen)

    # the end

    def settle(self) -> None:
        """Let everyone run who can without time passing."""
        for _ in range(_SETTLING):
            if not (self._scheduler.has_ready() or self._scheduler.has_due_by(self.clock.now_ns)):
                break
            self.block(None, self.clock.now_ns, "its next turn")

    def end(self) -> list[Strand]:
        """End virtual time: everyone repeats its wait for real. Return those that were in the middle of something.

        A thread that waits without a limit is idle: it goes on when someone calls it.
        """
        left = [one for one in self.turn.strands if one is not self.main]
        busy = [one for one in left if not one.number or one.deadline_ns is not None]
        busy += [one for one in self.turn.seized if not one.is_done]
        self.turn.is_over = True
        for one in left:
            one.ring()
        return busy
