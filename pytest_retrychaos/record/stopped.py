"""Tell which tasks were stopped in their back-off, where a task of its own makes each attempt.

``asyncio.wait_for(send(), 5)`` begins a task for every attempt on CPython 3.11. The wait that somebody ends is then
that of the task which began it, and the attempt that has no successor is another's.
"""

from __future__ import annotations

from collections.abc import Sequence

from pytest_retrychaos.record.lineages import Lineage
from pytest_retrychaos.record.sheet import Sheet


def stopped_tasks(sheets: Sequence[Sheet], lineages: Sequence[Lineage]) -> dict[Lineage, int]:
    """Tell of tasks when the wait was ended of who had begun them for an attempt each, and waited as that ended.

    Neither has sent anything since. Of a thread it is not told: it may end before who began it waits for anything.
    """
    found: dict[Lineage, int] = {}
    if all(one.roused_ns is None for one in lineages):
        return found
    latest = _latest(sheets)
    for one, sheet in latest.items():
        parent = one.parent
        if parent is None or latest[parent] is not sheet or sheet.lineage is not one or sheet.ended_ns is None:
            continue
        roused_ns = parent.was_roused_after(sheet.ended_ns, sheet.ended_as) if one.is_task else None
        if roused_ns is not None:
            found[one] = roused_ns
    return found


def _latest(sheets: Sequence[Sheet]) -> dict[Lineage, Sheet]:
    """Give the last attempt of each that sent any, by itself or by one that it began."""
    latest: dict[Lineage, Sheet] = {}
    for sheet in reversed(sheets):
        one: Lineage | None = sheet.lineage
        while one is not None and one not in latest:
            latest[one] = sheet
            one = one.parent
    return latest
