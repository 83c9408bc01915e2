"""An equal unsafe request right after a success: sent again by a client that misread it, or one more of its kind."""

from __future__ import annotations

import uuid

import pytest
import requests

from pytest_retrychaos import LawsBroken


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


def test_a_success_behind_a_redirect_is_not_sent_again_either(chaos):
    """The service moved; what it answered where it is now is the answer."""
    chaos.service.route("POST", "/old", lambda _: (308, "", {"Location": "/payments"}))
    with chaos.operation("one payment"):
        for _ in range(2):
            requests.post(f"{chaos.url}/old", json={"n": 1}, headers={"Idempotency-Key": "k1"}, timeout=5)

    with pytest.raises(LawsBroken, match=r"^RT07 success sent again: POST /old was answered 201"):
        chaos.verify()


def test_a_login_page_behind_a_redirect_is_no_success(chaos):
    """Who was sent there logs in and comes back."""
    chaos.service.route("POST", "/payments", lambda _: (302, "", {"Location": "/login"}))
    with chaos.operation("one payment"):
        for _ in range(2):
            requests.post(f"{chaos.url}/payments", json={"n": 1}, headers={"Idempotency-Key": "k1"}, timeout=5)

    assert [attempt.operation for attempt in chaos.attempts] == [0, 0, 0, 0]
    assert chaos.verify().of("RT07").ruling.value == "held"
