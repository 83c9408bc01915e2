"""A clock that moves only when it is told to: the state, without any function being replaced.

1. Time is an integer of nanoseconds since the run began; it never goes back.
2. The wall clock begins at `EPOCH`; the monotonic clock begins where the real one stood.
3. A wait moves time to its deadline at once.
4. Reading the clock moves nothing, until a loop has read it `POLLS_ALLOWED` times without waiting: then time
   moves, a little at first, so that the loop ends; it is named in `notes`.
"""

from __future__ import annotations

import math
import weakref
from _thread import get_ident
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_retrychaos.clock.aside import Aside
from pytest_retrychaos.clock.errors import ClockPolled, Refused
from pytest_retrychaos.model import SECOND

if TYPE_CHECKING:
    from types import CodeType

    from pytest_retrychaos.clock.real import RealClock

EPOCH = datetime(2030, 1, 1, tzinfo=UTC)
"""What the wall clock shows when a run begins."""
EPOCH_NS = int(EPOCH.timestamp()) * SECOND

MILLISECOND = SECOND // 1000
SHORTEST_WAIT = 50_000
"""A shorter wait counts as a reading: the timer slack makes every real one last as long (prctl(2))."""
POLLS_ALLOWED = 10_000
"""So many readings in a row, with no wait and no traffic, are taken for work that looks at the clock."""
POLLS_A_STEP = 1_000
"""After that, time moves once in so many readings."""
POLLED_TOO_LONG = 24 * 3600 * SECOND
"""A loop that has not ended after so much virtual time does not wait for a time."""


class Stall(NamedTuple):
    """Something that blocked an event loop and everything on it."""

    kind: str
    """``sleep``, or ``request``."""
    at_ns: int
    """Since the run began."""
    length_ns: int
    place: str
    """Where the code slept: ``path:line function``."""


