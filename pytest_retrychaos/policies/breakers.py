"""Read what a circuit breaker promises: the engine's, pybreaker's and aiobreaker's, or a `BreakerPolicy`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pytest_retrychaos.engine.breaker_policy import BreakerPolicy

WAY_OUT = "say it by hand: breaker=BreakerPolicy(threshold=5, cooldown=30), from pytest_retrychaos.engine"


def read_breaker(breaker: object) -> BreakerPolicy:
    """Give the promise of a breaker; `TypeError` names one that cannot be read, with the way out."""
    if isinstance(breaker, BreakerPolicy):
        return breaker
    policy = getattr(breaker, "policy", None)
    if isinstance(policy, BreakerPolicy):  # the engine's own
        return policy.__replace__(by_hand=True) if getattr(breaker, "by_hand", False) else policy
    library = type(breaker).__module__.partition(".")[0]
    if library in _READERS:
        return _READERS[library](breaker)
    raise TypeError(f"breaker={breaker!r:.80}: what it promises cannot be read; {WAY_OUT}")


def _pybreaker(breaker: Any) -> BreakerPolicy:
    return BreakerPolicy(
        threshold=breaker.fail_max, cooldown=breaker.reset_timeout, successes=getattr(breaker, "success_threshold", 1)
    )


def _aiobreaker(breaker: Any) -> BreakerPolicy:
    return BreakerPolicy(threshold=breaker.fail_max, cooldown=breaker.timeout_duration.total_seconds())


_READERS: dict[str, Callable[[Any], BreakerPolicy]] = {"aiobreaker": _aiobreaker, "pybreaker": _pybreaker}
"""By the top package of the breaker's class. Any: nothing is imported of a library."""
