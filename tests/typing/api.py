"""Uses of the public API that a type checker must accept: checked, never run."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import assert_type

import aiohttp
import httpx
import pytest
import requests
import tenacity
import urllib3
from hypothesis import given, settings
from hypothesis.strategies import SearchStrategy

import pytest_retrychaos as rc
from pytest_retrychaos.engine import Attempt as EngineAttempt
from pytest_retrychaos.engine import (
    Backoff,
    BreakerPolicy,
    CircuitBreaker,
    CircuitOpen,
    Retry,
    RetryBudget,
    State,
    Transition,
    Waiting,
    computed,
    delays,
    exponential,
    fibonacci,
    fixed,
    is_transient,
    linear,
    this_attempt,
)
from pytest_retrychaos.engine.aiohttp import retry_middleware
from pytest_retrychaos.engine.httpx import AsyncRetryTransport, RetryTransport
from pytest_retrychaos.engine.requests import RetryAdapter
from pytest_retrychaos.faults import Script, Step
from pytest_retrychaos.fuzz import delays as delay_strategy
from pytest_retrychaos.fuzz import faults, outages, retry_after_values
from pytest_retrychaos.fuzz import scripts as script_strategy
from pytest_retrychaos.herd import Herd
from pytest_retrychaos.laws import Verdict
from pytest_retrychaos.model import Effect, Request
from pytest_retrychaos.trace import Attempt, Trace
from pytest_retrychaos.views import OperationView


def charge(amount: int, *, currency: str = "USD") -> dict[str, str]:
    """Stand for the code under test."""
    return {"amount": str(amount), "currency": currency}


@tenacity.retry
def charge_again() -> None:
    """Stand for what tenacity decorates."""


async def charge_async(amount: int) -> str:
    """Stand for async code under test."""
    return str(amount)


async def test_async_code(chaos: rc.Chaos) -> None:
    """What an async test types."""
    assert_type(await chaos.call_async(charge_async, 5), str)
    assert_type(await chaos.call_async(charge_async, amount=5), str)


@pytest.mark.chaos("503 x2, ok", seed=7, profile="stripe", hosts=("api.test",), strict=True)
def test_with_the_fixture(chaos: rc.Chaos) -> None:
    """What a test types."""
    chaos.script("503 retry-after=2, reset after-commit, ok")
    chaos.script([rc.status(503, retry_after=2) * 2, rc.reset(after_commit=True), rc.ok().forever()], route="POST /a")
    chaos.script(rc.timeout(), host="api.test", per="operation", strict=False)
    chaos.script(rc.parse("503"))
    with chaos.script("503"):
        assert_type(chaos.url, str)

    with chaos.operation("order 7"):
        charge(1)
    assert_type(chaos.call(charge, 5, currency="EUR"), dict[str, str])
    assert_type(chaos.call(len, "abc"), int)
    assert_type(chaos.call(lambda: None), None)
    wrapped = chaos.faulty(charge, errors={"timeout": TimeoutError, "503": ValueError("away")})
    assert_type(wrapped(5, currency="EUR"), dict[str, str])

    assert_type(chaos.attempts, tuple[Attempt, ...])
    assert_type(chaos.operations, tuple[OperationView, ...])
    assert_type(chaos.operations[0].waits, list[float])
    assert_type(chaos.waits, list[float])
    assert_type(chaos.ledger, tuple[Effect, ...])
    assert_type(chaos.trace, Trace)
    assert_type(chaos.attempts[0].status, int | None)
    assert_type(chaos.clock.now, datetime)
    assert_type(chaos.clock.elapsed, float)
    chaos.clock.advance(1.5)
    chaos.service.limit("100/s", burst=20)
    chaos.service.limit(None)
    assert_type(chaos.herd(100, charge, over=10), Herd[dict[str, str]])
    assert_type(chaos.herd(100, charge_async).values, tuple[str | None, ...])
    assert_type(chaos.herd(100, lambda: 5, window=0.5).arrivals.peak, int)

    retry = Retry(attempts=5, backoff=exponential(base=0.1, cap=20, jitter="full"), timeout=30)
    assert_type(chaos.verify(), Verdict)
    chaos.verify(retry, only=["ID04"], ignore={"BK"})
    chaos.verify(urllib3.util.Retry(3), breaker=BreakerPolicy(threshold=5), amplification=4)
    growing = BreakerPolicy(successes=2, cooldown=(30, 300), per=lambda attempt: attempt.headers.get("X-Tenant"))
    chaos.verify(breaker=growing.__replace__(by_hand=True, per="route"))
    chaos.verify(tenacity.Retrying(), attempts=3)
    chaos.verify(tenacity.AsyncRetrying(), bounds=fixed(1))
    chaos.verify(charge_again)
    chaos.verify(attempts=3, bounds=lambda retry: (0, 2**retry), timeout=30)
    chaos.assert_retried()
    chaos.assert_retried(times=2)
    chaos.assert_not_retried()
    chaos.assert_attempts(3)
    chaos.assert_backoff(fixed(1))
    chaos.assert_retry_after_honoured()
    chaos.assert_within(30)
    chaos.assert_no_duplicates()
    chaos.assert_key_reused()
    chaos.assert_amplification(at_most=4)
    chaos.assert_breaker_opened(after=5)
    chaos.assert_breaker_closed()
    chaos.assert_no_traffic_while_open()
    chaos.operations[0].assert_amplification(4)
    chaos.operations[0].assert_retried(times=1)


def handlers(chaos: rc.Chaos) -> None:
    """The forms in which a route's handler may answer."""

    @chaos.service.route("POST", "/payments/{id}")
    def answer(request: Request) -> tuple[int, dict[str, str]]:
        return 201, {"id": request.params["id"], "host": request.host}

    def response(request: Request) -> rc.Response:
        return rc.Response.json({"path": request.path}, 202)

    chaos.service.route("GET", "/payments", response, effect=False)
    chaos.service.route("GET", "/a", lambda request: request.json())
    chaos.service.latency = 0.2
    chaos.service.profile = "ietf"
    assert_type(answer(Request("POST", "api.test", "/payments/7")), tuple[int, dict[str, str]])


