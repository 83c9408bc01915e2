"""A batch whose every item is tried with waits between, while no connection can be made: nothing has a path yet."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor

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


def send_in_rounds(url: str) -> None:
    """Send four items, and once more after a while those that could not be sent."""
    left = list(range(4))
    while left:
        left = [item for item in left if not send(url, item, waits=())]
        time.sleep(10)


@pytest.mark.chaos("refuse x4, ok", "refuse x3, ok", "refuse x2, ok", "down=25s")
def test_items_that_are_left_for_the_next_round_are_no_loop(chaos):
    """They were sent together once they could be: what was refused may have been each of them."""
    send_in_rounds(chaos.url)

    assert "row" in chaos.verify().of("BK01").reason


def send_by_the_hour(url: str, items: int) -> None:
    """Send items as each comes due, and put off what could not be sent by a wait of its own."""
    due = dict.fromkeys(range(items), 0.0)
    tries = dict.fromkeys(due, 0)
    while due:
        item = min(due, key=due.__getitem__)
        time.sleep(max(0.0, due[item] - time.monotonic()))
        if send(url, item, waits=()):
            del due[item]
            continue
        tries[item] += 1
        due[item] = time.monotonic() + min(60, 2 ** tries[item]) * random.uniform(0.5, 1)


@pytest.mark.chaos("refuse x3, ok", "refuse x2, ok", "down=5s", "down=40s")
def test_items_that_are_put_off_by_waits_of_their_own_are_no_loop(chaos):
    """Jitter spreads what was refused at one moment: they do not come together any more."""
    send_by_the_hour(chaos.url, items=3)

    assert "row" in chaos.verify().of("BK01").reason


def send_in_a_pool(url: str) -> None:
    """Send four items by two threads, in rounds."""
    left = list(range(4))
    with ThreadPoolExecutor(2) as pool:
        while left:
            sent = pool.map(lambda item: send(url, item, waits=()), left)
            left = [item for item, is_sent in zip(left, list(sent), strict=True) if not is_sent]
            time.sleep(10)


@pytest.mark.chaos("refuse x3, ok")
def test_a_loop_without_waits_in_every_round_is_told(chaos):
    """Each round sends the same four items: none of them had been left."""
    for _ in range(2):
        send_all(chaos.url, waits=(0, 0, 0))
        time.sleep(10)

    with pytest.raises(LawsBroken, match=r"BK01 no wait"):
        chaos.verify()


@pytest.mark.chaos("refuse x4, ok", "refuse x3, ok", "refuse x2, ok", "down=25s")
def test_the_next_item_of_a_pool_is_no_retry(chaos):
    """It is begun at the moment at which another one has failed."""
    send_in_a_pool(chaos.url)

    chaos.verify()


@pytest.mark.chaos("refuse x4")
def test_what_would_settle_it_is_said(chaos):
    """Four items or one: nothing came later to tell by."""
    send_all(chaos.url, waits=())

    with pytest.raises(LawsBroken, match="different requests"):
        chaos.verify()


def send_soon(url: str, item: int) -> bool:
    """Send one item, and wait a fifth of a second at most."""
    try:
        headers = {"Idempotency-Key": f"item-{item}"}
        return requests.post(f"{url}/payments", json={"item": item}, headers=headers, timeout=0.2).ok
    except requests.ConnectionError:
        return False


def send_rounds(url: str, items: int, wait: float) -> None:
    """Send items, each of which takes its time to fail, and again after a while those that could not be sent."""
    left = list(range(items))
    while left:
        left = [item for item in left if not send_soon(url, item)]
        time.sleep(wait)


@pytest.mark.chaos("connect-timeout x4, ok", "connect-timeout x3, refuse, ok", "connect-timeout x3, ok")
def test_items_that_wait_for_a_connection_in_vain_are_a_row_too(chaos):
    """The next one follows at once."""
    send_rounds(chaos.url, items=4, wait=10)

    assert "BK01" in [result.code for result in chaos.verify().does_not_apply]


@pytest.mark.chaos("connect-timeout x4, ok", "connect-timeout x3, 503, ok", "connect-timeout x2, refuse x2, ok")
def test_one_item_that_waits_for_a_connection_in_vain_is_no_row(chaos):
    """A loop without waits, in which one request is sent in the end."""
    send_rounds(chaos.url, items=1, wait=0)

    with pytest.raises(LawsBroken, match=r"^BK01 "):
        chaos.verify()
