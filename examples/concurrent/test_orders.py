"""Payments side by side, each with faults of its own."""

from __future__ import annotations

import asyncio

from examples.concurrent.orders import pay_in_tasks, pay_in_threads


def test_a_pool_of_threads(chaos):
    """Twenty orders on four threads: each meets the script from its first step, whoever comes first."""
    chaos.script("503, reset after-commit, ok", per="operation")

    payments = pay_in_threads(chaos.url, range(20))

    assert len(set(payments)) == len(chaos.ledger) == 20
    assert chaos.clock.elapsed == 15  # 1 s and 2 s for each order, five orders after one another on each thread
    chaos.verify()


def test_a_hundred_tasks(chaos):
    """Tasks of an event loop wait side by side; the loop is asyncio's own, and so is the client."""
    chaos.script("timeout, 503, ok", per="operation")

    payments = asyncio.run(pay_in_tasks(chaos.url, range(100)))

    assert len(set(payments)) == len(chaos.ledger) == 100
    assert 8 <= chaos.clock.elapsed < 8.1  # 5 s of silence, then 1 s and 2 s
    chaos.verify()
