"""How many calls ended and failed lately."""

from __future__ import annotations

SLICES = 10
"""A window is counted in tenths, whatever goes through it: it covers the tenth that runs and the nine before."""


class Window:
    """Counts of the last ``seconds``. Time that goes back counts as standing still; back by a whole window, the
    counts are of another age and are dropped."""

    __slots__ = ("_calls", "_failures", "_slices", "_width")

    def __init__(self, seconds: float) -> None:
        self._width = seconds / SLICES
        self.clear()

    def clear(self) -> None:
        """Forget every call."""
        self._slices: list[list[int]] = []  # number of the slice, calls, failures; the oldest first
        self._calls = self._failures = 0

    def add(self, failed: bool, now: float) -> tuple[int, int]:
        """Count a call that ended now; tell calls and failures of the window, this one included."""
        number = int(now // self._width)
        if self._slices and number <= self._slices[-1][0] - SLICES:
            self.clear()
        if not self._slices or number > self._slices[-1][0]:
            self._drop_before(number - SLICES + 1)
            self._slices.append([number, 0, 0])
        newest = self._slices[-1]
        newest[1] += 1
        newest[2] += failed
        self._calls += 1
        self._failures += failed
        return self._calls, self._failures

    def _drop_before(self, number: int) -> None:
        while self._slices and self._slices[0][0] < number:
            _, calls, failures = self._slices.pop(0)
            self._calls -= calls
            self._failures -= failures
