"""A deadline of the code's own around its retry loop: the server asks for a longer wait than it has."""

from __future__ import annotations

import asyncio
import contextlib

import httpx
import pytest

from pytest_retrychaos import LawsBroken


async def fetch(url: str, *, within: float, retries: bool = True) -> None:
    """Read, as often as the time allows."""
    async with httpx.AsyncClient(timeout=5) as client, asyncio.timeout(within):
        while True:
            answer = await client.get(f"{url}/rates")
            if answer.is_success or not retries:
                return answer.raise_for_status()
            await asyncio.sleep(float(answer.headers.get("Retry-After", 1)))


@pytest.mark.chaos("503 retry-after=30")
def test_it_need_not_retry_what_its_own_deadline_has_ended(chaos):
    """It was waiting for its retry."""
    with pytest.raises(TimeoutError):
        asyncio.run(chaos.call_async(fetch, chaos.url, within=12))

    assert chaos.verify().of("RT01").reason == "a deadline of the code's own ended it while it waited"


@pytest.mark.chaos("503 retry-after=30")
def test_who_gives_up_at_once_has_not_waited(chaos):
    """The deadline had nothing to do with it."""
    with pytest.raises(httpx.HTTPStatusError):
        asyncio.run(chaos.call_async(fetch, chaos.url, within=12, retries=False))

    with pytest.raises(LawsBroken, match=r"^RT01 "):
        chaos.verify()


async def _wrapped(url):
    try:
        return await fetch(url, within=12)
    except TimeoutError as error:
        raise RuntimeError("unknown") from error


async def _as_a_value(url):
    try:
        return await fetch(url, within=12)
    except TimeoutError:
        return None


@pytest.mark.parametrize("work", [_wrapped, _as_a_value])
@pytest.mark.parametrize("is_called", [True, False], ids=["by chaos.call_async", "plain"])
@pytest.mark.chaos("503 retry-after=30")
def test_however_it_tells_that(chaos, work, is_called):
    """The deadline was seen where it struck."""
    with contextlib.suppress(RuntimeError):
        asyncio.run(chaos.call_async(work, chaos.url) if is_called else work(chaos.url))

    assert chaos.verify().of("RT01").reason.startswith("the code itself ended the worker's wait")


@pytest.mark.chaos("timeout")
def test_a_limit_of_the_attempt_itself_is_none(chaos):
    """Nobody waited for a retry."""

    async def ask():
        async with httpx.AsyncClient(timeout=None) as client:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(5):
                    await client.get(chaos.url)

    asyncio.run(ask())
    with pytest.raises(LawsBroken, match=r"^RT01 "):
        chaos.verify()
