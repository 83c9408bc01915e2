"""A service that is down is left alone: first retries, then a circuit breaker, and a budget for all of them."""

from __future__ import annotations

import requests

from pytest_retrychaos.engine import Attempt, CircuitBreaker, Retry, RetryBudget, exponential, this_attempt

PAYMENTS = CircuitBreaker(threshold=4, cooldown=30, name="payments")
POLICY = Retry(
    attempts=6,
    backoff=exponential(base=0.5, cap=10),
    breaker=PAYMENTS,
    budget=RetryBudget(ratio=0.1, per_second=1),
)


@POLICY
def charge(url: str, amount: int, *, attempt: Attempt = this_attempt) -> dict[str, object]:
    """Charge once, whatever happens on the way: the key is the same on every attempt."""
    headers = {"Idempotency-Key": attempt.idempotency_key}
    response = requests.post(f"{url}/payments", json={"amount": amount}, headers=headers, timeout=10)
    response.raise_for_status()
    payment: dict[str, object] = response.json()
    return payment
