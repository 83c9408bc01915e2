"""Read tenacity's ``Retrying`` and what it decorates: its stops and waits. Source: tenacity/stop.py, wait.py of 9.x.

Which failures it retries is told by exceptions, of which a trace knows nothing: asked is that it goes on after what it
was seen to retry.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Final, NamedTuple

from pytest_retrychaos.laws.policy import Asking, Policy, as_seen
from pytest_retrychaos.policies.given import Bounds, Function, Given


class Stop(NamedTuple):
    """When it gives up: after so many attempts, or once so many seconds have passed."""

    attempts: int | None = None
    patience: float | None = None


def read(policy: object, given: Given) -> Policy | None:
    """Give the promise of a ``Retrying`` (or its async kin) or of what it decorates; ``None`` for anything else."""
    loaded = sys.modules.get("tenacity")
    if loaded is None:
        return None
    retrying: Any = policy if isinstance(policy, loaded.BaseRetrying) else getattr(policy, "retry", None)
    if not isinstance(retrying, loaded.BaseRetrying):
        return None
    stop = _stop(retrying.stop, is_given=given.attempts is not None)
    attempts = stop.attempts if getattr(retrying, "enabled", True) else 1
    if given.bounds is not None:
        return Policy(attempts, patience=stop.patience, goes_on=as_seen)
    envelope = Function(_wait(retrying.wait))
    return Policy(attempts, envelope, patience=stop.patience, asking=Asking.IGNORED, goes_on=as_seen)


def _stop(stop: Any, *, is_given: bool) -> Stop:
    """Read when it gives up; what cannot be read may be at any time, where the test says how often it tries."""
    kind = _kind(stop, "stop")
    if kind == "stop_any":
        parts = [_stop(one, is_given=is_given) for one in stop.stops]
        return Stop(_least([one.attempts for one in parts]), _least([one.patience for one in parts]))
    if kind in STOPS:
        return STOPS[kind](stop)
    if is_given:
        return Stop(patience=0.0)
    raise TypeError(_unreadable("stop", stop, "attempts=4"))


def _wait(wait: Any) -> Bounds:
    kind = _kind(wait, "wait")
    if kind not in WAITS:
        raise TypeError(_unreadable("wait", wait, "bounds=lambda retry: (0, 2**retry)"))
    return WAITS[kind](wait)


def _kind(strategy: object, module: str) -> str:
    """Name a strategy of tenacity's own; a subclass or a function may do anything."""
    kind = type(strategy)
    return kind.__name__ if kind.__module__ == f"tenacity.{module}" else ""


def _least(values: list[Any]) -> Any:  # Any: of attempts or of seconds
    return min((value for value in values if value is not None), default=None)


def _unreadable(name: str, strategy: object, way_out: str) -> str:
    return f"{name}={strategy!r:.80}: what it does, only tenacity knows; say it by hand: chaos.verify(…, {way_out})"


def _exactly(wait: Any) -> Bounds:
    """Ask a strategy without chance itself."""
    return lambda retry: (wait(SimpleNamespace(attempt_number=retry)),) * 2


def _between(wait: Any) -> Bounds:
    return lambda _: (wait.wait_random_min, wait.wait_random_max)


def _full(wait: Any) -> Bounds:
    height = _exactly(sys.modules["tenacity.wait"].wait_exponential.__call__.__get__(wait))
    return lambda retry: (min(wait.min, height(retry)[1]), max(wait.min, height(retry)[1]))


def _added(wait: Any) -> Bounds:
    first = wait.multiplier if hasattr(wait, "multiplier") else wait.initial  # its name before 9.2
    least = getattr(wait, "min", 0)  # none before 9.2

    def bounds(retry: int) -> tuple[float, float]:
        try:
            height = first * wait.exp_base ** (retry - 1)
        except OverflowError:
            return (max(0, least, wait.max),) * 2
        low, high = (max(0, least, min(one, wait.max)) for one in (height, height + wait.jitter))
        return low, high

    return bounds


def _chain(wait: Any) -> Bounds:
    links = [_wait(one) for one in wait.strategies]
    return lambda retry: links[min(retry, len(links)) - 1](retry)


def _sum(wait: Any) -> Bounds:
    parts = [_wait(one) for one in wait.wait_funcs]

    def bounds(retry: int) -> tuple[float, float]:
        low, high = (sum(ends) for ends in zip(*(part(retry) for part in parts), strict=True))
        return low, high

    return bounds


STOPS: Final[dict[str, Callable[[Any], Stop]]] = {
    "stop_after_attempt": lambda stop: Stop(attempts=stop.max_attempt_number),
    "stop_after_delay": lambda stop: Stop(patience=stop.max_delay),
    "stop_before_delay": lambda stop: Stop(patience=stop.max_delay),
    "_stop_never": lambda _: Stop(),
}
WAITS: Final[dict[str, Callable[[Any], Bounds]]] = {
    **dict.fromkeys(("wait_fixed", "wait_none", "wait_incrementing", "wait_exponential"), _exactly),
    "wait_random": _between,
    "wait_random_exponential": _full,
    "wait_exponential_jitter": _added,
    "wait_chain": _chain,
    "wait_combine": _sum,
}
