"""The retry engine beside its peers: what a success costs, what two failures cost, and what importing it costs."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pytest_retrychaos.engine import Retry
from pytest_retrychaos.engine.classify import CONNECTING_NAMES

ROUNDS, CALLS, FAILURES = 15, 4000, 400
IMPORTS = 15
NOW = time.process_time

Work = Callable[[], Any]


def _policies() -> dict[str, Callable[[Work], Work]]:
    """Give decorators of three attempts on ConnectionError, each in the manner of its library."""
    import backoff
    import stamina
    import tenacity
    from google.api_core.retry import AsyncRetry, if_exception_type
    from google.api_core.retry import Retry as GoogleRetry

    stamina.instrumentation.set_on_retry_hooks([])  # it logs each retry at WARNING
    google = {"predicate": if_exception_type(ConnectionError)}

    def by_google(fn: Work) -> Work:
        return AsyncRetry(**google)(fn) if asyncio.iscoroutinefunction(fn) else GoogleRetry(**google)(fn)

    return {
        "pytest-retrychaos": Retry(on=ConnectionError),
        "the same with timeout=120": Retry(on=ConnectionError, timeout=120),
        "the same on the default": Retry(),
        "google-api-core": by_google,
        "backoff": backoff.on_exception(backoff.expo, ConnectionError, max_tries=3),
        "tenacity": tenacity.retry(
            retry=tenacity.retry_if_exception_type(ConnectionError),
            stop=tenacity.stop_after_attempt(3),
            wait=tenacity.wait_random_exponential(),
        ),
        "stamina": stamina.retry(on=ConnectionError, attempts=3),
    }


ALONE, WRAPPED = "the function alone", "in a wrapper that does nothing"
CAUGHT, LEAST = "exceptions raised and caught, no engine", "the least loop that retries"
JUDGED = "the same, judging failures and asking the log"
FLOORS = (ALONE, WRAPPED, CAUGHT, LEAST, JUDGED)
OWN = ("pytest-retrychaos", "the same with timeout=120", "the same on the default")


class Failing:
    """Fails so often before each success."""

    def __init__(self, failures: int) -> None:
        self._period = failures + 1
        self._calls = 0

    def call(self) -> int:
        """Fail, or give a number."""
        self._calls += 1
        if self._calls % self._period:
            raise ConnectionError("reset")
        return 1


def _functions(failures: int) -> tuple[Work, Work]:
    blocking, awaited = Failing(failures), Failing(failures)

    def work() -> int:
        return blocking.call()

    async def work_async() -> int:
        return awaited.call()

    return work, work_async


def _wrapped(fn: Work) -> Work:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return fn(*args, **kwargs)

    return wrapper


def _wrapped_async(fn: Work) -> Work:
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        return await fn(*args, **kwargs)

    return wrapper


def _caught(fn: Work) -> Work:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        while True:
            try:
                return fn(*args, **kwargs)
            except Exception:
                pass

    return wrapper


def _caught_async(fn: Work) -> Work:
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        while True:
            try:
                return await fn(*args, **kwargs)
            except Exception:
                pass

    return wrapper


HEIGHTS = (0.1, 0.2, 0.4)
LOG = logging.getLogger("pytest_retrychaos.engine")


def _least(fn: Work) -> Work:
    """Do what no engine can leave out: catch, decide by the type, draw a wait, sleep, and keep what the error said."""

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        kept: list[object] = []
        while True:
            try:
                return fn(*args, **kwargs)
            except Exception as error:
                number = len(kept)
                if not isinstance(error, ConnectionError) or number >= 2:
                    raise
                kept.append((type(error), error.args))
                time.sleep(HEIGHTS[number] * random.random())

    return wrapper


def _least_async(fn: Work) -> Work:
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        kept: list[object] = []
        while True:
            try:
                return await fn(*args, **kwargs)
            except Exception as error:
                number = len(kept)
                if not isinstance(error, ConnectionError) or number >= 2:
                    raise
                kept.append((type(error), error.args))
                await asyncio.sleep(HEIGHTS[number] * random.random())

    return wrapper


def _least_judging(fn: Work) -> Work:
    """Do the same, look at a failure as the engine's short way does, and ask the log, all without a call of its own."""

    mute = fn.__code__

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        kept: list[object] = []
        while True:
            try:
                return fn(*args, **kwargs)
            except Exception as error:
                number = len(kept)
                if not isinstance(error, ConnectionError) or number >= 2:
                    raise
                if error.__cause__ is not None or error.__context__ is not None or error.__dict__:
                    raise
                said = error.args
                if said and (type(said[0]) is not str or len(said) > 1):
                    raise
                step = error.__traceback__  # under no other name: this frame would hold what holds it
                if step is not None:
                    step = step.tb_next
                if step is not None and step.tb_frame.f_code is mute:
                    step = step.tb_next
                while step is not None:
                    if step.tb_frame.f_code.co_name in CONNECTING_NAMES:
                        raise
                    step = step.tb_next
                if LOG.isEnabledFor(logging.INFO):
                    raise
                kept.append((type(error), said))
                time.sleep(HEIGHTS[number] * random.random())

    return wrapper


