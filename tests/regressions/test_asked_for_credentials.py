"""Clients that bring credentials only where they are asked for them, on every attempt anew; and logins that fail."""

from __future__ import annotations

import time

import httpx
import pytest
import requests

from pytest_retrychaos import LawsBroken
from pytest_retrychaos.engine import Retry, fixed

NEW = {"Authorization": "Bearer new"}


def asks(chaos) -> None:
    """Let the service ask for credentials."""

    @chaos.service.route("GET", "/me")
    def me(request):
        return (200, {"me": 1}) if "Authorization" in request.headers else (401, {})


def challenged(url: str) -> requests.Response:
    """Ask without credentials first, as a Kerberos client does."""
    answer = requests.get(f"{url}/me", timeout=5)
    return requests.get(f"{url}/me", headers=NEW, timeout=5) if answer.status_code == 401 else answer


@pytest.mark.chaos("ok, 503, ok", "ok, reset, ok", "ok, 503 x2, ok")
def test_every_attempt_may_be_asked_for_its_credentials(chaos):
    """The retry begins without them, and brings them when asked."""
    asks(chaos)
    for wait in (1, 2, 4):
        try:
            if challenged(chaos.url).ok:
                break
        except requests.ConnectionError:
            pass
        time.sleep(wait)

    chaos.verify()


@pytest.mark.chaos("503, ok")
def test_a_retry_that_has_lost_them_for_good_is_another_request(chaos):
    """Nothing brings them when the service asks."""
    asks(chaos)
    for headers in (NEW, {}):
        requests.get(f"{chaos.url}/me", headers=headers, timeout=5)
        time.sleep(1)

    with pytest.raises(LawsBroken, match=r"^RT04 .* with no authorization header"):
        chaos.verify()


def test_a_login_that_failed_may_be_tried_once_more(chaos):
    """Asked to log in, it could not: it begins anew, with what it has."""
    chaos.script("401, 503, 401, ok, ok")
    for token in ("old", "old", "new"):
        answer = requests.get(f"{chaos.url}/me", headers={"Authorization": f"Bearer {token}"}, timeout=5)
        if answer.status_code == 401:
            requests.post(f"{chaos.url}/token", data={"grant_type": "refresh_token"}, timeout=5)
        time.sleep(1)

    assert "RT02" in [result.code for result in chaos.verify().does_not_apply]


@pytest.mark.chaos("401, ok")
def test_who_sends_the_same_credentials_again_is_told(chaos):
    """No login was tried."""
    for _ in range(2):
        requests.get(f"{chaos.url}/me", headers=NEW, timeout=5)
        time.sleep(1)

    with pytest.raises(LawsBroken, match=r"^RT02 "):
        chaos.verify()


DIGEST = '401 header="WWW-Authenticate: Digest realm=\\"r\\", nonce=\\"a-nonce\\", qop=\\"auth\\""'
POLICY = Retry(attempts=3, backoff=fixed(1))


def read_with_digest(url: str, policy: Retry) -> httpx.Response:
    """Ask, and sign what was asked for (RFC 7616): one attempt of the policy sends two requests."""
    with httpx.Client(auth=httpx.DigestAuth("user", "password"), timeout=5) as client:
        return policy.call(lambda: client.get(f"{url}/me").raise_for_status())


@pytest.mark.chaos(f"{DIGEST}, 503 x2, ok")
def test_a_login_is_none_of_the_policys_attempts(chaos):
    """It lies inside the first of them."""
    read_with_digest(chaos.url, POLICY)

    assert chaos.verify(POLICY).of("RT03").ruling.value == "held"


@pytest.mark.chaos(f"{DIGEST}, 503 x3, ok")
def test_one_attempt_more_is_one_too_many_beside_a_login(chaos):
    """Only the login itself is left out."""
    read_with_digest(chaos.url, Retry(attempts=4, backoff=fixed(1)))

    with pytest.raises(LawsBroken, match=r"^RT03 .* was sent 4 times, at most 3 are right"):
        chaos.verify(POLICY)


@pytest.mark.chaos("401 x4, ok")
def test_logins_that_are_turned_away_count(chaos):
    """A new token for each attempt, and none is let in."""
    for number in range(5):
        requests.get(f"{chaos.url}/me", headers={"Authorization": f"Bearer {number}"}, timeout=5)
        time.sleep(1)

    with pytest.raises(LawsBroken, match=r"^RT03 .* was sent 4 times, at most 3 are right"):
        chaos.verify(POLICY)
