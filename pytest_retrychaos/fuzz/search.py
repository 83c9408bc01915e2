"""The search: every history of up to so many faults that the client's own behaviour gives rise to.

Laws of this module:
1. A choice exists only where an attempt was made: a history grows by a fault on an attempt that its run has shown,
   behind its last fault. So each history is run once, and those of fewer faults first.
2. What is left out is counted with its reason (`equivalence`); a limit that was reached is told.
3. After the same history a client does the same, or it is told so, and the search ends: nothing it found would hold.
4. Of each shape the plainest history is kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from math import comb

from pytest_retrychaos.faults import Kind, Step
from pytest_retrychaos.fuzz import equivalence
from pytest_retrychaos.fuzz.faultlist import applies
from pytest_retrychaos.fuzz.history import History, Played, parted

Play = Callable[[History], Played]


class CutOffError(Exception):
    """No further run is allowed."""


class NotTheSameError(Exception):
    """A client did something else after the same history."""

    def __init__(self, before: Played, now: Played, index: int) -> None:
        super().__init__(f"attempt {index}")
        self.before, self.now, self.index = before, now, index


@dataclass
class Found:
    """What a search has found so far."""

    runs: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    """By reason: branches that needed no run."""
    missed: int = 0
    """Runs in which the fault had nothing to strike."""
    is_cut: bool = False
    """The limit was reached before the end."""
    worst: dict[str, Played] = field(default_factory=dict)
    """By shape: the plainest history that breaks something in it."""


@dataclass(frozen=True)
class Search:
    """What to search, and how far."""

    play: Play
    faults: Sequence[Step]
    depth: int
    is_over: Callable[[int], bool]
    """Whether no run may follow, after so many."""
    reduces: bool = True
    found: Found = field(default_factory=Found)

    def run(self, root: Played) -> Found:
        """Search level by level from the run without a fault; `found` is kept whatever ends it."""
        self.found.runs += 1
        level = [root]
        try:
            for _ in range(self.depth - 1):
                level = [child for parent in level for child in self._children(parent)]
            for parent in level:
                for _ in self._children(parent):  # the last ones have none of their own: they need not be kept
                    pass
            for step in self.faults:
                if step.kind is not Kind.DOWN and applies(step, root.attempts[0]):
                    self._played(History().then(1, step, for_ever=True))
        except CutOffError:
            self.found.is_cut = True
        except KeyboardInterrupt:
            self.found.is_cut = True
            raise
        return self.found

    def beside(self) -> dict[str, Played | None]:
        """Find what is next to each history that was found and has an end, by shape."""
        nearest: dict[History, Played | None] = {}
        for played in self.found.worst.values():
            if played.history not in nearest and not played.history.for_ever:
                nearest[played.history] = self.nearest(played)
        return {shape: nearest.get(played.history) for shape, played in self.found.worst.items()}

    def nearest(self, failed: Played) -> Played | None:
        """Run what is next to a history that breaks something: give the run that stays the same for longest."""
        *before, (index, last) = failed.history.faults
        others = [step for step in self.faults if step != last and applies(step, failed.attempts[index - 1])]
        beside = [History(tuple(before)), *(History((*before, (index, step))) for step in others)]
        passed = [played for played in map(self.play, beside) if not played.breaches and played.struck]
        most = len(failed.attempts) + 1
        return max(passed, key=lambda played: parted(failed, played, most) or most + 1, default=None)

    def least_runs(self, attempts: int) -> int:
        """Tell how many runs it takes at least, where a run without a fault has so many attempts."""
        return sum(comb(attempts, count) * len(self.faults) ** count for count in range(self.depth + 1))

    def _children(self, parent: Played) -> Iterator[Played]:
        for attempt in parent.attempts[parent.history.last :]:
            if attempt.fault is not None:
                continue  # an outage goes on
            refused: Played | None = None
            for step in self.faults:
                if not applies(step, attempt) or self._is_left_out(step, attempt.index, parent, refused):
                    continue
                played = self._played(parent.history.then(attempt.index, step))
                index = parted(parent, played, attempt.index - 1)
                if index is not None:
                    raise NotTheSameError(parent, played, index)
                if not played.struck:
                    self.found.missed += 1
                    continue
                if step.kind is Kind.REFUSE:
                    refused = played
                yield played

    def _is_left_out(self, step: Step, index: int, parent: Played, refused: Played | None) -> bool:
        if not self.reduces:
            return False
        other = equivalence.twin(step, parent.attempts[index - 1], parent)
        if other is not None and other[0] in self.faults:
            self.found.left_out[other[1]] += 1
            return True
        if refused is not None and equivalence.twin_of_refusal(step, index, refused):
            self.found.left_out[equivalence.NOBODY_CAME] += 1
            return True
        return False

    def _played(self, history: History) -> Played:
        if self.is_over(self.found.runs):
            raise CutOffError
        played = self.play(history)
        self.found.runs += 1
        self._note(played)
        return played

    def _note(self, played: Played) -> None:
        found = self.found
        if played.struck or played.history.for_ever:
            for shape in played.breaches:
                known = found.worst.get(shape)
                if known is None or played.history.plainness < known.history.plainness:
                    found.worst[shape] = played
