"""A search spread over the processes of pytest-xdist: an item for each share, and one result of them all.

Laws of this module:
1. A share is known at collection: it has every so-manyth first choice, and what grows from it. The run without a fault
   is made by each.
2. The seed is the test's own, whatever its share: what one process finds, the shares find together, by the same
   scripts.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from pytest_retrychaos.fuzz import words
from pytest_retrychaos.fuzz.search import Found

PARAMETER = "chaos_share"
_PLACE = re.compile(r"\[share\d+of\d+\]|(?<=\[)share\d+of\d+-|-share\d+of\d+(?=\])")


@dataclass(frozen=True, slots=True)
class Share:
    """One of so many."""

    number: int = 0
    """From 0."""
    of: int = 1

    def has(self, place: int) -> bool:
        """Whether the first choice at this place is in it."""
        return place % self.of == self.number


WHOLE = Share()


def spread(metafunc: pytest.Metafunc) -> None:
    """Make an item for each process of xdist, where there are any."""
    count = getattr(metafunc.config, "workerinput", {}).get("workercount", 1)
    if count > 1:
        shares = [Share(number, count) for number in range(count)]
        metafunc.fixturenames.append(PARAMETER)
        metafunc.parametrize(PARAMETER, shares, ids=[f"share{one.number + 1}of{count}" for one in shares])


def share_of(item: pytest.Item) -> Share:
    """Give an item's share; all of it where it was not spread."""
    callspec = getattr(item, "callspec", None)
    share: Share = WHOLE if callspec is None else callspec.params.get(PARAMETER, WHOLE)
    return share


def whole_name(nodeid: str) -> str:
    """Give the id that the item would have if it were not spread."""
    return _PLACE.sub("", nodeid)


def report(name: str, found: Found, depth: int) -> dict[str, Any]:  # Any: what JSON holds
    """Put what a share found into what can be sent between processes."""
    return {
        "test": name,
        "depth": depth,
        "scripts": {shape: [list(one.history.order), str(one.history)] for shape, one in found.worst.items()},
        "runs": found.runs,
        "left_out": dict(found.left_out),
        "missed": found.missed,
        "is_cut": found.is_cut,
        "untried": found.untried,
        "cut": found.cut,
    }


def together(reports: Iterable[dict[str, Any]]) -> Iterator[tuple[str, str]]:  # Any: as above
    """Give for each test what its shares found together: its id, and the plainest script for each way to fail."""
    tests: dict[str, list[dict[str, Any]]] = {}
    for one in reports:
        tests.setdefault(one["test"], []).append(one)
    for name, shares in tests.items():
        scripts: dict[str, list[Any]] = {}
        for shape, script in (item for one in shares for item in one["scripts"].items()):
            scripts[shape] = min(script, scripts.get(shape, script))
        found = Found(
            runs=sum(one["runs"] for one in shares) - len(shares) + 1,  # the run without a fault is one of each
            left_out=sum((Counter(one["left_out"]) for one in shares), Counter()),
            missed=sum(one["missed"] for one in shares),
            is_cut=any(one["is_cut"] for one in shares),
            untried=max(one["untried"] for one in shares),
            cut=sum(one["cut"] for one in shares),
        )
        ordered = sorted(scripts.items(), key=lambda item: (item[1], item[0]))
        lines = [f"{shape}: {script}" for shape, (_, script) in ordered]
        yield name, "\n".join([*lines, words.coverage(found, shares[0]["depth"])])
