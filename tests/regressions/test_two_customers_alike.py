"""Two customers with equal bodies, the first of whom failed: every law that judges them says what would settle it."""

from __future__ import annotations

import uuid

import pytest
import requests

from pytest_retrychaos import LawsBroken

HINT = "two operations? name them with chaos.operation"


def pay_all(url: str, customers: int) -> None:
    """Charge each customer once, under a key of its own."""
    for _ in range(customers):
        requests.post(f"{url}/payments", json={"n": 1}, headers={"Idempotency-Key": uuid.uuid4().hex}, timeout=5)


@pytest.mark.parametrize(
    ("script", "law"), [("402, ok", "RT02"), ("503 x2, ok", "BK01"), ("503 retry-after=9, ok", "BK04")]
)
def test_a_finding_on_requests_that_may_be_two_says_so(chaos, script, law):
    """The trace cannot tell them from one customer charged again."""
    chaos.script(script)
    pay_all(chaos.url, 3)

    with pytest.raises(LawsBroken) as raised:
        chaos.verify(only=[law])

    assert HINT in str(raised.value)


def test_a_finding_on_one_key_leaves_nothing_to_settle(chaos):
    """One key is one operation."""
    chaos.script("402, ok")
    for _ in range(2):
        requests.post(f"{chaos.url}/payments", json={"n": 1}, headers={"Idempotency-Key": "k1"}, timeout=5)

    with pytest.raises(LawsBroken) as raised:
        chaos.verify(only=["RT02"])

    assert HINT not in str(raised.value)