def _least_judging_async(fn: Work) -> Work:
    mute = fn.__code__

    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        kept: list[object] = []
        while True:
            try:
                return await fn(*args, **kwargs)
            except Exception as error:
                number = len(kept)
                if not isinstance(error, ConnectionError) or number >= 2:
                    raise
                if error.__cause__ is not None or error.__context__ is not None or error.__dict__:
                    raise
                said = error.args
                if said and (type(said[0]) is not str or len(said) > 1):
                    raise
                step = error.__traceback__  # under no other name: this frame would hold what holds it
                if step is not None:
                    step = step.tb_next
                if step is not None and step.tb_frame.f_code is mute:
                    step = step.tb_next
                while step is not None:
                    if step.tb_frame.f_code.co_name in CONNECTING_NAMES:
                        raise
                    step = step.tb_next
                if LOG.isEnabledFor(logging.INFO):
                    raise
                kept.append((type(error), said))
                await asyncio.sleep(HEIGHTS[number] * random.random())

    return wrapper


def _floors(failures: int, work: Work, work_async: Work) -> dict[str, tuple[Work, Work]]:
    """Give what no engine can be cheaper than."""
    if not failures:
        return {ALONE: (work, work_async), WRAPPED: (_wrapped(work), _wrapped_async(work_async))}
    return {
        CAUGHT: (_caught(work), _caught_async(work_async)),
        LEAST: (_least(work), _least_async(work_async)),
        JUDGED: (_least_judging(work), _least_judging_async(work_async)),
    }


def _timed(fn: Work, count: int) -> float:
    began = NOW()
    for _ in range(count):
        fn()
    return (NOW() - began) / count * 1e6


async def _timed_async(fn: Callable[[], Awaitable[object]], count: int) -> float:
    began = NOW()
    for _ in range(count):
        await fn()
    return (NOW() - began) / count * 1e6


@contextmanager
def _no_sleep() -> Iterator[None]:
    """Let nobody wait: what is measured is the work."""

    async def pause(*_: object) -> None:
        """Not at all."""

    kept = time.sleep, asyncio.sleep
    time.sleep = lambda _: None
    asyncio.sleep = pause  # type: ignore[assignment]  # as long as this runs
    try:
        yield
    finally:
        time.sleep, asyncio.sleep = kept


def _compared(failures: int, count: int) -> list[str]:
    work, work_async = _functions(failures)
    rivals = _floors(failures, work, work_async)
    rivals |= {name: (decorate(work), decorate(work_async)) for name, decorate in _policies().items()}
    rounds: dict[str, list[tuple[float, float]]] = {name: [] for name in rivals}
    with _no_sleep():
        for _ in range(ROUNDS):
            for name, (blocking, awaited) in rivals.items():
                rounds[name].append((_timed(blocking, count), asyncio.run(_timed_async(awaited, count))))
    middle = {name: tuple(map(statistics.median, zip(*values, strict=True))) for name, values in rounds.items()}
    peers = [times for name, times in middle.items() if name not in (*OWN, *FLOORS)]
    least = tuple(map(min, zip(*peers, strict=True)))
    lines = ["| | blocking | async | the cheapest peer costs |", "|---|---|---|---|"]
    for name, (blocking, awaited) in middle.items():
        ratio = (
            f"{least[0] / blocking:.1f} and {least[1] / awaited:.1f} times as much"
            if name in (*OWN, LEAST, JUDGED)
            else ""
        )
        lines.append(f"| {name} | {blocking:.2f} µs | {awaited:.2f} µs | {ratio} |")
    return lines


