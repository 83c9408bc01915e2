"""How long a client waited between attempts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_retrychaos import Chaos
from pytest_retrychaos.trace import Attempt, waits
from tests.unit.record.wire import send


@pytest.fixture
def attempt(chaos: Chaos) -> Attempt:
    """One attempt as it is recorded."""
    send()
    return chaos.attempts[0]


def at(attempt: Attempt, *moments: tuple[int, int | None] | tuple[int, int | None, str]) -> list[int]:
    """The waits of attempts that began and ended so, each with why it joined."""
    return waits(
        [
            replace(attempt, began_ns=began, ended_ns=ended, joined=joined[0] if joined else "retry")
            for began, ended, *joined in moments
        ]
    )


@pytest.mark.parametrize(
    ("moments", "found"),
    [
        pytest.param([], [], id="none"),
        pytest.param([(0, 1)], [], id="one"),
        pytest.param([(0, 1), (3, 4), (8, 9)], [2, 4], id="one after the other"),
        pytest.param([(0, 0), (0, 0)], [0], id="at once"),
        pytest.param([(0, 10), (5, 7)], [], id="overlapping"),
        pytest.param([(0, 10), (5, 7), (12, 13)], [2], id="after both had ended"),
        pytest.param([(0, 10), (5, 7), (8, 9)], [1], id="after one had ended"),
        pytest.param([(0, None), (5, 7), (8, 9)], [1], id="after one that never ended"),
        pytest.param([(0, 0), (0, 0, "hedge"), (2, 3)], [2], id="a hedge in no time"),
        pytest.param([(0, 0), (0, 3, "leg"), (5, 6)], [2], id="after a leg"),
        pytest.param([(0, 0), (0, 3, "leg")], [], id="a leg alone"),
    ],
)
def test_a_wait_lasts_from_what_had_ended_last(
    attempt: Attempt, moments: list[tuple[int, int | None]], found: list[int]
) -> None:
    """Legs and hedges waited for nothing."""
    assert at(attempt, *moments) == found