def outside_pytest() -> None:
    """The same as a context manager."""
    with rc.Chaos("503, ok", seed=7, timezone="Asia/Tokyo") as chaos:
        assert_type(chaos, rc.Chaos)
    try:
        chaos.verify()
    except (rc.LawsBroken, rc.CannotTell) as error:
        str(error)


def scripts() -> None:
    """Every constructor makes a step; a text makes a script."""
    steps: list[Step] = [
        rc.ok(), rc.status(201, retry_after=1), rc.status(503, retry_after="date+2s", body="{}", header="X: 1"),
        rc.timeout(after_commit=True), rc.reset(), rc.eof(), rc.refuse(), rc.dns(), rc.connect_timeout(), rc.tls(),
        rc.stale(), rc.truncate(), rc.garbage(), rc.slow(3, before_commit=True), rc.drip("300ms"), rc.duplicate(),
        rc.down("30s", status=503),
    ]  # fmt: skip
    assert_type(rc.parse(steps), Script)
    assert_type(rc.ok() * 3, Step)
    assert_type(3 * rc.ok(), Step)


def engine(retry: Retry, fetch: Callable[[str], bytes]) -> None:
    """The engine keeps the types of what it calls."""
    assert_type(retry.call(fetch, "a"), bytes)

    @retry
    def get(path: str) -> bytes:
        return path.encode()

    assert_type(get("a"), bytes)


