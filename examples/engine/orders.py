"""One policy for functions, coroutines and blocks; what to retry, and one key for all attempts of a payment."""

from __future__ import annotations

import logging

import httpx

from pytest_retrychaos.engine import Attempt, Retry, Waiting, exponential, is_transient, this_attempt


def pending(outcome: object) -> bool | float:
    """Retry what is transient; an order that is not ready is asked for again after two seconds, at the earliest."""
    if isinstance(outcome, dict) and outcome["status"] == "pending":
        return 2.0
    return is_transient(outcome)


def count(event: Waiting) -> None:
    """Count retries, for the metrics."""
    logging.getLogger(__name__).debug("retry %d in %.1f s", event.number, event.seconds)


RETRY = Retry(attempts=5, backoff=exponential(0.5, cap=10), timeout=60, on=pending, before_wait=count)


@RETRY
async def status(client: httpx.AsyncClient, order: str) -> dict[str, str]:
    """Wait until an order is ready; on asyncio and on trio."""
    response = await client.get(f"/orders/{order}")
    response.raise_for_status()
    found: dict[str, str] = response.json()
    return found


@RETRY
def pay(client: httpx.Client, amount: int, *, attempt: Attempt = this_attempt) -> str:
    """Pay once: who asks for its attempt gets the operation's key and the time that is left."""
    headers = {"Idempotency-Key": attempt.idempotency_key}
    response = client.post("/payments", json={"amount": amount}, headers=headers, timeout=attempt.within(10))
    response.raise_for_status()
    return str(response.json()["id"])


def cancel(client: httpx.Client, order: str) -> None:
    """Cancel an order: a block is retried by a loop, in async code by `async for`."""
    for attempt in RETRY:
        with attempt:
            client.delete(f"/orders/{order}", timeout=attempt.within(10)).raise_for_status()
