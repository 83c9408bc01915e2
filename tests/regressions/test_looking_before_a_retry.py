"""A client without keys that looks whether its write was done, before it sends it again or instead of that."""

from __future__ import annotations

import time

import pytest
import requests

from pytest_retrychaos import LawsBroken


def look(url: str) -> bool:
    """Ask for the payment; 404 says that it is not there."""
    for _ in range(3):
        response = requests.get(f"{url}/payments/7", timeout=5)
        if response.status_code != 503:
            return response.status_code == 200 and bool(response.json())
        time.sleep(1)
    raise ConnectionError("the service cannot be asked")


def pay(url: str, looks_at: str = "payments/7") -> str:
    """Send the payment, under its own number where that is looked for, and look before sending it again."""
    payment = {"id": "7", "amount": 5} if looks_at == "payments/7" else {"amount": 5}
    for _ in range(3):
        try:
            response = requests.post(f"{url}/payments", json=payment, timeout=5)
            if response.ok:
                return "paid"
        except requests.ConnectionError:
            pass
        time.sleep(1)
        if looks_at == "payments/7" and look(url):
            return "paid before"
        if looks_at != "payments/7":
            requests.get(f"{url}/{looks_at}", timeout=5)
    raise ConnectionError("no answer")


@pytest.mark.chaos("reset, ok")
def test_a_write_that_was_not_found_may_be_sent_again(chaos):
    """The client knows that nothing was done."""
    assert pay(chaos.url) == "paid"

    assert chaos.verify().of("ID01").ruling.value == "does not apply"


@pytest.mark.chaos("503 after-commit, ok")
def test_a_write_that_was_found_need_not_be_sent_again(chaos):
    """To look is to go on."""
    assert pay(chaos.url) == "paid before"

    assert chaos.verify().of("RT01").ruling.value == "does not apply"


@pytest.mark.chaos("503 x4")
def test_a_client_that_cannot_look_may_give_up(chaos):
    """The failure that ended it is that of the read, which was retried."""
    with pytest.raises(ConnectionError):
        chaos.call(pay, chaos.url)

    chaos.verify()


@pytest.mark.chaos("reset, ok")
def test_a_read_of_something_else_is_no_look(chaos):
    """What was asked says nothing of the payment."""
    pay(chaos.url, looks_at="rates")

    with pytest.raises(LawsBroken, match=r"^ID01 "):
        chaos.verify()


@pytest.mark.chaos("reset after-commit, ok")
def test_a_look_that_is_not_heeded_is_still_a_second_effect(chaos):
    """The list shows the payment, and it is sent again all the same."""

    @chaos.service.route("POST", "/payments")
    def take(request):
        return 201, {"amount": request.json()["amount"]}

    pay(chaos.url, looks_at="payments")

    with pytest.raises(LawsBroken, match=r"^ID04 "):
        chaos.verify()


@pytest.mark.chaos("reset, ok")
def test_a_read_of_what_the_request_acts_on_is_a_look(chaos):
    """Whether an order was captured is said by the order."""
    for _ in range(2):
        try:
            requests.post(f"{chaos.url}/orders/7/capture", json={"amount": 5}, timeout=5)
            break
        except requests.ConnectionError:
            time.sleep(1)
            requests.get(f"{chaos.url}/orders/7", timeout=5)

    assert "looked" in chaos.verify().of("ID01").reason
