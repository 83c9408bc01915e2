"""Carry a policy out for blocking code: sleep where the decisions say so, and nothing else."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator

from pytest_retrychaos.engine.attempt import Attempt
from pytest_retrychaos.engine.callables import asks_for_attempt, is_plain, refuse_coroutine, refuse_deferred
from pytest_retrychaos.engine.failures import BARE
from pytest_retrychaos.engine.run import Run, is_watched

TYPE_CHECKING = False  # importing typing would cost more than this module
if TYPE_CHECKING:
    from typing import ParamSpec, TypeVar

    from pytest_retrychaos.engine.history import Noted
    from pytest_retrychaos.engine.retry import Retry

    P = ParamSpec("P")
    T = TypeVar("T")


def retrying(policy: Retry, fn: Callable[P, T]) -> Callable[P, T]:
    """Make the function that retries ``fn``, a blocking one."""
    keyword = None
    if not is_plain(fn, is_async=False):
        refuse_deferred(fn)
        keyword = asks_for_attempt(fn)
    begins_with_run = keyword is not None or is_watched(policy)
    is_prepared = begins_with_run or policy.timeout is not None
    bare = frozenset() if policy.has_judge or (policy.breaker and policy.breaker.has_judge) else BARE

    def retried(*args: P.args, **kwargs: P.kwargs) -> T:
        run = None
        earlier: list[Noted] | None = None
        started = 0.0
        if is_prepared:
            if begins_with_run:
                run = Run(policy)
                offered = None if keyword in kwargs else keyword
            else:
                started = time.monotonic()
        while True:
            if begins_with_run and run is not None:
                run.begins()
                if offered is not None:
                    kwargs[offered] = Attempt(run)
            try:
                result = fn(*args, **kwargs) if kwargs else fn(*args)  # type: ignore[call-arg]  # copy no empty dict
            except Exception as error:
                if run is None:
                    earlier = earlier or []
                    seconds = policy.short_way(error, earlier, started)
                    if seconds is None:
                        run = Run(policy, started, earlier)
                if run is not None:
                    seconds = run.after_error(error)
                if seconds is None:
                    raise
                if seconds > 0:
                    (policy.sleep or time.sleep)(seconds)  # noqa: TID251 - the engine's time is owned here
                if run is None and policy.timeout is not None and time.monotonic() - started >= policy.timeout:
                    run = Run.after_wait(policy, started, earlier or [])
                if run is not None and not run.goes_on(error):
                    raise
            except BaseException:
                if run is not None:
                    run.cut_short()
                raise
            else:
                if type(result) in bare:
                    if begins_with_run and run is not None:
                        run.succeeded()
                    return result
                run = run or Run(policy, started, earlier)
                try:
                    refuse_coroutine(result, fn)
                except TypeError:
                    run.cut_short()
                    raise
                if not _waits(run, run.after_result(result), result):
                    return result

    return retried


def decorated(policy: Retry, fn: Callable[P, T]) -> Callable[P, T]:
    """Make the function that retries ``fn``, under its name."""
    return functools.wraps(fn)(retrying(policy, fn))


def attempts(policy: Retry) -> Iterator[Attempt]:
    """Give attempts until one succeeds or its exception is let through."""
    run = Run(policy)
    while True:
        run.begins()
        attempt = Attempt(run)
        try:
            yield attempt
        finally:
            if not attempt.was_entered:  # the loop was left before the block: nothing was tried
                run.cut_short()
        failure = attempt.failure()
        if failure is None:
            return
        wait, error = failure
        if not _waits(run, wait, error):
            raise error


def _waits(run: Run, seconds: float | None, outcome: object) -> bool:
    """Sleep, and tell whether another attempt follows."""
    if seconds is None:
        return False
    if seconds > 0:
        (run.policy.sleep or time.sleep)(seconds)  # noqa: TID251 - the engine's time is owned here
    return run.goes_on(outcome)
