"""A service that says in the body of a 200 that it did nothing, as GraphQL does where a call is throttled."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest
import requests

from pytest_retrychaos import LawsBroken

THROTTLED = {"data": None, "errors": [{"extensions": {"code": "THROTTLED"}}]}


def throttled(times: int):
    """Make an app that turns away so many calls."""
    left = [times]

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "application/json"), ("Retry-After", "2")])
        left[0] -= 1
        return [json.dumps(THROTTLED if left[0] >= 0 else {"data": {"pay": {"id": 1}}}).encode()]

    return app


def is_payment(_, response) -> bool:
    """Whether an answer is that of a payment."""
    return "errors" not in json.loads(response.body)


def pay(url: str, headers: dict[str, str], *, believes: bool = True) -> object:
    """Pay, and again after a while where the answer says that nothing was done."""
    for _ in range(3):
        mutation = {"query": "mutation { pay(amount: 1) { id } }"}
        answer = requests.post(f"{url}/graphql", json=mutation, headers=headers, timeout=5).json()
        if believes and "errors" not in answer:
            return answer
        time.sleep(2)
    return None


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "order-7"}])
def test_what_did_nothing_may_be_sent_again(chaos, headers):
    """The ledger has one row, of the last answer."""
    chaos.service.mount(throttled(2), idempotency="own", effects=is_payment)

    assert chaos.call(pay, chaos.url, headers)

    assert len(chaos.ledger) == 1
    assert "RT07" in [result.code for result in chaos.verify().does_not_apply]


def test_what_was_done_may_not(chaos):
    """The second answer was that of a payment."""
    chaos.service.mount(throttled(1), idempotency="own", effects=is_payment)
    chaos.call(pay, chaos.url, {"Idempotency-Key": "order-7"}, believes=False)

    with pytest.raises(LawsBroken, match=r"RT07 success sent again[^#]*#1[^◄]*#2[^#]*◄ success"):
        chaos.verify()


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "order-7"}])
def test_a_route_says_so_too(chaos, headers):
    """The handler's answers are looked at in the same way."""
    answers = [(200, THROTTLED, {"Retry-After": "2"}), {"data": {"pay": {"id": 1}}}]
    chaos.service.idempotency = replace(chaos.service.idempotency, enabled=False)
    chaos.service.route("POST", "/graphql", lambda _: answers.pop(0), effect=is_payment)

    assert chaos.call(pay, chaos.url, headers)

    assert len(chaos.ledger) == 1
    assert "RT07" in [result.code for result in chaos.verify().does_not_apply]