class VirtualClock:
    """One run's time. All of it is plain state; `install` lets the functions of `time` read it."""

    __slots__ = (
        "_graced",
        "_places",
        "_spun_ns",
        "alarm",
        "asides",
        "epoch_ns",
        "meets_silence",
        "monotonic_start_ns",
        "note_stall",
        "notes",
        "now_ns",
        "readings",
        "refused",
        "silent_since_ns",
        "simulated_descriptors",
        "sleeper",
        "stalls",
        "stops",
        "test_code",
        "waiter",
        "wake",
        "watch_at",
        "why_stuck",
    )

    def __init__(self, *, epoch_ns: int = EPOCH_NS, monotonic_start_ns: int = 0) -> None:
        self.now_ns = 0
        """Nanoseconds since the run began."""
        self.epoch_ns = epoch_ns
        self.monotonic_start_ns = monotonic_start_ns
        """What the monotonic clock shows when the run begins."""
        self.notes: list[str] = []
        """What was noticed: loops that poll the clock, each place once."""
        self.refused: list[Refused] = []
        """What was refused to the thread on this clock: it may have swallowed the errors."""
        self.stops: list[BaseException] = []
        """What was raised since the code would never have ended: `Deadlock`, `ClockPolled`."""
        self.readings = 0
        """Readings since the last wait or traffic."""
        self.watch_at = POLLS_ALLOWED
        """At so many readings `polled` has to be called."""
        self.simulated_descriptors: set[int] = set()
        """Descriptors that no one outside will ever make ready: a wait on them alone costs no real time."""
        self.alarm: Callable[[int, Callable[[], None]], None] = lambda _, __: None
        """Has something done when a moment comes, while there is a scheduler."""
        self.why_stuck: Callable[[int | None], BaseException | None] = lambda _: None
        """Says better than a deadlock's report why nobody can go on, where it knows; of what began by a moment."""
        self.silent_since_ns: int | None = None
        """Since when, or later, an event loop has met silence; ``None`` where none has."""
        self.meets_silence: Callable[[], bool] = lambda: False
        """Whether `why_stuck` knows of something that will never come."""
        self.stalls: list[Stall] = []
        """Sleeps that blocked an event loop."""
        self.note_stall: Callable[[Stall], None] = self.stalls.append
        """Is told of each."""
        self.test_code: CodeType | None = None
        """The test's own function: what it does by itself is not the doing of the code under test."""
        self.sleeper: Callable[[int], None] = self.move_to
        """What a wait does: it moves time, unless there are other threads, which run first."""
        self.waiter: Callable[[int, int | None, str], bool | None] = self._wait_alone
        """What `wait_for` does."""
        self.wake: Callable[[int], None] = lambda _: None
        """Announces a key that someone waits for by `wait_for`, while there is a scheduler."""
        self.asides: dict[int, Aside] = {}
        """By thread: what it does beside the run just now, if anything."""
        self._spun_ns = 0
        self._graced: weakref.WeakSet[Any] | None = None  # Any: tasks of several libraries
        self._places: set[str] = set()

    @property
    def wall_ns(self) -> int:
        """The wall clock: nanoseconds since 1970."""
        return self.epoch_ns + self.now_ns

    @property
    def monotonic_ns(self) -> int:
        """The monotonic clock, in nanoseconds since whenever the real one counts from."""
        return self.monotonic_start_ns + self.now_ns

    def advance(self, ns: int) -> None:
        """Move time forward."""
        self.wait_until(self.now_ns + ns)

    def wait_until(self, deadline_ns: int) -> None:
        """Wait until a moment of the run; one that has passed already costs nothing."""
        if deadline_ns - self.now_ns >= SHORTEST_WAIT:
            self.note_traffic()
        else:
            self.readings += 1
        self._sleep(deadline_ns)

    def _sleep(self, deadline_ns: int) -> None:
        aside = self.asides.get(get_ident()) if self.asides else None
        if aside is None:
            self.sleeper(deadline_ns)
        else:
            aside.sleep(deadline_ns)

    def wait_for(self, key: int, deadline_ns: int | None, waits_for: str) -> bool | None:
        """Wait until another thread announces a key, or a moment comes; whether it may have.

        False where there is no moment and nobody could ever announce it, ``None`` where virtual time has ended.
        ``waits_for`` says in words what is waited for.
        """
        self.note_traffic()
        return self.waiter(key, deadline_ns, waits_for)

    def _wait_alone(self, key: int, deadline_ns: int | None, waits_for: str) -> bool:  # noqa: ARG002 - a scheduler's
        if deadline_ns is None:
            return False
        self.move_to(deadline_ns)
        return True

    def aside(self, until_ns: int | None) -> Aside:
        """Let what this thread does meanwhile sleep aside from a moment on: a context manager that tells how long."""
        return Aside(self, until_ns)

    def share(self) -> None:
        """Let others see what time it is for this thread."""
        aside = self.asides.get(get_ident())
        if aside is not None:
            aside.share()

    def alone(self) -> None:
        """Wait by itself again: the scheduler has gone."""
        self.sleeper, self.waiter, self.wake = self.move_to, self._wait_alone, lambda _: None

    def move_to(self, deadline_ns: int) -> None:
        """Move time to a moment of the run; it never goes back."""
        if deadline_ns > self.now_ns:
            self.now_ns = deadline_ns

    def note_traffic(self) -> None:
        """Say that the code under test did something but read the clock: the watch begins anew."""
        self.readings = 0
        self.watch_at = POLLS_ALLOWED
        self._spun_ns = 0
        self._graced = None

    def note_silence(self) -> None:
        """Say that an event loop meets silence from now on."""
        if self.silent_since_ns is None:
            self.silent_since_ns = self.now_ns

    def polled(self, place: str, task: object = None) -> None:
        """Move time for a loop that polls the clock at a place; raise `ClockPolled` after a day of that.

        ``task`` is the event loop's that reads, if one does. Thousands of them may each read a little at one
        moment, so that the first finding against each only begins the count anew.

        Steps begin at a millisecond and grow with the time already spun away, by a twentieth: an hour takes a
        few hundred of them and is overshot by at most that twentieth.
        """
        if self._graced is None:
            self._graced = weakref.WeakSet()
        if task is not None and task not in self._graced:
            self._graced.add(task)
            self.watch_at = self.readings + POLLS_ALLOWED
            return
        if place not in self._places:
            self._places.add(place)
            self.notes.append(
                f"{place} polls the clock without waiting: time was moved for it; sleep between two looks"
            )
        step = max(MILLISECOND, self._spun_ns // 20)
        self._spun_ns += step
        self.watch_at = self.readings + POLLS_A_STEP  # before others run, whose first look at the clock is no poll
        self._sleep(self.now_ns + step)
        if self._spun_ns > POLLED_TOO_LONG:
            self.note_traffic()
            stop = ClockPolled(
                f"{place} polls the clock without waiting, and 24 h of virtual time have not ended it. "
                "What it waits for does not come by time: end the loop by a limit, or wait with a timeout."
            )
            self.stops.append(stop)
            raise stop


class Clock:
    """A run's time as a test sees it: ``chaos.clock``."""

    __slots__ = ("_virtual",)

    def __init__(self, virtual: VirtualClock | RealClock) -> None:
        self._virtual = virtual

    @property
    def now(self) -> datetime:
        """The wall clock, in UTC; it begins at 2030-01-01 00:00."""
        return EPOCH + timedelta(microseconds=(self._virtual.wall_ns - EPOCH_NS) // 1000)

    @property
    def elapsed(self) -> float:
        """Virtual seconds since the run began."""
        return self._virtual.now_ns / SECOND

    def advance(self, seconds: float) -> None:
        """Move time forward by so many seconds, as if the test had slept.

        Raises `TypeError` for what is no number, `ValueError` for one that is negative, infinite or NaN.
        """
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
            raise TypeError(f"clock.advance({seconds!r}): seconds must be an int or a float")
        if not (math.isfinite(seconds) and seconds >= 0):
            raise ValueError(
                f"clock.advance({seconds!r}): time moves forward, by a finite number of seconds: give 0 or more"
            )
        self._virtual.advance(round(seconds * SECOND))

    def __repr__(self) -> str:
        return f"<Clock {self.now.isoformat()}, {self.elapsed:g} s since the run began>"
