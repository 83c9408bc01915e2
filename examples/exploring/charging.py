"""An ordinary test, run under every fault that could strike it. It fails on purpose: see README."""

from __future__ import annotations

import uuid

import requests

from pytest_retrychaos import chaos_explore
from pytest_retrychaos.engine import Retry


@Retry(attempts=3)
def charge(url: str, amount: int) -> dict[str, object]:
    """Charge a customer. What is wrong with it?"""
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    response = requests.post(f"{url}/payments", json={"amount": amount}, headers=headers, timeout=10)
    response.raise_for_status()
    payment: dict[str, object] = response.json()
    return payment


@chaos_explore
def test_a_customer_is_charged(chaos):
    charge(chaos.url, 1000)
