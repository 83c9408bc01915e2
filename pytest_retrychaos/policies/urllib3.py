"""Read urllib3's ``Retry``: counts, statuses, methods, back-off. Source: urllib3/util/retry.py of 2.x.

What is not read: ``redirect`` (a redirect uses up ``total``, so nothing is said of an operation that followed one) and
``remove_headers_on_redirect``.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from pytest_retrychaos.laws.ends import ASKING, REDIRECTS, STATUS, Ended
from pytest_retrychaos.laws.policy import Asking, Policy

CATEGORIES: Final = {
    **dict.fromkeys(("refuse", "dns", "connect-timeout"), "connect"),
    **dict.fromkeys(("timeout", "reset", "eof", "stale", "garbage"), "read"),
    STATUS: "status",
    "tls": "other",
}
"""Which of its counters a failure takes from. A body that is cut short is no business of this layer."""


def read(policy: object) -> Policy | None:
    """Give the promise of a ``Retry``; ``None`` for anything else."""
    loaded = sys.modules.get("urllib3.util.retry")
    if loaded is None or not isinstance(policy, loaded.Retry):
        return None
    retry: Any = policy  # Any: nothing is imported of the library
    return Policy(
        attempts=_attempts(retry),
        backoff=_Waits(retry.backoff_factor, retry.backoff_max, getattr(retry, "backoff_jitter", 0.0)),
        asking=Asking.INSTEAD if retry.respect_retry_after_header else Asking.IGNORED,
        max_retry_after=math.inf,
        longest_obeyed=float(getattr(retry, "retry_after_max", math.inf)),
        goes_on=_Counts(retry).goes_on,
    )


def _attempts(retry: Any) -> int | None:
    """Add up how often it may try in all: by ``total``, or by all the others."""
    if retry.total is not None:
        return int(retry.total) + 1
    others = (retry.connect, retry.read, retry.status, retry.other)
    return None if None in others else sum(int(one) for one in others) + 1


@dataclass(frozen=True, slots=True)
class _Waits:
    """``factor * 2 ** (n - 1)`` seconds before retry n, and none before the first; jitter on top, then the cap."""

    factor: float
    most: float
    jitter: float

    def bounds(self, retry: int, *, previous: float | None = None) -> tuple[float, float]:  # noqa: ARG002 - a Backoff's
        if retry < 2:
            return 0.0, 0.0
        try:
            height = self.factor * 2.0 ** (retry - 1)
        except OverflowError:
            height = float("inf") if self.factor else 0.0
        return max(0.0, min(self.most, height)), max(0.0, min(self.most, height + self.jitter))


class _Counts:
    """Whether it makes another attempt, as ``increment`` and ``is_retry`` decide."""

    def __init__(self, retry: Any) -> None:
        self._counters = {name: getattr(retry, name) for name in ("total", "connect", "read", "status", "other")}
        self._methods = None if not retry.allowed_methods else frozenset(retry.allowed_methods)
        self._statuses = frozenset(retry.status_forcelist or ())
        self._heeds = bool(retry.respect_retry_after_header)

    def goes_on(self, ends: Sequence[Ended]) -> bool | None:
        """Tell whether another attempt follows these; ``None`` where another layer decides or a redirect counted."""
        category = CATEGORIES.get(ends[-1].how)
        if category is not None and not self._takes(ends[-1], category):
            return False
        if any(end.attempt.status in REDIRECTS or end.how not in CATEGORIES for end in ends):
            return None
        used = {"total": len(ends), category: sum(CATEGORIES[end.how] == category for end in ends)}
        limits = self._counters.items()
        return all(limit is None or used.get(name, 0) <= int(limit) for name, limit in limits)

    def _takes(self, end: Ended, category: str) -> bool:
        attempt = end.attempt
        is_allowed = self._methods is None or attempt.method in self._methods
        if category == "read":
            return is_allowed
        if category == "status":
            asks = self._heeds and "retry-after" in attempt.response_headers and attempt.status in ASKING
            is_named = attempt.status in self._statuses or (asks and bool(self._counters["total"]))
            return is_allowed and is_named
        return True
