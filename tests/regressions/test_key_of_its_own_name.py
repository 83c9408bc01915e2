"""A service that knows an order by a name of its own, and a client that sends it along with each attempt."""

from __future__ import annotations

import dataclasses
import time

import pytest
import requests

from pytest_retrychaos import LawsBroken

SEEN: dict[str, bytes] = {}


def shop(environ, start_response):
    """Takes each order once, whatever comes again."""
    number = environ["HTTP_X_ORDER_REF"]
    SEEN.setdefault(number, environ["wsgi.input"].read())
    start_response("201 Created", [])
    return [b"{}"]


def order(url):
    """Order tea, twice at most."""
    for _ in range(2):
        try:
            return requests.post(f"{url}/orders", json={"tea": 2}, headers={"X-Order-Ref": "o-1"}, timeout=5)
        except requests.ConnectionError:
            time.sleep(1)
    return None


@pytest.mark.chaos("reset after-commit, ok")
@pytest.mark.parametrize("is_named", [True, False])
def test_an_app_that_keeps_keys_of_its_own_name(chaos, is_named):
    """Where it is not said, nothing on the wire tells a retry from a second order."""
    SEEN.clear()
    chaos.service.mount(shop, idempotency="own", effects=lambda: len(SEEN))
    if is_named:
        chaos.service.idempotency = dataclasses.replace(chaos.service.idempotency, carriers=("X-Order-Ref",))

    order(chaos.url)

    if is_named:
        chaos.verify()
    else:
        with pytest.raises(LawsBroken, match=r"^ID01 "):
            chaos.verify()


@pytest.mark.chaos("reset after-commit, ok")
def test_our_layer_keeps_them_too(chaos):
    """The second attempt is answered with what the first was, and a second payload is refused."""
    chaos.service.idempotency = dataclasses.replace(chaos.service.idempotency, carriers=("X-Order-Ref",))

    order(chaos.url)

    assert [(one.key_carrier, one.replayed) for one in chaos.attempts] == [
        ("X-Order-Ref", False),
        ("X-Order-Ref", True),
    ]
    assert len(chaos.ledger) == 1
    chaos.verify()
