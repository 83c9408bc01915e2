"""Exploring: histories a minute, and whether one costs more the more there have been."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import httpx
import requests

from pytest_retrychaos import Chaos
from pytest_retrychaos.clock.cpython import real_twin
from pytest_retrychaos.engine import Retry
from pytest_retrychaos.fuzz.faultlist import read_faults
from pytest_retrychaos.fuzz.history import History
from pytest_retrychaos.fuzz.playing import Test
from pytest_retrychaos.fuzz.search import Search

NOW = real_twin(time.process_time)
RETRY = Retry(attempts=3)
KEY = {"Idempotency-Key": "order-7"}


def by_requests(chaos: Chaos) -> None:
    """Charge through requests, in a session of its own."""
    RETRY.call(requests.post, f"{chaos.url}/payments", json={"amount": 1}, headers=KEY, timeout=10)


def by_httpx(chaos: Chaos) -> None:
    """Charge through httpx on asyncio, with certificates that are loaded once."""

    async def charge() -> None:
        async with httpx.AsyncClient(timeout=10, verify=False) as client:
            await RETRY.call_async(client.post, f"{chaos.url}/payments", json={"amount": 1}, headers=KEY)

    asyncio.run(charge())


def explored() -> list[str]:
    """Explore a right client to a depth of two, by halves."""
    lines = ["| client | histories | a minute | the first 200, each | the last 200, each |", "|---|---|---|---|---|"]
    for name, client in (("requests", by_requests), ("httpx, asyncio", by_httpx)):
        spent = _times(client)
        first, last = sum(spent[:200]) / 200 * 1e3, sum(spent[-200:]) / 200 * 1e3
        lines.append(f"| {name} | {len(spent)} | {60 * len(spent) / sum(spent):.0f} | {first:.1f} ms | {last:.1f} ms |")
    return lines


def _times(client: Callable[[Chaos], None]) -> list[float]:
    spent: list[float] = []
    test = Test(client, client.__code__, "benchmark", {"seed": 1, "entropy": "seeded"})

    def play(history: History) -> object:
        began = NOW()
        played = test.play(history)
        spent.append(NOW() - began)
        return played

    found = Search(play, read_faults("default"), 2, lambda _: False).run(test.play(History()))  # type: ignore[arg-type]
    assert not found.worst, found.worst
    return spent


SECTIONS = {
    "Exploring": (
        explored,
        "3 000 histories a minute for a requests client at depth 2, at a cost that does not grow.",
        "",
    )
}
