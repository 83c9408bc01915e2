"""Policies of other libraries as expectations: does the client do what its policy says?"""

from __future__ import annotations

import contextlib

import pytest
import requests
from requests.adapters import HTTPAdapter
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_random_exponential
from urllib3.util import Retry

from pytest_retrychaos import LawsBroken

URLLIB3 = Retry(total=3, backoff_factor=0.5, status_forcelist=[503])


@retry(
    stop=stop_after_attempt(3),
    wait=wait_random_exponential(max=10),
    retry=retry_if_exception_type(requests.RequestException),
    reraise=True,
)
def rates(session, url):
    """Fetch exchange rates."""
    response = session.get(f"{url}/rates", timeout=5)
    response.raise_for_status()
    return response.json()


def test_the_session_does_what_its_policy_says(chaos):
    chaos.script("503, reset, 503, ok")
    with requests.Session() as session:
        session.mount("http://", HTTPAdapter(max_retries=URLLIB3))
        session.get(f"{chaos.url}/rates", timeout=5)

    chaos.verify(URLLIB3)  # attempts, waits, statuses, methods


def test_the_function_does_what_its_policy_says(chaos):
    chaos.script("503 x2, ok")
    with requests.Session() as session:
        chaos.call(rates, session, chaos.url)

    chaos.verify(rates)
    chaos.verify(attempts=3, bounds=lambda retry: (0, 2**retry), timeout=30)  # any other, said by hand


def test_two_layers_do_not(chaos):
    """Both policies at once: four attempts, three times over."""
    chaos.script("503 *")
    with requests.Session() as session, contextlib.suppress(requests.RequestException):
        session.mount("http://", HTTPAdapter(max_retries=URLLIB3))
        rates(session, chaos.url)

    with pytest.raises(LawsBroken, match="LD01 amplified: GET /rates became 12 attempts for one operation, at most 4"):
        chaos.assert_amplification(at_most=4)
