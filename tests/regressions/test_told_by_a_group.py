"""Tasks in a group fail by a group of exceptions: what its caller is told stands in it."""

from __future__ import annotations

import asyncio

import anyio
import httpx
import pytest
import trio

from pytest_retrychaos import LawsBroken


class Declined(Exception):
    """What this code says where a payment was not made."""


async def pay(url, sleep):
    """Pay in three attempts; the last failure is raised as it is."""
    async with httpx.AsyncClient(timeout=5) as client:
        for wait in (1, 2, None):
            try:
                answer = await client.post(f"{url}/payments", json={}, headers={"Idempotency-Key": "order-7"})
                answer.raise_for_status()
                return
            except httpx.HTTPError:
                if wait is None:
                    raise
            await sleep(wait)


async def by_asyncio(*works):
    """Do it in a group of tasks."""
    async with asyncio.TaskGroup() as group:
        for work in works:
            group.create_task(work())


async def by_anyio(*works):
    """Do it in a group inside another."""
    async with anyio.create_task_group() as outer, anyio.create_task_group() as inner:
        for number, work in enumerate(works):
            (inner if number else outer).start_soon(work)


async def by_trio(*works):
    """Do it in a nursery."""
    async with trio.open_nursery() as nursery:
        for work in works:
            nursery.start_soon(work)


GROUPS = {"asyncio": (asyncio.run, by_asyncio), "anyio": (asyncio.run, by_anyio), "trio": (trio.run, by_trio)}
LOST = ("timeout after-commit x3", "reset after-commit x3", "502 after-commit x3")


@pytest.mark.parametrize("how", GROUPS)
@pytest.mark.parametrize("others", [False, True])
@pytest.mark.chaos(*LOST)
def test_who_is_told_of_the_lost_answer_knows_enough(chaos, how, others):
    """Alone in its group, or beside another that fails."""
    run, group = GROUPS[how]

    async def fails():
        try:
            await anyio.sleep(60)
        finally:
            raise Declined("another")

    async def code():
        await group(lambda: pay(chaos.url, anyio.sleep), *[fails] * others)

    with pytest.raises(ExceptionGroup):
        run_in(run, chaos, code)

    chaos.verify()


def run_in(run, chaos, code):
    """Make the call on a loop of its own."""

    async def main():
        await chaos.call_async(code)

    run(main) if run is trio.run else run(main())


@pytest.mark.parametrize("how", GROUPS)
@pytest.mark.chaos(*LOST)
def test_who_is_told_of_a_failure_is_not(chaos, how):
    """Nothing in the group says that it may have been made."""
    run, group = GROUPS[how]

    async def declines():
        try:
            await pay(chaos.url, anyio.sleep)
        except httpx.HTTPError:
            raise Declined("declined") from None

    async def code():
        await group(declines)

    with pytest.raises(ExceptionGroup):
        run_in(run, chaos, code)

    with pytest.raises(LawsBroken, match="ID05 false failure"):
        chaos.verify()


@pytest.mark.parametrize("how", GROUPS)
@pytest.mark.chaos('503 retry-after="soon", ok', strict=False)
def test_a_loop_that_breaks_in_a_group_has_broken(chaos, how):
    """It is no other error for the group that it comes in."""
    run, group = GROUPS[how]

    async def reads():
        async with httpx.AsyncClient(timeout=5) as client:
            answer = await client.get(f"{chaos.url}/rates")
            await anyio.sleep(int(answer.headers["Retry-After"]))

    async def code():
        await group(reads)

    with pytest.raises(ExceptionGroup):
        run_in(run, chaos, code)

    with pytest.raises(LawsBroken, match=r"RT06 .* ValueError"):
        chaos.verify()
