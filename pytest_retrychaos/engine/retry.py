"""The policy: how often, how long apart, for how long, and on what. `run` decides by it, drivers carry that out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator

from pytest_retrychaos.engine import arguments, awaiting, blocking
from pytest_retrychaos.engine.backoff import Backoff, exponential
from pytest_retrychaos.engine.breaker import CircuitBreaker
from pytest_retrychaos.engine.budget import RetryBudget
from pytest_retrychaos.engine.callables import is_coroutine_function
from pytest_retrychaos.engine.failures import BARE, check_on, is_no_judge
from pytest_retrychaos.engine.shortcut import short_way
from pytest_retrychaos.engine.values import options

TYPE_CHECKING = False  # importing typing would cost more than this module
if TYPE_CHECKING:
    from typing import Any, ParamSpec, TypeVar

    from pytest_retrychaos.engine.attempt import Attempt
    from pytest_retrychaos.engine.backoff import Chance
    from pytest_retrychaos.engine.events import Beginning, GivingUp, Waiting
    from pytest_retrychaos.engine.failures import On
    from pytest_retrychaos.engine.shortcut import ShortWay

    P = ParamSpec("P")
    T = TypeVar("T")


@options
class Retry:
    """A retry policy, for blocking and async code: how often, how long apart, for how long, and on what.

    ::

        retry = Retry(attempts=5, backoff=exponential(0.1, cap=20), timeout=30)

        retry.call(client.get, url)         # call a function; await retry.call_async(fn) for a coroutine function

        @retry                              # or make one that retries, async or not
        def fetch(): ...

        for attempt in retry:               # or retry a block; async for in async code
            with attempt:
                client.get(url, timeout=attempt.within(10))

    A value without state: one policy serves any number of calls, threads and event loops, asyncio's and trio's. An
    operation ends with the first success, or when the policy gives up: then the last exception is raised itself,
    with the earlier attempts in its notes, or the last response is returned. ``KeyboardInterrupt``, cancellation and
    every other ``BaseException`` that is no ``Exception`` passes through untouched, and a group of exceptions is
    retried if each one in it would be.

    A request that may have been carried out (see `Kind`) is retried too, for of a function nobody knows whether it
    may be repeated: give one that must not happen twice an idempotency key, ``attempt.idempotency_key``. A function
    gets its attempt by asking for it: ``def charge(order, *, attempt: Attempt = this_attempt)``.

    Wrong arguments raise `ValueError` or `TypeError` here, naming the argument, the value and the rule.
    """

    attempts: int = 3
    """How often to try in all; 1 means no retry."""
    backoff: Backoff = exponential()
    """How long to wait between attempts."""
    timeout: float | None = None
    """Seconds for the whole operation, waits and the attempt in flight counted. No attempt starts past it. It cuts
    none that runs: for that, give the client ``timeout=attempt.within(10)``."""
    respect_retry_after: bool = True
    """Wait at least as long as the server asks, and spread above that as the backoff's jitter does. An operation that
    cannot, for its timeout, ends at once."""
    on: On = None
    """What to retry. By default whatever is transient: connection errors, timeouts, and the answers 408, 409, 425,
    429, 5xx but 501 and 505, and other 4xx that invite a retry, returned or raised. Otherwise an exception type or a
    tuple of them (then results are never retried), or a function that is given what the attempt ended in, the value
    returned or the exception raised, and tells whether to retry: ``True``, ``False``, or the least wait in seconds,
    above 0, before a retry. `is_transient` is the default as such a function."""
    max_retry_after: float = 3600
    """Longest wait in seconds that a server may ask for; beyond it the operation ends at once."""
    sleep: Callable[[float], object] | None = None
    """Waits for seconds; unless given `time.sleep`, and in async code `asyncio.sleep` or `trio.sleep`. One for async
    code has to be async."""
    clock: Callable[[], float] | None = None
    """Tells seconds that never go back; `time.monotonic` unless given."""
    wall_clock: Callable[[], float] | None = None
    """Tells epoch seconds, for dates in ``Retry-After``; `time.time` unless given."""
    random: Chance | None = None
    """A `random.Random`; the module `random` unless given."""
    new_key: Callable[[], str] | None = None
    """Makes an idempotency key that was never used; a random UUID unless given."""
    breaker: CircuitBreaker | None = None
    """Asked before each attempt and told how it ended, by its own idea of a failure. Once it is open no retry follows:
    in its place `CircuitOpen` is raised, from the last exception, and says when to come back."""
    budget: RetryBudget | None = None
    """Asked before each retry. Once it is spent an operation ends with the failure that it has."""
    before_attempt: Callable[[Beginning], object] | None = None
    """Told before each attempt. What a hook raises surfaces at once and ends the operation, with the failure at hand,
    if any, as its context."""
    before_wait: Callable[[Waiting], object] | None = None
    """Told of each failure that is retried, before the wait."""
    giving_up: Callable[[GivingUp], object] | None = None
    """Told of the failure that ends the operation."""

    _worked_out = ("has_judge", "bare", "short_way")
    if TYPE_CHECKING:

        @property
        def has_judge(self) -> bool:
            """Whether ``on`` is a function."""

        @property
        def bare(self) -> frozenset[type]:
            """Types whose values are a success without a look at them."""

        @property
        def short_way(self) -> ShortWay | None:
            """Tells what follows a plain failure, see module `shortcut`."""

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
        check_on(self.on)
        object.__setattr__(self, "has_judge", not is_no_judge(self.on))
        arguments.seconds("max_retry_after", self.max_retry_after)
        for name, example in _FUNCTIONS.items():
            value = getattr(self, name)
            if value is not None and not callable(value):
                raise TypeError(f"{name}={value!r}: it has to be a function such as {example}")
        for name, kind in (("breaker", CircuitBreaker), ("budget", RetryBudget)):
            value = getattr(self, name)
            if value is not None and not isinstance(value, kind):
                raise TypeError(f"{name}={value!r}: it has to be a {kind.__name__} of this engine")
        if self.random is not None and not callable(getattr(self.random, "random", None)):
            raise TypeError(f"random={self.random!r}: it has to be a random.Random")
        is_judged = self.has_judge or (self.breaker is not None and self.breaker.has_judge)
        object.__setattr__(self, "bare", frozenset() if is_judged else BARE)
        object.__setattr__(self, "short_way", short_way(self))

    def call(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call ``fn`` until it succeeds or the policy gives up; return or raise what its last attempt did.

        `TypeError` for coroutine functions (see `call_async`) and generator functions: a call does not do their work.
        """
        return blocking.retrying(self, fn)(*args, **kwargs)

    def call_async(self, fn: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T]:
        """Await ``fn`` until it succeeds or the policy gives up; return or raise what its last attempt did.

        On asyncio and on trio. `TypeError` for generator functions, and for one that returns what cannot be awaited.
        """
        return awaiting.retrying(self, fn)(*args, **kwargs)

    def __call__(self, fn: Callable[P, T], /) -> Callable[P, T]:
        """Make a function that retries; for use as a decorator, ``@retry``. Of ``async def`` it makes one, too."""
        if isinstance(fn, (staticmethod, classmethod)):  # @retry stands above it
            return type(fn)(self(fn.__func__))
        if is_coroutine_function(fn):
            coroutine_function: Any = fn  # Any: T is a coroutine here, which no type checker sees
            return awaiting.decorated(self, coroutine_function)  # type: ignore[return-value]  # as above
        return blocking.decorated(self, fn)

    def __iter__(self) -> Iterator[Attempt]:
        """Yield attempts, each to be entered by ``with``, until one succeeds or its exception is let through."""
        return blocking.attempts(self)

    def __aiter__(self) -> AsyncIterator[Attempt]:
        """Yield attempts for ``async for``, each to be entered by ``with``, as `__iter__` does."""
        return awaiting.Attempts(self)

    if TYPE_CHECKING:  # every value has it; who changes a policy is to see its type

        def __replace__(self, **changes: Any) -> Retry:  # Any: any of the fields
            """Make the policy that differs in these fields."""

    def __repr__(self) -> str:
        given = [name for name in Retry.__annotations__ if getattr(self, name) != getattr(_DEFAULT, name)]
        return f"Retry({', '.join(f'{name}={getattr(self, name)!r}' for name in given)})"


_FUNCTIONS = {
    "sleep": "time.sleep",
    "clock": "time.monotonic",
    "wall_clock": "time.time",
    "new_key": "lambda: str(uuid.uuid4())",
    "before_attempt": "print",
    "before_wait": "print",
    "giving_up": "print",
}

_DEFAULT = Retry()
