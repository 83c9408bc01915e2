"""Two ways to pay many orders side by side: in threads and in tasks."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import httpx
import requests

ATTEMPTS = 5


def pay_in_threads(url: str, orders: Iterable[int]) -> list[str]:
    """Pay orders in a pool of four threads."""
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda order: _pay(url, order), orders))


def _pay(url: str, order: int) -> str:
    key = {"Idempotency-Key": str(uuid.uuid4())}
    for attempt in range(ATTEMPTS):
        try:
            answer = requests.post(f"{url}/payments", json={"order": order}, headers=key, timeout=5)
            answer.raise_for_status()
        except requests.RequestException:
            if attempt == ATTEMPTS - 1:
                raise
            time.sleep(2**attempt)
        else:
            break
    return str(answer.json()["id"])


async def pay_in_tasks(url: str, orders: Iterable[int]) -> list[str]:
    """Pay every order in a task of its own."""
    async with httpx.AsyncClient(timeout=5) as client:
        return await asyncio.gather(*[_pay_async(client, url, order) for order in orders])


async def _pay_async(client: httpx.AsyncClient, url: str, order: int) -> str:
    key = {"Idempotency-Key": str(uuid.uuid4())}
    for attempt in range(ATTEMPTS):
        try:
            answer = await client.post(f"{url}/payments", json={"order": order}, headers=key)
            answer.raise_for_status()
        except httpx.HTTPError:
            if attempt == ATTEMPTS - 1:
                raise
            await asyncio.sleep(2**attempt)
        else:
            break
    return str(answer.json()["id"])
