"""What became of a herd."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from pytest_retrychaos.laws.arrivals import Arrivals
from pytest_retrychaos.text import arrivals_chart

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Herd(Generic[T]):
    """What became of a herd: what each copy was told, and how they all arrived at the service."""

    values: tuple[T | None, ...]
    """What each copy returned, by its number; ``None`` for one that raised."""
    errors: Mapping[int, Exception]
    """What the others raised, by their number."""
    arrivals: Arrivals
    """The figures: arrivals in each window, peak, attempts of an operation, time to recovery, and more."""

    @property
    def chart(self) -> str:
        """The arrivals, drawn."""
        return arrivals_chart(self.arrivals)

    def __str__(self) -> str:
        return self.chart

    def __repr__(self) -> str:
        told = f", {len(self.errors)} raised" if self.errors else ""
        return f"<Herd of {len(self.values)}: {self.arrivals.attempts} attempts, peak {self.arrivals.peak}{told}>"
