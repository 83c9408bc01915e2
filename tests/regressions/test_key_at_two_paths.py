"""One key for two different requests whose bodies are equal."""

from __future__ import annotations

import pytest
import requests

from pytest_retrychaos import LawsBroken


def test_a_key_at_two_paths_is_not_said_to_be_held(chaos):
    """Some services keep keys by path and some do not: the trace cannot tell."""
    for path in ("payments", "refunds"):
        requests.post(f"{chaos.url}/{path}", json={"n": 1}, headers={"Idempotency-Key": "k1"}, timeout=5)

    assert chaos.verify().of("ID03").reason == (
        "one key was used at two paths, with equal content: whether the service keeps keys by path is not known"
    )


def test_a_redirect_to_another_path_after_a_lost_answer_is_no_second_charge_of_the_clients(chaos):
    """It went where it was sent, with its key: who keeps keys by path has charged twice."""
    chaos.script('reset after-commit, 307 header="Location: /moved"')
    for _ in range(2):
        try:
            requests.post(f"{chaos.url}/payments", json={"n": 1}, headers={"Idempotency-Key": "k1"}, timeout=5)
        except requests.ConnectionError:
            continue

    assert [attempt.effects for attempt in chaos.attempts] == [1, 0, 1]
    assert chaos.verify().of("ID04").reason == (
        "a redirect led to another path, with the same key: whether the service keeps keys by path is not known"
    )


def test_a_redirect_to_another_path_without_a_key_is_a_second_charge(chaos):
    """Nobody could tell the two from two payments."""
    chaos.script('reset after-commit, 307 header="Location: /moved"')
    for _ in range(2):
        try:
            requests.post(f"{chaos.url}/payments", json={"n": 1}, timeout=5)
        except requests.ConnectionError:
            continue

    with pytest.raises(LawsBroken, match=r"^ID04 duplicate effect"):
        chaos.verify(only=["ID04"])
