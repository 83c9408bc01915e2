"""Whether many clients do something together or apart: told from their waits, and from their moments.

Laws of this module:
1. A twentieth at either end is left out: a few strays neither spread a crowd nor gather it.
2. Between together and apart lies what cannot be told: chance that spreads by a hair's breadth.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from pytest_retrychaos.laws.ends import TOLERANCE_NS
from pytest_retrychaos.model import SECOND

if TYPE_CHECKING:
    from pytest_retrychaos.laws.view import OperationView, Retry

LEAST_COPIES: Final = 20
"""Fewer may be alike by chance."""
SHORTEST_NS: Final = SECOND // 10
"""Waits as short lie together whatever chance does to them."""
APART: Final = 0.1
"""The part of a wait over which clients have to be spread to be called apart: the least that jitters in use do."""


def chosen(operation: OperationView) -> Iterator[Retry]:
    """Give the retries whose wait the client chose itself: no failover, no login, and nobody had told it when."""
    for retry in operation.retries:
        if retry.is_login:
            return
        if retry.wait_ns >= TOLERANCE_NS and not retry.is_failover and not _was_told(retry):
            yield retry


def _was_told(retry: Retry) -> bool:
    names = retry.before.attempt.response_headers.by_name
    return any("retry-after" in name or "reset" in name for name in names)


def are_together(values: Sequence[int], wait_ns: int) -> bool | None:
    """Tell whether values (nanoseconds) lie together, for clients that wait about so long; ``None``: cannot tell."""
    if len(values) < LEAST_COPIES or wait_ns < SHORTEST_NS:
        return None
    width = width_ns(values)
    if width <= TOLERANCE_NS:
        return True
    return False if width >= APART * wait_ns else None


def width_ns(values: Sequence[int]) -> int:
    """Give the width over which nine tenths of values lie."""
    ordered, cut = sorted(values), len(values) // 20
    return ordered[-1 - cut] - ordered[cut]


def median(values: Sequence[int]) -> int:
    """Give the middle value."""
    return sorted(values)[len(values) // 2]
