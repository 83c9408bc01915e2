"""Retry engines, each set up as its own documentation shows it for HTTP: the columns of the table."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import aiohttp
import aiohttp_retry
import backoff
import backoffs
import boto3
import botocore.exceptions
import httpware
import httpx
import httpx2
import httpx_retries
import hyx.retry
import hyx.retry.backoffs
import hyx.retry.jitters
import requests
import stamina
import tenacity
import urllib3
from botocore.config import Config
from google.api_core.retry import AsyncRetry as GoogleAsyncRetry
from google.api_core.retry import Retry as GoogleRetry
from google.api_core.retry import if_exception_type

from pytest_retrychaos.engine import Attempt, Retry, exponential, this_attempt
from pytest_retrychaos.engine.httpx import AsyncRetryTransport
from pytest_retrychaos.engine.requests import RetryAdapter


@dataclass(frozen=True, slots=True)
class Ask:
    """What an engine is set up for: one request, and how to retry it. Times are seconds."""

    url: str
    method: str = "GET"
    attempts: int = 4
    base: float = 1.0
    cap: float = 60.0
    jitter: bool = False
    total: float | None = None
    timeout: float = 4.0
    refused: list[int] | None = None
    """Where it is given, functions count here instead of sending, and are refused."""


Call = Callable[[], object]
AsyncCall = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Engine:
    """One column."""

    name: str
    package: str
    setup: str
    """How it is set up, in one line."""
    make: Callable[[Ask], Call]
    """Set it up; each call of what is returned is one operation."""
    make_async: Callable[[Ask], AsyncCall] | None = None
    lacks: frozenset[str] = frozenset()
    """Settings of `Ask` that it does not have."""
    last_error: type[BaseException] = requests.ReadTimeout
    """What its client raises for a timeout, without it."""


def send(ask: Ask, remaining: float | None = None) -> object:
    """Send once, and raise for an answer of 400 or more; ``remaining`` are the seconds that are left for it."""
    if ask.refused is not None:
        ask.refused.append(1)
        raise requests.ConnectionError("refused")
    timeout = ask.timeout if remaining is None else min(ask.timeout, remaining)
    response = requests.request(ask.method, ask.url, timeout=timeout)
    response.raise_for_status()
    return response


async def send_async(ask: Ask) -> object:
    """Send once, and raise for an answer of 400 or more."""
    if ask.refused is not None:
        ask.refused.append(1)
        raise httpx.ConnectError("refused")
    async with _httpx_client(ask) as client:
        response = await client.request(ask.method, ask.url)
    return response.raise_for_status()


@functools.cache
def _verifying() -> object:
    """Load the certificates once; nothing here is encrypted."""
    import ssl

    return ssl.create_default_context()


def _httpx_client(ask: Ask, **options: object) -> httpx.AsyncClient:
    return httpx.AsyncClient(timeout=ask.timeout, **({"verify": _verifying()} | options))


def _tenacity_options(ask: Ask, on: type[Exception]) -> dict[str, object]:
    stop = tenacity.stop_after_attempt(ask.attempts)
    wait = tenacity.wait_random_exponential if ask.jitter else tenacity.wait_exponential
    return {
        "retry": tenacity.retry_if_exception_type(on),
        "stop": stop if ask.total is None else stop | tenacity.stop_before_delay(ask.total),
        "wait": wait(multiplier=ask.base, max=ask.cap),
    }


def _tenacity(ask: Ask) -> Call:
    return tenacity.retry(**_tenacity_options(ask, requests.RequestException))(lambda: send(ask))


def _tenacity_async(ask: Ask) -> AsyncCall:
    async def once() -> object:
        return await send_async(ask)

    return tenacity.retry(**_tenacity_options(ask, httpx.HTTPError))(once)


def _stamina_options(ask: Ask, on: type[Exception]) -> dict[str, object]:
    return {
        "on": on, "attempts": ask.attempts, "timeout": ask.total, "wait_initial": ask.base, "wait_max": ask.cap,
        "wait_jitter": ask.base if ask.jitter else 0,
    }  # fmt: skip


def _stamina(ask: Ask) -> Call:
    return stamina.retry(**_stamina_options(ask, requests.RequestException))(lambda: send(ask))


def _stamina_async(ask: Ask) -> AsyncCall:
    async def once() -> object:
        return await send_async(ask)

    return stamina.retry(**_stamina_options(ask, httpx.HTTPError))(once)


def _backoff_decorator(ask: Ask, on: type[Exception]) -> Callable[[Callable[[], object]], Callable[[], object]]:
    jitter = backoff.full_jitter if ask.jitter else None
    return backoff.on_exception(
        backoff.expo, on, max_tries=ask.attempts, max_time=ask.total, jitter=jitter, factor=ask.base, max_value=ask.cap
    )


def _backoff(ask: Ask) -> Call:
    return _backoff_decorator(ask, requests.RequestException)(lambda: send(ask))


def _backoff_async(ask: Ask) -> AsyncCall:
    async def once() -> object:
        return await send_async(ask)

    return _backoff_decorator(ask, httpx.HTTPError)(once)


def _backoffs_policy(ask: Ask) -> backoffs.Policy:
    jitter = backoffs.FullJitter() if ask.jitter else backoffs.NoJitter()
    schedule = backoffs.Exponential(ask.base)
    return backoffs.Policy(schedule, jitter, cap=ask.cap, max_retries=ask.attempts - 1, max_elapsed=ask.total)


def _backoffs(ask: Ask) -> Call:
    policy = _backoffs_policy(ask)
    return lambda: backoffs.retry(lambda: send(ask), policy, retry_on=requests.RequestException)


def _backoffs_async(ask: Ask) -> AsyncCall:
    policy = _backoffs_policy(ask)
    return lambda: backoffs.aretry(lambda: send_async(ask), policy, retry_on=httpx.HTTPError)


def _google(ask: Ask) -> Call:
    predicate = if_exception_type(requests.RequestException)
    retry = GoogleRetry(predicate, initial=ask.base, maximum=ask.cap, timeout=ask.total or 120)
    return retry(lambda: send(ask))


def _google_async(ask: Ask) -> AsyncCall:
    async def once() -> object:
        return await send_async(ask)

    return GoogleAsyncRetry(if_exception_type(httpx.HTTPError), initial=ask.base, maximum=ask.cap)(once)


def _urllib3(ask: Ask) -> Call:
    retries = urllib3.Retry(
        ask.attempts - 1,
        status_forcelist=[502, 503, 504],
        backoff_factor=ask.base,
        backoff_max=ask.cap,
        backoff_jitter=ask.base if ask.jitter else 0,
    )
    pool = urllib3.PoolManager(retries=retries, timeout=ask.timeout)
    return lambda: pool.request(ask.method, ask.url)


def _httpx_retries(ask: Ask) -> httpx_retries.Retry:
    return httpx_retries.Retry(
        ask.attempts - 1,
        backoff_factor=ask.base,
        max_backoff_wait=ask.cap,
        backoff_jitter=1 if ask.jitter else 0,
        total_timeout=ask.total,
    )


def _httpx(ask: Ask) -> Call:
    inner = httpx.HTTPTransport(verify=_verifying())
    client = httpx.Client(transport=httpx_retries.RetryTransport(inner, retry=_httpx_retries(ask)), timeout=ask.timeout)
    return lambda: client.request(ask.method, ask.url)


def _httpx_async(ask: Ask) -> AsyncCall:
    async def once() -> object:
        inner = httpx.AsyncHTTPTransport(verify=_verifying())
        async with _httpx_client(
            ask, transport=httpx_retries.RetryTransport(inner, retry=_httpx_retries(ask))
        ) as client:
            return await client.request(ask.method, ask.url)

    return once


def _aiohttp_async(ask: Ask) -> AsyncCall:
    on = {aiohttp.ClientError, TimeoutError}
    options = {"attempts": ask.attempts, "start_timeout": ask.base, "max_timeout": ask.cap, "exceptions": on}
    kind = aiohttp_retry.JitterRetry if ask.jitter else aiohttp_retry.ExponentialRetry
    retry = kind(**options)

    async def once() -> object:
        timeout = aiohttp.ClientTimeout(total=ask.timeout)
        async with (
            aiohttp_retry.RetryClient(retry_options=retry, timeout=timeout) as client,
            client.request(ask.method, ask.url) as response,
        ):
            await response.read()
            return response

    return once


def _hyx_async(ask: Ask) -> AsyncCall:
    jitter = hyx.retry.jitters.full if ask.jitter else None
    waits = hyx.retry.backoffs.expo(min_delay_secs=ask.base, max_delay_secs=ask.cap, jitter=jitter)

    @hyx.retry.retry(on=httpx.HTTPError, attempts=ask.attempts - 1, backoff=waits)
    async def once() -> object:
        return await send_async(ask)

    return once


def _httpware(ask: Ask) -> Call:
    retry = httpware.Retry(max_attempts=ask.attempts, base_delay=ask.base, max_delay=ask.cap)
    inner = httpx2.Client(timeout=ask.timeout, verify=_verifying())
    client = httpware.Client(httpx2_client=inner, middleware=[retry])
    return lambda: client.request(ask.method, ask.url)


def _httpware_async(ask: Ask) -> AsyncCall:
    retry = httpware.AsyncRetry(max_attempts=ask.attempts, base_delay=ask.base, max_delay=ask.cap)

    async def once() -> object:
        async with httpx2.AsyncClient(timeout=ask.timeout, verify=_verifying()) as inner:
            client = httpware.AsyncClient(httpx2_client=inner, middleware=[retry])
            return await client.request(ask.method, ask.url)

    return once


@functools.cache
def _aws() -> boto3.session.Session:
    return boto3.session.Session(aws_access_key_id="key", aws_secret_access_key="secret", region_name="us-east-1")


def _botocore(ask: Ask) -> Call:
    retries = {"mode": "standard", "total_max_attempts": ask.attempts}
    config = Config(retries=retries, read_timeout=ask.timeout, connect_timeout=ask.timeout)
    if ask.method == "POST":
        client = _aws().client("sqs", config=config, endpoint_url=ask.url)
        return lambda: client.send_message(QueueUrl=ask.url, MessageBody="hello")
    client = _aws().client("s3", config=config, endpoint_url=ask.url)
    return lambda: client.get_object(Bucket="bucket", Key="key")


def _ours_policy(ask: Ask) -> Retry:
    jitter = "full" if ask.jitter else "none"
    waits = exponential(ask.base, cap=max(ask.base, ask.cap), jitter=jitter)
    return Retry(attempts=ask.attempts, backoff=waits, timeout=ask.total)


def _ours(ask: Ask) -> Call:
    @_ours_policy(ask)
    def once(*, attempt: Attempt = this_attempt) -> object:
        return send(ask, attempt.remaining)

    return once


def _ours_async(ask: Ask) -> AsyncCall:
    @_ours_policy(ask)
    async def once() -> object:
        return await send_async(ask)

    return once


def _ours_in_requests(ask: Ask) -> Call:
    session = requests.Session()
    session.mount("http://", RetryAdapter(_ours_policy(ask)))
    return lambda: session.request(ask.method, ask.url, timeout=ask.timeout)


def _ours_in_httpx(ask: Ask) -> AsyncCall:
    async def once() -> object:
        inner = httpx.AsyncHTTPTransport(verify=_verifying())
        async with _httpx_client(ask, transport=AsyncRetryTransport(_ours_policy(ask), transport=inner)) as client:
            return await client.request(ask.method, ask.url)

    return once


def _running(make: Callable[[Ask], AsyncCall]) -> Callable[[Ask], Call]:
    """Run an engine for event loops alone by a loop of its own."""

    def made(ask: Ask) -> Call:
        once = make(ask)
        return lambda: asyncio.run(once())

    return made


ENGINES = (
    Engine(
        "ours",
        "pytest-retrychaos",
        "`@Retry(attempts=4, backoff=exponential(1, cap=60))` around requests, with `timeout=attempt.remaining`",
        _ours,
        _ours_async,
    ),
    Engine(
        "ours in a client",
        "pytest-retrychaos",
        '`session.mount("https://", RetryAdapter(Retry(attempts=4, backoff=exponential(1, cap=60))))` in requests; the '
        "cancelled task by httpx's `AsyncRetryTransport`",
        _ours_in_requests,
        _ours_in_httpx,
    ),
    Engine(
        "tenacity",
        "tenacity",
        "`@retry(retry=retry_if_exception_type(RequestException), stop=stop_after_attempt(4), wait=wait_exponential())`"
        " around requests and `raise_for_status`",
        _tenacity,
        _tenacity_async,
    ),
    Engine(
        "stamina",
        "stamina",
        "`@stamina.retry(on=RequestException, attempts=4)` around the same",
        _stamina,
        _stamina_async,
    ),
    Engine(
        "backoff",
        "backoff",
        "`@backoff.on_exception(backoff.expo, RequestException, max_tries=4)` around the same",
        _backoff,
        _backoff_async,
    ),
    Engine(
        "backoffs",
        "backoffs",
        "`retry(fn, Policy(Exponential(1), max_retries=3), retry_on=RequestException)` around the same",
        _backoffs,
        _backoffs_async,
    ),
    Engine(
        "google-api-core",
        "google-api-core",
        "`Retry(if_exception_type(RequestException), initial=1)` around the same",
        _google,
        _google_async,
        lacks=frozenset({"attempts"}),
    ),
    Engine(
        "hyx",
        "hyx",
        "`@retry(on=httpx.HTTPError, attempts=3, backoff=expo(min_delay_secs=1))` around httpx on asyncio",
        _running(_hyx_async),
        _hyx_async,
        lacks=frozenset({"total"}),
        last_error=httpx.ReadTimeout,
    ),
    Engine(
        "urllib3",
        "urllib3",
        "`PoolManager(retries=Retry(3, status_forcelist=[502, 503, 504], backoff_factor=1))`",
        _urllib3,
        lacks=frozenset({"total"}),
        last_error=urllib3.exceptions.ReadTimeoutError,
    ),
    Engine(
        "httpx-retries",
        "httpx-retries",
        "`httpx.Client(transport=RetryTransport(retry=Retry(3, backoff_factor=1)))`",
        _httpx,
        _httpx_async,
        last_error=httpx.ReadTimeout,
    ),
    Engine(
        "aiohttp-retry",
        "aiohttp-retry",
        "`RetryClient(retry_options=ExponentialRetry(attempts=4, start_timeout=1, exceptions={ClientError, "
        "TimeoutError}))`",
        _running(_aiohttp_async),
        _aiohttp_async,
        lacks=frozenset({"total"}),
        last_error=TimeoutError,
    ),
    Engine(
        "httpware",
        "httpware",
        "`Client(middleware=[Retry(max_attempts=4, base_delay=1, max_delay=60)])`",
        _httpware,
        _httpware_async,
        lacks=frozenset({"total"}),
        last_error=httpware.TimeoutError,
    ),
    Engine(
        "botocore",
        "botocore",
        '`Config(retries={"mode": "standard", "total_max_attempts": 4})`, S3 to read and SQS to write',
        _botocore,
        lacks=frozenset({"total", "cap", "endless"}),
        last_error=botocore.exceptions.ReadTimeoutError,
    ),
)
