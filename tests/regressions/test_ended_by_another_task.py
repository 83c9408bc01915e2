"""Requests side by side, each of which is retried, until one of them fails for good and ends the others."""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor

import anyio
import httpx
import pytest
import requests
import trio

from pytest_retrychaos import LawsBroken


async def read(client, url, sleep):
    """Read one part, three times at most; what is refused is not asked for again."""
    for wait in (1, 2, None):
        try:
            answer = await client.get(url)
            answer.raise_for_status()
        except httpx.HTTPError as error:
            if wait is None or (isinstance(error, httpx.HTTPStatusError) and error.response.status_code == 404):
                raise
        else:
            return
        await sleep(wait)


async def in_a_group(url):
    """Cancels what is left once one has failed."""
    async with httpx.AsyncClient(timeout=5) as client, asyncio.TaskGroup() as group:
        for part in range(4):
            group.create_task(read(client, f"{url}/parts/{part}", asyncio.sleep))


async def gathered(url):
    """Leaves the others to the end of the loop."""
    async with httpx.AsyncClient(timeout=5) as client:
        await asyncio.gather(*(read(client, f"{url}/parts/{part}", asyncio.sleep) for part in range(4)))


async def in_a_nursery(url):
    """Cancels them, on trio."""
    async with httpx.AsyncClient(timeout=5) as client, trio.open_nursery() as nursery:
        for part in range(4):
            nursery.start_soon(read, client, f"{url}/parts/{part}", trio.sleep)


@pytest.mark.chaos("503 x3, 404, ok", "reset, 404, ok", "timeout, 404, ok", strict=False)
@pytest.mark.parametrize("is_seen", [True, False], ids=["told", "untold"])
@pytest.mark.parametrize("client", [in_a_group, gathered, in_a_nursery])
def test_what_another_task_ended_was_not_given_up(chaos, client, is_seen):
    """It waited for its retry, or for its answer."""
    run = trio.run if client is in_a_nursery else lambda function, *args: asyncio.run(function(*args))

    with pytest.raises((ExceptionGroup, httpx.HTTPStatusError)):
        run(chaos.call_async, client, chaos.url) if is_seen else run(client, chaos.url)

    chaos.verify()


def all_at_once(url):
    """Read each part once, by a pool of threads."""

    def once(part):
        requests.get(f"{url}/parts/{part}", timeout=5).raise_for_status()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(once, range(4)))


@pytest.mark.chaos("503 *", "reset *", "timeout *")
def test_that_the_others_were_given_up_too_excuses_nothing(chaos):
    """None is retried, and all fail alike."""
    with pytest.raises(requests.RequestException):
        chaos.call(all_at_once, chaos.url)

    with pytest.raises(LawsBroken, match=r"^RT01 "):
        chaos.verify()


async def race(url, *, retries=True):
    """Ask two at once, and cancel the one that is not first."""
    async with httpx.AsyncClient(timeout=5) as client:
        ask = read if retries else read_once
        asked = {asyncio.create_task(ask(client, f"{url}/{name}", asyncio.sleep)) for name in ("near", "far")}
        try:
            while asked:
                done, asked = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
                if any(task.exception() is None for task in done):
                    return
        finally:
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)


async def read_once(client, url, _):
    """Read, and raise what is no success."""
    (await client.get(url)).raise_for_status()


@pytest.mark.chaos("503, ok", "timeout, ok", "ok, 503 retry-after=9")
def test_the_loser_of_a_race_was_not_given_up(chaos):
    """It was cancelled while it waited for its retry, or for its answer."""
    asyncio.run(race(chaos.url))

    assert "cancelled" in chaos.verify().of("RT01").reason


@pytest.mark.chaos("503, slow=1s, ok")
def test_one_that_had_ended_before_was(chaos):
    """There was nothing left to cancel."""
    asyncio.run(race(chaos.url, retries=False))

    with pytest.raises(LawsBroken, match=r"^RT01 "):
        chaos.verify()


async def within(deadline, awaitable):
    """Wait for no longer than that."""
    if hasattr(deadline, "__aenter__"):
        async with deadline:
            await awaitable
    else:
        with deadline:
            await awaitable


@pytest.mark.chaos("timeout, ok")
@pytest.mark.parametrize("deadline", [asyncio.timeout, anyio.fail_after])
def test_a_deadline_of_its_own_on_a_request_is_no_cancellation(chaos, deadline):
    """It is a timeout like any other."""

    async def once():
        async with httpx.AsyncClient(timeout=None) as client:
            with contextlib.suppress(TimeoutError):
                await within(deadline(3), client.get(f"{chaos.url}/rates"))

    asyncio.run(once())

    with pytest.raises(LawsBroken, match=r"^RT01 "):
        chaos.verify()


@pytest.mark.chaos("timeout, ok")
def test_nor_is_wait_for(chaos):
    """Though it makes a task of what it waits for (Python 3.11)."""

    async def once():
        async with httpx.AsyncClient(timeout=None) as client:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(client.get(f"{chaos.url}/rates"), 3)

    asyncio.run(once())

    with pytest.raises(LawsBroken, match=r"^RT01 "):
        chaos.verify()


@pytest.mark.chaos("timeout, ok")
@pytest.mark.parametrize("within", [trio.move_on_after, trio.fail_after])
def test_nor_is_a_deadline_of_trio(chaos, within):
    """Nor the end of its run, which cancels what is left of it."""

    async def once():
        async with httpx.AsyncClient(timeout=None) as client:
            with contextlib.suppress(trio.TooSlowError), within(3):
                await client.get(f"{chaos.url}/rates")

    trio.run(once)

    with pytest.raises(LawsBroken, match=r"^RT01 "):
        chaos.verify()
