"""A suite that mocks with `responses` and was written before chaos: nothing in it was rewritten."""

from __future__ import annotations

import pytest
import requests
import responses
from requests.adapters import HTTPAdapter
from responses import matchers
from urllib3.util import Retry


def rates_session():
    """Make the session under test: urllib3's own retries."""
    session = requests.Session()
    retry = Retry(total=3, backoff_factor=0.5, status_forcelist=[502, 503], allowed_methods=["GET"])
    session.mount("https://", HTTPAdapter(max_retries=retry))
    return session


@responses.activate
def test_rates():
    """Read a rate, as it was always tested."""
    responses.get("https://rates.example/usd", json={"eur": 0.9}, match=[matchers.query_param_matcher({"day": "1"})])

    response = rates_session().get("https://rates.example/usd", params={"day": 1}, timeout=5)

    assert response.json() == {"eur": 0.9}


@pytest.mark.chaos(
    "503 retry-after=30, ok", "reset, ok", "timeout, ok", "eof x2, ok", "502 x3, ok", transport="responses"
)
@responses.activate
def test_rates_through_faults(chaos):
    """The same test, with faults around what it registered."""
    responses.get("https://rates.example/usd", json={"eur": 0.9}, match=[matchers.query_param_matcher({"day": "1"})])

    response = rates_session().get("https://rates.example/usd", params={"day": 1}, timeout=5)

    assert response.json() == {"eur": 0.9}
    chaos.verify()
