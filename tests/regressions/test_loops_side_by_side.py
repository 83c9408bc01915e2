"""Equal requests of loops side by side, each attempt a task of its own: none goes on with what another's has left."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import httpx
import pytest
import requests

from pytest_retrychaos import LawsBroken

Send = Callable[[str], Awaitable[httpx.Response | requests.Response]]


async def by_httpx(url: str) -> httpx.Response:
    async with httpx.AsyncClient(timeout=5) as client:
        return await asyncio.create_task(client.post(url, json={"amount": 1}))


async def by_requests(url: str) -> requests.Response:
    return await asyncio.create_task(asyncio.to_thread(requests.post, url, json={"amount": 1}, timeout=5))


async def pay(send: Send, url: str, turn: asyncio.Semaphore, *, obeys: bool = True) -> None:
    """Pay once; what was refused, or turned away by 503, is tried again."""
    for number in range(6):
        wait = 2.0**number
        with contextlib.suppress(httpx.ConnectError, requests.ConnectionError):
            async with turn:
                answer = await send(f"{url}/payments")
            if answer.status_code != 503:
                return
            wait = max(wait, float(answer.headers.get("Retry-After", 0)) if obeys else 0.0)
        await asyncio.sleep(wait)


@pytest.mark.parametrize("send", [by_httpx, by_requests])
@pytest.mark.parametrize("width", [1, 2])
@pytest.mark.chaos("503 retry-after=9, ok", "refuse, 503 retry-after=9, ok", loop="asyncio")
async def test_customers_who_take_turns_are_told_apart(chaos, send, width):
    """The next one's first attempt is begun after the failure of one who waits."""
    turn = asyncio.Semaphore(width)
    await asyncio.gather(*(pay(send, chaos.url, turn) for _ in range(3)))

    assert len(chaos.ledger) == len(chaos.operations) == 3
    chaos.verify()


@pytest.mark.parametrize("send", [by_httpx, by_requests])
@pytest.mark.chaos("503 retry-after=9, ok", loop="asyncio")
async def test_one_of_them_who_does_not_wait_is_told(chaos, send):
    """What another has sent meanwhile does not hide it."""
    turn = asyncio.Semaphore(1)
    await asyncio.gather(*(pay(send, chaos.url, turn, obeys=False) for _ in range(3)))

    with pytest.raises(LawsBroken, match=r"^BK04 .* again after 1 s, 9 s were asked for"):
        chaos.verify()
