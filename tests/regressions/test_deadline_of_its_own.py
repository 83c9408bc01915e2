"""A deadline of the code's own around its retry loop: the server asks for a longer wait than it has."""

from __future__ import annotations

import asyncio

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
