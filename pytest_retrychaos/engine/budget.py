"""A retry budget: retries stay a share of the traffic, however many operations fail at once.

Laws of this module:
1. Over any stretch of t seconds in which n operations begin, at most ``burst + ratio * n + per_second * t`` retries
   are granted.
2. A budget never holds more than ``burst``, and begins with it: quiet hours save nothing up.
3. A clock that goes back grants nothing by that, and counts on from where it is: nobody waits for it to catch up.

Sources: Google's SRE book, chapter 21 (a tenth of the requests); Finagle's ``RetryBudget`` (a share, and a floor of 10
a second, kept for 10 seconds); botocore's ``RetryQuota`` (500 tokens at 5 a retry). Attempts that fail alone multiply
the load on a service that is down by their number; with a budget by ``1 + ratio``, and the floor.
"""

from __future__ import annotations

import time
from _thread import RLock

from pytest_retrychaos.engine import arguments

TYPE_CHECKING = False  # importing typing would cost more than this module
if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS_OF_FLOOR = 10
"""How many seconds' worth of the floor a budget holds, as Finagle does."""
LEAST_BURST = 10
"""What it holds at least, or a share alone would never get a first retry granted."""

_ONE = 1 - 1e-9
"""A whole token, in tenths added up as floats."""


class RetryBudget:
    """Let the retries of many operations be at most a share of their number, above a floor.

    ::

        budget = RetryBudget(ratio=0.1, per_second=10)
        retry = Retry(attempts=4, budget=budget)

    Share one budget among the policies, threads and event loops that call one service. An operation whose retry is
    not granted ends with the failure that it has.

    Wrong arguments raise `ValueError` or `TypeError` here, naming the argument, the value and the rule.
    """

    __slots__ = ("_clock", "_lock", "_since", "_tokens", "burst", "per_second", "ratio")

    def __init__(
        self,
        *,
        ratio: float = 0.1,
        per_second: float = 10.0,
        burst: float | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        """Make a full budget.

        ``ratio``: retries granted for each operation that begins; 0.1 adds at most a tenth to the load. ``per_second``
        are granted beside, so that a client with little traffic may retry at all; divide it by the number of your
        processes, which know nothing of each other. ``burst`` is how many it holds at most; 10 seconds of the floor
        unless given, and at least 10. ``clock`` tells seconds that never go back; `time.monotonic` unless given.
        """
        self.ratio = _not_negative("ratio", ratio)
        self.per_second = _not_negative("per_second", per_second)
        if not self.ratio and not self.per_second:
            raise ValueError("ratio=0, per_second=0: nothing would ever be granted again; write attempts=1 for that")
        if burst is None:
            burst = max(LEAST_BURST, SECONDS_OF_FLOOR * self.per_second)
        self.burst = arguments.finite("burst", burst)
        if self.burst < 1:
            raise ValueError(f"burst={burst!r}: it has to be 1 or more, the price of a retry")
        if clock is not None and not callable(clock):
            raise TypeError(f"clock={clock!r}: it has to be a function such as time.monotonic")
        self._clock = clock
        self._lock = RLock()  # a finalizer or a signal's handler may come in between, and ask this budget
        self._tokens = self.burst
        self._since = self._now()

    @property
    def balance(self) -> float:
        """How many retries would be granted now."""
        with self._lock:
            self._refill(self._now())
            return self._tokens

    def deposit(self) -> None:
        """Take note that an operation begins."""
        with self._lock:
            self._tokens = min(self.burst, self._tokens + self.ratio)

    def withdraw(self) -> bool:
        """Ask for a retry: take one out and tell that it is granted, or leave it and tell that it is not."""
        with self._lock:
            self._refill(self._now())
            if self._tokens < _ONE:
                return False
            self._tokens = max(0.0, self._tokens - 1)
            return True

    def give_back(self) -> None:
        """Put a retry back that was granted and not made."""
        with self._lock:
            self._tokens = min(self.burst, self._tokens + 1)

    def __repr__(self) -> str:
        numbers = f"ratio={self.ratio:g}, per_second={self.per_second:g}, burst={self.burst:g}"
        return f"<RetryBudget({numbers}): {self._tokens:.3g} left>"

    def __reduce__(self) -> str:
        raise TypeError(
            f"{self!r} cannot be pickled or copied: a copy would grant the same retries twice; "
            "make a budget where it is used"
        )

    def _refill(self, now: float) -> None:
        self._tokens = min(self.burst, self._tokens + self.per_second * max(0.0, now - self._since))
        self._since = now

    def _now(self) -> float:
        return (self._clock or time.monotonic)()


def _not_negative(name: str, value: object) -> float:
    number = arguments.finite(name, value)
    if number < 0:
        raise ValueError(f"{name}={value!r}: it has to be 0 or more")
    return number
