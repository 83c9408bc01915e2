"""A token that has expired is fetched anew, under whatever name a provider wants it."""

from __future__ import annotations

import time

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
