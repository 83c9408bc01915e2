"""When calls are let through: the circuit breaker as a machine without clock, lock or I/O.

Laws of this module:
1. Closed: every call passes. It opens after ``threshold`` failures in a row; or, by a rate, after a failure with
   which at least ``minimum_calls`` calls ended within the window, at least that share of them failed.
2. Open: nothing passes for ``cooldown`` seconds. The first call after that is the probe.
3. Half open: one call passes at a time. Its success closes the circuit, its failure opens it anew. A probe that
   ends without telling (it was cancelled), or has not ended after ``probe_timeout`` seconds, leaves its place to
   the next call.
4. A result counts only in the period in which its call began, and every event of `TRANSITIONS` begins another one:
   a late answer tells nothing about what the circuit has learned since.
5. Time that goes back does no harm: nobody is asked to wait longer than a cooldown, or than a probe may take.
"""

from __future__ import annotations

import enum

from pytest_retrychaos.engine.breaker_policy import BreakerPolicy
from pytest_retrychaos.engine.values import value
from pytest_retrychaos.engine.window import Window


class State(enum.Enum):
    """What a circuit breaker does with calls."""

    CLOSED = "closed"
    """They pass."""
    OPEN = "open"
    """They are refused."""
    HALF_OPEN = "half open"
    """One of them passes, to see whether the service is back."""


class Event(enum.Enum):
    """What happens to a circuit."""

    THRESHOLD_REACHED = "threshold reached"
    COOLED_DOWN = "cooled down"
    """A call came when the cooldown was over."""
    PROBE_SUCCEEDED = "probe succeeded"
    PROBE_FAILED = "probe failed"
    PROBE_WITHDRAWN = "probe withdrawn"
    """It ended without telling anything about the service."""
    PROBE_OVERDUE = "probe overdue"
    """It had not ended in time when another call came."""
    TRIPPED = "tripped"
    """By hand."""
    RESET = "reset"
    """By hand."""


TRANSITIONS: dict[State, dict[Event, State]] = {
    State.CLOSED: {
        Event.THRESHOLD_REACHED: State.OPEN,
        Event.TRIPPED: State.OPEN,
        Event.RESET: State.CLOSED,
    },
    State.OPEN: {
        Event.COOLED_DOWN: State.HALF_OPEN,
        Event.TRIPPED: State.OPEN,
        Event.RESET: State.CLOSED,
    },
    State.HALF_OPEN: {
        Event.PROBE_SUCCEEDED: State.CLOSED,
        Event.PROBE_FAILED: State.OPEN,
        Event.PROBE_WITHDRAWN: State.HALF_OPEN,
        Event.PROBE_OVERDUE: State.HALF_OPEN,
        Event.TRIPPED: State.OPEN,
        Event.RESET: State.CLOSED,
    },
}
"""The whole machine: what each event makes of each state. An event that a state does not list cannot happen in it."""


@value
class Transition:
    """One event in the life of a circuit."""

    before: State
    event: Event
    after: State


