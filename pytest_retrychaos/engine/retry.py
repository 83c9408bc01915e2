"""Retry blocking code: the policy, and the thin drivers that carry its decisions out.

This module owns the engine's time and chance: `time.sleep`, `time.monotonic`, `time.time` and `random` are looked
up here, when they are needed, unless a policy brings its own.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator

from pytest_retrychaos.engine import arguments
from pytest_retrychaos.engine.backoff import Backoff, exponential
from pytest_retrychaos.engine.callables import refuse_coroutine, refuse_deferred
from pytest_retrychaos.engine.decisions import (
    Failure,
    Stop,
    Wait,
    decide,
    failure_of_error,
    failure_of_result,
)
from pytest_retrychaos.engine.history import History
from pytest_retrychaos.engine.retry_after import retry_after
from pytest_retrychaos.engine.values import options

TYPE_CHECKING = False  # importing typing would cost more than this module
if TYPE_CHECKING:
    from types import TracebackType
    from typing import ParamSpec, TypeVar

    from pytest_retrychaos.engine.backoff import Chance
    from pytest_retrychaos.engine.decisions import On

    P = ParamSpec("P")
    T = TypeVar("T")


@options
class Retry:
    """A retry policy for blocking code: how often, how long apart, for how long, and on what.

    ::

        retry = Retry(attempts=5, backoff=exponential(0.1, cap=20), timeout=30)

        retry.call(client.get, url)         # call a function

        @retry                              # or make one that retries
        def fetch(): ...

        for attempt in retry:               # or retry a block
            with attempt:
                client.get(url, timeout=attempt.remaining)

    A value without state: one policy serves any number of calls and threads. An operation ends with the first
    success, or when the policy gives up: then the last exception is raised itself, with the earlier attempts in
    its notes, or the last response is returned. ``KeyboardInterrupt``, cancellation and every other
    ``BaseException`` that is no ``Exception`` passes through untouched.

    A request that may have been carried out (see `Kind`) is retried too: give one that must not happen twice an
    idempotency key, the same on every attempt.

    Wrong arguments raise `ValueError` or `TypeError` here, naming the argument, the value and the rule.
    """

    attempts: int = 3
    """How often to try in all; 1 means no retry."""
    backoff: Backoff = exponential()
    """How long to wait between attempts."""
    timeout: float | None = None
    """Seconds for the whole operation, waits and the attempt in flight counted. No attempt starts past it. It cuts
    none that runs: for that, hand `Attempt.remaining` to the client."""
    respect_retry_after: bool = True
    """Wait at least as long as the server asks. An operation that cannot, for its timeout, ends at once."""
    on: On = None
    """What to retry. By default whatever is transient: connection errors, timeouts, and the answers 408, 409, 425,
    429, 5xx but 501 and 505, and other 4xx that invite a retry, returned or raised. Otherwise an exception type or a
    tuple of them (then results are never retried), or a function that is given what the attempt ended in, the value
    returned or the exception raised, and tells whether to retry."""
    max_retry_after: float = 3600
    """Longest wait in seconds that a server may ask for; beyond it the operation ends at once."""
    sleep: Callable[[float], object] | None = None
    """Waits for seconds; `time.sleep` unless given."""
    clock: Callable[[], float] | None = None
    """Tells seconds that never go back; `time.monotonic` unless given."""
    wall_clock: Callable[[], float] | None = None
    """Tells epoch seconds, for dates in ``Retry-After``; `time.time` unless given."""
    random: Chance | None = None
    """A `random.Random`; the module `random` unless given."""

    def __post_init__(self) -> None:
        arguments.count("attempts", self.attempts, way_out="attempts=1 means no retry")
        if not isinstance(self.backoff, Backoff):
            raise TypeError(
                f"backoff={self.backoff!r}: it has to be a Backoff; write fixed(seconds) or exponential(base)"
            )
        if self.timeout is not None:
            arguments.seconds("timeout", self.timeout, above_zero=True, way_out="None means no timeout")
        if not isinstance(self.respect_retry_after, bool):
            raise TypeError(f"respect_retry_after={self.respect_retry_after!r}: it has to be True or False")
        _check_on(self.on)
        arguments.seconds("max_retry_after", self.max_retry_after)
        for name in ("sleep", "clock", "wall_clock"):
            value = getattr(self, name)
            if value is not None and not callable(value):
                raise TypeError(f"{name}={value!r}: it has to be a function such as time.{_TIMES[name]}")
        if self.random is not None and not callable(getattr(self.random, "random", None)):
            raise TypeError(f"random={self.random!r}: it has to be a random.Random")

    def call(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call ``fn`` until it succeeds or the policy gives up; return or raise what its last attempt did.

        `TypeError` for coroutine functions and generator functions: a call does not do their work.
        """
        refuse_deferred(fn)
        return self._call(fn, args, kwargs)

    def __call__(self, fn: Callable[P, T], /) -> Callable[P, T]:
        """Make a function that retries; for use as a decorator, ``@retry``."""
        refuse_deferred(fn)

        @functools.wraps(fn)
        def retried(*args: P.args, **kwargs: P.kwargs) -> T:
            return self._call(fn, args, kwargs)

        return retried

    def __iter__(self) -> Iterator[Attempt]:
        """Yield attempts, each to be entered by ``with``, until one succeeds or its exception is let through."""
        run = _Run(self)
        while not run.is_over:
            attempt = Attempt(run)
            yield attempt
            if not attempt.was_entered:
                raise RuntimeError(
                    "the attempt was not entered, so nobody can tell how it ended; "
                    "write `for attempt in retry:` and, inside, `with attempt: ...`"
                )

    def __repr__(self) -> str:
        given = [name for name in Retry.__annotations__ if getattr(self, name) != getattr(_DEFAULT, name)]
        return f"Retry({', '.join(f'{name}={getattr(self, name)!r}' for name in given)})"

    def _call(self, fn: Callable[..., T], args: tuple[object, ...], kwargs: dict[str, object]) -> T:
        run = _Run(self)
        while True:
            try:
                result = fn(*args, **kwargs)
            except Exception as error:
                if not run.goes_on_after(error):
                    raise
            else:
                refuse_coroutine(result, fn)
                if not run.goes_on_with(result):
                    return result


