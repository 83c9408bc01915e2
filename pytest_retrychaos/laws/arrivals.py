"""How a herd arrived: the figures of one `HerdRecord`, a pure function of the trace.

Laws of this module:
1. An arrival is an attempt of a copy, refused ones included: whoever knocks at a closed door is load.
2. Recovery is judged by what the service did after its cause of suffering had ended, not by what was planned.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pytest_retrychaos.model import SECOND
from pytest_retrychaos.trace import Attempt, HerdRecord, Trace

MOST_WINDOWS: Final = 100_000
"""More are not counted one by one: the windows are made so much longer."""


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What a herd did to the service. Times are seconds from the herd's beginning."""

    counts: tuple[int, ...]
    """Arrivals in each window."""
    failed: tuple[int, ...]
    """How many of them failed: refused, turned away, lost."""
    window: float
    """Length of a window."""
    capacity: float | None
    """What the service takes in a window, where it has a limit."""
    operations: int
    attempts: int
    most_attempts: int
    """Of one operation."""
    cause_ended: float | None
    """When the faults, or else the coming of the copies, were over."""
    last_failure: float | None
    last_success: float | None
    over_until: float | None
    """The end of the last window with failures and more than the capacity that began after the cause had ended."""
    peak_after_cause: int
    """The most arrivals in a window that began after the cause had ended: the spike that comes back."""

    @property
    def peak(self) -> int:
        """The most arrivals in one window."""
        return max(self.counts, default=0)

    @property
    def peak_over_capacity(self) -> float | None:
        """The peak as a multiple of the capacity; ``None`` where there was no limit."""
        return None if self.capacity is None else self.peak / self.capacity

    @property
    def attempts_per_operation(self) -> float:
        """The mean; 0 where nothing was sent."""
        return self.attempts / self.operations if self.operations else 0.0

    @property
    def retry_ratio(self) -> float:
        """Retries for each first attempt."""
        return (self.attempts - self.operations) / self.operations if self.operations else 0.0

    @property
    def time_to_recovery(self) -> float | None:
        """Seconds from the end of the cause to the end of the last failure; ``None`` where nothing succeeded after it.

        0 where nothing failed once the cause was over, or where there was no cause.
        """
        if self.last_failure is None or self.cause_ended is None:
            return 0.0
        if self.last_success is None or self.last_success < self.last_failure:
            return None
        return max(0.0, self.last_failure - self.cause_ended)

    @property
    def outlived_by(self) -> float | None:
        """Seconds for which clients kept the service over its capacity after the cause; ``None`` without a limit."""
        if self.capacity is None or self.cause_ended is None:
            return None
        return 0.0 if self.over_until is None else self.over_until - self.cause_ended

    @property
    def outlived_its_cause(self) -> bool | None:
        """Whether the outage went on by itself, as a storm of retries; ``None`` where there was no limit to tell by."""
        outlived = self.outlived_by
        return None if outlived is None else outlived > 0


def arrivals(trace: Trace, number: int) -> Arrivals:
    """Count how one herd of a trace arrived."""
    herd = trace.herds[number]
    attempts = list(_attempts(trace, number))
    window_ns = _window_ns(herd, attempts)
    counts, failed = _counts(herd, attempts, window_ns)
    capacity = _capacity(herd, window_ns)
    sizes: dict[int, int] = {}
    for attempt in attempts:
        sizes[attempt.operation] = sizes.get(attempt.operation, 0) + 1
    ended = [(one.ended_ns, one.failed) for one in attempts if one.ended_ns is not None and not one.cut]
    cause = herd.cause_ended_ns
    after = _after_cause(herd, attempts, len(counts), window_ns)
    over = [number for number in after if failed[number] and capacity is not None and counts[number] > capacity]
    return Arrivals(
        counts=tuple(counts),
        failed=tuple(failed),
        window=window_ns / SECOND,
        capacity=capacity,
        operations=len(sizes),
        attempts=len(attempts),
        most_attempts=max(sizes.values(), default=0),
        cause_ended=None if cause is None else (cause - herd.began_ns) / SECOND,
        last_failure=_since(herd, [at for at, has_failed in ended if has_failed]),
        last_success=_since(herd, [at for at, has_failed in ended if not has_failed]),
        over_until=(over[-1] + 1) * window_ns / SECOND if over else None,
        peak_after_cause=max([counts[number] for number in after], default=0),
    )


def _attempts(trace: Trace, number: int) -> Iterator[Attempt]:
    scopes = trace.scopes
    for attempt in trace.attempts:
        if attempt.scope is not None and scopes[attempt.scope].herd == number and attempt.joined != "leg":
            yield attempt


def _window_ns(herd: HerdRecord, attempts: list[Attempt]) -> int:
    length = max((one.began_ns for one in attempts), default=herd.began_ns) - herd.began_ns
    return herd.window_ns * (1 + length // (herd.window_ns * MOST_WINDOWS))


def _counts(herd: HerdRecord, attempts: list[Attempt], window_ns: int) -> tuple[list[int], list[int]]:
    places = [(one.began_ns - herd.began_ns) // window_ns for one in attempts]
    counts, failed = [0] * (max(places, default=-1) + 1), [0] * (max(places, default=-1) + 1)
    for place, attempt in zip(places, attempts, strict=True):
        counts[place] += 1
        failed[place] += attempt.failed
    return counts, failed


def _capacity(herd: HerdRecord, window_ns: int) -> float | None:
    return None if herd.limit is None or herd.limit_ns is None else herd.limit * window_ns / herd.limit_ns


def _since(herd: HerdRecord, moments: list[int]) -> float | None:
    return (max(moments) - herd.began_ns) / SECOND if moments else None


def _after_cause(herd: HerdRecord, attempts: list[Attempt], count: int, window_ns: int) -> range:
    """Give the windows that began once the cause had ended, and in which it had no part."""
    if herd.cause_ended_ns is None:
        return range(0)
    cause = herd.cause_ended_ns - herd.began_ns
    struck = [(one.began_ns - herd.began_ns) // window_ns for one in attempts if one.fault not in (None, "ok")]
    return range(max(max(struck, default=cause // window_ns) + 1, -(-cause // window_ns)), count)
