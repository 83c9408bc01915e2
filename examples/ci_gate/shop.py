"""A shop's client of a payment service. Paying is right; a refund has one mistake, which the team knows of."""

from __future__ import annotations

import time
import uuid

import requests

ATTEMPTS = 3


def pay(url: str, *, order: str, amount: int) -> dict[str, object]:
    """Pay an order, once, whatever happens on the way."""
    return _post(f"{url}/payments", {"order": order, "amount": amount}, {"Idempotency-Key": str(uuid.uuid4())})


def refund(url: str, *, order: str) -> dict[str, object]:
    """Refund an order. There is no idempotency key yet: a lost answer refunds twice."""
    return _post(f"{url}/refunds", {"order": order}, {})


def _post(url: str, body: dict[str, object], headers: dict[str, str]) -> dict[str, object]:
    for attempt in range(1, ATTEMPTS + 1):
        wait = 2.0**attempt
        try:
            answer = requests.post(url, json=body, headers=headers, timeout=5)
        except (requests.ConnectionError, requests.Timeout):
            if attempt == ATTEMPTS:
                raise
        else:
            if answer.status_code < 500 or attempt == ATTEMPTS:
                answer.raise_for_status()
                return dict(answer.json())
            wait = max(wait, float(answer.headers.get("Retry-After", 0)))
        time.sleep(wait)
    raise AssertionError("a loop that ends above")