def success() -> list[str]:
    """A call of a decorated function that succeeds."""
    return _compared(0, CALLS)


def two_failures() -> list[str]:
    """A call that fails twice, then succeeds."""
    return _compared(2, FAILURES)


def importing() -> list[str]:
    """What each costs a program that starts."""
    modules = ("pytest_retrychaos.engine", "backoff", "tenacity", "stamina", "google.api_core.retry")
    lines = ["| module | processor time | modules loaded | of others |", "|---|---|---|---|"]
    for module in modules:
        runs = [_import(module) for _ in range(IMPORTS)]
        spent = statistics.median(run[0] for run in runs) * 1e3
        lines.append(f"| `{module}` | {spent:.1f} ms | {runs[0][1]} | {runs[0][2]} |")
    return lines


def _import(module: str) -> tuple[float, int, int]:
    code = (
        "import sys, time; before = set(sys.modules); began = time.process_time(); "
        f"import {module}; spent = time.process_time() - began; new = set(sys.modules) - before; "
        f"own = {module.partition('.')[0]!r}; "
        "others = {n for n in new if n.partition('.')[0] not in sys.stdlib_module_names | {own}}; "
        "print(spent, len(new), len(others))"
    )
    command = [sys.executable, "-W", "ignore", "-c", code]
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    spent, loaded, others = run.stdout.split()
    return float(spent), int(loaded), int(others)


SECTIONS = {
    "The engine: a call that succeeds": (
        success,
        "At least 4 times cheaper than the cheapest peer, blocking and async.",
        """
A call of a decorated function that returns a number; every engine makes up to three attempts on `ConnectionError`.
Blocking, the aim is met. Async it is not, and cannot be: a wrapper that does nothing at all takes more than a quarter
of the cheapest peer already. Beyond such a wrapper the engine adds a tenth of what google-api-core adds, with a timeout
a fifth.
""",
    ),
    "The engine: two failures, then success": (
        two_failures,
        "At least 3 times cheaper than the cheapest peer.",
        """
Nobody sleeps. The aim is not met beside google-api-core, which asks a predicate, draws a number and keeps the
exceptions; the other peers cost many times as much as this engine.

"The least loop that retries" catches, decides by the type, draws a wait, calls sleep, and keeps type and text of the
error: no engine can leave that out, and async it alone takes the whole third of the cheapest peer. The next row is the
same loop with what an engine has to ask here that judges failures and tells the log, written out in it, without a call.
It makes sure that the exception holds nothing but its text (else there may be an answer, and its `Retry-After`), reads
in the traceback whether the request was sent, frame by frame below the function's own, and asks the logger whether
anybody reads it. Without the first a `Retry-After` is missed, without the second a caller is told that nothing was done
where a charge may have been. Both have to be looked at before the next attempt: to keep the exception for later would
hold its frames, and with them the connection. That row comes to 2.6 to 2.7 times blocking and 2.1 to 2.2 async (four
runs), so that 3 times is out of reach for an engine in Python that does this. Of a third 0.6 to 0.7 µs would be left
for judging two failures; that takes 0.8, and asking the logger 0.13.

This engine takes a seventh more than that row blocking, and a third more async: one call for each failure (written out
in the loop it would be 0.05 µs less), types and bounds as a policy has them rather than as constants, a timeout that
may be there, and the wait, which is noted, too. Async it also asks whether asyncio or trio runs the task, once an
operation: asyncio answers that on CPython 3.11 with a system call, which takes 0.3 µs here.
""",
    ),
    "The engine: importing it": (
        importing,
        "Under 15 ms, and no module of others.",
        "",
    ),
}
