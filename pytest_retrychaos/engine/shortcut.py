"""The short way: what follows a failure that holds nothing but its text, under a policy that has nobody to ask.

Laws of this module:
1. It decides as `run.Run` does, by the same draws; whatever is not plain is left to that, which takes over with what
   was noted here.
2. Where it leaves a failure to `Run` it has drawn nothing and noted nothing.

Most failures are plain, and making a `Run` and asking it takes three times as long as this.
"""

from __future__ import annotations

import time

from pytest_retrychaos.engine.failures import plain_failure
from pytest_retrychaos.engine.history import KEPT
from pytest_retrychaos.engine.logs import INFO, found_logger
from pytest_retrychaos.engine.run import chance, is_watched

TYPE_CHECKING = False  # importing typing would cost more than this module
if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_retrychaos.engine.history import Noted
    from pytest_retrychaos.engine.retry import Retry

    ShortWay = Callable[[Exception, list[Noted], float], float | None]


def short_way(policy: Retry) -> ShortWay:
    """Make the function that tells how long to wait after a failure, and adds that to what was noted before.

    It is given the exception, the failures noted since the operation began, and when that was; it gives ``None`` where
    `Run` has to be asked: what is not plain or not retried, the last attempt, a wait that might reach the timeout, a
    backoff that remembers no bounds (yet), and where the log is read.
    """
    if policy.has_judge or is_watched(policy):
        return _leave
    on, timeout, source = policy.on, policy.timeout, policy.random
    remembered = policy.backoff.remembered
    log = found_logger()
    most = min(policy.attempts, KEPT + 1)

    def seconds_after(error: Exception, earlier: list[Noted], started: float) -> float | None:
        nonlocal source, log
        number = len(earlier) + 1
        bounds = remembered.get(number)
        if bounds is None or number >= most:
            return None
        failure = plain_failure(error, on)
        if failure is None or not failure.is_retryable:
            return None
        if log is None:
            log = found_logger()
        if log is not None and log.isEnabledFor(INFO):
            return None
        low, high = bounds
        if timeout is not None:
            elapsed = time.monotonic() - started
            if elapsed < 0 or high >= timeout - elapsed:
                return None
        seconds = low
        if low != high:  # as `Backoff.delay` draws
            if source is None:
                source = chance()
            drawn = low + (high - low) * source.random()
            seconds = drawn if drawn < high else high
        earlier.append((failure, type(error), error.args, seconds))
        return seconds

    return seconds_after


def _leave(*_: object) -> None:
    """Leave every failure to `Run`."""
