"""How long a client waited between the attempts of an operation."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from pytest_retrychaos.trace.values import Attempt


def waits(attempts: Sequence[Attempt]) -> list[int]:
    """Give the nanoseconds from the end of what had ended last, as the client saw it, to each further attempt.

    A redirect leg is no attempt of its own here: it only makes the one before it end later. A hedge, and any
    other attempt that began while all before it were under way, waited for nothing and is left out.
    """
    found: list[int] = []
    under_way: list[int] = []
    ended: int | None = None
    is_first = True
    for attempt in attempts:
        while under_way and under_way[0] <= attempt.began_ns:
            ended = heapq.heappop(under_way)
        if attempt.joined != "leg":
            if not is_first and ended is not None and attempt.joined != "hedge":
                found.append(attempt.began_ns - ended)
            is_first = False
        if attempt.ended_ns is not None:
            heapq.heappush(under_way, attempt.ended_ns)
    return found
