"""The engine underneath requests, httpx and aiohttp: whatever uses the client is retried."""

from __future__ import annotations

import aiohttp
import httpx
import requests

from pytest_retrychaos.engine import Retry, exponential
from pytest_retrychaos.engine.aiohttp import retry_middleware
from pytest_retrychaos.engine.httpx import AsyncRetryTransport, RetryTransport
from pytest_retrychaos.engine.requests import RetryAdapter

POLICY = Retry(attempts=4, backoff=exponential(0.5, cap=20), timeout=90)

session = requests.Session()
session.mount("http://", RetryAdapter(POLICY))
session.mount("https://", RetryAdapter(POLICY))

client = httpx.Client(transport=RetryTransport(POLICY), timeout=10)


def async_client() -> httpx.AsyncClient:
    """Make a client for asyncio or trio."""
    return httpx.AsyncClient(transport=AsyncRetryTransport(POLICY), timeout=10)


def aiohttp_session() -> aiohttp.ClientSession:
    """Make a session; its total limit, five minutes unless set, counts all attempts and waits."""
    return aiohttp.ClientSession(middlewares=[retry_middleware(POLICY)])
