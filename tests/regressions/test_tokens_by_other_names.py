"""A token that has expired is fetched anew, under whatever name a provider wants it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import httpx
import pytest
import requests

from pytest_retrychaos import LawsBroken

NAMES = ("X-Vault-Token", "x-amz-access-token", "Private-Token", "X-Shopify-Access-Token", "X-CSRF-Token", "DD-API-KEY")


def pay(url: str, name: str, token: str) -> int:
    """Send a payment with a token."""
    headers = {name: token, "Idempotency-Key": "order-7"}
    return requests.post(f"{url}/payments", json={"amount": 10}, headers=headers, timeout=5).status_code


@pytest.mark.chaos("401, ok", "403, ok", "503, 401, ok", "401, ok, 503, ok")
@pytest.mark.parametrize("name", NAMES)
def test_a_token_is_fetched_anew_and_sent(chaos, name):
    """Two refusals are answered by a login; what else fails waits."""
    chaos.service.route("POST", "/login", lambda _: {"token": "new-token"}, effect=False)
    token = "old-token"
    while (status := pay(chaos.url, name, token)) != 201:
        if status == 503:
            time.sleep(2)
        else:
            token = requests.post(f"{chaos.url}/login", json={"user": 1}, timeout=5).json()["token"]

    chaos.verify()


@pytest.mark.chaos("401, ok")
@pytest.mark.parametrize("name", [*NAMES, "X-Amz-Client-Token", "X-Tenant"])
def test_the_same_token_again_after_a_refusal_is_told(chaos, name):
    """Nothing was done about the refusal."""
    for _ in range(2):
        pay(chaos.url, name, "old-token")
        time.sleep(1)

    with pytest.raises(LawsBroken, match=r"^RT02 "):
        chaos.verify()


@pytest.mark.chaos("503, ok")
@pytest.mark.parametrize("name", NAMES)
def test_another_token_after_another_failure_is_told(chaos, name):
    """A 503 says nothing against the token."""
    for token in ("token-of-one", "token-of-other"):
        pay(chaos.url, name, token)
        time.sleep(1)

    with pytest.raises(LawsBroken, match=r"^RT04 .* with another .* header"):
        chaos.verify()


@pytest.mark.chaos("401, ok", "403, ok")
@pytest.mark.parametrize(
    "name", ["X-Trace-Token", "X-Correlation-Token", "X-Transaction-Token", "Lock-Token", "X-Order-Token"]
)
def test_what_names_the_sending_is_no_login(chaos, name):
    """Another name of it, or of a lock, or another key, and who is calling is the same: it was refused already."""
    chaos.service.idempotency = replace(chaos.service.idempotency, carriers=("X-Order-Token",))
    for number in range(2):
        headers = {name: f"number-{number}", "Authorization": "Bearer of-one"}
        requests.put(f"{chaos.url}/payments/7", json={}, headers=headers, timeout=5)
        time.sleep(1)

    with pytest.raises(LawsBroken, match=r"RT02 permanent failure"):
        chaos.verify()


@pytest.mark.chaos(loop="asyncio")
async def test_a_login_that_tasks_share_may_fail(chaos):
    """One task fetches the token for all; it fails, and all begin anew with the old one after a while."""
    chaos.script("401 x3, ok", route="POST /payments")
    chaos.script("503, ok", route="POST /login")
    shared: list[asyncio.Task[bool]] = []

    async with httpx.AsyncClient(base_url=chaos.url, timeout=5) as client:

        async def log_in() -> bool:
            return (await client.post("/login", headers={"Idempotency-Key": "login"})).is_success

        async def pay(number: int) -> None:
            token = "old-token"
            for wait in (1, 2, 4):
                headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": f"order-{number}"}
                answer = await asyncio.create_task(client.post("/payments", json={"id": number}, headers=headers))
                if answer.is_success:
                    return
                if not shared or shared[0].done():
                    shared[:] = [asyncio.create_task(log_in())]
                if await shared[0]:
                    token = "new-token"
                else:
                    await asyncio.sleep(wait)

        await asyncio.gather(*(pay(number) for number in range(3)))

    chaos.verify(ignore=("RT01",))
