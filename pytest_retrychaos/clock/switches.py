"""The moments of a run at which more than one could go on, and at which of them another does than the seed chose."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TypeVar

T = TypeVar("T")


class Switches:
    """Counts them, and switches at some."""

    def __init__(self, at: Collection[int] = ()) -> None:
        """``at``: numbers of such moments, counted from 1."""
        self._at = frozenset(at)
        self.met = 0
        """How many there have been."""

    @property
    def have_struck(self) -> bool:
        """Whether each moment came."""
        return max(self._at, default=0) <= self.met

    def second_first(self) -> bool:
        """Count a moment; whether who comes second is to go first."""
        self.met += 1
        return self.met in self._at

    def ordered(self, ready: Sequence[T]) -> Sequence[T]:
        """Count a moment at which these could go on, and give their order."""
        if len(ready) < 2 or not self.second_first():
            return ready
        return [ready[1], ready[0], *ready[2:]]
