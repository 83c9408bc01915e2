"""Uses of the public API that a type checker must refuse: each line says with which code."""

from __future__ import annotations

import pytest_retrychaos as rc


def charge(amount: int) -> str:
    """Stand for the code under test."""
    return str(amount)


async def test_async_mistakes(chaos: rc.Chaos) -> None:
    """A blocking function is not awaited."""
    await chaos.call_async(charge, 5)  # E: arg-type


def test_mistakes(chaos: rc.Chaos) -> None:
    """One a line."""
    chaos.call(charge, "5")  # E: arg-type
    chaos.call(charge)  # E: call-arg
    chaos.call(charge, amuont=5)  # E: call-arg
    chaos.faulty(charge)("5")  # E: arg-type
    number: int = chaos.call(charge, 5)  # E: assignment
    chaos.script(503)  # E: arg-type
    chaos.script(["503"])  # E: list-item
    chaos.attempts[0].status = 500  # E: misc
    print(chaos.attempt)  # E: attr-defined
    chaos.assert_attempts("3")  # E: arg-type
    chaos.verify(True)  # E: arg-type
    chaos.url = "http://x"  # E: misc
    rc.reset(True)  # E: call-arg
    rc.slow()  # E: call-arg
    print(number)
