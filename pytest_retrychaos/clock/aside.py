"""Time that something takes beside the run: a handler of the service sleeps longer than its client waits.

The handler runs in the client's own thread. Up to the moment at which the client would give up, it sleeps as everybody
does. What is left of its sleeps after that is its own business: the run goes on from that moment.

Laws of this module:
1. What sleeps aside sees time pass; when it is done, the run goes on from where it stood, and is told how long it was.
2. Nobody else sees that: who sleeps aside and then waits for another, or sends a request, sleeps it off first.
"""

from __future__ import annotations

from _thread import get_ident
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pytest_retrychaos.clock.virtual import VirtualClock


class Aside:
    """What one thread does on a clock, aside from a moment on; a context manager."""

    __slots__ = ("_clock", "_from_ns", "_outer", "_until_ns", "ns")

    def __init__(self, clock: VirtualClock, until_ns: int | None) -> None:
        self._clock = clock
        self._until_ns = until_ns
        self._from_ns: int | None = None
        self._outer: Aside | None = None
        self.ns = 0
        """How long it took beside the run, once it is done."""

    def __enter__(self) -> Self:
        asides, me = self._clock.asides, get_ident()
        self._outer = asides.get(me)
        asides[me] = self
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asides, me = self._clock.asides, get_ident()
        if self._outer is None:
            asides.pop(me, None)
        else:
            asides[me] = self._outer
        if self._from_ns is not None:
            self.ns = self._clock.now_ns - self._from_ns
            self._clock.now_ns = self._from_ns

    def sleep(self, deadline_ns: int) -> None:
        """Sleep until a moment: as everybody does as long as somebody waits for it, and aside after that."""
        clock, until_ns = self._clock, self._until_ns
        if until_ns is None or (deadline_ns <= until_ns and self._from_ns is None):
            clock.sleeper(deadline_ns)
            return
        if self._from_ns is None:
            if clock.now_ns < until_ns:
                clock.sleeper(until_ns)
            self._from_ns = clock.now_ns
        clock.move_to(deadline_ns)

    def share(self) -> None:
        """Sleep off what was slept aside, since others are about to see the time; nothing is aside any more."""
        self._until_ns = None
        if self._from_ns is not None:
            due_ns, self._clock.now_ns = self._clock.now_ns, self._from_ns
            self._from_ns = None
            self._clock.sleeper(due_ns)
