"""The turn: of the threads on virtual time exactly one has it, and passes it on.

Laws of this module:
1. `granted` alone says who has the turn. It is one attribute, so that an interrupt between two lines leaves
   it whole; a gate is only a doorbell, and may be rung in vain.
2. An interrupt is raised by a thread that has the turn: it gets it back first, from whoever has it meanwhile and
   goes on to where it would block. From one that does not come there the turn is taken, and its virtual time ends.
3. A thread without the turn does here no more than one atomic step, its interrupt or its end, or seizes the turn.
4. After the end everyone who waits is told so.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from pytest_retrychaos.clock.active import ACTIVE
from pytest_retrychaos.clock.functions import real
from pytest_retrychaos.clock.strands import Strand, Woke

_RETURN = 2.0
"""Real seconds for which an interrupt waits for whoever has the turn to come to where it would block."""
_HEARING = 1.0
"""Real seconds for which whoever sends a signal waits for its handler to be called."""
_LOOK = 0.0002


class Turn:
    """The turn of one run, and the threads that take it. The test's own thread has it first."""

    def __init__(self, main: Strand, stir: Callable[[], None]) -> None:
        """``stir`` wakes whoever has the turn and waits for something from outside."""
        self.main = main
        self.granted = main
        self.times_granted = 0
        self.is_over = False
        self.seized: list[Strand] = []
        """Threads from which the turn was taken: virtual time has ended for them."""
        self.interrupted: deque[Strand] = deque()
        """Threads that have an interrupt to raise, and come before all others."""
        self.members: dict[int, Strand] = {id(main): main}
        """The threads on virtual time that have not ended."""
        self._looks = 0
        """How often the test's own thread has begun to wait for the turn."""
        self._stir = stir

    @property
    def strands(self) -> list[Strand]:
        """The same as a list of its own, the oldest first."""
        return list(self.members.values())

    @property
    def population(self) -> int:
        """How many they are."""
        return len(self.members)

    @property
    def is_alone(self) -> bool:
        """Whether there is one only."""
        return len(self.members) == 1

    def admit(self, strand: Strand) -> None:
        """Let a thread have the turn, from when it is granted."""
        self.members[id(strand)] = strand

    def dismiss(self, strand: Strand) -> None:
        """Take a thread out: it has ended, or could not begin."""
        self.members.pop(id(strand), None)

    def wait_for_first(self, me: Strand) -> None:
        """Wait, in a thread that has just begun, for its first turn."""
        self._await(me)
        self._take(me)

    def hand_over(self, me: Strand, choose: Callable[[], Strand]) -> None:
        """Pass the turn on to who is chosen, and wait until it comes back.

        What is raised meanwhile, by the choice or by a signal's handler, is raised with the turn.
        """
        try:
            chosen = choose()
            if chosen is not me and self.granted is me:
                self.grant(chosen)
                self._await(me)
        except BaseException as interrupt:  # raised by a signal's handler, in the test's own thread
            self._come_back(me)
            raise interrupt
        finally:
            self._take(me)

    def grant(self, strand: Strand) -> None:
        """Give the turn away, for good where `hand_over` does not ask it back."""
        ACTIVE.owner = 0
        self.times_granted += 1
        self.granted = strand
        strand.ring()

    def let_main_hear(self) -> None:
        """Let the handler of a signal that was sent a moment ago act: Python calls it in the main thread.

        Whoever has the turn would go on first, and time with it.
        """
        main, looks = self.main, self._looks
        if self.granted is main or main.ident != threading.main_thread().ident:
            return
        end = real("monotonic")() + _HEARING
        main.ring()  # handlers are called before it waits again
        while self._looks == looks and real("monotonic")() < end:
            real("sleep")(_LOOK)

    def seize(self) -> None:
        """Take the turn for the test's own thread from one that does not give it back.

        That one is told, where it next looks, that virtual time has ended for it.
        """
        held = self.granted
        ACTIVE.owner = 0
        self.members.pop(id(held), None)
        self.seized.append(held)
        self.granted = self.main

    def _await(self, me: Strand, seconds: float = -1) -> bool:
        """Wait for the turn; whether it came in about so many real seconds."""
        while self.granted is not me and not self.is_over:
            if me is self.main:
                self._looks += 1
            if not me.wait_for_ring(seconds):
                return False
        return True

    def _come_back(self, me: Strand) -> None:
        """Get the turn back before an interrupt is raised: whoever has it goes on to where it would block."""
        if self.granted is me or self.is_over:
            return
        self.interrupted.append(me)
        self.granted.ring()  # the interrupt may have come between granting and ringing
        self._stir()
        try:
            if not self._await(me, _RETURN if me is self.main else -1):
                self.seize()
        except BaseException:
            self.seize()  # a second interrupt does not wait
            raise

    def _take(self, me: Strand) -> None:
        if self.is_over or self.granted is not me:
            me.woke = Woke.BY_END
            return
        ACTIVE.owner = me.ident
        if me in self.interrupted:
            self.interrupted.remove(me)
        me.ready_as = 0
