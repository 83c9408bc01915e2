"""What a test can script and ask, one thing each."""

from __future__ import annotations

import contextlib

import pytest
import requests

from examples.payments.client import PaymentClient
from pytest_retrychaos import Chaos, ok, reset, status


def test_a_script_can_be_python(chaos):
    chaos.script([status(503, retry_after=2), reset(after_commit=True), ok()])
    PaymentClient(chaos.url).charge(amount=1000, currency="USD")
    chaos.verify()


@pytest.mark.chaos("503 retry-after=90, ok", "timeout, ok", "502 after-commit, ok", "refuse x2, ok")
def test_one_charge_whatever_happens(chaos):
    PaymentClient(chaos.url).charge(amount=1000, currency="USD")

    assert len(chaos.ledger) == 1
    chaos.verify()


def test_a_script_for_one_route(chaos):
    chaos.script("503, ok", route="POST /payments")
    client = PaymentClient(chaos.url)
    requests.get(f"{chaos.url}/rates", timeout=5)  # meets no fault
    client.charge(amount=1000, currency="USD")

    chaos.assert_retried(times=1)
    chaos.assert_within(seconds=5)


def test_a_route_answers_as_you_say(chaos):
    @chaos.service.route("POST", "/payments")
    def pay(request):
        return 201, {"id": "pay_1", "status": "succeeded", "amount": request.json()["amount"]}

    chaos.script("reset after-commit, ok")
    payment = PaymentClient(chaos.url).charge(amount=1000, currency="USD")

    assert payment == {"id": "pay_1", "status": "succeeded", "amount": 1000}
    assert len(chaos.ledger) == 1


def test_two_orders_are_two_operations(chaos):
    client = PaymentClient(chaos.url)
    for order in ("order 1", "order 2"):
        with chaos.operation(order):
            client.charge(amount=1000, currency="USD")

    assert [operation.name for operation in chaos.operations] == ["order 1", "order 2"]
    chaos.verify()


def test_what_the_caller_is_told_is_judged_too(chaos):
    chaos.script("503 x5")
    with pytest.raises(requests.HTTPError):
        chaos.call(PaymentClient(chaos.url).charge, amount=1000, currency="USD")

    chaos.verify()


def test_what_does_not_go_over_http(chaos):
    sent = []
    publish = chaos.faulty(sent.append)
    chaos.script("reset after-commit, ok")
    try:
        publish("order 1 was paid")
    except ConnectionResetError:
        publish("order 1 was paid")

    assert sent == ["order 1 was paid"] * 2  # the queue had taken the first one


def test_a_service_that_is_restarted(tmp_path):
    for script in ("reset after-commit", "ok"):
        with Chaos(script, database=tmp_path / "service.db") as chaos, contextlib.suppress(requests.ConnectionError):
            requests.post(
                f"{chaos.url}/payments", json={"amount": 1000}, headers={"Idempotency-Key": "order-7"}, timeout=5
            )

    assert chaos.attempts[0].replayed  # the payment was made before the restart
    assert len(chaos.ledger) == 0
