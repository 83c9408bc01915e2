"""Operations that were taken for one, and are told apart by a key that came back.

A client that makes a new key for every attempt never comes back to an earlier one. Where a key does come back,
what had other keys in between was other operations: a worker that put one item back and took up the next.
"""

from __future__ import annotations

from collections.abc import Sequence

from pytest_retrychaos.record.sheet import Sheet


def others_than(key: str | None, attempts: Sequence[Sheet]) -> list[list[Sheet]]:
    """Give the attempts that belong to other operations now that a key came back, one list for each.

    What has no key of its own goes with what was sent before it.
    """
    keys = [sheet.key for sheet in attempts if sheet.key is not None]
    if key is None or key not in keys or keys[-1] == key:
        return []
    groups: dict[str, list[Sheet]] = {}
    current = keys[0]
    for sheet in attempts:
        current = sheet.key or current
        groups.setdefault(current, []).append(sheet)
    return [group for other, group in groups.items() if other != key]