_TIMES = {"sleep": "sleep", "clock": "monotonic", "wall_clock": "time"}


class Attempt:
    """One attempt of ``for attempt in retry``, to be entered by ``with``.

    An exception in the block that is to be retried is swallowed, once the wait for the next attempt is over;
    any other goes through.
    """

    __slots__ = ("_run", "was_entered")

    def __init__(self, run: _Run) -> None:
        self._run = run
        self.was_entered = False

    @property
    def number(self) -> int:
        """Which attempt this is, from 1."""
        return self._run.number

    @property
    def remaining(self) -> float | None:
        """Seconds until the policy's timeout, 0 when it has passed; ``None`` where it has none."""
        timeout = self._run.policy.timeout
        return None if timeout is None else max(0.0, timeout - self._run.elapsed())

    def __enter__(self) -> Attempt:
        if self.was_entered:
            raise RuntimeError("the attempt was entered before: take the next one from the loop")
        self.was_entered = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        goes_on = isinstance(error, Exception) and self._run.goes_on_after(error)
        self._run.is_over = not goes_on
        return goes_on


class _Run:
    """One operation under way: which attempt runs, since when, and what came before."""

    __slots__ = ("_clock", "_history", "_previous_wait", "_started", "is_over", "number", "policy")

    def __init__(self, policy: Retry) -> None:
        self.policy = policy
        self.number = 1
        self.is_over = False
        self._clock = policy.clock or time.monotonic
        self._started = self._clock()
        self._previous_wait: float | None = None
        self._history: History | None = None

    def elapsed(self) -> float:
        """Seconds since the first attempt began; a clock that jumps back counts as standing."""
        return max(0.0, self._clock() - self._started)

    def goes_on_after(self, error: Exception) -> bool:
        """Wait for the next attempt, or tell that the error is to be raised."""
        failure = failure_of_error(error, self.policy.on)
        stop = self._rest(failure, error)
        if stop is None:
            return True
        for note in () if self._history is None else self._history.notes(self.number, stop):
            error.add_note(note)
        return False

    def goes_on_with(self, result: object) -> bool:
        """Wait for the next attempt, or tell that the result is to be returned."""
        failure = failure_of_result(result, self.policy.on)
        return failure is not None and self._rest(failure, result) is None

    def _rest(self, failure: Failure, outcome: object) -> Stop | None:
        decision = self._decide(failure)
        if isinstance(decision, Stop):
            return decision
        if decision.seconds > 0:
            (self.policy.sleep or time.sleep)(decision.seconds)  # noqa: TID251 - the engine's time is owned here
        timeout = self.policy.timeout
        if timeout is not None and self.elapsed() >= timeout:
            return Stop("timeout")
        self._history = self._history or History()
        self._history.add(self.number, outcome, decision.seconds)
        self._previous_wait = decision.seconds
        self.number += 1
        return None

    def _decide(self, failure: Failure) -> Wait | Stop:
        policy = self.policy
        asked = None
        if failure.headers:
            wall_clock = policy.wall_clock or time.time  # noqa: TID251 - the engine's time is owned here
            asked = retry_after(failure.headers, now=wall_clock())
        return decide(
            policy,
            failure,
            attempt=self.number,
            elapsed=self.elapsed(),
            random=policy.random or _chance(),
            asked=asked,
            previous_wait=self._previous_wait,
        )


def _chance() -> Chance:
    import random

    return random


def _check_on(on: object) -> None:
    types = on if isinstance(on, tuple) else (on,) if isinstance(on, type) else ()
    if on == ():
        raise ValueError("on=(): it names no exception, so nothing would be retried; write attempts=1 for that")
    for one in types:
        if not isinstance(one, type) or not issubclass(one, BaseException):
            raise TypeError(f"on={on!r}: {one!r} is no exception type")
        if not issubclass(one, Exception):
            raise ValueError(
                f"on={on!r}: {one.__name__} ends a program or cancels a task and is never retried; "
                "name subclasses of Exception"
            )
    if on is not None and not types and not callable(on):
        raise TypeError(
            f"on={on!r}: it has to be an exception type, a tuple of them, or a function of what an attempt ended in"
        )


_DEFAULT = Retry()
