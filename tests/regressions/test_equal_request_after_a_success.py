"""An equal unsafe request right after a success: sent again by a client that misread it, or one more of its kind."""

from __future__ import annotations

import uuid

import pytest
import requests


def charge(url: str) -> None:
    """Wait for a header that never comes, with a new key each time."""
    for _ in range(2):
        key = uuid.uuid4().hex
        answer = requests.post(f"{url}/payments", json={"n": 1}, headers={"Idempotency-Key": key}, timeout=5)
        if "X-Done" in answer.headers:
            return


@pytest.mark.parametrize("is_seen", [True, False], ids=["in a call", "anywhere"])
def test_a_success_that_may_have_been_sent_again_is_not_said_to_be_held(chaos, is_seen):
    """Both are charged."""
    if is_seen:
        chaos.call(charge, chaos.url)
    else:
        charge(chaos.url)

    assert len(chaos.ledger) == 2
    assert chaos.verify().of("RT07").reason == (
        "an equal request followed a success: it was sent again, or another was meant"
    )


def test_successes_of_different_requests_hold(chaos):
    """Nothing was sent again."""
    for number in (1, 2):
        requests.post(f"{chaos.url}/payments", json={"n": number}, timeout=5)

    assert chaos.verify().of("RT07").ruling.value == "held"
