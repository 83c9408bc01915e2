"""Concurrent tests under several seeds: other orders, the same operations and the same verdict."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import requests

from pytest_retrychaos import Chaos

CUSTOMERS = 12
SEEDS = range(5)


def fields(number: int) -> dict[str, str]:
    return {"Idempotency-Key": f"customer-{number}-order-0001"}


def by_threads(url: str) -> None:
    def charge(number: int) -> None:
        for tried in range(4):
            try:
                answer = requests.post(url + "/charges", json={"customer": number}, headers=fields(number), timeout=5)
                if answer.ok:
                    return
            except requests.RequestException:
                pass
            time.sleep(2.0**tried)

    with ThreadPoolExecutor(CUSTOMERS) as workers:
        list(workers.map(charge, range(CUSTOMERS)))


def by_tasks(url: str) -> None:
    async def charge(client: httpx.AsyncClient, number: int) -> None:
        for tried in range(4):
            try:
                answer = await client.post(url + "/charges", json={"customer": number}, headers=fields(number))
                if answer.is_success:
                    return
            except httpx.HTTPError:
                pass
            await asyncio.sleep(2.0**tried)

    async def main() -> None:
        async with httpx.AsyncClient(timeout=5) as client:
            await asyncio.gather(*(charge(client, number) for number in range(CUSTOMERS)))

    asyncio.run(main())


def run(drive: Callable[[str], None], seed: int) -> Chaos:
    with Chaos(seed=seed) as chaos:
        chaos.script("503, reset after-commit, timeout, ok", per="operation")
        drive(chaos.url)
        chaos.verify()
    return chaos


def order(chaos: Chaos) -> list[int]:
    """The customers, as their attempts began."""
    return [json.loads(attempt.body.start)["customer"] for attempt in chaos.attempts]


def story(chaos: Chaos) -> dict[int, list[tuple[str | None, float, float | None]]]:
    """What each customer's attempts met, and when."""
    found: dict[int, list[tuple[str | None, float, float | None]]] = {}
    for attempt in chaos.attempts:
        customer = json.loads(attempt.body.start)["customer"]
        found.setdefault(customer, []).append((attempt.fault, attempt.started, attempt.ended))
    return found


@pytest.mark.parametrize("drive", [by_threads, by_tasks])
def test_per_operation_scripts_make_a_test_independent_of_order(drive: Callable[[str], None]) -> None:
    """The same attempts for each customer, and the same verdict, whoever comes first."""
    runs = [run(drive, seed) for seed in SEEDS]

    expected = [(fault, began) for fault, began, _ in story(runs[0])[0]]
    assert [fault for fault, _ in expected] == ["503", "reset after-commit", "timeout", "ok"]
    for chaos in runs:
        told = {customer: [(fault, began) for fault, began, _ in one] for customer, one in story(chaos).items()}
        assert told == dict.fromkeys(range(CUSTOMERS), expected)
        assert len(chaos.ledger) == CUSTOMERS
        assert chaos.verdict == runs[0].verdict


@pytest.mark.parametrize("drive", [by_threads, by_tasks])
def test_a_seed_gives_one_order_and_others_give_others(drive: Callable[[str], None]) -> None:
    """The order of the attempts in the trace says so; nothing else in it depends on the seed."""
    first, again = run(drive, 1), run(drive, 1)

    assert first.trace.to_json() == again.trace.to_json()
    assert len({tuple(order(run(drive, seed))) for seed in SEEDS}) > 1
