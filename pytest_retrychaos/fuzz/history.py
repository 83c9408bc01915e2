"""A history: which attempts of a run met a fault, and what came of it. A history is a script, and reads as one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby

from pytest_retrychaos.faults import OK, Script, Step
from pytest_retrychaos.trace import Attempt


@dataclass(frozen=True, slots=True)
class History:
    """Faults at places, the others ``ok``."""

    faults: tuple[tuple[int, Step], ...] = ()
    """The index of an attempt, from 1, and what it met; in that order."""
    for_ever: bool = False
    """Every attempt from the last fault on meets it again."""

    @property
    def last(self) -> int:
        """The index of the last attempt that met a fault."""
        return self.faults[-1][0] if self.faults else 0

    @property
    def script(self) -> Script | None:
        """The script by which it can be had again; ``None`` without a fault."""
        return Script(tuple(self._steps())) if self.faults else None

    @property
    def options(self) -> dict[str, str]:
        """The marker's options by which it can be had again, beside the script."""
        return {}

    @property
    def plainness(self) -> tuple[int, bool, int, int]:
        """Its place in the order of shrinking: fewer faults first, then plainer and earlier ones."""
        return len(self.faults), self.for_ever, sum(step.plainness for _, step in self.faults), self.last

    def then(self, index: int, step: Step, *, for_ever: bool = False) -> History:
        """Let one more attempt, behind the last, meet a fault."""
        return History((*self.faults, (index, step)), for_ever)

    def _steps(self) -> Iterator[Step]:
        met = dict(self.faults)
        each = [met.get(index, OK) for index in range(1, self.last + 1)]
        if self.for_ever:
            each[-1] = replace(each[-1], count=None)
        for step, alike in groupby(each):
            count = len(list(alike))
            yield step if step.count is None else replace(step, count=count)

    def __str__(self) -> str:
        return "no fault" if self.script is None else str(self.script)


@dataclass(frozen=True, slots=True)
class Breach:
    """One way in which a run failed."""

    shape: str
    """What tells it from others: a law's shape, or the assertion of the test."""
    text: str
    """Why, with the timeline."""


@dataclass(frozen=True, slots=True)
class Played:
    """A history that was run."""

    history: History
    attempts: tuple[Attempt, ...] = ()
    """What the client sent."""
    breaches: Mapping[str, Breach] = field(default_factory=dict)
    """By shape."""
    answers_itself: bool = False
    """Handlers or an app of the test's answer: asking them is not the same as not asking them."""

    @property
    def struck(self) -> bool:
        """Whether each fault met the attempt that it was meant for."""
        met = {attempt.index: attempt.fault for attempt in self.attempts}
        return all(met.get(index) == str(step) for index, step in self.history.faults)


Sent = tuple[object, ...]


def sent(attempt: Attempt) -> Sent:
    """Give what a client did in one attempt, and when: the same on every run of the same history."""
    body = attempt.body
    return (attempt.began_ns, attempt.method, attempt.scheme, attempt.host, attempt.target, body.size, body.sha256)


def parted(one: Played, other: Played, count: int) -> int | None:
    """Find the first attempt, of so many, at which a client did something else after the same history."""
    for index in range(count):
        left = sent(one.attempts[index]) if index < len(one.attempts) else None
        right = sent(other.attempts[index]) if index < len(other.attempts) else None
        if left != right:
            return index + 1
    return None
