"""A policy's breaker and budget inside clients: the adapters, sync and async."""

from __future__ import annotations

import asyncio

import aiohttp
import httpx
import pytest
import requests
import trio

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