class Circuit:
    """The state of one circuit breaker. Times are seconds of any clock; all calls come one at a time.

    ``period`` numbers the stretches between events, from 1. ``open_door`` is the period while calls may pass without
    being asked for, else 0: one read of it admits a call.

    ``with`` blocks that run in the present period are counted as ``unmarked``. The next event makes them ``outdated``:
    whichever of them ends then, its end tells nothing any more. Until the last of them has ended, new blocks have to be
    ``marked`` with their period, which costs more than all the rest.
    """

    __slots__ = (
        "_longest_probe", "_minimum_calls", "_policy", "_rate", "_threshold", "_window",
        "failures", "is_probing", "marked", "open_door", "outdated", "period", "since", "state", "unmarked",
    )  # fmt: skip

    def __init__(self, policy: BreakerPolicy) -> None:
        self._policy = policy
        self._window = None if policy.window is None else Window(policy.window)
        self._threshold = policy.threshold or 0
        self._rate, self._minimum_calls = policy.failure_rate or 0.0, policy.minimum_calls or 0
        self._longest_probe = policy.probe_timeout or policy.shortest
        self.state = State.CLOSED
        self.period = self.open_door = 1
        self.failures = 0
        """Failures in a row; by a rate, those within the window when last looked at. Kept while open."""
        self.since = 0.0
        """When the circuit opened, or its probe began."""
        self.is_probing = False
        self.unmarked = self.outdated = self.marked = 0

    def admit(self, now: float) -> tuple[int, Transition | None]:
        """Tell the period in which a call may begin, 0 to refuse it, and the event that this brought about."""
        if self.state is State.CLOSED:
            return self.period, None
        self.since = min(self.since, now)
        event = None
        if self.state is State.OPEN or self.is_probing:
            if self.retry_in(now) > 0:
                return 0, None
            event = self._happens(Event.COOLED_DOWN if self.state is State.OPEN else Event.PROBE_OVERDUE, now)
        self.is_probing, self.since = True, now
        return self.period, event

    def retry_in(self, now: float) -> float:
        """Tell in how many seconds a call may pass, as far as is known now: a probe may end sooner."""
        if self.state is State.CLOSED or (self.state is State.HALF_OPEN and not self.is_probing):
            return 0.0
        most = self._policy.shortest if self.state is State.OPEN else self._longest_probe
        return max(0.0, min(most, self.since + most - now))

    def end(self, period: int, failed: bool | None, now: float) -> Transition | None:
        """Take note how a call ended that began in ``period``: ``None`` where that tells nothing about the service."""
        if period != self.period:
            return None
        if self.state is State.HALF_OPEN:
            return self._probe_ended(failed, now)
        if failed is None:
            return None
        if self._is_too_much(failed, now):
            return self._happens(Event.THRESHOLD_REACHED, now)
        return None

    def trip(self, now: float) -> Transition:
        """Open the circuit, for a whole cooldown from now."""
        return self._happens(Event.TRIPPED, now)

    def reset(self, now: float) -> Transition:
        """Close the circuit and forget every failure."""
        return self._happens(Event.RESET, now)

    def _probe_ended(self, failed: bool | None, now: float) -> Transition:
        if failed is None:
            return self._happens(Event.PROBE_WITHDRAWN, now)
        return self._happens(Event.PROBE_FAILED if failed else Event.PROBE_SUCCEEDED, now)

    def _is_too_much(self, failed: bool, now: float) -> bool:
        if self._window is None:
            self.failures = self.failures + 1 if failed else 0
            return self.failures >= self._threshold
        calls, self.failures = self._window.add(failed, now)
        return failed and calls >= self._minimum_calls and self.failures / calls >= self._rate

    def _happens(self, event: Event, now: float) -> Transition:
        before, self.state = self.state, TRANSITIONS[self.state][event]
        self.period += 1
        self.outdated, self.unmarked = self.outdated + max(0, self.unmarked), 0
        self.open_door = self.period if self.state is State.CLOSED else 0
        self.is_probing, self.since = False, now
        if self.state is State.CLOSED:
            self.failures = 0
            if self._window is not None:
                self._window.clear()
        return Transition(before, event, self.state)


class CircuitOpen(Exception):
    """A call was refused, and the service not asked. It is never retried into: come back in ``retry_in`` seconds.

    ``name`` is the breaker's. While a probe is out, ``retry_in`` is the longest that it may take. Where it ended a
    retry loop, its ``__cause__`` is the exception of the last attempt, or ``result`` is what that one returned.
    """

    def __init__(self, name: str, retry_in: float) -> None:
        super().__init__(name, retry_in)
        self.name = name
        self.retry_in = retry_in
        self.result: object = None

    def __reduce__(self) -> tuple[object, ...]:
        state = {name: value for name, value in vars(self).items() if name != "result"}  # no response travels
        return type(self), self.args, state

    def __str__(self) -> str:
        named = f'the circuit "{self.name}"' if self.name else "the circuit"
        return f"{named} is open: come back in {self.retry_in:.3g} s"
