"""Records that wait to be made, a few at once.

Between two tests a client and pytest fill the processor's caches with their own, so that a record made there takes
twice the time of one made right after another. Only a few wait: Python's collector looks at all that is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from pytest_retrychaos.report.document import TestRecord
from pytest_retrychaos.report.jsonform import undrawn
from pytest_retrychaos.report.recording import EVERY_REQUEST, written

if TYPE_CHECKING:
    from pytest_retrychaos.judging import Judgement
    from pytest_retrychaos.trace import Trace

AT_ONCE: Final = 8
"""How many records are made one after the other."""


class Waiting(NamedTuple):
    """A record that is made later, and what is said of its test before that."""

    make: Callable[[], TestRecord]
    seed: int
    scripts: tuple[str, ...]


def may_wait(trace: Trace, judgements: Sequence[Judgement]) -> bool:
    """Whether all that is said before is known: it broke nothing, and its scripts hold no text that may be a secret."""
    if any(one.new or one.known or one.expected for one in judgements):
        return False
    return all(one.where == EVERY_REQUEST and '"' not in step.text for one in trace.scripts for step in one.steps)


def waiting(trace: Trace, make: Callable[[], TestRecord]) -> Waiting:
    """Let the record of a run wait, of which `may_wait` holds."""
    return Waiting(make, trace.seed, tuple([written(script) for script in trace.scripts]))


class Line:
    """Those that wait, in the order in which they came."""

    def __init__(self, made: dict[str, TestRecord | str]) -> None:
        self._made = made
        """Takes what is made, by its test."""
        self._waiting: dict[str, Waiting] = {}

    def add(self, test: str, record: Waiting) -> None:
        """Let a record wait; if it is one of enough, make them all."""
        self._waiting[test] = record
        if len(self._waiting) >= AT_ONCE:
            self.make()

    def make(self) -> None:
        """Make all that wait."""
        for test, record in self._waiting.items():
            self._made[test] = undrawn(record.make())
        self._waiting.clear()
