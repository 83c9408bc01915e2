"""Explore a client without pytest around it."""

from __future__ import annotations

from collections.abc import Callable

from pytest_retrychaos import Chaos
from pytest_retrychaos.fuzz.faultlist import Faults, read_faults
from pytest_retrychaos.fuzz.history import History
from pytest_retrychaos.fuzz.playing import Test
from pytest_retrychaos.fuzz.search import Found, Search

Client = Callable[..., object]


def explore(
    client: Client,
    *,
    depth: int = 2,
    faults: Faults = "default",
    most: int = 20_000,
    reduces: bool = True,
) -> Found:
    """Let a client pay once under every history."""

    def body(chaos: Chaos) -> None:
        chaos.call(client, chaos.url, amount=1000, currency="USD")

    test = Test(body, body.__code__, "test", {"seed": 7, "entropy": "seeded"})
    search = Search(test.play, read_faults(faults), depth, lambda runs: runs >= most, reduces)
    root = test.play(History())
    assert not root.breaches
    return search.run(root)


def shortest(found: Found) -> dict[str, str]:
    """Give the script for each way to fail."""
    return {shape: str(played.history) for shape, played in sorted(found.worst.items())}
