"""Durations as the interpreter reads them."""

from __future__ import annotations

import operator
from typing import SupportsIndex

from pytest_retrychaos.model import SECOND


def nanoseconds(seconds: float | SupportsIndex) -> int:
    """Convert a timeout; only floats and integers, as the interpreter takes them.

    It rounds up; this takes the nearest one, so that neither 0.1 + 0.2 nor a deadline less a reading is one too many.
    More than nothing is at least one, or who waits for what is left of a limit would never come to its end.
    """
    if isinstance(seconds, float):
        return round(seconds * 1e9) or int(seconds > 0.0)
    return operator.index(seconds) * SECOND
