"""An app of your own answers the `ok` steps, through every fault of the script."""

from __future__ import annotations

import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from examples.mounted_app.shop import app, orders


@pytest.fixture
def client():
    """A client that retries, a second apart."""
    orders.clear()
    session = requests.Session()
    retry = Retry(3, backoff_factor=1, status_forcelist=[503], allowed_methods=None)
    session.mount("http://", HTTPAdapter(max_retries=retry))
    return session


def is_new(_, response):
    """Whether an answer of the shop's is that of a new order."""
    return "X-Replayed" not in response.headers


@pytest.mark.chaos("503 retry-after=2, ok", "reset after-commit, ok", "timeout after-commit, eof after-commit, ok")
def test_the_shop_takes_an_order_once(chaos, client):
    """The app keeps its own keys: every request reaches it, and the second one has no effect."""
    chaos.service.mount(app, idempotency="own", effects={"POST /orders": is_new})

    client.post(f"{chaos.url}/orders", json={"tea": 2}, headers={"Idempotency-Key": "k1"}, timeout=5)

    assert list(orders.values()) == [{"number": 1, "tea": 2}]
    chaos.verify()


def test_a_search_may_be_sent_again(chaos, client):
    """Only ordering has effects, so a search needs no key."""
    chaos.service.mount(app, effects=["POST /orders"])
    chaos.script("reset after-commit, ok")

    assert client.post(f"{chaos.url}/search", json={"tea": 2}, timeout=5).json() == []
    chaos.verify()
