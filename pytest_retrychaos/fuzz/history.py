"""A history: what was chosen in a run, and what came of it. It reads as a script, and as options of the marker.

Laws of this module:
1. What was chosen is all that a run needs to be had again: `History.script` and `History.options`.
2. Beside faults it is the caller's cancellation, the clock's zone, whether connections are kept alive, and who goes on
   where several could. Each counts as one choice, as a fault does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

from pytest_retrychaos.faults import OK, Script, Step
from pytest_retrychaos.faults.durations import format_duration
from pytest_retrychaos.trace import Attempt


@dataclass(frozen=True, slots=True)
class Cancel:
    """The caller's cancellation."""

    attempt: int
    """Which attempt has begun last."""
    at_ns: int | None = None
    """When; ``None``: while that attempt is in flight, which costs no time."""

    def __str__(self) -> str:
        return f"#{self.attempt}" if self.at_ns is None else format_duration(self.at_ns)


@dataclass(frozen=True, slots=True)
class History:
    """Faults at places, the others ``ok``; and what else was chosen."""

    faults: tuple[tuple[int, Step], ...] = ()
    """The index of an attempt, from 1, and what it met; in that order."""
    for_ever: bool = False
    """Every attempt from the last fault on meets it again."""
    cancel: Cancel | None = None
    timezone: str | None = None
    keep_alive: bool = True
    switches: tuple[int, ...] = ()
    """Moments at which another thread or task goes on, as `Options.switches` counts them."""

    @property
    def last(self) -> int:
        """The index of the last attempt that met a fault, or was the last before the cancellation."""
        fault = self.faults[-1][0] if self.faults else 0
        return fault if self.cancel is None else max(fault, self.cancel.attempt)

    @property
    def others(self) -> int:
        """How many choices there are beside the faults."""
        return (self.cancel is not None) + (self.timezone is not None) + (not self.keep_alive) + len(self.switches)

    @property
    def size(self) -> int:
        """How many choices there are."""
        return len(self.faults) + self.others

    @property
    def script(self) -> Script | None:
        """The script by which it can be had again; ``None`` without a fault."""
        return Script(tuple(self._steps())) if self.faults else None

    @property
    def options(self) -> dict[str, Any]:  # Any: as a user would write them
        """The marker's options by which it can be had again, beside the script."""
        options: dict[str, Any] = {}
        if self.timezone is not None:
            options["timezone"] = self.timezone
        if self.cancel is not None:
            options["cancel"] = str(self.cancel)
        if not self.keep_alive:
            options["keep_alive"] = False
        if self.switches:
            options["switches"] = self.switches
        return options

    @property
    def plainness(self) -> tuple[int, int, bool, int, int]:
        """Its place in the order of shrinking: fewer choices first, faults before others, plainer and earlier ones."""
        return self.size, self.others, self.for_ever, sum(step.plainness for _, step in self.faults), self.last

    @property
    def order(self) -> tuple[tuple[int, int, bool, int, int], str]:
        """Its place among all: no two have the same."""
        return self.plainness, str(self)

    def then(self, index: int, step: Step, *, for_ever: bool = False) -> History:
        """Let one more attempt, behind the last, meet a fault."""
        return replace(self, faults=(*self.faults, (index, step)), for_ever=for_ever)

    def _steps(self) -> Iterator[Step]:
        met = dict(self.faults)
        each = [met.get(index, OK) for index in range(1, self.faults[-1][0] + 1)]
        if self.for_ever:
            each[-1] = replace(each[-1], count=None)
        for step, alike in groupby(each):
            count = len(list(alike))
            yield step if step.count is None else replace(step, count=count)

    def __str__(self) -> str:
        script = "no fault" if self.script is None else str(self.script)
        return " with ".join([script, *(f"{name}={value!r}" for name, value in self.options.items())])


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
    reused: frozenset[int] = frozenset()
    """Attempts that came on a connection which had served before."""
    finished_ns: int = 0
    can_be_cancelled: bool = False
    """It ran in an event loop that can cancel it."""
    switches: int = 0
    """At how many moments several threads or tasks could go on."""
    unmet: str = ""
    """A choice beside the faults that found nothing to act on."""

    @property
    def struck(self) -> bool:
        """Whether each choice met what it was meant for."""
        met = {attempt.index: attempt.fault for attempt in self.attempts}
        return not self.unmet and all(met.get(index) == str(step) for index, step in self.history.faults)


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
