"""Carry a policy out for blocking code: sleep where the decisions say so, and nothing else."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator

from pytest_retrychaos.engine.attempt import Attempt
from pytest_retrychaos.engine.callables import asks_for_attempt, is_plain, refuse_coroutine, refuse_deferred
from pytest_retrychaos.engine.failures import BARE
from pytest_retrychaos.engine.run import Run
from pytest_retrychaos.engine.shortcut import mute_code

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
    if keyword is not None or policy.short_way is None:
        return _retrying_by_run(policy, fn, keyword)
    short_way, timeout, mute = policy.short_way, policy.timeout, mute_code(fn)

    def retried(*args: P.args, **kwargs: P.kwargs) -> T:
        earlier: list[Noted] | None = None
        started = 0.0 if timeout is None else time.monotonic()
        while True:
            try:
                result = fn(*args, **kwargs) if kwargs else fn(*args)  # type: ignore[call-arg]  # copy no empty dict
            except Exception as error:
                earlier = earlier or []
                seconds = short_way(error, earlier, started, mute)
                if seconds is None:
                    run = Run(policy, started, earlier)
                    goes_on = _waits(run, run.after_error(error), error)
                else:
                    if seconds > 0:
                        (policy.sleep or time.sleep)(seconds)  # noqa: TID251 - the engine's time is owned here
                    if timeout is None or time.monotonic() - started < timeout:
                        continue
                    run = Run.after_wait(policy, started, earlier)
                    goes_on = run.goes_on(error)
                if not goes_on:
                    raise
            else:
                if type(result) in BARE:
                    return result
                refuse_coroutine(result, fn)
                run = Run(policy, started, earlier)
                if not _waits(run, run.after_result(result), result):
                    return result
                del result  # a response may hold a connection that the next attempt needs
            return _retrying_by_run(policy, fn, begun=run)(*args, **kwargs)  # not in `except`: it would be a context

    return retried


def _retrying_by_run(
    policy: Retry, fn: Callable[P, T], keyword: str | None = None, begun: Run | None = None
) -> Callable[P, T]:
    """Make the function that retries ``fn`` as a `Run` decides, perhaps one that has ``begun``.

    ``keyword`` is that by which ``fn`` asks for its attempt.
    """

    def retried(*args: P.args, **kwargs: P.kwargs) -> T:
        run = begun or Run(policy)
        offered = None if keyword in kwargs else keyword
        while True:
            run.begins()
            if offered is not None:
                kwargs[offered] = Attempt(run)
            try:
                result = fn(*args, **kwargs) if kwargs else fn(*args)  # type: ignore[call-arg]  # copy no empty dict
            except Exception as error:
                if not _waits(run, run.after_error(error), error):
                    raise
            except BaseException:
                run.cut_short()
                raise
            else:
                if type(result) in policy.bare:
                    run.succeeded()
                    return result
                try:
                    refuse_coroutine(result, fn)
                except TypeError:
                    run.cut_short()
                    raise
                if not _waits(run, run.after_result(result), result):
                    return result
                del result  # as above

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
        try:
            (run.policy.sleep or time.sleep)(seconds)  # noqa: TID251 - the engine's time is owned here
        except BaseException:
            run.breaks_off()
            raise
    return run.goes_on(outcome)
