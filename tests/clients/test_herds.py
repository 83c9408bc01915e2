"""Herds of other people's retriers: whoever lets chance spread the waits is not accused, whoever does not is."""

from __future__ import annotations

import aiohttp
import httpx
import pytest
import requests
import stamina
import tenacity
import urllib3
from aiohttp_retry import ExponentialRetry, JitterRetry, RetryClient
from httpx_retries import Retry as HttpxRetry
from httpx_retries import RetryTransport

from pytest_retrychaos.laws import judge

URL = "http://service.test/orders"
COPIES = 60
LAWS = ("BK03", "LD03")


def by_tenacity(wait):
    """Fetch with tenacity."""
    fetch = tenacity.retry(wait=wait, stop=tenacity.stop_after_attempt(6), reraise=True)(get)
    return lambda: fetch()


def get():
    answer = requests.get(URL, timeout=5)
    answer.raise_for_status()
    return answer.status_code


def by_urllib3(**options):
    """Fetch with urllib3's own retries."""
    retry = urllib3.Retry(6, status_forcelist=[503], allowed_methods=None, **options)

    def fetch():
        with urllib3.PoolManager(timeout=5, retries=retry) as pool:
            return pool.request("GET", URL).status

    return fetch


def by_stamina(**options):
    """Fetch with stamina."""
    return stamina.retry(on=requests.RequestException, attempts=6, **options)(get)


def by_httpx_retries(**options):
    """Fetch with httpx-retries."""

    def fetch():
        with httpx.Client(transport=RetryTransport(retry=HttpxRetry(total=6, **options)), timeout=5) as client:
            return client.get(URL).status_code

    return fetch


def by_aiohttp_retry(options):
    """Fetch with aiohttp-retry."""

    async def fetch():
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(5)) as session,
            RetryClient(client_session=session, retry_options=options).get(URL) as answer,
        ):
            return answer.status

    return fetch


SPREAD = {
    "tenacity, random exponential": lambda: by_tenacity(tenacity.wait_random_exponential(multiplier=1, max=20)),
    "tenacity, exponential jitter": lambda: by_tenacity(tenacity.wait_exponential_jitter(initial=1, jitter=1)),
    "stamina, as it comes": by_stamina,
    "urllib3, backoff_jitter": lambda: by_urllib3(backoff_factor=1, backoff_jitter=1),
    "httpx-retries, as it comes": lambda: by_httpx_retries(backoff_factor=1),
    "aiohttp-retry, JitterRetry": lambda: by_aiohttp_retry(JitterRetry(attempts=6, start_timeout=1)),
}
ALIKE = {
    "tenacity, fixed": lambda: by_tenacity(tenacity.wait_fixed(2)),
    "tenacity, exponential": lambda: by_tenacity(tenacity.wait_exponential(multiplier=1, max=20)),
    "stamina, no jitter": lambda: by_stamina(wait_initial=1, wait_jitter=0),
    "urllib3, backoff_factor": lambda: by_urllib3(backoff_factor=1),
    "httpx-retries, no jitter": lambda: by_httpx_retries(backoff_factor=1, backoff_jitter=0),
    "aiohttp-retry, ExponentialRetry": lambda: by_aiohttp_retry(ExponentialRetry(attempts=6, start_timeout=1)),
}


def rulings(chaos, make):
    chaos.script("down=3s:503")
    herd = chaos.herd(COPIES, make())
    assert set(herd.values) == {200}
    return {code: judge(chaos.trace).of(code).ruling.value for code in LAWS}


@pytest.mark.parametrize("name", SPREAD)
def test_retrier_that_lets_chance_spread_its_waits_is_not_accused(chaos, name):
    """Sixty copies fail together and come back one by one."""
    assert rulings(chaos, SPREAD[name]) == {"BK03": "held", "LD03": "held"}


@pytest.mark.parametrize("name", ALIKE)
def test_retrier_that_waits_alike_is_accused(chaos, name):
    """Sixty copies come back together."""
    assert rulings(chaos, ALIKE[name]) == {"BK03": "broken", "LD03": "broken"}
