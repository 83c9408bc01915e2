"""Explore a client without pytest around it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from pytest_retrychaos import Chaos
from pytest_retrychaos.fuzz.faultlist import Faults, read_faults
from pytest_retrychaos.fuzz.history import History
from pytest_retrychaos.fuzz.playing import Test
from pytest_retrychaos.fuzz.search import Found, Search

Client = Callable[..., Any]  # Any: a coroutine, where it is async


def explore(client: Client, **how: Any) -> Found:  # Any: as below
    """Let a client pay once under every history."""

    def body(chaos: Chaos) -> None:
        chaos.call(client, chaos.url, amount=1000, currency="USD")

    async def async_body(chaos: Chaos) -> None:
        await chaos.call_async(client, chaos.url, amount=1000, currency="USD")

    return explore_test(async_body if inspect.iscoroutinefunction(client) else body, **how)


def explore_test(
    test: Client,
    *,
    depth: int = 2,
    faults: Faults = "default",
    most: int = 20_000,
    reduces: bool = True,
    switches: int = 0,
    loop: str | None = None,
    seed: int = 7,
    timezone: str | None = None,
    is_mine: Callable[[int], bool] = lambda _: True,
) -> Found:
    """Run a test under every history."""
    is_async = inspect.iscoroutinefunction(test)
    loop = loop or ("asyncio" if is_async else None)

    def body(chaos: Chaos) -> object:
        return chaos.recorded.caller.run(loop, lambda: test(chaos)) if is_async else test(chaos)

    options = {"seed": seed, "entropy": "seeded", "loop": loop, "timezone": timezone}
    runner = Test(body, test.__code__, "test", options)
    search = Search(
        runner.play, read_faults(faults), depth, lambda runs: runs >= most, reduces, switches, timezone, is_mine
    )
    root = runner.play(History())
    assert not root.breaches, root.breaches
    return search.run(root)


def shortest(found: Found) -> dict[str, str]:
    """Give the script for each way to fail."""
    return {shape: str(played.history) for shape, played in sorted(found.worst.items())}
