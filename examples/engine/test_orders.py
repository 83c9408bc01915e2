"""The forms of retrying, each under faults."""

from __future__ import annotations

import asyncio

import httpx
import pytest
import trio

from examples.engine.orders import RETRY, cancel, pay, status


def ready_after(polls):
    """Serve an order that is pending at first."""
    states = iter(["pending"] * polls)
    return lambda _: {"status": next(states, "ready")}


@pytest.mark.parametrize("run", [lambda main: asyncio.run(main()), trio.run], ids=["asyncio", "trio"])
def test_an_order_is_waited_for_on_asyncio_and_on_trio(chaos, run):
    """Two seconds at least between the polls."""
    chaos.service.route("GET", "/orders/7", ready_after(2))

    async def main():
        async with httpx.AsyncClient(base_url=chaos.url) as client:
            return await status(client, "7")

    assert run(main) == {"status": "ready"}
    assert chaos.clock.elapsed >= 4


def test_a_payment_has_one_key(chaos):
    """Three attempts, one effect."""
    chaos.script("timeout after-commit, 503, ok")
    with httpx.Client(base_url=chaos.url) as client:
        assert chaos.call(pay, client, 1000)
    assert len(chaos.ledger) == 1
    chaos.verify(RETRY)


def test_a_block_is_retried(chaos):
    """The connection was refused."""
    chaos.service.route("DELETE", "/orders/7", lambda _: (204, None))
    chaos.script("refuse, reset, ok")
    with httpx.Client(base_url=chaos.url) as client:
        chaos.call(cancel, client, "7")
    chaos.assert_attempts(3)
    chaos.verify(RETRY)
