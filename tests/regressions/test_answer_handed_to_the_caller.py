"""A client that returns the last answer instead of raising it: a 502 says as much as an error with 502, a 303 too."""

from __future__ import annotations

import time

import httpx
import pytest
import requests
import urllib3

from pytest_retrychaos import LawsBroken


def charge(url: str) -> requests.Response:
    """Try twice, and hand over the answer."""
    for _ in range(2):
        answer = requests.post(f"{url}/payments", json={"n": 1}, headers={"Idempotency-Key": "k1"}, timeout=5)
        if answer.ok:
            break
        time.sleep(1)
    return answer


def charge_with_urllib3(url: str) -> urllib3.BaseHTTPResponse:
    """Let urllib3 try twice; its response does not print its status."""
    retry = urllib3.Retry(1, status_forcelist=[502], allowed_methods=None, raise_on_status=False, backoff_factor=1)
    with urllib3.PoolManager(retries=retry, timeout=5) as pool:
        return pool.request("POST", f"{url}/payments", json={"n": 1}, headers={"Idempotency-Key": "k1"})


def charge_and_judge(url: str) -> dict[str, object]:
    """Turn the answer into a word of the client's own."""
    answer = charge(url)
    return {"status": "paid" if answer.ok else "failed"}


@pytest.mark.chaos("502 after-commit x2")
@pytest.mark.parametrize("client", [charge, charge_with_urllib3])
def test_an_answer_that_leaves_it_open_tells_no_false_failure(chaos, client):
    """The caller can see that the outcome is unknown."""
    chaos.call(client, chaos.url)

    assert chaos.verify().of("ID05").ruling.value == "held"


@pytest.mark.chaos("502 after-commit x2")
def test_a_word_for_it_is_a_false_failure(chaos):
    """Nothing in it says that the outcome is unknown."""
    chaos.call(charge_and_judge, chaos.url)

    with pytest.raises(LawsBroken, match=r"^ID05 "):
        chaos.verify()


@pytest.mark.chaos
@pytest.mark.parametrize("status", [303, 307])
def test_a_redirect_that_is_handed_over_tells_neither(chaos, status):
    """Whether the order was made (303) or has to be sent elsewhere (307), the caller can see."""
    chaos.service.route("POST", "/payments", lambda _: (status, "", {"Location": "/payments/1"}))
    address, headers = f"{chaos.url}/payments", {"Idempotency-Key": "k1"}

    chaos.call(requests.post, address, json={"n": 1}, headers=headers, timeout=5, allow_redirects=False)

    assert chaos.verify().of("ID05").ruling.value == "does not apply"


def charge_with_httpx(url: str) -> httpx.Response:
    """Follow no redirect, which is httpx's default, and take one for an error."""
    return httpx.post(f"{url}/payments", headers={"Idempotency-Key": "k1"}, timeout=5).raise_for_status()


@pytest.mark.chaos
@pytest.mark.parametrize("status", [302, 307, 308])
def test_a_redirect_that_is_raised_is_no_false_failure(chaos, status):
    """The service has carried nothing out: it said where to ask."""
    chaos.service.route("POST", "/payments", lambda _: (status, "", {"Location": "/elsewhere"}))

    with pytest.raises(httpx.HTTPStatusError):
        chaos.call(charge_with_httpx, chaos.url)

    assert len(chaos.ledger) == 0
    assert chaos.verify().of("ID05").ruling.value == "does not apply"


@pytest.mark.chaos
def test_a_303_that_is_raised_is_a_false_failure(chaos):
    """It follows what was done: the ledger has a row."""
    chaos.service.route("POST", "/payments", lambda _: (303, "", {"Location": "/payments/1"}))

    with pytest.raises(httpx.HTTPStatusError):
        chaos.call(charge_with_httpx, chaos.url)

    with pytest.raises(LawsBroken, match=r"^ID05 false failure"):
        chaos.verify()
