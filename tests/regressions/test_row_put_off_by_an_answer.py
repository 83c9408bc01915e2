"""A relay whose first item is told to wait, and whose next ones cannot be sent: they are other requests."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence

import httpx
import pytest
import requests

from pytest_retrychaos import LawsBroken


def relay(url: str, items: int, *, obeys: bool = True) -> None:
    """Send every item that is due, and put off what fails, each by as much as was asked for."""
    due = dict.fromkeys(range(items), 0.0)
    while due:
        for item in [item for item, at in due.items() if at <= time.monotonic()]:
            wait = 10.0
            try:
                headers = {"Idempotency-Key": f"item-{item}"}
                answer = requests.post(f"{url}/events", json={"item": item}, headers=headers, timeout=5)
                if answer.ok:
                    del due[item]
                    continue
                if obeys:
                    wait = float(answer.headers.get("Retry-After", wait))
            except requests.ConnectionError:
                pass
            due[item] = time.monotonic() + wait
        time.sleep(5)


@pytest.mark.chaos("429 retry-after=90, refuse, ok", "429 retry-after=90, down=30s", "503, refuse x3, ok")
def test_what_cannot_be_sent_meanwhile_is_not_the_item_that_waits(chaos):
    """The one that was asked to wait comes when it was asked to."""
    relay(chaos.url, items=4)

    assert chaos.verify()


@pytest.mark.chaos("429 retry-after=90, refuse, ok", "429 retry-after=90, down=30s")
def test_the_item_that_does_not_wait_is_told_all_the_same(chaos):
    """What was asked for holds until it is sent again."""
    relay(chaos.url, items=4, obeys=False)

    with pytest.raises(LawsBroken, match=r"^BK04 .* again after [13]0 s, 90 s were asked for"):
        chaos.verify()


@pytest.mark.chaos("503, refuse x3, ok", "503, refuse x2, 503, ok")
def test_a_loop_without_waits_whose_first_attempt_was_answered_is_told(chaos):
    """One request, again and again."""

    def send() -> None:
        for _ in range(9):
            try:
                if requests.put(f"{chaos.url}/events/1", json={}, timeout=5).ok:
                    return
            except requests.ConnectionError:
                pass

    send()

    with pytest.raises(LawsBroken, match=r"^BK01 "):
        chaos.verify()


def put(url: str, item: int, waits: Sequence[float]) -> None:
    """Send one item until it is taken, or there are no more waits."""
    for wait in waits:
        with contextlib.suppress(requests.ConnectionError):
            if requests.put(f"{url}/events/{item}", json={}, timeout=5).ok:
                return
        time.sleep(wait)


@pytest.mark.chaos("503 retry-after=date+30s, refuse x5, ok")
def test_who_comes_when_asked_and_finds_no_connection_may_come_late(chaos):
    """It backs off from then on; that another item follows later says nothing against it."""
    for item in range(2):
        put(chaos.url, item, waits=(30, 40, 60, 120, 240, 480, 0))

    assert chaos.verify()


@pytest.mark.chaos("503, refuse x3, ok", "503, refuse x2, 503, ok")
def test_other_items_afterwards_do_not_make_a_row_of_one_that_came_back(chaos):
    """A job every minute, the first of which is sent again without waits: a row would have each item once."""
    for item in range(5):
        put(chaos.url, item, waits=[0] * 9)
        time.sleep(60)

    with pytest.raises(LawsBroken, match=r"^BK01 "):
        chaos.verify()


@pytest.mark.chaos("503 retry-after=date+30s, refuse x3, ok", "refuse x2, 503, refuse, ok", loop="asyncio")
async def test_connections_of_a_task_for_each_attempt_belong_to_it(chaos):
    """A deadline around each attempt makes a task of it on CPython 3.11, which begins another to connect."""
    async with httpx.AsyncClient(base_url=chaos.url, timeout=5) as client:
        for wait in (30, 90, 300, 600, 0):
            with contextlib.suppress(httpx.TransportError):
                headers = {"Idempotency-Key": "event-1"}
                if (await asyncio.create_task(client.post("/events", json={}, headers=headers))).is_success:
                    break
            await asyncio.sleep(wait)

    assert len(chaos.operations) == 1
    chaos.verify()
