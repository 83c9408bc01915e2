"""A circuit breaker for blocking and async code: the thin driver around the machine in `circuit`.

It owns what the machine has not: the lock, the clock, and who is told. While the circuit is closed and nothing has
failed, a call takes no lock and reads no clock.
"""

from __future__ import annotations

import functools
import sys
import time
from _thread import RLock
from collections.abc import Callable, Iterable

from pytest_retrychaos.engine import arguments, blocks, probes
from pytest_retrychaos.engine.breaker_policy import NEVER_OPEN, BreakerPolicy
from pytest_retrychaos.engine.callables import is_coroutine_function, refuse_blocking, refuse_generator, refuse_unrun
from pytest_retrychaos.engine.circuit import Circuit, CircuitOpen, State, Transition
from pytest_retrychaos.engine.failures import BARE
from pytest_retrychaos.engine.health import check_on, error_tells, result_tells
from pytest_retrychaos.engine.logs import LOGGER, logger

TYPE_CHECKING = False  # importing typing would cost more than this module
if TYPE_CHECKING:
    from collections.abc import Awaitable, Coroutine
    from types import TracebackType
    from typing import Any, ParamSpec, TypeVar

    from pytest_retrychaos.engine.health import On

    P = ParamSpec("P")
    T = TypeVar("T")
    Listener = Callable[["CircuitBreaker", Transition], object]

_HAS_LOCK = getattr(sys, "_is_gil_enabled", lambda: True)()
"""Whether ``count += 1`` of two threads counts two: under the interpreter's lock no other thread comes between."""


