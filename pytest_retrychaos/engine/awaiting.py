"""Carry a policy out for async code, asyncio's and trio's: `blocking` with ``await``."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable

from pytest_retrychaos.engine.attempt import Attempt
from pytest_retrychaos.engine.callables import (
    Misused,
    asks_for_attempt,
    is_coroutine_function,
    is_plain,
    refuse_blocking,
    refuse_generator,
)
from pytest_retrychaos.engine.failures import BARE
from pytest_retrychaos.engine.loops import running_sleep
from pytest_retrychaos.engine.run import Run
from pytest_retrychaos.engine.shortcut import mute_code

TYPE_CHECKING = False  # importing typing would cost more than this module
if TYPE_CHECKING:
    from collections.abc import Awaitable, Coroutine
    from typing import Any, ParamSpec, TypeVar

    from pytest_retrychaos.engine.history import Noted
    from pytest_retrychaos.engine.retry import Retry

    P = ParamSpec("P")
    T = TypeVar("T")


def retrying(policy: Retry, fn: Callable[P, Awaitable[T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Make the coroutine function that retries ``fn``, a coroutine function or one that returns what can be awaited."""
    keyword, is_certain = None, True
    if not is_plain(fn, is_async=True):
        refuse_generator(fn)
        keyword, is_certain = asks_for_attempt(fn), is_coroutine_function(fn)
    if keyword is not None or policy.short_way is None:
        return _retrying_by_run(policy, fn, is_certain, keyword)
    short_way, timeout, mute = policy.short_way, policy.timeout, mute_code(fn)

    async def retried(*args: P.args, **kwargs: P.kwargs) -> T:
        pause = None
        awaitable: Awaitable[T] | None
        earlier: list[Noted] | None = None
        started = 0.0 if timeout is None else time.monotonic()
        while True:
            try:
                awaitable = fn(*args, **kwargs) if kwargs else fn(*args)  # type: ignore[call-arg]  # copy no empty dict
                if not is_certain:
                    refuse_blocking(fn, awaitable)
                result = await awaitable
            except Exception as error:
                awaitable = None  # a future keeps its exception, and that keeps this frame
                earlier = earlier or []
                seconds = short_way(error, earlier, started, mute)
                if seconds is None:
                    if isinstance(error, Misused):
                        raise
                    run = Run(policy, started, earlier)
                    goes_on = await _waits(run, run.after_error(error), error)
                else:
                    pause = pause or _pause(policy)
                    await pause(seconds)  # 0 as well: other tasks get their turn
                    if timeout is None or time.monotonic() - started < timeout:
                        continue
                    run = Run.after_wait(policy, started, earlier)
                    goes_on = run.goes_on(error)
                if not goes_on:
                    raise
            else:
                if type(result) in BARE:
                    return result
                run = Run(policy, started, earlier)
                if not await _waits(run, run.after_result(result), result):
                    return result
                del result, awaitable  # a response may hold a connection that the next attempt needs
            return await _retrying_by_run(policy, fn, is_certain, begun=run)(*args, **kwargs)  # not in `except`

    return retried


def _retrying_by_run(
    policy: Retry,
    fn: Callable[P, Awaitable[T]],
    is_certain: bool,
    keyword: str | None = None,
    begun: Run | None = None,
) -> Callable[P, Coroutine[Any, Any, T]]:
    """Make the coroutine function that retries ``fn`` as a `Run` decides, perhaps one that has ``begun``.

    ``keyword`` is that by which ``fn`` asks for its attempt.
    """

    async def retried(*args: P.args, **kwargs: P.kwargs) -> T:
        pause = None
        awaitable: Awaitable[T] | None
        run = begun or Run(policy)
        offered = None if keyword in kwargs else keyword
        while True:
            run.begins()
            if offered is not None:
                kwargs[offered] = Attempt(run)
            try:
                awaitable = fn(*args, **kwargs) if kwargs else fn(*args)  # type: ignore[call-arg]  # copy no empty dict
                if not is_certain:
                    refuse_blocking(fn, awaitable)
                result = await awaitable
            except Misused:
                run.cut_short()
                raise
            except Exception as error:
                awaitable = None  # as above
                seconds = run.after_error(error)
                if seconds is None:
                    raise
                pause = pause or _pause(policy)
                try:
                    await pause(seconds)  # 0 as well: other tasks get their turn
                except BaseException:
                    run.breaks_off()
                    raise
                if not run.goes_on(error):
                    raise
            except BaseException:
                run.cut_short()
                raise
            else:
                if type(result) in policy.bare:
                    run.succeeded()
                    return result
                if not await _waits(run, run.after_result(result), result):
                    return result
                del result, awaitable  # as above

    return retried


def decorated(policy: Retry, fn: Callable[P, Awaitable[T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Make the coroutine function that retries ``fn``, under its name."""
    return functools.wraps(fn)(retrying(policy, fn))


class Attempts:
    """The attempts of one operation, for ``async for``; it is no generator, so that nothing is left to close."""

    __slots__ = ("_attempt", "_run")

    def __init__(self, policy: Retry) -> None:
        self._run = Run(policy)
        self._attempt: Attempt | None = None

    def __aiter__(self) -> Attempts:
        return self

    def __del__(self) -> None:
        """Give the place of an attempt back that was never entered: the loop was left before the block."""
        if self._attempt is not None and not self._attempt.was_entered:
            self._run.cut_short()

    async def __anext__(self) -> Attempt:
        """Wait where the last attempt failed, and give the next one."""
        if self._attempt is not None:
            failure = self._attempt.failure()
            if failure is None:
                raise StopAsyncIteration
            wait, error = failure
            if not await _waits(self._run, wait, error):
                raise error
        self._run.begins()
        self._attempt = Attempt(self._run)
        return self._attempt


async def _waits(run: Run, seconds: float | None, outcome: object) -> bool:
    """Sleep, and tell whether another attempt follows."""
    if seconds is None:
        return False
    try:
        await _pause(run.policy)(seconds)
    except BaseException:
        run.breaks_off()
        raise
    return run.goes_on(outcome)


def _pause(policy: Retry) -> Callable[[float], Awaitable[object]]:
    """Give what waits in this coroutine: the policy's own sleep, or that of the library that runs it."""
    return running_sleep() if policy.sleep is None else functools.partial(_own_sleep, policy.sleep)


async def _own_sleep(sleep: Callable[[float], object], seconds: float) -> None:
    if seconds > 0:
        pause = sleep(seconds)
        if not hasattr(pause, "__await__"):
            raise TypeError(
                f"sleep={sleep!r} returned {pause!r}, which cannot be awaited: in async code a policy's sleep has to "
                "be async; leave it out for that of asyncio or trio"
            )
        await pause
