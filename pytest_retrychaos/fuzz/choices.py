"""What else than an answer may be chosen in a run, where the run shows that it matters.

Laws of this module:
1. The caller cancels an async test at most once: in each wait, at half of it, and in each attempt behind the last
   choice, at half of it, or where it takes no time right after its request has arrived.
2. A zone is chosen only where a date is in play: one that the service sent, other than ``Date``.
3. Connections are closed after each answer only where one was used again.
4. Another thread or task goes on only where several could, and never before a switch that was chosen already.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace

from pytest_retrychaos.clock.errors import Refused
from pytest_retrychaos.clock.travel import Zone
from pytest_retrychaos.fuzz.history import Cancel, History, Played
from pytest_retrychaos.trace import Attempt

ZONES = ("UTC", "Asia/Tokyo", "America/New_York")
"""Ahead of UTC, behind it with another time in summer, and UTC itself."""
MOST_SWITCHES = 64
"""Of the moments of one run: so many are tried."""
_MILLISECOND = 1_000_000


def choices(parent: Played, *, switches: int, timezone: str | None) -> Iterator[History]:
    """Give the histories with one such choice more; ``switches`` is the most of those, ``timezone`` the run's own."""
    history = parent.history
    if parent.can_be_cancelled and history.cancel is None:
        yield from (replace(history, cancel=cancel) for cancel in cancellations(parent))
    if history.timezone is None and any(map(_has_date, parent.attempts)):
        yield from (replace(history, timezone=zone) for zone in known_zones() if zone != timezone)
    if history.keep_alive and parent.reused:
        yield replace(history, keep_alive=False)
    if len(history.switches) < switches:
        first = max(history.switches, default=0) + 1
        for moment in range(first, min(parent.switches, MOST_SWITCHES) + 1):
            yield replace(history, switches=(*history.switches, moment))


def cancellations(parent: Played) -> Iterator[Cancel]:
    """Give the moments at which the caller may cancel, behind the last choice."""
    attempts = parent.attempts
    for place, attempt in enumerate(attempts):
        if attempt.index < parent.history.last:
            continue
        ended = parent.finished_ns if attempt.ended_ns is None else attempt.ended_ns
        following = attempts[place + 1].began_ns if place + 1 < len(attempts) else parent.finished_ns
        if ended > attempt.began_ns:
            yield Cancel(attempt.index, _between(attempt.began_ns, ended))
        elif attempt.arrived_ns is not None:
            yield Cancel(attempt.index)
        if following > ended:
            yield Cancel(attempt.index, _between(ended, following))


@functools.cache
def known_zones() -> tuple[str, ...]:
    """Give those that can be set here: a machine may lack the files of time zones."""
    return tuple(filter(_can_be_set, ZONES))


def _can_be_set(name: str) -> bool:
    try:
        zone = Zone(name)
        try:
            zone.start()
        finally:
            zone.stop()
    except (ValueError, Refused):
        return False
    return True


def _between(start_ns: int, end_ns: int) -> int:
    """Give the middle of two moments, in whole milliseconds where one lies between them."""
    middle = (start_ns + end_ns) // 2
    rounded = middle - middle % _MILLISECOND
    return rounded if rounded > start_ns else middle


def _has_date(attempt: Attempt) -> bool:
    return any(value.endswith(" GMT") and name.lower() != "date" for name, value in attempt.response_headers.pairs)
