"""The end of a loop that has none."""

from __future__ import annotations

from typing import Final

from pytest_retrychaos import redact
from pytest_retrychaos.record.lineages import Lineage
from pytest_retrychaos.record.sheet import Sheet

LONGEST: Final = 2000
"""Consecutive attempts of one request after which the run is ended."""


class Runaway(BaseException):
    """The code under test sent one request 2 000 times in a row, and the run was ended there.

    It is no `Exception`, so that no retry loop can catch it and go on; what happened can still be judged.
    Requests with different bodies that each succeeded do not count: they are a day's work. Reads that succeed
    do, as in a poll that never ends.
    """


class Streaks:
    """Counts equal requests in a row, on each lineage, whatever operations they belong to.

    ``counts_successes``: also where each succeeded, since who sends them is known to be one.
    """

    def __init__(self, *, counts_successes: bool = True) -> None:
        self._counts_successes = counts_successes
        self._counts: dict[Lineage, tuple[Sheet, int]] = {}
        self.stops: list[Runaway] = []
        """What was raised: the code under test may have swallowed it."""

    def check(self, sheet: Sheet) -> None:
        """Count an attempt; raises `Runaway` where it is one too many."""
        # Whose loop it may be: who began the operation, also where each attempt is a task of its own.
        line = sheet.lineage if sheet.operation is None else sheet.operation.begun_by
        earlier, count = self._counts.get(line, (sheet, 0))
        count = count + 1 if self._goes_on(earlier, sheet) else 1
        self._counts[line] = (sheet, count)
        if count <= LONGEST:
            return
        del self._counts[line]
        what = f"a connection to {sheet.host} was tried" if sheet.method is None else _sent(sheet)
        error = Runaway(
            f"{what} {LONGEST} times in a row: the retry loop does not end. Cap its attempts or its time; "
            "chaos.verify() can still be called"
        )
        sheet.stop(error)
        self.stops.append(error)
        raise error

    def _goes_on(self, earlier: Sheet, sheet: Sheet) -> bool:
        if (earlier.identity, earlier.host) != (sheet.identity, sheet.host):
            return False
        return not earlier.has_succeeded or (self._counts_successes and earlier.content == sheet.content)


def _sent(sheet: Sheet) -> str:
    return redact.current().text(f"{sheet.method} {sheet.target} was sent")
