"""What is done wrong beside something that would excuse it: each was let go once by a rule that was too wide."""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import Callable

import pytest
import requests

from pytest_retrychaos import Chaos, LawsBroken


def broken(chaos: Chaos, client: Callable[[], object]) -> tuple[str, ...]:
    """Call a client, and give the laws that it breaks."""
    with contextlib.suppress(requests.RequestException):
        chaos.call(client)
    with contextlib.suppress(LawsBroken):
        chaos.verify()
    assert chaos.judge.verdict is not None
    return tuple(result.code for result in chaos.judge.verdict.broken)


def test_a_lost_half_that_comes_after_another_message(chaos: Chaos) -> None:
    """It is no part of a batch: what is missing of it went nowhere."""
    chaos.script("timeout after-commit, ok")
    lines = {"a": b"a1\na2\n", "b": b"b1\nb2\n"}

    def client() -> None:
        waiting = dict(lines)
        while waiting:
            for name, body in list(waiting.items()):
                try:
                    requests.post(f"{chaos.url}/lines", data=body, headers={"Content-Type": "text/plain"}, timeout=5)
                    del waiting[name]
                except requests.Timeout:
                    waiting[name] = body[3:]
            time.sleep(10)

    assert set(broken(chaos, client)) >= {"RT04", "ID01"}


@pytest.mark.parametrize("script", ["timeout, ok, refuse", "reset, ok, connect-timeout"])
def test_a_look_before_a_retry_that_cannot_be_sent_counts(chaos: Chaos, script: str) -> None:
    """It was looked up since the request that may have been done."""
    chaos.script(script)

    def client() -> None:
        for number in range(4):
            with contextlib.suppress(requests.ConnectionError, requests.Timeout):
                if number == 1 and requests.get(f"{chaos.url}/orders", timeout=5).json():
                    return
                requests.post(f"{chaos.url}/orders", json={"sku": "a"}, timeout=5)
                return
            time.sleep(2.0**number)

    assert broken(chaos, client) == ()


def test_three_attempts_at_once_are_none_that_cannot_be_told(chaos: Chaos) -> None:
    """One may be another request; it is not said that there were waits."""
    chaos.script("503, refuse x2")

    def client() -> None:
        for _ in range(3):
            with contextlib.suppress(requests.ConnectionError):
                if requests.get(f"{chaos.url}/a", timeout=5).ok:
                    return

    broken(chaos, client)
    assert chaos.judge.verdict is not None
    assert chaos.judge.verdict.of("BK01").ruling.value == "does not apply"


def test_one_login_excuses_one_repetition(chaos: Chaos) -> None:
    """Two more come blind."""
    chaos.service.route("POST", "/login", lambda _: {"token": "token-1"}, effect=False)
    chaos.script("ok, 401, ok, 401 x3", strict=False)

    def client() -> None:
        for number in range(4):
            if number < 2:
                requests.post(f"{chaos.url}/login", timeout=5)
            if requests.get(f"{chaos.url}/me", headers={"Authorization": "Bearer token-1"}, timeout=5).ok:
                return
            time.sleep(2)

    assert broken(chaos, client) == ("RT02",)


def test_the_session_of_a_visit_is_no_login(chaos: Chaos) -> None:
    """The token is the same, whatever else counts the attempts."""
    chaos.script("401 x2, ok")

    def client() -> None:
        for _ in range(3):
            headers = {"Authorization": "Bearer token-1", "X-Session-Id": str(uuid.uuid4())}
            if requests.get(f"{chaos.url}/me", headers=headers, timeout=5).ok:
                return
            time.sleep(2)

    assert "RT02" in broken(chaos, client)


@pytest.mark.parametrize(
    "bodies",
    [
        [{"query": "{user(id: 1){name}}"}, {"query": "{user(id: 2){name}}"}],
        [{"query": "query($id: Int){user(id: $id){name}}", "variables": {"id": number}} for number in (1, 2)],
        [{"tags": []}, {"tags": ["red"]}],
        [{"amounts": [5, 5, 7]}, {"amounts": [5]}, {"amounts": [7]}],
    ],
    ids=["another id", "another variable", "nothing, and something", "an item lost"],
)
def test_another_request_of_its_kind_is_no_retry(chaos: Chaos, bodies: list[object]) -> None:
    """It was given up, and something else was sent to the same place."""
    chaos.script("503, ok")

    def client() -> None:
        for body in bodies:
            headers = {"Content-Type": "application/json", "Idempotency-Key": str(uuid.uuid4())}
            requests.post(f"{chaos.url}/graphql", data=json.dumps(body), headers=headers, timeout=5)

    assert broken(chaos, client) == ("RT01",)


def test_another_order_under_way_hides_no_sidestep(chaos: Chaos) -> None:
    """Its own retry comes first; then the one that was turned away goes on under a new key."""
    chaos.script("slow=20s before-commit x2, ok")

    def order(key: str) -> int:
        headers = {"Idempotency-Key": key}
        try:
            return requests.post(f"{chaos.url}/orders", json={"sku": "a"}, headers=headers, timeout=2).status_code
        except requests.Timeout:
            return 0

    def client() -> None:
        order("key-1")
        order("key-2")
        assert order("key-1") == 409
        order("key-2")
        order("key-3")

    assert "ID06" in broken(chaos, client)
