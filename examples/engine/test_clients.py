"""The clients under faults: one key, one effect, and no false word to the caller."""

from __future__ import annotations

import asyncio

import pytest

from examples.engine.clients import POLICY, aiohttp_session, async_client, client, session
from pytest_retrychaos.engine import OutcomeUnknown


async def by_async_httpx(url):
    """Pay by httpx's async client."""
    async with async_client() as paying:
        return await paying.post(url, json={"amount": 1000})


async def by_aiohttp(url):
    """Pay by aiohttp."""
    async with aiohttp_session() as paying, paying.post(url, json={"amount": 1000}) as response:
        return await response.json()


def pay(chaos, how):
    """Pay by one of the clients."""
    url = f"{chaos.url}/payments"
    if how in (by_async_httpx, by_aiohttp):
        return asyncio.run(chaos.call_async(how, url))
    return chaos.call(how.post, url, json={"amount": 1000}, timeout=10)


CLIENTS = [session, client, by_async_httpx, by_aiohttp]


@pytest.mark.parametrize("how", CLIENTS)
def test_a_lost_answer_charges_once(chaos, how):
    """The adapter makes the key, and keeps it."""
    chaos.script("503 retry-after=2, reset after-commit, ok")

    pay(chaos, how)

    assert len(chaos.ledger) == 1
    chaos.verify(POLICY)


@pytest.mark.parametrize("how", CLIENTS)
def test_a_refusal_after_a_lost_answer_is_an_unknown_outcome(chaos, how):
    """The first attempt was carried out: whoever heard 400 would pay again."""
    chaos.script("reset after-commit, 400")

    with pytest.raises(OutcomeUnknown):
        pay(chaos, how)

    chaos.verify(POLICY)
