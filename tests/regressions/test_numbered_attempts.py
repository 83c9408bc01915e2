"""A client that numbers its attempts in the body or the query, and one that numbers its calls: JSON-RPC."""

from __future__ import annotations

import itertools
import time

import pytest
import requests

from pytest_retrychaos import Chaos, LawsBroken


def send(url: str, body, path: str = "/messages", **fields: str) -> None:
    """Post until it is taken; body and path are made of the attempt's number."""
    for attempt in range(1, 4):
        try:
            if requests.post(url + path.format(attempt), json=body(attempt), headers=fields, timeout=5).ok:
                return
        except requests.ConnectionError:
            pass
        time.sleep(2**attempt)


COUNTED = [
    pytest.param(lambda number: {"to": "a", "attempt": number}, "/messages", id="body"),
    pytest.param(lambda number: {"to": "a", "retryCount": number - 1}, "/messages", id="camel case"),
    pytest.param(lambda _: {"to": "a"}, "/messages?attempt={}", id="query"),
]


@pytest.mark.parametrize(("body", "path"), COUNTED)
def test_a_counted_attempt_is_a_retry(chaos: Chaos, body, path: str) -> None:
    """It was not given up after the first."""
    chaos.script("503 x2, ok")

    send(chaos.url, body, path)

    assert len(chaos.operations) == 1
    chaos.verify()


@pytest.mark.parametrize(("body", "path"), COUNTED)
def test_a_counted_attempt_without_a_key_is_a_second_message(chaos: Chaos, body, path: str) -> None:
    """The number hides nothing."""
    chaos.script("reset after-commit, ok")

    send(chaos.url, body, path)

    with pytest.raises(LawsBroken, match="ID01, ID04 broken"):
        chaos.verify()


def answer(request):
    """Answer a call, or each of a batch, under its id."""
    sent = request.json()
    if isinstance(sent, list):
        return 200, [{"jsonrpc": "2.0", "id": one["id"], "result": 1} for one in sent]
    return 200, {"jsonrpc": "2.0", "id": sent["id"], "result": 1}


def call(is_batch: bool = False):
    """Make calls, the next number for each of them."""
    numbers = itertools.count(7)

    def body(_: int) -> object:
        calls = [{"jsonrpc": "2.0", "id": next(numbers), "method": "pay", "params": [5]} for _ in range(2)]
        return calls if is_batch else calls[0]

    return body


@pytest.mark.parametrize("is_batch", [True, False])
@pytest.mark.parametrize("script", ["503, ok", "reset, ok"])
def test_a_call_that_is_made_again_has_another_id(chaos: Chaos, script: str, is_batch: bool) -> None:
    """A read, as most calls of a node are."""
    chaos.service.route("POST", "/rpc", answer, effect=False)
    chaos.script(script)

    send(chaos.url, call(is_batch), "/rpc")

    assert len(chaos.operations) == 1
    chaos.verify()


@pytest.mark.parametrize("body", [call(), lambda _: {"jsonrpc": "2.0", "id": 7, "method": "pay", "params": [5]}])
def test_the_id_of_a_call_is_no_key(chaos: Chaos, body) -> None:
    """Nor is it one of what the call creates, though the answer gives it back."""
    chaos.service.route("POST", "/rpc", answer)
    chaos.script("reset, ok")

    send(chaos.url, body, "/rpc")

    with pytest.raises(LawsBroken, match="ID01 no idempotency key: POST /rpc was sent again after reset without a key"):
        chaos.verify()


def test_another_call_is_another_operation(chaos: Chaos) -> None:
    """With other parameters."""
    chaos.service.route("POST", "/rpc", answer, effect=False)
    chaos.script("503, ok")
    for number in (1, 2):
        sent = {"jsonrpc": "2.0", "id": number, "method": "block", "params": [number]}
        requests.post(f"{chaos.url}/rpc", json=sent, timeout=5)

    with pytest.raises(LawsBroken, match="RT01"):
        chaos.verify()
