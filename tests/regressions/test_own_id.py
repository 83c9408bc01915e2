"""A client that names what it creates needs no key where the service turns the second one away."""

from __future__ import annotations

import contextlib
import time

import pytest
import requests

from pytest_retrychaos import LawsBroken
from pytest_retrychaos.laws import judge
from pytest_retrychaos.trace import Trace


def create(url: str, order: dict[str, object]) -> str:
    """Create an order under its own id; who finds it there already has made it."""
    for wait in (1, 2, 4, None):
        try:
            answer = requests.post(f"{url}/orders", json=order, timeout=5)
        except requests.ConnectionError:
            if wait is None:
                raise
        else:
            if answer.status_code == 409:
                return "it was there"
            if answer.ok:
                return "made"
        time.sleep(wait or 0)
    raise ConnectionError("no answer")


@pytest.mark.chaos("reset, ok", "502 x2, ok", "reset after-commit, 503, ok", "reset *")
def test_an_order_with_an_id_of_its_own_is_created_again(chaos):
    """Whether it was created before or not."""
    with contextlib.suppress(requests.ConnectionError):
        create(chaos.url, {"id": "order-7", "tea": 2})

    assert len(chaos.ledger) <= 1
    chaos.verify()


@pytest.mark.chaos("reset, ok")
@pytest.mark.parametrize("fields", [{"timestamp": 1767225600}, {"pin": 123456, "entered": 123456}])
def test_its_id_is_known_in_a_trace_that_was_read_back(chaos, fields):
    """What is numbered or hidden there is a text in place of a number, and the body is JSON all the same."""
    create(chaos.url, {"id": "order-7", **fields})

    read_back = Trace.from_json(chaos.trace.to_json())

    assert judge(read_back).of("ID01") == judge(chaos.trace).of("ID01")


@pytest.mark.chaos("reset, ok", "reset after-commit, ok")
def test_an_order_without_one_is_not(chaos):
    """Nobody could tell it from another."""
    create(chaos.url, {"tea": 2})

    with pytest.raises(LawsBroken, match=r"^ID01"):
        chaos.verify()


@pytest.mark.chaos("reset, ok", "reset after-commit, ok")
def test_an_id_that_the_service_does_not_heed_is_none(chaos):
    """It answers with one of its own: what was sent names something else."""
    chaos.service.route("POST", "/orders", lambda _: (201, {"id": f"ord_{len(chaos.ledger)}"}))
    create(chaos.url, {"id": "customer-7", "tea": 2})

    with pytest.raises(LawsBroken, match=r"^ID01"):
        chaos.verify()
