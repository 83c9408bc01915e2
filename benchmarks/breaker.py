"""What a circuit breaker costs a call that succeeds, beside its peers. ``python benchmarks/breaker.py``

Processor time; rounds of the rivals are interleaved and the median of each is taken; what counts is the ratio. Each
breaker is called the way that its documentation shows, closed, around a function that does nothing.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import time
from collections.abc import Awaitable, Callable
from importlib.metadata import version

import aiobreaker
import circuitbreaker
import purgatory
import pybreaker
import requests

from pytest_retrychaos.engine import CircuitBreaker, Retry, RetryBudget

ROUNDS, CALLS = 15, 20_000
NOTES = {
    "A block": (
        "",
        "What ends late does not count with ours: blocks are counted, and once the circuit has changed each remembers",
        "its period, until the last of before has ended. circuitbreaker's `with` refuses nothing, and is left out.",
    )
}
OURS, PEERS = "ours", ("pybreaker", "circuitbreaker", "purgatory", "aiobreaker")


def work() -> int:
    """Succeed."""
    return 1


async def work_async() -> int:
    """Succeed."""
    return 1


def blocking() -> dict[str, Callable[[], object]]:
    """Decorate the function, once each."""
    return {
        "no breaker": lambda: work(),
        OURS: CircuitBreaker()(work),
        "pybreaker": pybreaker.CircuitBreaker()(work),
        "circuitbreaker": circuitbreaker.CircuitBreaker(name="service")(work),
        "purgatory": purgatory.SyncCircuitBreakerFactory()("service")(work),
        "aiobreaker": aiobreaker.CircuitBreaker()(work),
    }


def in_blocks() -> dict[str, Callable[[], object]]:
    """Enter a block; circuitbreaker's own does not refuse, pybreaker's is its ``calling()``."""
    breaker, pybreaker_ = CircuitBreaker(), pybreaker.CircuitBreaker()
    factory = purgatory.SyncCircuitBreakerFactory()
    purgatory_ = factory.get_breaker("service")

    def ours() -> None:
        with breaker:
            work()

    def by_pybreaker() -> None:
        with pybreaker_.calling():
            work()

    def by_purgatory() -> None:
        with purgatory_:
            work()

    return {OURS: ours, "pybreaker": by_pybreaker, "purgatory": by_purgatory}


def on_asyncio() -> dict[str, Callable[[], Awaitable[object]]]:
    """Decorate the coroutine function, once each."""
    return {
        "no breaker": work_async,
        OURS: CircuitBreaker()(work_async),
        "circuitbreaker": circuitbreaker.CircuitBreaker(name="service")(work_async),
        "purgatory": purgatory.AsyncCircuitBreakerFactory()("service")(work_async),
        "aiobreaker": aiobreaker.CircuitBreaker()(work_async),
    }


def ours_otherwise() -> dict[str, Callable[[], object]]:
    """What our own costs where more is asked of it."""
    response = requests.Response()
    response.status_code = 200
    answered = CircuitBreaker()(lambda: response)
    counting = CircuitBreaker(threshold=1_000_000)
    return {
        "ours, an answer of requests is looked at": answered,
        "ours, by failure rate": CircuitBreaker(failure_rate=0.5)(work),
        "ours, a failure before each success": _alternating(counting),
        "ours, in a `Retry`": Retry(breaker=CircuitBreaker())(work),
        "ours, in a `Retry` with a budget": Retry(breaker=CircuitBreaker(), budget=RetryBudget())(work),
    }


def _alternating(breaker: CircuitBreaker) -> Callable[[], object]:
    error = TimeoutError("late")

    def fail() -> None:
        raise error

    failing, succeeding = breaker(fail), breaker(work)

    def both() -> None:
        try:
            failing()
        except TimeoutError:
            error.__traceback__ = None
        succeeding()

    return both


def _lines(rivals: dict[str, Callable[[], object]], once: Callable[[Callable[[], object]], float]) -> list[str]:
    """Measure rivals in turn; give the lines of a table, and the ratio."""
    spent: dict[str, list[float]] = {name: [] for name in rivals}
    for _ in range(ROUNDS):
        for name, act in rivals.items():
            gc.collect()
            spent[name].append(once(act))
    medians = {name: statistics.median(times) / CALLS * 1e9 for name, times in spent.items()}
    lines = ["| | ns |", "|---|---|", *(f"| {name} | {median:.0f} |" for name, median in medians.items())]
    peers = [medians[name] for name in PEERS if name in medians]
    return [*lines, "", f"Ours is {medians[OURS] / min(peers):.2f} of the cheapest peer."] if peers else lines


def _blocking(act: Callable[[], object]) -> float:
    began = time.process_time()
    for _ in range(CALLS):
        act()
    return time.process_time() - began


def _on_asyncio(act: Callable[[], Awaitable[object]]) -> float:
    async def run() -> float:
        began = time.process_time()
        for _ in range(CALLS):
            await act()
        return time.process_time() - began

    return asyncio.run(run())


def circuits() -> list[str]:
    """What a breaker costs a call that succeeds, in each of its forms."""
    lines = [", ".join(f"{name} {version(name)}" for name in PEERS) + "."]
    for title, rivals, once in (
        ("A decorated function", blocking(), _blocking),
        ("A block", in_blocks(), _blocking),
        ("A decorated coroutine function", on_asyncio(), _on_asyncio),
        ("Ours, where more is asked of it", ours_otherwise(), _blocking),
    ):
        lines += ["", f"### {title}", "", *_lines(rivals, once), *NOTES.get(title, ())]
    return lines


SECTIONS = {"Circuit breakers": (circuits, "Alone no dearer than the cheapest breaker peer.", "")}
