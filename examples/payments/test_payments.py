"""The right client, put through what a payment service can do to it."""

from __future__ import annotations

import pytest
import requests

from examples.payments.client import PaymentClient, PaymentUnknown


# fmt: off
def test_a_lost_response_never_charges_twice(chaos):
    chaos.script("503 retry-after=2, reset after-commit, ok")

    payment = PaymentClient(chaos.url).charge(amount=1000, currency="USD")

    assert payment["status"] == "succeeded"
    assert len(chaos.attempts) == 3
    assert chaos.waits[0] >= 2                # Retry-After was obeyed, in no real time at all
    assert len(chaos.ledger) == 1             # one charge, though two requests reached the service
    chaos.verify()                            # and every other law that applies to what happened
# fmt: on


SCRIPTS = (
    "ok",
    "503, ok",
    "503 retry-after=90, ok",
    "503 retry-after=date+90s, ok",
    "503 retry-after=date-60s, ok",
    "429 retry-after=0, ok",
    '503 retry-after="soon", ok',
    "201 retry-after=1",
    "500, 502, 504, ok",
    "timeout, ok",
    "timeout after-commit, ok",
    "reset after-commit, ok",
    "eof after-commit, eof, ok",
    "502 after-commit, ok",
    "refuse, ok",
    "connect-timeout, ok",
    "dns, ok",
    "truncate, ok",
    "garbage, ok",
    "slow=3s, ok",
    "duplicate, ok",
    "down=1s",
)


@pytest.mark.chaos(*SCRIPTS)
def test_one_charge_and_no_law_broken_whatever_happens(chaos):
    """The customer is charged once, the caller is told so, and every law that applies is kept."""
    payment = chaos.call(PaymentClient(chaos.url).charge, amount=1000, currency="USD")

    assert payment["status"] == "succeeded"
    assert len(chaos.ledger) == 1
    chaos.verify()


@pytest.mark.chaos("400", "402", "403", "404", "422")
def test_a_refusal_is_told_at_once(chaos):
    """What no retry will change is raised after one attempt."""
    with pytest.raises(requests.HTTPError):
        chaos.call(PaymentClient(chaos.url).charge, amount=1000, currency="USD")

    chaos.assert_not_retried()
    assert len(chaos.ledger) == 0
    chaos.verify()


@pytest.mark.chaos("503 x5", "429 x5", "503 retry-after=10 x5")
def test_the_last_error_reaches_the_caller(chaos):
    """An outage that outlasts five attempts ends in the last answer as an exception."""
    with pytest.raises(requests.HTTPError):
        chaos.call(PaymentClient(chaos.url).charge, amount=1000, currency="USD")

    chaos.assert_attempts(5)
    chaos.verify()


@pytest.mark.chaos("timeout after-commit x5", "reset after-commit x5")
def test_a_charge_in_doubt_is_told_as_doubt(chaos):
    """Where every answer was lost the error says so, and there is one charge all the same."""
    with pytest.raises((requests.Timeout, requests.ConnectionError)):
        chaos.call(PaymentClient(chaos.url).charge, amount=1000, currency="USD")

    assert len(chaos.ledger) == 1
    chaos.verify()


@pytest.mark.chaos("204", '200 body="not json"', "200 body=[1]")
def test_a_success_that_cannot_be_read_is_told_as_unknown(chaos):
    """The charge was made: whoever takes that for a failure makes it again."""
    with pytest.raises(PaymentUnknown):
        chaos.call(PaymentClient(chaos.url).charge, amount=1000, currency="USD")

    chaos.verify()


@pytest.mark.chaos("503 retry-after=3600")
def test_a_service_that_asks_for_an_hour_is_given_up(chaos):
    """The client does not sit for an hour: the caller is told now."""
    with pytest.raises(requests.HTTPError):
        chaos.call(PaymentClient(chaos.url).charge, amount=1000, currency="USD")

    assert chaos.clock.elapsed == 0
    chaos.verify()


@pytest.mark.chaos("503 retry-after=date+30s, ok", timezone="America/New_York")
def test_a_date_is_read_as_gmt_in_any_time_zone(chaos):
    """A client in New York waits as long as one in London."""
    PaymentClient(chaos.url).charge(amount=1000, currency="USD")

    chaos.assert_retry_after_honoured()
    assert 30 <= chaos.waits[0] <= 31


@pytest.mark.chaos("503 x4, ok")
def test_waits_grow_up_to_a_cap_and_are_jittered(chaos):
    """Every wait is drawn from zero up to a bound that doubles."""
    PaymentClient(chaos.url).charge(amount=1000, currency="USD")

    assert [wait <= bound for wait, bound in zip(chaos.waits, (0.5, 1, 2, 4), strict=True)] == [True] * 4


@pytest.mark.chaos("timeout after-commit, 503 x4")
def test_a_503_at_the_end_does_not_hide_an_earlier_doubt(chaos):
    """The first attempt was carried out and nobody heard of it: the error says that this is possible."""
    with pytest.raises(requests.HTTPError) as caught:
        chaos.call(PaymentClient(chaos.url).charge, amount=1000, currency="USD")

    assert isinstance(caught.value.__cause__, requests.Timeout)
    assert len(chaos.ledger) == 1
    chaos.verify()


def test_two_equal_charges_are_two_charges(chaos):
    """Each call makes a key of its own, so a second purchase of the same thing is carried out."""
    client = PaymentClient(chaos.url)
    chaos.script("reset after-commit, ok")
    for order in ("order 1", "order 2"):
        with chaos.operation(order):
            client.charge(amount=1000, currency="USD")

    assert len(chaos.ledger) == 2
    chaos.verify()


def test_attempts_below_one_are_refused():
    """A client that may not even try once is a mistake, named where it is made."""
    with pytest.raises(ValueError, match="attempts=0: at least one is needed; 1 means no retry"):
        PaymentClient("https://payments.example", attempts=0)
