"""A batch whose every item is tried with waits between, while no connection can be made: nothing has a path yet."""

from __future__ import annotations

import time

import pytest
import requests

from pytest_retrychaos import LawsBroken


def send(url: str, item: int, waits: tuple[int, ...]) -> bool:
    """Send one item, and try again after each of the waits."""
    for wait in (*waits, None):
        try:
            headers = {"Idempotency-Key": f"item-{item}"}
            return requests.post(f"{url}/payments", json={"item": item}, headers=headers, timeout=5).ok
        except requests.ConnectionError:
            if wait is not None:
                time.sleep(wait)
    return False


def send_all(url: str, waits: tuple[int, ...]) -> list[bool]:
    """Send four items, one after the other."""
    return [send(url, item, waits) for item in range(4)]


@pytest.mark.chaos("refuse x9, ok")
def test_the_next_item_of_a_batch_needs_no_wait(chaos):
    """Three attempts each with waits between: where one item ends and the next begins cannot be seen."""
    assert send_all(chaos.url, waits=(1, 2)) == [False, False, False, True]

    chaos.verify()


@pytest.mark.chaos("refuse x9, ok")
def test_a_loop_without_waits_is_told(chaos):
    """Nor does it help that nothing was sent."""
    send_all(chaos.url, waits=(0, 0))

    with pytest.raises(LawsBroken, match=r"^BK01 "):
        chaos.verify()
