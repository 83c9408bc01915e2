"""General clients, and libraries that put retries around them, with nothing set that need not be."""

from __future__ import annotations

import contextlib
import http.client
import urllib.request
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor

import aiohttp
import aiohttp_retry
import httpx
import httpx_retries
import requests
import stamina
import tenacity
import urllib3
from requests.adapters import HTTPAdapter

from tests.clients.subjects import AsyncCall, Call, Subject, in_asyncio, in_trio

URL = "http://api.example.com/payments"
PAYMENT = {"amount": 1}


@contextlib.contextmanager
def by_requests() -> Iterator[Call]:
    with requests.Session() as session:
        yield lambda: session.post(URL, json=PAYMENT).status_code


@contextlib.contextmanager
def by_requests_in_threads() -> Iterator[Call]:
    with requests.Session() as session, ThreadPoolExecutor(2) as pool:
        yield lambda: pool.submit(session.post, URL, json=PAYMENT, timeout=5).result().status_code


@contextlib.contextmanager
def by_requests_told_to_retry() -> Iterator[Call]:
    with requests.Session() as session:
        session.mount("http://", HTTPAdapter(max_retries=urllib3.Retry(3, backoff_factor=1, status_forcelist=[503])))
        yield lambda: session.put(f"{URL}/1", json=PAYMENT, timeout=5).status_code


@contextlib.contextmanager
def by_urllib3() -> Iterator[Call]:
    with urllib3.PoolManager() as pool:
        yield lambda: pool.request("POST", URL, json=PAYMENT).status


@contextlib.contextmanager
def by_urllib3_told_every_method() -> Iterator[Call]:
    retries = urllib3.Retry(3, backoff_factor=1, allowed_methods=None)
    with urllib3.PoolManager(retries=retries) as pool:
        yield lambda: pool.request("POST", URL, json=PAYMENT, timeout=5).status


@contextlib.contextmanager
def by_urllib_request() -> Iterator[Call]:
    def call() -> int:
        request = urllib.request.Request(URL, b'{"amount": 1}', {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request) as response:
                return response.status
        except urllib.error.HTTPError as error:
            error.close()
            raise

    yield call


@contextlib.contextmanager
def by_http_client() -> Iterator[Call]:
    connection = http.client.HTTPConnection("api.example.com")

    def call() -> int:
        try:
            connection.request("POST", "/payments", b'{"amount": 1}')
            with connection.getresponse() as response:
                response.read()
                return response.status
        except (OSError, http.client.HTTPException):
            connection.close()
            raise

    yield call
    connection.close()


@contextlib.contextmanager
def by_httpx() -> Iterator[Call]:
    with httpx.Client() as client:
        yield lambda: client.post(URL, json=PAYMENT).status_code


@contextlib.asynccontextmanager
async def by_async_httpx() -> AsyncIterator[AsyncCall]:
    async with httpx.AsyncClient() as client:

        async def call() -> int:
            return (await client.post(URL, json=PAYMENT)).status_code

        yield call


@contextlib.asynccontextmanager
async def by_aiohttp() -> AsyncIterator[AsyncCall]:
    async with aiohttp.ClientSession() as session:

        async def call() -> int:
            async with session.post(URL, json=PAYMENT) as response:
                await response.read()
                return response.status

        yield call


@contextlib.contextmanager
def by_tenacity() -> Iterator[Call]:
    """With stop and wait, since without them it tries again at once and for ever."""
    with requests.Session() as session:

        @tenacity.retry(stop=tenacity.stop_after_attempt(3), wait=tenacity.wait_exponential())
        def call() -> None:
            session.post(URL, json=PAYMENT, timeout=5).raise_for_status()

        yield call


@contextlib.contextmanager
def by_stamina() -> Iterator[Call]:
    with httpx.Client() as client:

        @stamina.retry(on=httpx.HTTPError)
        def call() -> None:
            client.post(URL, json=PAYMENT).raise_for_status()

        yield call


@contextlib.contextmanager
def by_httpx_retries() -> Iterator[Call]:
    with httpx.Client(transport=httpx_retries.RetryTransport()) as client:
        yield lambda: client.put(f"{URL}/1", json=PAYMENT).status_code


@contextlib.asynccontextmanager
async def by_async_httpx_retries() -> AsyncIterator[AsyncCall]:
    async with httpx.AsyncClient(transport=httpx_retries.RetryTransport()) as client:

        async def call() -> int:
            return (await client.put(f"{URL}/1", json=PAYMENT)).status_code

        yield call


@contextlib.asynccontextmanager
async def by_aiohttp_retry() -> AsyncIterator[AsyncCall]:
    async with aiohttp_retry.RetryClient() as client:

        async def call() -> int:
            async with client.post(URL, json=PAYMENT) as response:
                await response.read()
                return response.status

        yield call


GENERAL = (
    Subject("requests {requests}", by_requests),
    Subject("requests {requests} in a pool of threads, with a timeout", by_requests_in_threads),
    Subject("requests {requests} with urllib3's `Retry`, PUT", by_requests_told_to_retry),
    Subject("urllib3 {urllib3}", by_urllib3),
    Subject("urllib3 {urllib3} told `allowed_methods=None`", by_urllib3_told_every_method),
    Subject("`urllib.request`", by_urllib_request, without=("stale",)),
    Subject("`http.client`", by_http_client),
    Subject("httpx {httpx}", by_httpx),
    Subject("httpx {httpx} on asyncio", by_async_httpx, run=in_asyncio),
    Subject("httpx {httpx} on trio", by_async_httpx, run=in_trio),
    Subject("aiohttp {aiohttp}", by_aiohttp, run=in_asyncio),
    Subject("tenacity {tenacity} around requests, 3 attempts", by_tenacity),
    Subject("stamina {stamina} around httpx", by_stamina),
    Subject("httpx-retries {httpx-retries}, PUT", by_httpx_retries),
    Subject("httpx-retries {httpx-retries} on asyncio, PUT", by_async_httpx_retries, run=in_asyncio),
    Subject("aiohttp-retry {aiohttp-retry}", by_aiohttp_retry, run=in_asyncio),
)
