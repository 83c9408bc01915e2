"""The engine at home in four clients: one payment and one read through each, blocking, on asyncio and on trio."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from typing import Any

import aiohttp
import httpx
import requests

from pytest_retrychaos import Chaos
from pytest_retrychaos.engine import Attempt, Retry, exponential, this_attempt
from pytest_retrychaos.engine.aiohttp import retry_middleware
from pytest_retrychaos.engine.httpx import AsyncRetryTransport, RetryTransport
from pytest_retrychaos.engine.requests import RetryAdapter

POLICY = Retry(attempts=4, backoff=exponential(0.5, cap=20), timeout=200)
LIMIT = 5
"""Seconds that a client waits for an answer by itself."""

Send = Callable[..., int]
"""Send through a client: chaos, method, policy, key header, further arguments of the client; gives the status."""


def by_requests(chaos: Chaos, method: str, policy: Retry = POLICY, key_header="Idempotency-Key", **more: Any) -> int:
    """Send through requests."""

    def send(url: str) -> int:
        with requests.Session() as session:
            session.mount("http://", RetryAdapter(policy, key_header=key_header))
            return session.request(method, url, timeout=LIMIT, **more).status_code

    return chaos.call(send, f"{chaos.url}/payments")


def by_httpx(chaos: Chaos, method: str, policy: Retry = POLICY, key_header="Idempotency-Key", **more: Any) -> int:
    """Send through httpx."""

    def send(url: str) -> int:
        below = httpx.HTTPTransport(verify=False)  # reading the system's certificates would take most of the time
        transport = RetryTransport(policy, transport=below, key_header=key_header)
        with httpx.Client(transport=transport, timeout=LIMIT) as client:
            return client.request(method, url, **more).status_code

    return chaos.call(send, f"{chaos.url}/payments")


async def _by_async_httpx(method: str, url: str, policy: Retry, key_header: str | None, more: Any) -> int:
    below = httpx.AsyncHTTPTransport(verify=False)  # as above
    transport = AsyncRetryTransport(policy, transport=below, key_header=key_header)
    async with httpx.AsyncClient(transport=transport, timeout=LIMIT) as client:
        return (await client.request(method, url, **more)).status_code


async def _by_aiohttp(method: str, url: str, policy: Retry, key_header: str | None, more: Any) -> int:
    middlewares = [retry_middleware(policy, key_header=key_header)]
    limits = aiohttp.ClientTimeout(sock_connect=LIMIT, sock_read=LIMIT)
    async with (
        aiohttp.ClientSession(middlewares=middlewares, timeout=limits) as session,
        session.request(method, url, **more) as response,
    ):
        await response.read()
        return response.status


def _on_asyncio(send: Callable[..., Any]) -> Send:
    def drive(chaos: Chaos, method: str, policy: Retry = POLICY, key_header="Idempotency-Key", **more: Any) -> int:
        called = functools.partial(chaos.call_async, send, method, f"{chaos.url}/payments", policy, key_header, more)
        return chaos.recorded.caller.run("asyncio", called)

    return drive


def _on_trio(send: Callable[..., Any]) -> Send:
    def drive(chaos: Chaos, method: str, policy: Retry = POLICY, key_header="Idempotency-Key", **more: Any) -> int:
        called = functools.partial(chaos.call_async, send, method, f"{chaos.url}/payments", policy, key_header, more)
        return chaos.recorded.caller.run("trio", called)

    return drive


def by_call(chaos: Chaos, method: str, policy: Retry = POLICY, **more: Any) -> int:
    """Send through the engine itself, around requests: a function that asks for its attempt and raises."""

    def send(url: str, *, attempt: Attempt = this_attempt) -> int:
        headers = {} if method == "GET" else {"Idempotency-Key": attempt.idempotency_key}
        response = requests.request(method, url, headers=headers, timeout=attempt.within(LIMIT), **more)
        response.raise_for_status()
        return response.status_code

    return chaos.call(policy(send), f"{chaos.url}/payments")


async def _by_call_async(method: str, url: str, policy: Retry, key_header: str | None, more: Any) -> int:
    async def send(*, attempt: Attempt = this_attempt) -> int:
        headers = {} if method == "GET" else {"Idempotency-Key": attempt.idempotency_key}
        response = await client.request(method, url, headers=headers, timeout=attempt.within(LIMIT), **more)
        response.raise_for_status()
        return response.status_code

    async with httpx.AsyncClient(verify=False) as client:
        return await policy.call_async(send)


async def _by_async_for(method: str, url: str, policy: Retry, key_header: str | None, more: Any) -> int:
    async with httpx.AsyncClient(verify=False) as client:
        async for attempt in policy:
            with attempt:
                headers = {} if method == "GET" else {"Idempotency-Key": attempt.idempotency_key}
                response = await client.request(method, url, headers=headers, timeout=attempt.within(LIMIT), **more)
                response.raise_for_status()
                return response.status_code
    raise AssertionError("the loop ended without an outcome")


CLIENTS: dict[str, Send] = {
    "requests": by_requests,
    "httpx": by_httpx,
    "httpx-asyncio": _on_asyncio(_by_async_httpx),
    "httpx-trio": _on_trio(_by_async_httpx),
    "aiohttp": _on_asyncio(_by_aiohttp),
}

FORMS: dict[str, Send] = {
    "call": by_call,
    "call_async-asyncio": _on_asyncio(_by_call_async),
    "call_async-trio": _on_trio(_by_call_async),
    "async-for-asyncio": _on_asyncio(_by_async_for),
}
"""The engine without an adapter."""

VOCABULARY = (
    *("503", "503 retry-after=2", "503 retry-after=date+30s", "429 retry-after=90", "500", "502", "504"),
    *("400", "401", "403", "404", "422", "201 retry-after=1", "timeout", "reset", "eof", "refuse"),
    *("timeout after-commit", "reset after-commit", "eof after-commit", "502 after-commit"),
    *("stale", "truncate", "slow=2s", "down=30s"),
)
"""The default vocabulary of exploration."""


def judged(script: str, send: Send, method: str, policy: Retry = POLICY, **more: Any) -> int:
    """Send under a script, hold the client to its policy by every law, and tell how many attempts it made."""
    with Chaos(script, strict=False) as chaos:
        with contextlib.suppress(Exception):  # what the last attempt ended in: the laws say whether that is right
            send(chaos, method, policy, **more)
        chaos.verify(policy, ignore=("NV01",))
        return len(chaos.attempts)
