"""Whether numbers were drawn evenly from 0 to 1: the test of Kolmogorov and Smirnov, kept conservative.

Laws of this module:
1. A right sample of any size fails with a chance of at most ``FALSE_ALARM``, by the inequality of Dvoretzky, Kiefer
   and Wolfowitz with Massart's constant (Annals of Probability 18, 1990): ``P(gap > t) <= 2 exp(-2 n t**2)``.
2. A number that is known up to a slack counts, on either side, as where it does the least harm.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

FALSE_ALARM: Final = 1e-4
"""How often a right sample is called a wrong one, at most."""


class Gap(NamedTuple):
    """Where a sample is farthest from even."""

    size: float
    """Between its share and the even one."""
    at: float
    share: float
    """Of the numbers that lie below ``at``; even would be ``at`` itself."""


def largest_gap(draws: Sequence[tuple[float, float]]) -> Gap:
    """Find the largest gap of a sample of numbers, each with its slack."""
    count = len(draws)
    best = Gap(0.0, 0.0, 0.0)
    for place, value in enumerate(sorted(value + slack for value, slack in draws), start=1):
        at = min(max(value, 0.0), 1.0)
        if place / count - at > best.size:
            best = Gap(place / count - at, at, place / count)
    for place, value in enumerate(sorted(value - slack for value, slack in draws)):
        at = min(max(value, 0.0), 1.0)
        if at - place / count > best.size:
            best = Gap(at - place / count, at, place / count)
    return best


def largest_right(count: int) -> float:
    """Tell the gap that a right sample of this size exceeds with a chance of `FALSE_ALARM` at most."""
    return math.sqrt(math.log(2 / FALSE_ALARM) / (2 * count))
