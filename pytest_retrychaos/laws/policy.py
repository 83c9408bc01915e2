"""What a retry policy promises, whoever made it: what laws hold a client to.

Laws of this module:
1. ``None`` stands for what the policy does not say, or for what cannot be read of it: nothing is asked there.
2. A policy is asked about what happened by values of the trace alone; nothing of a library is called.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from pytest_retrychaos.engine.backoff import Backoff
from pytest_retrychaos.engine.retry_after import Asked
from pytest_retrychaos.laws.ends import ASKING, Ended, asked_by
from pytest_retrychaos.model import SECOND

if TYPE_CHECKING:
    from pytest_retrychaos.engine.budget import RetryBudget
    from pytest_retrychaos.engine.retry import Retry

FOR_EVER_NS: Final = 2**62
"""Longer than any run."""

GoesOn = Callable[[Sequence[Ended]], bool | None]
"""Tells whether the policy makes another attempt after these, while attempts and time remain; ``None``: not known."""


class Envelope(Protocol):
    """Between which bounds a wait lies: a `Backoff`, or what was read of another library's."""

    def bounds(self, retry: int, *, previous: float | None = None) -> tuple[float, float]:
        """Tell the least and the greatest wait before a retry (from 1), in seconds."""


class Asking(enum.Enum):
    """What ``Retry-After`` is to a policy."""

    FLOOR = "floor"
    """It waits that long at least; its own wait may come on top."""
    INSTEAD = "instead"
    """It waits that long, in place of its own wait."""
    IGNORED = "ignored"


def always(ends: Sequence[Ended]) -> bool | None:  # noqa: ARG001 - every policy is asked the same way
    """Answer for a policy that retries every failure that passes."""
    return True


def unknown(ends: Sequence[Ended]) -> bool | None:  # noqa: ARG001 - every policy is asked the same way
    """Answer for a policy of which nobody knows what it retries."""
    return None


def as_seen(ends: Sequence[Ended]) -> bool | None:
    """Answer for a policy that is known by what it has done: what it retried before in this operation, it retries."""
    *before, last = ends
    return True if last.what in {end.what for end in before} else None


@dataclass(frozen=True, slots=True)
class Policy:
    """A retry policy's promise."""

    attempts: int | None = None
    """The most attempts that one operation makes."""
    backoff: Envelope | None = None
    timeout: float | None = None
    """Seconds within which the operation ends, the attempt in flight included."""
    patience: float | None = None
    """Seconds after which it may give up, though an attempt may still be in flight or about to begin."""
    asking: Asking = Asking.FLOOR
    max_retry_after: float = 3600.0
    """It may give up where more seconds are asked for."""
    goes_on: GoesOn = unknown
    budget: RetryBudget | None = None
    longest_obeyed: float = math.inf
    """Seconds for which it waits where more are asked for, in place of giving up."""
    may_wait_longer: bool = False
    """Something besides the back-off may ask it to, of which the wire knows nothing."""

    @property
    def claims(self) -> Backoff | None:
        """The back-off with the kind of jitter that it claims, where it claims one of ours."""
        return self.backoff if isinstance(self.backoff, Backoff) and not self.may_wait_longer else None

    def envelope_ns(self, before: Ended, retry: int, previous: float | None) -> tuple[int, int]:
        """Tell the least and the greatest wait after an attempt, in nanoseconds; `backoff` has to be known."""
        assert self.backoff is not None
        low, high = (int(bound * SECOND) for bound in self.backoff.bounds(retry, previous=previous))
        if self.may_wait_longer:
            high = FOR_EVER_NS
        asked = asked_by(before)
        if self.asking is Asking.IGNORED or not isinstance(asked, Asked):
            return low, high
        asked_ns = int(min(asked.seconds, self.longest_obeyed) * SECOND)
        if self.asking is Asking.INSTEAD:
            return (asked_ns, asked_ns) if asked_ns else (low, high)
        if before.attempt.status in ASKING:
            return max(low, asked_ns), asked_ns + high
        return low, asked_ns + high


def of_engine(retry: Retry) -> Policy:
    """Give the promise of an engine's policy.

    What its ``on=`` retries, and the least wait that it may ask for, is known to it alone; a breaker or a budget, which
    other operations use up, may end an operation before its last attempt.
    """
    is_plain = retry.on is None and retry.breaker is None and retry.budget is None
    return Policy(
        attempts=retry.attempts,
        backoff=retry.backoff,
        timeout=retry.timeout,
        patience=retry.timeout,
        asking=Asking.FLOOR if retry.respect_retry_after else Asking.IGNORED,
        max_retry_after=retry.max_retry_after,
        goes_on=always if is_plain else unknown,
        budget=retry.budget,
        may_wait_longer=callable(retry.on) and not isinstance(retry.on, type),
    )


def as_policy(policy: Retry | Policy | None) -> Policy | None:
    """Give the promise of what a caller may hand over."""
    return policy if policy is None or isinstance(policy, Policy) else of_engine(policy)
