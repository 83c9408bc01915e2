"""Paying, under the faults that the team has thought of so far."""

import pytest
import requests
from shop import pay


@pytest.mark.chaos(
    "503, ok", "503 retry-after=30, ok", "refuse, ok", "timeout, ok", "502, ok", "reset after-commit, ok"
)
def test_an_order_is_paid_once(chaos):
    pay(chaos.url, order="A-17", amount=1000)

    assert len(chaos.ledger) == 1


@pytest.mark.chaos("422")
def test_a_refused_card_is_told(chaos):
    with pytest.raises(requests.HTTPError):
        pay(chaos.url, order="A-17", amount=1000)
