"""What a wrapped function, or a mock, raises by itself is its answer: only an error of the network is a failure."""

from __future__ import annotations

import time

import pytest
import requests
import responses

from pytest_retrychaos import LawsBroken


class Declined(Exception):
    """A gateway's word for no."""


class GatewayTimeout(Exception):
    """A gateway's word for silence."""


def raising(chaos, error):
    """Wrap a charge that ends in an error."""

    def charge(amount, idempotency_key=None):
        raise error

    return chaos.faulty(charge)


@pytest.mark.parametrize("error", [Declined("no funds"), KeyError("currency"), ValueError("amount")])
def test_an_error_of_its_own_need_not_be_retried(chaos, error):
    """It was told no, and tells its caller."""
    with pytest.raises(type(error)):
        chaos.call(raising(chaos, error), 5, idempotency_key="k1")

    verdict = chaos.verify()
    assert verdict.of("RT01").ruling.value == verdict.of("RT06").ruling.value == "does not apply"


def test_an_error_of_its_own_says_that_nothing_was_done(chaos):
    """So that it may be asked again without a key."""
    charge = raising(chaos, Declined("no funds"))
    for _ in range(2):
        with pytest.raises(Declined):
            charge(5)
        time.sleep(60)

    chaos.verify()


@pytest.mark.parametrize("error", [ConnectionResetError("reset"), TimeoutError("5 s"), GatewayTimeout("no answer")])
def test_an_error_of_the_network_is_a_failure_of_the_service(chaos, error):
    """Its own client met it."""
    with pytest.raises(type(error)):
        raising(chaos, error)(5, idempotency_key="k1")

    with pytest.raises(LawsBroken, match=r"^RT01 not retried"):
        chaos.verify()


def test_the_timeline_says_what_was_raised(chaos):
    """In one line."""
    charge = raising(chaos, Declined("no funds\non this card"))
    for _ in range(3):
        with pytest.raises(Declined):
            charge(5)

    with pytest.raises(LawsBroken, match=r"#2  CALL \S+charge  key –   raised Declined: no funds\n"):
        chaos.verify()


@pytest.mark.chaos(transport="responses")
@responses.activate
@pytest.mark.parametrize(("error", "is_failure"), [(requests.ConnectionError("down"), True), (Declined("no"), False)])
def test_so_does_what_a_mock_raises(chaos, error, is_failure):
    """A suite that registers exceptions means the network by those of the client."""
    responses.get("https://bank.test/rates", body=error)
    with pytest.raises(type(error)):
        requests.get("https://bank.test/rates", timeout=5)

    if is_failure:
        with pytest.raises(LawsBroken, match=r"^RT01 "):
            chaos.verify()
    else:
        chaos.verify()
