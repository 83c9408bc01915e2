"""Tokens that a client signs for each attempt, bodies that say when, and answers left half read."""

from __future__ import annotations

import base64
import json
import socket
import time

import pytest
import requests

from pytest_retrychaos import LawsBroken
from pytest_retrychaos.laws import judge
from pytest_retrychaos.trace import Trace


def token(subject: str) -> str:
    """Sign a JSON Web Token as a service account does, good from now on."""
    parts = [{"alg": "none"}, {"sub": subject, "iat": time.time()}, "signature"]
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)


def pay(url: str, credentials: list[str]) -> None:
    """Send a payment with one set of credentials for each attempt."""
    for value in credentials:
        headers = {"Idempotency-Key": "k1", "Authorization": value}
        requests.post(f"{url}/payments", json={"amount": 5}, headers=headers, timeout=5)
        time.sleep(1)


@pytest.mark.chaos("503, ok")
@pytest.mark.parametrize("name", ["X-Api-Key", "Cookie"])
def test_other_credentials_beside_such_a_token_change_nothing(chaos, name):
    """They are the same on every attempt, and so is what is left of the caller's time on none."""
    for left in (30, 28):
        headers = {"Authorization": f"Bearer {token('me')}", name: "a=123456", "X-Request-Timeout": str(left)}
        requests.post(f"{chaos.url}/payments", headers={"Idempotency-Key": "k1", **headers}, timeout=5)
        time.sleep(1)

    assert chaos.verify().of("RT04").ruling.value == "held"
    assert judge(Trace.from_json(chaos.trace.to_json())).ok


@pytest.mark.chaos("503, ok")
def test_another_key_beside_such_a_token_is_another_request(chaos):
    """Only the token is one of each attempt."""
    for key in ("key-of-a-tenant", "key-of-another"):
        headers = {"Authorization": f"Bearer {token('me')}", "X-Api-Key": key, "Idempotency-Key": "k1"}
        requests.post(f"{chaos.url}/payments", headers=headers, timeout=5)
        time.sleep(1)

    with pytest.raises(LawsBroken, match=r"^RT04 another request: .* another x-api-key header"):
        chaos.verify()


@pytest.mark.chaos("503, ok")
def test_a_token_signed_for_each_attempt_is_no_other_request(chaos):
    """A trace read back says the same, though it keeps no token."""
    pay(chaos.url, [f"Bearer {token('me')}", f"Bearer {token('me')} ".strip() + "x"])

    chaos.verify()
    text = chaos.trace.to_json()
    assert "Bearer J1" in text
    assert "eyJ" not in text
    assert judge(Trace.from_json(text), only=["RT04"]).ok


@pytest.mark.chaos("503, ok")
def test_another_opaque_token_is_another_request(chaos):
    """Nothing had refused the first one."""
    pay(chaos.url, ["Bearer opaque-token-1", "Bearer opaque-token-2"])

    with pytest.raises(LawsBroken, match=r"RT04 another request: .* another authorization"):
        chaos.verify()


@pytest.mark.chaos("reset after-commit, ok")
def test_a_body_that_says_when_it_was_made_is_the_same_request(chaos):
    """A new time on each attempt hides no duplicate."""
    for _ in range(2):
        try:
            requests.post(f"{chaos.url}/payments", json={"amount": 5, "created_at": time.time()}, timeout=5)
        except requests.ConnectionError:
            time.sleep(1)

    with pytest.raises(LawsBroken, match="ID04 duplicate effect"):
        chaos.verify(only=["ID04"])


def read_half(host: str) -> dict[str, str]:
    """Read once, never ask whether that was all, and believe it."""
    sock = socket.create_connection((host, 80), timeout=5)
    sock.sendall(b"POST /payments HTTP/1.1\r\nHost: service.test\r\nContent-Length: 2\r\n\r\n{}")
    sock.recv(65536)
    sock.close()
    return {"status": "ok"}


@pytest.mark.chaos("truncate")
def test_half_an_answer_left_unread_is_damage_all_the_same(chaos):
    """A client that closes early did not cut anything off: nothing more was to come."""
    chaos.call(read_half, "service.test")

    with pytest.raises(LawsBroken, match="RT09 damaged answer taken for a success"):
        chaos.verify(only=["RT09"])
