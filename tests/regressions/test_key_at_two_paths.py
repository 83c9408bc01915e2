"""One key for two different requests whose bodies are equal."""

from __future__ import annotations

import requests


def test_a_key_at_two_paths_is_not_said_to_be_held(chaos):
    """Some services keep keys by path and some do not: the trace cannot tell."""
    for path in ("payments", "refunds"):
        requests.post(f"{chaos.url}/{path}", json={"n": 1}, headers={"Idempotency-Key": "k1"}, timeout=5)

    assert chaos.verify().of("ID03").reason == (
        "one key was used at two paths, with equal content: whether the service keeps keys by path is not known"
    )
