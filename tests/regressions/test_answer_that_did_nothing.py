"""A service that says in the body of a 200 that it did nothing, as GraphQL does where a call is throttled."""

from __future__ import annotations

import contextlib
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


def is_new(_, response) -> bool:
    """Whether an answer is that of a new order."""
    return "X-Replayed" not in response.headers


@pytest.mark.chaos("reset after-commit, ok", "502 after-commit, ok")
def test_an_answer_from_memory_did_nothing_and_is_a_success(chaos):
    """The first attempt made the order, and its answer was lost; the app knows the key and answers the second."""
    known = set()

    def app(environ, start_response):
        key = environ["HTTP_IDEMPOTENCY_KEY"]
        start_response("202 Accepted", [("Retry-After", "2"), *([("X-Replayed", "1")] if key in known else [])])
        known.add(key)
        return [b"{}"]

    def order() -> None:
        for _ in range(3):
            with contextlib.suppress(requests.ConnectionError):
                requests.post(f"{chaos.url}/orders", json={}, headers={"Idempotency-Key": "k"}, timeout=5)
            time.sleep(2)

    chaos.service.mount(app, idempotency="own", effects=is_new)
    order()

    with pytest.raises(LawsBroken, match=r"^RT07 [^◄]*#2[^◄]*◄ success"):
        chaos.verify()


@pytest.mark.chaos("reset, ok")
@pytest.mark.parametrize("said_by", ["route", "mount"])
def test_a_query_that_travels_by_post_is_a_read(chaos, said_by):
    """What tells of mutations says nothing against sending a query again."""
    if said_by == "route":
        chaos.service.route("POST", "/graphql", lambda _: {"data": {}}, effect=is_payment)
    else:
        chaos.service.mount(throttled(0), idempotency="own", effects={"POST /graphql": is_payment})
    for _ in range(2):
        with contextlib.suppress(requests.ConnectionError):
            requests.post(f"{chaos.url}/graphql", json={"query": "query { payments { id } }"}, timeout=5)
        time.sleep(1)

    assert all(attempt.is_read for attempt in chaos.attempts)
    chaos.verify()


@pytest.mark.parametrize("said_by", ["route", "mount"])
def test_an_answer_that_did_nothing_is_not_kept_for_the_key(chaos, said_by):
    """The service keeps keys: who comes again with its own is not told for ever that it was turned away."""
    answers = [(200, THROTTLED, {"Retry-After": "2"}), {"data": {"pay": {"id": 1}}}]
    if said_by == "route":
        chaos.service.route("POST", "/graphql", lambda _: answers.pop(0), effect=is_payment)
    else:
        chaos.service.mount(throttled(1), effects=is_payment)

    assert chaos.call(pay, chaos.url, {"Idempotency-Key": "order-7"})

    assert len(chaos.ledger) == 1
    chaos.verify()
