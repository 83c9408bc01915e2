"""A client that looks whether its payment was made, makes it where it was not, and looks again."""

from __future__ import annotations

import asyncio
import contextlib
import time

import httpx
import pytest
import requests

from pytest_retrychaos import LawsBroken


def pay(url: str, *, writes: bool = True) -> object:
    """Make a payment under an id of its own; where no answer came, look whether it is there."""
    for wait in (1, 2, 4):
        if writes or wait == 1:
            with contextlib.suppress(requests.Timeout):
                answer = requests.post(f"{url}/payments", json={"id": "pay-7", "amount": 10}, timeout=5)
                if answer.ok:
                    return answer.json()
        time.sleep(wait)
        found = requests.get(f"{url}/payments/pay-7", timeout=5)
        if found.ok:
            return found.json()
    return None


@pytest.mark.chaos("timeout after-commit, 404, ok", "timeout, 404, timeout after-commit, ok")
def test_what_was_not_found_may_be_there_once_it_was_written(chaos):
    """The first 404 came before the second write, or before the first could be read."""
    assert pay(chaos.url)

    chaos.verify(only=("RT02",))


@pytest.mark.chaos("timeout after-commit, 404, ok")
def test_who_only_looks_again_is_told(chaos):
    """Nothing was written in between."""
    assert pay(chaos.url, writes=False)

    with pytest.raises(LawsBroken, match=r"^RT02 .* GET /payments/pay-7 was sent again after 404"):
        chaos.verify(only=("RT02",))


def read_with_notes(url: str) -> None:
    """Read a payment, and note elsewhere what was not found."""
    for _ in range(2):
        if requests.get(f"{url}/payments/pay-7", timeout=5).ok:
            break
        requests.post(f"{url}/notes", json={"missing": "pay-7"}, timeout=5)


@pytest.mark.chaos("404, ok")
def test_a_write_elsewhere_makes_nothing_be_found(chaos):
    """A note about it is not it."""
    read_with_notes(chaos.url)

    with pytest.raises(LawsBroken, match=r"^RT02 "):
        chaos.verify(only=("RT02",))


@pytest.mark.chaos("404, ok")
@pytest.mark.parametrize("method", ["DELETE", "POST"])
def test_what_writes_nothing_makes_nothing_be_found(chaos, method):
    """It is taken away, or what was sent is refused."""
    if method == "POST":
        chaos.service.route("POST", "/payments/pay-7", lambda _: (422, {}))

    def read() -> None:
        for _ in range(2):
            if requests.get(f"{chaos.url}/payments/pay-7", timeout=5).ok:
                break
            requests.request(method, f"{chaos.url}/payments/pay-7", json={}, timeout=5)

    read()

    with pytest.raises(LawsBroken, match=r"^RT02 "):
        chaos.verify(only=("RT02",))


@pytest.mark.chaos("404, ok", loop="asyncio")
async def test_another_task_may_have_written(chaos):
    """A reader that is told by an event; each request is made by a task of its own."""
    looked, written = asyncio.Event(), asyncio.Event()

    async def send(client: httpx.AsyncClient, method: str) -> int:
        return (await asyncio.create_task(client.request(method, "/items/7"))).status_code

    async def read(client: httpx.AsyncClient) -> None:
        if await send(client, "GET") == 404:
            looked.set()
            await written.wait()
            await send(client, "GET")

    async def write(client: httpx.AsyncClient) -> None:
        await looked.wait()
        await send(client, "PUT")
        written.set()

    async with httpx.AsyncClient(base_url=chaos.url, timeout=5) as client, asyncio.TaskGroup() as group:
        group.create_task(read(client))
        group.create_task(write(client))

    assert "RT02" in [result.code for result in chaos.verify().does_not_apply]
