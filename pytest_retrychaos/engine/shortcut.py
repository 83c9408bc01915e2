"""The short way: what follows a failure that holds nothing but its text, under a policy that has nobody to ask.

Laws of this module:
1. It decides as `run.Run` does, by the same draws; whatever is not plain is left to that, which takes over with what
   was noted here.
2. Where it leaves a failure to `Run` it has drawn nothing and noted nothing.

Most failures are plain, and making a `Run` and asking it takes three times as long as this.
"""

from __future__ import annotations

import time
from types import CodeType, FunctionType

from pytest_retrychaos.engine.classify import CONNECTING_NAMES, connects
from pytest_retrychaos.engine.failures import holds_text, retried_plainly
from pytest_retrychaos.engine.history import KEPT
from pytest_retrychaos.engine.logs import INFO, found_logger
from pytest_retrychaos.engine.run import chance, is_watched

TYPE_CHECKING = False  # importing typing would cost more than this module
if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_retrychaos.engine.failures import Failure
    from pytest_retrychaos.engine.history import Noted
    from pytest_retrychaos.engine.retry import Retry

    ShortWay = Callable[[Exception, list[Noted], float, CodeType | None], float | None]

_MOST_TYPES = 64
"""Of exceptions, that a policy knows: some programs make them at run time."""


def short_way(policy: Retry) -> ShortWay | None:
    """Make the function that tells how long to wait after a failure, and adds that to what was noted before.

    It is given the exception, the failures noted since the operation began, when that was, and the `mute_code` of what
    failed; it gives ``None`` where `Run` has to be asked: what is not plain or not retried, the last attempt, a wait
    that might reach the timeout, a backoff whose bounds change, and where the log is read. A policy that has somebody
    to ask has no such function.
    """
    if policy.has_judge or is_watched(policy):
        return None
    on, timeout, source = policy.on, policy.timeout, policy.random
    waits = policy.backoff.lasting_bounds(min(policy.attempts - 1, KEPT))
    log = found_logger()
    known: dict[type, tuple[Failure, Failure] | tuple[None, None]] = {}
    """What failures of a type come to, raised while connecting and elsewhere."""

    def look_at(kind: type[Exception]) -> tuple[Failure, Failure] | tuple[None, None]:
        found = retried_plainly(kind, on)
        if len(known) < _MOST_TYPES:
            known[kind] = found
        return found

    def seconds_after(error: Exception, earlier: list[Noted], started: float, mute: CodeType | None) -> float | None:
        nonlocal source, log
        try:
            low, high = waits[len(earlier)]
            connecting, failure = known[type(error)]
        except IndexError:
            return None
        except KeyError:
            connecting, failure = look_at(type(error))
        if failure is None or connecting is None:
            return None
        # `plain_failure` written out: the call would take a tenth as long as all of this
        if error.__cause__ is not None or error.__context__ is not None or error.__dict__:
            return None
        args = error.args
        if args and (type(args[0]) is not str or len(args) > 1) and not holds_text(error):
            return None
        caught = error.__traceback__  # none where another thread took it off the same exception
        step = None if caught is None else caught.tb_next
        if step is not None and step.tb_frame.f_code is mute:
            step = step.tb_next
        while step is not None:
            if step.tb_frame.f_code.co_name in CONNECTING_NAMES and connects(step.tb_frame):
                failure = connecting
                break
            step = step.tb_next
        if log is None:
            log = found_logger()
        if log is not None and log.isEnabledFor(INFO):
            return None
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
        earlier.append((failure, type(error), args, seconds))
        return seconds

    return seconds_after


def mute_code(fn: object) -> CodeType | None:
    """Give the code of ``fn`` where its frame in a traceback tells nothing: it does not connect.

    That frame need not be there: ``fn`` may have hidden it, or be no function of Python's.
    """
    return fn.__code__ if type(fn) is FunctionType and fn.__code__.co_name not in CONNECTING_NAMES else None
