"""Time that something takes beside the run: a handler of the service sleeps, and the client waits elsewhere meanwhile.

Laws of this module:
1. What sleeps aside sees time pass; when it is done, the run goes on from where it stood, and is told how long it took.
2. That holds while nobody else has seen the time: where another thread ran, or a request came, time stays as it is.
"""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from pytest_retrychaos.clock.virtual import VirtualClock


class NoTime:
    """What is done where time passes by itself."""

    __slots__ = ()
    ns: Final = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


class Aside:
    """What is done aside on a clock; a context manager."""

    __slots__ = ("_began_ns", "_clock", "_sleeper", "ns")

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self.ns = 0
        """How long it took, once it is done."""

    def __enter__(self) -> Self:
        clock = self._clock
        self._began_ns, self._sleeper = clock.now_ns, clock.sleeper
        clock.sleeper = clock.move_to
        clock.asides.append(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        clock = self._clock
        if self in clock.asides:
            clock.asides.remove(self)
            clock.sleeper = self._sleeper
            self.ns, clock.now_ns = clock.now_ns - self._began_ns, self._began_ns

    def end(self) -> None:
        """Let time stay as it is, and everybody sleep as ever."""
        self._clock.sleeper = self._sleeper
