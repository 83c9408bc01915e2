"""How long a machine has been up is no part of a run: the same seed gives the same moments on each."""

from __future__ import annotations

import asyncio

import pytest

from pytest_retrychaos import Chaos

DAY = 86_400
SECOND = 1_000_000_000


@pytest.mark.parametrize("debug", [False, True], ids=["our round of the loop", "the library's"])
def test_a_loops_limits_end_when_they_do_on_a_machine_that_was_just_started(debug: bool) -> None:
    """A limit is a moment less another: with the days, a float has fewer digits for what is left of it.

    asyncio rounds it up to milliseconds, and 7.577000000001 would be one more: seen once this machine was up for 65 536
    seconds.
    """

    async def wait(milliseconds: int) -> None:
        loop = asyncio.get_running_loop()
        limit = loop.time() + 8
        await asyncio.sleep(milliseconds / 1000)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout_at(limit):
                await asyncio.sleep(100)

    def moments(up_for_s: int) -> list[float]:
        found = []
        for milliseconds in range(1, 1000, 37):
            with Chaos() as chaos:
                chaos._run.clock.monotonic_start_ns = up_for_s * SECOND  # type: ignore[union-attr]  # on virtual time
                asyncio.run(wait(milliseconds), debug=debug)
                found.append(chaos.clock.elapsed)
        return found

    assert {tuple(moments(up_for_s)) for up_for_s in (1, 65_000, 66_000, 3 * DAY, 40 * DAY)} == {tuple(moments(2))}