async def engine_async(retry: Retry) -> None:
    """What async code with the engine types."""
    assert_type(await retry.call_async(charge_async, 5), str)

    @retry
    async def charge_again(amount: int, *, attempt: EngineAttempt = this_attempt) -> str:
        return f"{amount} {attempt.idempotency_key} {attempt.number} {attempt.within(5)} {attempt.may_be_done}"

    assert_type(await charge_again(5), str)
    async for attempt in retry:
        with attempt:
            assert_type(attempt, EngineAttempt)
    Retry(on=(OSError, ValueError), new_key=lambda: "key", before_wait=told, giving_up=lambda event: event.reason)
    Retry(on=lambda outcome: 2.5 if outcome == "pending" else is_transient(outcome))
    for made in (linear(2), fibonacci(jitter="proportional", share=0.5), delays([1, 2]), computed(lambda n: n, cap=9)):
        assert_type(made, Backoff)


@settings(max_examples=5)
@rc.chaos_fuzz(faults="hostile", also=["503, reset after-commit", [rc.status(503), rc.ok()]], max_examples=500, seed=7)
def test_fuzzed(chaos: rc.Chaos) -> None:
    """What a fuzzed test types."""
    assert_type(chaos.url, str)


@rc.chaos_explore(depth=1, budget="60s")
def test_explored(chaos: rc.Chaos) -> None:
    """What an explored test types."""


@rc.chaos_fuzz
async def test_fuzzed_as_it_is(chaos: rc.Chaos, tries: int) -> None:
    """Without arguments."""
    assert_type(tries, int)


@given(script_strategy(faults(for_method="POST"), max_size=3))
def test_property(script: Script) -> None:
    """What a property test types."""
    with rc.Chaos(script) as chaos:
        assert_type(chaos.url, str)


def strategies() -> None:
    """Make strategies for scripts and their parts."""
    assert_type(faults(["503"], for_scheme="https"), SearchStrategy[Step])
    assert_type(outages(min_value=1, max_value=60, statuses=[None, 503]), SearchStrategy[Step])
    assert_type(retry_after_values(statuses=[429], kinds=["date", "past"]), SearchStrategy[Step])
    assert_type(delay_strategy(min_value=0.5), SearchStrategy[float])
    assert_type(script_strategy("hostile", endless=False) | script_strategy(["503"]), SearchStrategy[Script])


def told(event: Waiting) -> None:
    """Hear of a wait."""
    assert_type(event.seconds, float)


async def breaker(url: str) -> None:
    """A breaker keeps the types of what it guards."""

    def opened(which: CircuitBreaker, event: Transition) -> None:
        print(which.name, event.before, event.event, event.after, which.retry_in)

    payments = CircuitBreaker(threshold=5, cooldown=30, name="payments", listeners=[opened], on=(OSError, ValueError))
    CircuitBreaker(failure_rate=0.5, window=60, minimum_calls=20, on=lambda outcome: outcome is None)
    assert_type(payments.call(charge, 5), dict[str, str])
    assert_type(await payments.call_async(charge_async, 5), str)

    @payments
    def guarded(amount: int) -> str:
        return str(amount)

    @payments
    async def guarded_async(amount: int) -> str:
        return str(amount)

    assert_type(guarded(5), str)
    assert_type(await guarded_async(5), str)
    with payments:
        assert_type(payments.state, State)
    async with payments as inside:
        assert_type(inside, CircuitBreaker)
    try:
        Retry(breaker=payments, budget=RetryBudget(ratio=0.1)).call(charge, 5)
    except CircuitOpen as refusal:
        assert_type(refusal.retry_in, float)


def clients(retry: Retry) -> None:
    """Put the engine into clients."""
    requests.Session().mount("https://", RetryAdapter(retry, pool_maxsize=5))
    httpx.Client(transport=RetryTransport(retry, key_header=None))
    httpx.AsyncClient(transport=AsyncRetryTransport(retry, transport=httpx.AsyncHTTPTransport()))
    aiohttp.ClientSession(middlewares=[retry_middleware(retry)])
