"""Retry layers inside each other, and keys that are still in flight when the retry comes: real clients."""

from __future__ import annotations

import contextlib
import time

import pytest
import requests
import stripe
from requests.adapters import HTTPAdapter
from tenacity import RetryError, retry, stop_after_attempt, wait_fixed
from urllib3.util import Retry

from pytest_retrychaos import LawsBroken

PAYMENT = {"amount": 1000}


def layered(url, outer):
    """A session that tries three times, under a decorator that tries ``outer`` times."""
    session = requests.Session()
    inner = Retry(total=2, backoff_factor=0.1, status_forcelist=[503])
    session.mount("http://", HTTPAdapter(max_retries=inner))

    @retry(stop=stop_after_attempt(outer), wait=wait_fixed(1))
    def fetch():
        session.get(f"{url}/rates", timeout=5).raise_for_status()

    with session, contextlib.suppress(RetryError):
        fetch()


def test_three_retries_around_three_are_nine_attempts(chaos):
    """Both layers are one operation's."""
    chaos.script("503 x9")
    layered(chaos.url, outer=3)

    chaos.assert_amplification(at_most=9)
    chaos.operations[0].assert_amplification(9)
    assert chaos.verify(amplification=9, only=["LD01"]).of("LD01").ruling.value == "held"
    for ask in (lambda: chaos.assert_amplification(3), lambda: chaos.verify(amplification=3, only=["LD01"])):
        with pytest.raises(LawsBroken, match="LD01 amplified: GET /rates became 9 attempts for one operation, at most"):
            ask()


def test_one_layer_is_within_its_own_limit(chaos):
    """The outer one tries once."""
    chaos.script("503 x3")
    layered(chaos.url, outer=1)

    chaos.assert_amplification(at_most=3)


@pytest.mark.parametrize("limit", [0, True, "3", float("inf"), float("nan")])
def test_what_is_no_limit_is_refused(chaos, limit):
    """With the value, the rule and the way out."""
    requests.get(f"{chaos.url}/rates", timeout=5)

    with pytest.raises(ValueError, match="give a number of attempts, 1 or more; 1 means no retry"):
        chaos.assert_amplification(limit)
    with pytest.raises(ValueError, match="amplification="):
        chaos.verify(amplification=limit)


def pay(url, keys, *, pause=3):
    """Send a payment until it is answered, with the next of the keys each time."""
    for key in keys:
        with contextlib.suppress(requests.Timeout):
            answer = requests.post(f"{url}/payments", json=PAYMENT, headers={"Idempotency-Key": key}, timeout=5)
            if answer.status_code < 300:
                return
        time.sleep(pause)


SLOW = "slow=9s before-commit, ok"
"""The service takes nine seconds, and the client goes after five."""


@pytest.mark.parametrize("profile", ["default", "stripe", "ietf"])
def test_a_key_in_flight_that_is_waited_for_is_handled(chaos, profile):
    """The retry finds the first request running, waits, and gets its answer."""
    chaos.service.profile = profile
    chaos.script(SLOW)
    pay(chaos.url, ["k1"] * 4, pause=2)

    assert [attempt.key_conflict for attempt in chaos.attempts] == [None, "in flight", None]
    assert chaos.verify().of("ID06").ruling.value == "held"
    assert len(chaos.ledger) == 1


def test_a_new_key_for_one_that_is_in_flight_is_caught(chaos):
    """Two payments."""
    chaos.script(SLOW)
    pay(chaos.url, ["k1", "k1", "k2"], pause=1)

    with pytest.raises(LawsBroken) as broken:
        chaos.verify()
    assert "ID06/new-key" in {finding.shape for finding in broken.value.verdict.findings}


def test_a_loop_without_a_wait_on_a_key_in_flight_is_caught(chaos):
    """Each gets the same answer."""
    chaos.script(SLOW)
    pay(chaos.url, ["k1"] * 4, pause=0)

    with pytest.raises(LawsBroken) as broken:
        chaos.verify(only=["ID06"])
    assert broken.value.verdict.findings[0].shape == "ID06/no-wait"


def test_a_mismatch_that_is_repeated_is_caught(chaos):
    """One key for two payments, and the refusal of the second is retried."""
    pay(chaos.url, ["k1"])
    for _ in range(2):
        requests.post(f"{chaos.url}/payments", json={"amount": 7}, headers={"Idempotency-Key": "k1"}, timeout=5)
        time.sleep(1)

    with pytest.raises(LawsBroken) as broken:
        chaos.verify(only=["ID06"])
    assert broken.value.verdict.findings[0].shape == "ID06/mismatch"


@pytest.mark.chaos("slow=100s before-commit, ok", profile="stripe")
def test_the_stripe_sdk_handles_a_key_in_flight(chaos):
    """It retries a 409 with the same key, and gives up."""
    client = stripe.StripeClient("sk_test_123", max_network_retries=2)
    with contextlib.suppress(stripe.StripeError):
        client.v1.payment_intents.create({"amount": 1000, "currency": "usd"})

    assert "in flight" in {attempt.key_conflict for attempt in chaos.attempts}
    assert chaos.verify().of("ID06").ruling.value == "held"
