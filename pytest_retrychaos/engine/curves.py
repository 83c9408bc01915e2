"""The heights of backoffs: seconds before each retry, before cap and jitter. Retries count from 1.

Laws of this module:
1. A height is a float, 0 or more; where no float holds it, infinite. No n overflows, and none takes longer than 1500
   additions.
2. Heights never fall, but for a list's and a function's.
"""

from __future__ import annotations

from collections.abc import Callable

from pytest_retrychaos.engine.values import value

_LARGEST = 10**300
"""A larger number of a retry is no float any more, and changes nothing."""

_LAST_FIBONACCI = 1500
"""From the 1477th on they are no floats any more."""


@value
class Fixed:
    """The same delay before every retry."""

    seconds: float

    def height(self, retry: int) -> float:  # noqa: ARG002 - a curve is asked for a retry
        """Tell the delay in seconds."""
        return self.seconds

    def call(self, cap: str) -> str:  # noqa: ARG002 - its cap is itself
        """Write the call of `fixed`."""
        return f"fixed({short(self.seconds)}"


@value
class Linear:
    """``step * retry`` seconds."""

    step: float

    def height(self, retry: int) -> float:
        """Tell the delay in seconds, infinite where no float holds it."""
        return self.step * min(retry, _LARGEST)

    def call(self, cap: str) -> str:
        """Write the call of `linear`."""
        return f"linear({short(self.step)}, {cap}"


@value
class Exponential:
    """``base * factor ** (retry - 1)`` seconds."""

    base: float
    factor: float

    def height(self, retry: int) -> float:
        """Tell the delay in seconds, infinite where no float holds it."""
        try:
            return self.base * self.factor ** min(retry - 1, _LARGEST)
        except OverflowError:
            return float("inf")

    def call(self, cap: str) -> str:
        """Write the call of `exponential`."""
        return f"exponential({short(self.base)}, factor={short(self.factor)}, {cap}"


@value
class Fibonacci:
    """1, 1, 2, 3, 5, … times ``base`` seconds."""

    base: float

    def height(self, retry: int) -> float:
        """Tell the delay in seconds, infinite where no float holds it."""
        one, next_one = 1.0, 1.0
        for _ in range(min(retry, _LAST_FIBONACCI) - 1):
            one, next_one = next_one, one + next_one
        return self.base * one

    def call(self, cap: str) -> str:
        """Write the call of `fibonacci`."""
        return f"fibonacci({short(self.base)}, {cap}"


@value
class Listed:
    """What a list says; its last entry repeats."""

    seconds: tuple[float, ...]

    def height(self, retry: int) -> float:
        """Tell the delay in seconds."""
        return self.seconds[min(retry, len(self.seconds)) - 1]

    def call(self, cap: str) -> str:  # noqa: ARG002 - its cap is its greatest entry
        """Write the call of `delays`."""
        return f"delays([{', '.join(map(short, self.seconds))}]"


@value
class Computed:
    """What a function says."""

    function: Callable[[int], float]

    def height(self, retry: int) -> float:
        """Ask the function, and see that it told seconds."""
        try:
            told = self.function(retry)
            seconds = float(told) if isinstance(told, (int, float)) else -1.0
        except OverflowError:
            return float("inf")
        if not seconds >= 0:
            raise ValueError(
                f"height={self.function!r} told {told!r} for retry {retry}: it has to tell seconds, 0 or more"
            )
        return seconds

    def call(self, cap: str) -> str:
        """Write the call of `computed`."""
        return f"computed({self.function!r}, {cap}"


def short(value: float) -> str:
    """Write a number as briefly as it can be read back."""
    text = f"{value:g}"
    return text if float(text) == value else repr(value)
