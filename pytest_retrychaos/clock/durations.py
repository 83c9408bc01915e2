"""Durations as the interpreter reads them."""

from __future__ import annotations

import math
import operator
from typing import SupportsIndex

from pytest_retrychaos.model import SECOND


def nanoseconds(seconds: float | SupportsIndex) -> int:
    """Convert a duration as the interpreter does for a timeout: rounded up, only floats and integers."""
    if isinstance(seconds, float):
        return math.ceil(seconds * 1e9)
    return operator.index(seconds) * SECOND
