"""A walk through the histories of a test: each fault is chosen when its attempt has been seen, one integer a choice.

Laws of this module:
1. 0 is always the plain choice: no further fault, the earliest attempt, the plainest fault, nothing but faults. Fewer
   and smaller integers are a shorter and plainer history.
2. A choice exists only where an attempt was made, as in `search`; no choice is in vain.
3. What was run is known: a walk that comes the same way again runs nothing. The latest runs are kept, at most so many.
4. After the same history a client does the same, or `NotTheSameError` is raised.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from pytest_retrychaos.faults import Kind, Step
from pytest_retrychaos.fuzz.choices import choices
from pytest_retrychaos.fuzz.history import History, Played, parted
from pytest_retrychaos.fuzz.search import Found, NotTheSameError, Play, strikes

MOST_FAULTS = 8
"""A walk ends there: a client that goes on for ever is met by faults that do."""
ONE_IN = 4
"""Of so many walks one ends with its last fault for ever, and one, where it can, with a choice that is no fault."""
KEPT = 2048

Choose = Callable[[int], int]
"""Gives an integer from 0 to what it is asked for."""


@dataclass(frozen=True)
class Walks:
    """All walks through the histories of one test."""

    play: Play
    faults: Sequence[Step]
    """The plainest first."""
    found: Found
    switches: int = 0
    """How often, at most, another thread or task goes on than the seed chose."""
    timezone: str | None = None
    """Where the clock is without a choice."""
    known: dict[History, Played] = field(default_factory=dict)
    keeps: bool = True
    """Whether what was run is known; not where somebody measures how long a walk takes."""

    def run(self, history: History) -> Played:
        """Run a history, unless it is known, and note what it breaks."""
        if history in self.known:
            return self.known[history]
        played = self.play(history)
        self.found.runs += 1
        if self.keeps:
            if len(self.known) >= KEPT:
                del self.known[next(iter(self.known))]
            self.known[history] = played
        self.found.note(played)
        return played

    def look(self, history: History) -> Played:
        """Run a history, unless it is known, and note nothing."""
        return self.known.get(history) or self.play(history)

    def walk(self, choose: Choose) -> Iterator[Played]:
        """Go from the run without a fault, choice by choice; give each run on the way but that one."""
        at = self.run(History())
        while len(at.history.faults) < MOST_FAULTS:
            places = [one for one in at.attempts[at.history.last :] if one.fault is None]  # else: an outage goes on
            place = choose(len(places))
            if place == 0:
                break
            attempt = places[place - 1]
            steps = [step for step in self.faults if strikes(step, at, attempt)]
            if not steps:
                break
            before, at = at, self.run(at.history.then(attempt.index, steps[choose(len(steps) - 1)]))
            self._check_same(before, at, attempt.index - 1)
            yield at
            if not at.struck:
                self.found.missed += 1
                return
        others = list(self._others(at))
        while others and self._is_chosen(choose):
            chosen = others[choose(len(others) - 1)]
            before, at = at, self.run(chosen)
            self._check_same(before, at, 0 if chosen.cancel is None or chosen.switches else chosen.last)
            yield at
            others = [one for one in self._others(at) if one.switches != chosen.switches]
        if at.history.others:
            return
        faults = at.history.faults
        if faults and faults[-1][1].kind is not Kind.DOWN and self._is_chosen(choose):
            yield self.run(replace(at.history, for_ever=True))

    def _others(self, at: Played) -> Iterator[History]:
        return choices(at, switches=self.switches, timezone=self.timezone)

    @staticmethod
    def _is_chosen(choose: Choose) -> bool:
        return choose(ONE_IN - 1) == ONE_IN - 1

    @staticmethod
    def _check_same(before: Played, now: Played, count: int) -> None:
        index = parted(before, now, count)
        if index is not None:
            raise NotTheSameError(before, now, index)
