"""What a test says of a policy by hand: all of it, or what cannot be read off the policy that it gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from pytest_retrychaos.engine import arguments
from pytest_retrychaos.model import SECOND

if TYPE_CHECKING:
    from pytest_retrychaos.laws.policy import Envelope


class CountingRetry(Protocol):
    """A ``Retry`` of urllib3."""

    @property
    def status_forcelist(self) -> Any:  # Any: here and below, nothing is imported of a library
        """What it retries."""


class Retrying(Protocol):
    """A ``Retrying`` of tenacity, or its async kin."""

    @property
    def stop(self) -> Any:
        """When it gives up."""

    @property
    def wait(self) -> Any:
        """How long it waits."""


class Decorated(Protocol):
    """What tenacity decorates."""

    @property
    def retry(self) -> Any:
        """Its ``Retrying``."""


Bounds = Callable[[int], tuple[float, float]]
"""Takes the number of a retry, from 1, and gives the least and the greatest wait before it, in seconds."""


@dataclass(frozen=True, slots=True)
class Function:
    """Bounds that a function tells."""

    of: Bounds

    def bounds(self, retry: int, *, previous: float | None = None) -> tuple[float, float]:  # noqa: ARG002 - a Backoff's
        """Tell the least and the greatest wait before a retry, in seconds; `ValueError` where they are none."""
        told = self.of(retry)
        try:
            low, high = told
            is_right = 0 <= low <= high
        except (TypeError, ValueError):
            is_right = False
        if not is_right:
            raise ValueError(
                f"bounds={self.of!r} returned {told!r} for retry {retry}: it has to return (least, most), in seconds"
            )
        return min(low, FOR_EVER), min(high, FOR_EVER)


FOR_EVER = float(2**62 // SECOND)
"""Seconds of a wait that no run outlasts: what an infinite bound stands for."""


@dataclass(frozen=True, slots=True)
class Given:
    """What the test gave by hand; ``None``: nothing."""

    attempts: int | None = None
    bounds: Envelope | None = None
    timeout: float | None = None

    @classmethod
    def read(cls, attempts: object, bounds: object, timeout: object) -> Given:
        """Check what was given; errors name the argument, the value and the rule."""
        return cls(
            None if attempts is None else arguments.count("attempts", attempts, way_out="attempts=1 means no retry"),
            None if bounds is None else _envelope(bounds),
            None if timeout is None else arguments.seconds("timeout", timeout, above_zero=True),
        )


def _envelope(bounds: object) -> Envelope:
    if callable(getattr(bounds, "bounds", None)):
        return bounds  # type: ignore[return-value]  # it has what an envelope has
    if not callable(bounds):
        raise TypeError(
            f"bounds={bounds!r}: it has to be a back-off, such as exponential(0.1, cap=20), or a function of the "
            "retry's number, from 1, that returns (least, most) in seconds: bounds=lambda retry: (0, 2**retry)"
        )
    return Function(bounds)
