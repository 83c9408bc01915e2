"""A clock that nobody moves: the real one, for what happens outside this process too.

It answers what `VirtualClock` answers. Nothing is replaced while it runs.
"""

from __future__ import annotations

import time

from pytest_retrychaos.clock.errors import Refused

RESOLUTION_NS = 100_000_000
"""By so much a measured time may exceed what the client meant. Scheduling adds to every wait, and a container
that has used up its share of the processor stands still for the rest of the period: 100 ms by default
(Linux, Documentation/scheduler/sched-bwc.rst)."""


class RealClock:
    """One run's time as it passes."""

    __slots__ = ("_began_ns", "_ended_ns", "epoch_ns", "notes", "refused", "stops")

    def __init__(self) -> None:
        self._began_ns: int | None = None
        self._ended_ns: int | None = None
        self.epoch_ns = time.time_ns()
        """What the wall clock shows when the run begins."""
        self.notes: list[str] = []
        """What was noticed."""
        self.refused: list[Refused] = []
        self.stops: list[BaseException] = []
        """Both empty: real time covers everything, and what never ends is seen to."""

    def begin(self) -> None:
        """Begin to count."""
        self._began_ns, self.epoch_ns = time.monotonic_ns(), time.time_ns()

    def end(self) -> None:
        """Stop counting: the run is over."""
        self._ended_ns = self.now_ns

    @property
    def now_ns(self) -> int:
        """Nanoseconds since the run began."""
        if self._ended_ns is not None:
            return self._ended_ns
        return 0 if self._began_ns is None else time.monotonic_ns() - self._began_ns

    @property
    def wall_ns(self) -> int:
        """The wall clock: nanoseconds since 1970."""
        return self.epoch_ns + self.now_ns

    def note_traffic(self) -> None:
        """Do nothing: no one is watched for polling a clock that moves by itself."""

    def advance(self, ns: int) -> None:
        """Refuse: time passes by itself."""
        raise Refused(
            f"chaos.clock.advance({ns / 1e9:g}) on transport='loopback': its time is real and cannot be moved. "
            "Wait with time.sleep, or use transport='network', whose time is virtual"
        )

    def wait_until(self, deadline_ns: int) -> None:
        """Refuse: whoever wants to wait here waits for real."""
        self.advance(deadline_ns - self.now_ns)
