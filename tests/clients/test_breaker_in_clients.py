"""A policy's breaker and budget inside clients: the adapters, sync and async."""

from __future__ import annotations

import asyncio

import aiobreaker
import aiohttp
import circuitbreaker
import httpware
import httpx
import httpx2
import hyx.circuitbreaker
import purgatory.domain.model
import pybreaker
import pytest
import requests
import trio
from hyx.circuitbreaker.exceptions import BreakerFailing

from pytest_retrychaos.engine import CircuitBreaker, CircuitOpen, Retry, RetryBudget, State, fixed
from pytest_retrychaos.engine.aiohttp import retry_middleware
from pytest_retrychaos.engine.httpx import AsyncRetryTransport, RetryTransport
from pytest_retrychaos.engine.requests import RetryAdapter


def by_requests(policy, url):
    """Post once through a session of its own."""
    with requests.Session() as session:
        session.mount("http://", RetryAdapter(policy))
        return session.post(url, json={"amount": 1000}, timeout=5).status_code


def by_httpx(policy, url):
    """Post once through a client of its own."""
    with httpx.Client(transport=RetryTransport(policy)) as client:
        return client.post(url, json={"amount": 1000}).status_code


async def _httpx(policy, url):
    async with httpx.AsyncClient(transport=AsyncRetryTransport(policy)) as client:
        return (await client.post(url, json={"amount": 1000})).status_code


def by_httpx_on_asyncio(policy, url):
    """Post once on a loop of its own."""
    return asyncio.run(_httpx(policy, url))


def by_httpx_on_trio(policy, url):
    """Post once on trio."""
    return trio.run(_httpx, policy, url)


def by_aiohttp(policy, url):
    """Post once on a loop of its own."""

    async def main():
        async with (
            aiohttp.ClientSession(middlewares=[retry_middleware(policy)]) as session,
            session.post(url, json={"amount": 1000}) as response,
        ):
            return response.status

    return asyncio.run(main())


@pytest.fixture(params=[by_requests, by_httpx, by_httpx_on_asyncio, by_httpx_on_trio, by_aiohttp])
def post(request):
    """Every client that the engine has an adapter for."""
    return request.param


@pytest.mark.parametrize("script", ["503 x3, ok", "reset, eof, 502, ok", "refuse x3, ok"])
def test_an_outage_opens_the_circuit_and_a_probe_closes_it(chaos, post, script):
    """Nothing is sent while it is open, and every law holds."""
    chaos.script(script)
    breaker = CircuitBreaker(threshold=3, cooldown=30)
    policy = Retry(attempts=6, backoff=fixed(1), breaker=breaker)
    url = f"{chaos.url}/payments"

    for _ in range(2):
        with pytest.raises(CircuitOpen):
            chaos.call(post, policy, url)
    assert len(chaos.attempts) == 3
    chaos.clock.advance(30)

    assert chaos.call(post, policy, url) == 201
    assert breaker.state is State.CLOSED
    chaos.verify(policy)


def test_a_spent_budget_hands_over_the_last_answer(chaos, post):
    """As without a retry."""
    chaos.script("503 x2")
    budget = RetryBudget(ratio=0.1, per_second=0, burst=1)

    assert chaos.call(post, Retry(attempts=6, backoff=fixed(1), budget=budget), f"{chaos.url}/payments") == 503

    assert len(chaos.attempts) == 2


def _httpware(fn):
    breaker = httpware.CircuitBreaker(failure_threshold=1)
    return lambda: breaker(httpx2.Request("GET", "http://service.test"), lambda _: fn())


OPENED = purgatory.domain.model.OpenedState
BLOCKING = {
    "pybreaker": (lambda fn: pybreaker.CircuitBreaker(fail_max=1)(fn), pybreaker.CircuitBreakerError),
    "circuitbreaker": (
        lambda fn: circuitbreaker.CircuitBreaker(failure_threshold=1)(fn),
        circuitbreaker.CircuitBreakerError,
    ),
    "purgatory": (lambda fn: purgatory.SyncCircuitBreakerFactory(default_threshold=1)("service")(fn), OPENED),
    "httpware": (_httpware, httpware.CircuitOpenError),
}
ASYNC = {
    "aiobreaker": (lambda fn: aiobreaker.CircuitBreaker(fail_max=1)(fn), aiobreaker.CircuitBreakerError),
    "purgatory": (lambda fn: purgatory.AsyncCircuitBreakerFactory(default_threshold=1)("service")(fn), OPENED),
    "hyx": (lambda fn: hyx.circuitbreaker.consecutive_breaker(failure_threshold=1)(fn), BreakerFailing),
}
RETRY = Retry(attempts=5, backoff=fixed(1))


@pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")
@pytest.mark.parametrize(("guard", "refusal"), BLOCKING.values(), ids=BLOCKING)
def test_a_policy_does_not_retry_into_the_open_circuit_of_another_library(chaos, guard, refusal):
    """Though its error has a timeout for its cause or context."""
    calls = []

    def service():
        calls.append(1)
        raise httpware.TimeoutError("late")  # what its own breaker counts; a TimeoutError to the others

    with pytest.raises(refusal):
        RETRY.call(guard(service))
    assert len(calls) == 1
    assert chaos.clock.elapsed <= 1


@pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")
@pytest.mark.parametrize(("guard", "refusal"), ASYNC.values(), ids=ASYNC)
def test_a_policy_does_not_retry_into_the_open_circuit_of_another_async_library(chaos, guard, refusal):
    """As above."""
    calls = []

    async def service():
        calls.append(1)
        raise TimeoutError("late")

    with pytest.raises(refusal):
        asyncio.run(RETRY.call_async(guard(service)))
    assert len(calls) == 1
    assert chaos.clock.elapsed <= 1
