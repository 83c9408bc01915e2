"""Counts over time, drawn in plain text.

Laws of this module:
1. The same counts give the same text; its height is bounded, whatever their number.
2. No bar is longer than the true proportion by more than a character, and none that counts anything is empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

MOST_ROWS: Final = 30
"""Longer charts put several windows into one row."""
WIDTH: Final = 50
"""Characters of the longest bar."""
TAKEN, TURNED_AWAY, CAPACITY = "█", "░", "│"


def chart(counts: Sequence[int], failed: Sequence[int], window: float, capacity: float | None = None) -> list[str]:
    """Draw how many came in each window (seconds), and how many of them failed; ``capacity`` is of one window.

    Rows in which nothing came are drawn together.
    """
    each = -(-len(counts) // MOST_ROWS) or 1
    rows = [(sum(counts[at : at + each]), sum(failed[at : at + each])) for at in range(0, len(counts), each)]
    allowed = None if capacity is None else capacity * each
    largest = max([1, *(count for count, _ in rows)])
    limit = None if allowed is None or allowed > largest else max(1, round(allowed * WIDTH / largest))
    widest_time, widest_count = len(_time(window * each * (len(rows) - 1))), len(_grouped(largest))
    lines = [_head(window * each, allowed)]
    gap = f"  {'…':>{widest_time}}"
    for number, (count, wrong) in enumerate(rows):
        if count or number in (0, len(rows) - 1):
            at = f"{_time(window * each * number):>{widest_time}}"
            lines.append(f"  {at}  {_grouped(count):>{widest_count}}  {_bar(count, wrong, largest, limit)}".rstrip())
        elif lines[-1] != gap:
            lines.append(gap)
    return lines


def _head(window: float, allowed: float | None) -> str:
    capacity = "" if allowed is None else f", {CAPACITY} capacity {allowed:.6g}"
    return f"  arrivals in every {window:g} s: {TAKEN} answered, {TURNED_AWAY} failed{capacity}"


def _bar(count: int, wrong: int, largest: int, limit: int | None) -> str:
    whole = max(1, round(count * WIDTH / largest)) if count else 0
    bad = min(whole, max(1, round(wrong * WIDTH / largest))) if wrong else 0
    if bad == whole and wrong < count and whole > 1:
        bad -= 1
    signs = TAKEN * (whole - bad) + TURNED_AWAY * bad
    if limit is None:
        return signs
    return f"{signs[:limit]:<{limit}}{CAPACITY}{signs[limit:]}"


def _time(seconds: float) -> str:
    return f"+{round(seconds, 3):g} s"


def _grouped(number: int) -> str:
    return f"{number:,}".replace(",", " ")