class CircuitBreaker:
    """Stop calling a service that fails, and find out when it is back.

    ::

        breaker = CircuitBreaker(threshold=5, cooldown=30)

        breaker.call(client.get, url)               # call a function
        await breaker.call_async(client.get, url)   # or a coroutine function

        @breaker                                    # or guard either
        def fetch(): ...

        with breaker:                               # or a block (async with, too)
            client.get(url).raise_for_status()

    One breaker stands for one service: share it among threads, tasks and event loops. It begins closed, and every
    call passes. When ``threshold`` calls in a row have failed, or, with ``failure_rate``, that share of the calls of
    the last ``window`` seconds, it opens, and raises `CircuitOpen` without calling. After ``cooldown`` seconds one
    call passes as a probe: if it succeeds the circuit closes, if it fails it opens for another cooldown. A result
    counts only if the circuit has not changed since its call began.

    Wrong arguments raise `ValueError` or `TypeError` here, naming the argument, the value and the rule.
    """

    __slots__ = (
        "_bare",
        "_circuit",
        "_clock",
        "_counts_successes",
        "_listeners",
        "_lock",
        "_on",
        "by_hand",
        "name",
        "policy"
    )  # fmt: skip

    def __init__(
        self,
        *,
        threshold: int | None = None,
        cooldown: float = 30.0,
        failure_rate: float | None = None,
        window: float | None = None,
        minimum_calls: int | None = None,
        probe_timeout: float | None = None,
        on: On = None,
        name: str = "",
        listeners: Iterable[Listener] = (),
        clock: Callable[[], float] | None = None,
    ) -> None:
        """Make a closed circuit.

        ``threshold``, ``cooldown``, ``failure_rate``, ``window``, ``minimum_calls`` and ``probe_timeout`` say when it
        opens and for how long: see `BreakerPolicy`.

        ``on``: what counts as a failure. By default the answers 408, 425, 429 and 5xx but 501 and 505, returned or
        raised, and every exception but those by which code says that it is wrong itself (`TypeError`, `ValueError`,
        `LookupError` and their like), which tell nothing; other answers are a sign of health. Otherwise an exception
        type or a tuple of them, or a function that is given what the call ended in and returns True or False; then
        all else is a sign of health. Name them where your own exceptions stand for answers: a declined card.

        ``name`` stands in errors and logs.

        ``listeners`` are called as ``listener(breaker, transition)`` after each event, in the thread that brought it
        about and without a lock. What one raises is logged and harms no call. The logger ``pytest_retrychaos.engine``
        tells of each event at INFO.

        ``clock`` tells seconds that never go back; `time.monotonic` unless given.
        """
        self.policy = BreakerPolicy(
            threshold=threshold,
            cooldown=arguments.seconds("cooldown", cooldown, above_zero=True, way_out=NEVER_OPEN),
            failure_rate=failure_rate,
            window=window,
            minimum_calls=minimum_calls,
            probe_timeout=probe_timeout,
        )
        check_on(on)
        if not isinstance(name, str):
            raise TypeError(f"name={name!r}: it has to be a str; it stands in errors and logs")
        if clock is not None and not callable(clock):
            raise TypeError(f"clock={clock!r}: it has to be a function such as time.monotonic")
        self.name = name
        self.by_hand = False
        """Whether it was ever tripped or reset by hand: what it did then was not its policy's doing."""
        self._on = on
        self._listeners = _functions(listeners)
        self._clock = clock
        self._lock = RLock()  # a finalizer or a signal's handler may come in between, and call through this breaker
        self._counts_successes = failure_rate is not None
        self._bare = frozenset() if callable(on) and not isinstance(on, type) else BARE
        self._circuit = Circuit(self.policy)
        if not _HAS_LOCK:
            self._circuit.marked = 1  # for ever: no block is only counted

    @property
    def threshold(self) -> int | None:
        """Failures in a row that open it; ``None`` where a rate does."""
        return self.policy.threshold

    @property
    def cooldown(self) -> float:
        """Seconds that it stays open."""
        return self.policy.shortest

    @property
    def has_judge(self) -> bool:
        """Whether a function judges how calls ended."""
        return not self._bare

    @property
    def state(self) -> State:
        """What it does with calls. An open circuit is open until a call comes after its cooldown."""
        return self._circuit.state

    @property
    def failures(self) -> int:
        """Failures in a row, or within the window when the last call ended; while open, those that opened it."""
        return self._circuit.failures

    @property
    def retry_in(self) -> float:
        """Seconds until a call may pass, 0 if one may now. While a probe is out: the longest that it may take."""
        with self._lock:
            return self._circuit.retry_in(self._now())

    def call(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call ``fn``, or raise `CircuitOpen` without calling it; return or raise what it does.

        `TypeError` for coroutine functions and generator functions: a call does not do their work.
        """
        return self._guarded(fn)(*args, **kwargs)

    def call_async(self, fn: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T]:
        """Await ``fn``, or raise `CircuitOpen` without calling it; return or raise what it does.

        On any event loop. A call that is cancelled tells nothing about the service.
        """
        return self._guarded_async(fn)(*args, **kwargs)

    def __call__(self, fn: Callable[P, T], /) -> Callable[P, T]:
        """Guard a function or a coroutine function; for use as a decorator, ``@breaker``."""
        if isinstance(fn, (staticmethod, classmethod)):  # @breaker stands above it
            return type(fn)(self(fn.__func__))
        refuse_generator(fn)
        if is_coroutine_function(fn):
            coroutine_function: Any = fn  # Any: T is a coroutine here, which no type checker sees
            return functools.wraps(fn)(self._guarded_async(coroutine_function))  # type: ignore[return-value]  # as above
        return functools.wraps(fn)(self._guarded(fn))

    def __enter__(self) -> CircuitBreaker:
        circuit = self._circuit
        if circuit.open_door and not (circuit.outdated or circuit.marked):
            circuit.unmarked += 1
        else:
            blocks.enter(self, circuit.open_door or self.begin_around())
            circuit.marked += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        circuit = self._circuit
        if circuit.outdated or circuit.marked:
            period = self._left()
        else:
            circuit.unmarked -= 1
            period = circuit.open_door
        if error is not None:
            self.end_with_error(period, error)
        elif circuit.failures or period != circuit.open_door or self._counts_successes:
            self.end(period, False)

    def _left(self) -> int:
        """Tell in which period the block began that ends, 0 where that is over."""
        circuit = self._circuit
        period = blocks.leave(self)
        if period is not None:
            circuit.marked -= 1
            return period
        if circuit.outdated:
            circuit.outdated -= 1
            return 0
        circuit.unmarked -= 1
        return circuit.open_door

    async def __aenter__(self) -> CircuitBreaker:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def begin(self) -> int:
        """Begin a call, or raise `CircuitOpen`. For drivers of your own: hand what it returns to ``end_with_…``."""
        if door := self._circuit.open_door:
            return door
        with self._lock:
            now = self._now()
            period, event = self._circuit.admit(now)
            retry_in = 0.0 if period else self._circuit.retry_in(now)
        self._tell(event)
        if not period:
            raise CircuitOpen(self.name, retry_in)
        return period

    def begin_around(self) -> int:
        """Begin a call that the code from here to its end is made in.

        Where that is a probe, calls of the same breaker inside it pass, and count for nothing: they are part of it.
        """
        if door := self._circuit.open_door:
            return door
        try:
            period = self.begin()
        except CircuitOpen:
            if probes.is_inside(self._circuit):
                return 0
            raise
        if period != self._circuit.open_door:
            probes.mark(self._circuit, period)
        return period

    def refusal(self) -> CircuitOpen | None:
        """Give the error that a call would meet now, ``None`` if it would pass. Changes nothing."""
        retry_in = self.retry_in
        return CircuitOpen(self.name, retry_in) if retry_in > 0 else None

    def end_with_error(self, period: int, error: BaseException) -> None:
        """End a call that raised; ``period`` is what `begin` returned."""
        try:
            failed = error_tells(error, self._on)
        except BaseException:
            self.end(period, None)
            raise
        self.end(period, failed)

    def end_with_result(self, period: int, result: object) -> None:
        """End a call that returned."""
        try:
            failed = result_tells(result, self._on)
        except BaseException:
            self.end(period, None)
            raise
        self.end(period, failed)

    def end(self, period: int, failed: bool | None) -> None:
        """End a call whose end is known already: ``None`` tells nothing about the service, and gives a probe back."""
        circuit = self._circuit
        if not failed and not circuit.failures and not self._counts_successes and period == circuit.open_door:
            return  # a success, and nothing to forget
        with self._lock:
            event = circuit.end(period, failed, self._now())
        self._tell(event)

    def trip(self) -> None:
        """Open the circuit by hand, for a whole cooldown from now."""
        self.by_hand = True
        with self._lock:
            event = self._circuit.trip(self._now())
        self._tell(event)

    def reset(self) -> None:
        """Close the circuit by hand and forget every failure."""
        self.by_hand = True
        with self._lock:
            event = self._circuit.reset(self._now())
        self._tell(event)

    def __repr__(self) -> str:
        named = f' "{self.name}"' if self.name else ""
        return f"<CircuitBreaker{named}: {self.state.value}, failures: {self.failures}>"

    def __reduce__(self) -> str:
        raise TypeError(
            f"{self!r} cannot be pickled or copied: its state belongs to this process, and a copy would not see what "
            "the others learn; make a breaker where it is used"
        )

    def _guarded(self, fn: Callable[P, T]) -> Callable[P, T]:
        circuit, bare, counts_successes = self._circuit, self._bare, self._counts_successes

        def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
            period = circuit.open_door or self.begin_around()
            try:
                result = fn(*args, **kwargs)
            except BaseException as error:
                self.end_with_error(period, error)
                raise
            if type(result) not in bare:
                self._returned(period, result, fn)
            elif circuit.failures or period != circuit.open_door or counts_successes:
                self.end(period, False)
            return result

        return guarded

    def _guarded_async(self, fn: Callable[P, Awaitable[T]]) -> Callable[P, Coroutine[Any, Any, T]]:
        circuit, bare, counts_successes = self._circuit, self._bare, self._counts_successes
        is_certain = is_coroutine_function(fn)

        async def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
            period = circuit.open_door or self.begin_around()
            try:
                awaitable = fn(*args, **kwargs)
                if not is_certain:
                    refuse_blocking(fn, awaitable)
                result = await awaitable
            except BaseException as error:
                self.end_with_error(period, error)
                raise
            if type(result) not in bare:
                self.end_with_result(period, result)
            elif circuit.failures or period != circuit.open_door or counts_successes:
                self.end(period, False)
            return result

        return guarded

    def _returned(self, period: int, result: object, fn: object) -> None:
        try:
            refuse_unrun(result, fn)
        except TypeError as error:
            self.end_with_error(period, error)
            raise
        self.end_with_result(period, result)

    def _now(self) -> float:
        return (self._clock or time.monotonic)()

    def _tell(self, transition: Transition | None) -> None:
        if transition is None:
            return
        if log := logger():
            named = f' "{self.name}"' if self.name else ""
            log.info("circuit%s: %s, now %s", named, transition.event.value, transition.after.value)
        for listener in self._listeners:
            try:
                listener(self, transition)
            except Exception:
                import logging

                logging.getLogger(LOGGER).exception("a listener of %r failed", self)


def _functions(listeners: Iterable[Listener]) -> tuple[Listener, ...]:
    if callable(listeners) or not hasattr(listeners, "__iter__"):
        raise TypeError(f"listeners={listeners!r}: it has to be a list of functions, as in listeners=[print]")
    given = tuple(listeners)
    for one in given:
        if not callable(one):
            raise TypeError(f"listeners={given!r}: {one!r} cannot be called; a listener takes breaker and transition")
        if is_coroutine_function(one):
            raise TypeError(f"listeners={given!r}: {one!r} is async, which nobody awaits: write a plain function")
    return given
