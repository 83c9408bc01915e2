"""A body that is serialised again for the retry, with values that Python takes for equal and the service does not."""

from __future__ import annotations

import time

import pytest
import requests

from pytest_retrychaos import LawsBroken


def send(url: str, *bodies: str) -> int:
    """Send these bodies under one key, until one is answered."""
    headers = {"Idempotency-Key": "k1", "Content-Type": "application/json"}
    for body in bodies:
        try:
            return requests.post(f"{url}/payments", data=body, headers=headers, timeout=5).status_code
        except requests.ConnectionError:
            time.sleep(1)
    raise AssertionError("no answer")


@pytest.mark.chaos("reset after-commit, ok")
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("10", "10.0"),
        ("true", "1"),
        ('{"of": 1}, "nonce": "nonce-1"', '{"of": 1.0}, "nonce": "nonce-2"'),
        ('10, "timestamp": 1767225600', '10.0, "timestamp": 1767225601'),
    ],
)
def test_another_spelling_of_a_value_is_another_body(chaos, first, second):
    """The service refuses the retry: its key was used with another payload."""
    assert send(chaos.url, f'{{"amount": {first}}}', f'{{"amount": {second}}}') == 422

    with pytest.raises(LawsBroken, match=r"^RT04 another request: .* a value of its body spelled otherwise"):
        chaos.verify()


@pytest.mark.chaos("reset after-commit, ok")
@pytest.mark.parametrize(
    "second", ['{"b":2, "a":1, "nonce":"nonce-2"}', '{ "a": 1, "b": 2, "nonce": "nonce-1" }'], ids=["order", "space"]
)
def test_another_order_or_space_is_the_same_body(chaos, second):
    """Nor is a nonce."""
    send(chaos.url, '{"a": 1, "b": 2, "nonce": "nonce-1"}', second)

    assert chaos.verify().of("RT04").ruling.value == "held"
