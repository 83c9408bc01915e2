"""The search: every history of up to so many faults that the client's own behaviour gives rise to.

Laws of this module:
1. A choice exists only where it matters: a history grows by a fault on an attempt that its run has shown, behind its
   last fault, or by another choice that its run gives rise to (`choices`). Each history is run once, and those of
   fewer choices first.
2. What is left out is counted with its reason (`equivalence`); a limit that was reached is told.
3. After the same history a client does the same, or it is told so, and the search ends: nothing it found would hold.
4. Of each shape the plainest history is kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from pytest_retrychaos.faults import Kind, Step
from pytest_retrychaos.fuzz import equivalence
from pytest_retrychaos.fuzz.choices import MOST_SWITCHES, choices
from pytest_retrychaos.fuzz.faultlist import applies
from pytest_retrychaos.fuzz.history import History, Played, parted
from pytest_retrychaos.trace import Attempt

Play = Callable[[History], Played]


class CutOffError(Exception):
    """No further run is allowed."""


class TooDeepError(Exception):
    """The depth takes too many runs."""

    def __init__(self, needed: int) -> None:
        super().__init__(f"about {needed} runs")
        self.needed = needed


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
    untried: int = 0
    """Moments for a switch that came too late in a run (`MOST_SWITCHES`)."""
    cut: int = 0
    """How many more there were to run next, where that is known; what grows from them comes on top."""
    worst: dict[str, Played] = field(default_factory=dict)
    """By shape: the plainest history that breaks something in it."""

    def note(self, played: Played) -> None:
        """Keep a run where it is the plainest that breaks something."""
        if played.struck or played.history.for_ever:
            for shape in played.breaches:
                known = self.worst.get(shape)
                if known is None or played.history.order < known.history.order:
                    self.worst[shape] = played


@dataclass(frozen=True)
class Search:
    """What to search, and how far."""

    play: Play
    faults: Sequence[Step]
    depth: int
    is_over: Callable[[int], bool]
    """Whether no run may follow, after so many."""
    reduces: bool = True
    switches: int = 0
    """How often, at most, another thread or task goes on than the seed chose."""
    timezone: str | None = None
    """Where the clock is without a choice; ``None``: where this machine is."""
    is_mine: Callable[[int], bool] = lambda _: True
    """Whether the first choice at a place, from 0, is to be made by this search."""
    found: Found = field(default_factory=Found)
    look: Play | None = None
    """Plays what is only looked at beside the search, and counts for nothing; ``None``: as `play`."""
    _seen: set[History] = field(default_factory=set)
    """Histories with other choices than faults, which can be come to by several ways."""

    def run(self, root: Played, most: int | None = None) -> Found:
        """Search level by level from the run without a fault; `found` is kept whatever ends it.

        Raises `TooDeepError` once it is clear that more runs than ``most`` would be needed.
        """
        self.found.runs += 1
        before = self.found.runs
        level = [root]
        try:
            for rest in range(self.depth - 1, 0, -1):
                level = [child for parent in level for child in self._children(parent)]
                before = self.found.runs + self.found.left_out.total()
                self._check_depth(level, rest, most)
            for parent in level:
                for _ in self._children(parent):  # the last ones have none of their own: they need not be kept
                    pass
            for step in self._first_faults(root):
                if step.kind is not Kind.DOWN:
                    for attempt in root.attempts:
                        if applies(step, attempt):
                            self._played(History().then(attempt.index, step, for_ever=True))
        except CutOffError:
            self.found.is_cut = True
            done = self.found.runs + self.found.left_out.total() - before
            self.found.cut = max(0, sum(map(self._planned, level)) - done)
        except KeyboardInterrupt:
            self.found.is_cut = True
            raise
        return self.found

    def beside(self) -> dict[str, Played | None]:
        """Find what is next to each history that was found and has an end, by shape."""
        nearest: dict[History, Played | None] = {}
        for played in list(self.found.worst.values()):
            if played.history not in nearest and not played.history.for_ever:
                nearest[played.history] = self.nearest(played)
        return {shape: nearest.get(played.history) for shape, played in self.found.worst.items()}

    def nearest(self, failed: Played) -> Played | None:
        """Run what is next to a history that breaks something: give the run that stays the same for longest."""
        passed = [
            played
            for played in map(self.look or self.play, self._beside(failed))
            if not played.breaches and played.struck
        ]
        most = len(failed.attempts) + 1
        return max(passed, key=lambda played: parted(failed, played, most) or most + 1, default=None)

    def _beside(self, failed: Played) -> Iterator[History]:
        history = failed.history
        if history.others:
            yield History(history.faults)
        if not history.faults:
            return
        *before, (index, last) = history.faults
        yield replace(history, faults=tuple(before))
        for step in self.faults:
            if step != last and index <= len(failed.attempts) and strikes(step, failed, failed.attempts[index - 1]):
                yield replace(history, faults=(*before, (index, step)))

    def _check_depth(self, level: Sequence[Played], rest: int, most: int | None) -> None:
        """Tell from how many children there will be, each of which is thought to have half as many of its own."""
        if most is None or not level:
            return
        following = sum(self._planned(parent) for parent in level)
        growth = following / len(level) / 2
        needed = self.found.runs + sum(round(following * growth**step) for step in range(rest))
        if self.found.runs + following > most or needed > 2 * most:
            raise TooDeepError(needed)

    def _planned(self, parent: Played) -> int:
        free = [attempt for attempt in parent.attempts[parent.history.last :] if attempt.fault is None]
        faults = list(self._first_faults(parent))
        struck = sum(strikes(step, parent, attempt) for attempt in free for step in faults)
        return struck + sum(1 for _ in self._chosen(parent))

    def _chosen(self, parent: Played) -> Iterator[History]:
        """Give the histories with another choice than a fault that are this search's to run."""
        further = choices(parent, switches=self.switches, timezone=self.timezone)
        for place, history in enumerate(further):
            if parent.history.size or self.is_mine(place):
                yield history

    def _children(self, parent: Played) -> Iterator[Played]:
        for attempt in parent.attempts[parent.history.last :]:
            if attempt.fault is not None:
                continue  # an outage goes on
            refused: Played | None = None
            for step in self._first_faults(parent):
                if not strikes(step, parent, attempt) or self._is_left_out(step, attempt.index, parent, refused):
                    continue
                played = self._child(parent, parent.history.then(attempt.index, step), attempt.index - 1)
                if played is None:
                    continue
                if step.kind is Kind.REFUSE:
                    refused = played
                yield played
        if len(parent.history.switches) < self.switches:
            self.found.untried += max(0, parent.switches - MOST_SWITCHES)
        for history in self._chosen(parent):
            is_cancelled = history.cancel is not None and parent.history.cancel is None
            if self._is_cancelled_before(history, parent):
                continue
            played = self._child(parent, history, history.last if is_cancelled else 0)
            if played is not None:
                yield played

    def _first_faults(self, parent: Played) -> Iterator[Step]:
        """Give the faults that are tried on a run; of the first ones an outage is in one share with being refused."""
        kinds = [step.kind for step in self.faults]
        for place, step in enumerate(self.faults):
            if step.kind is Kind.DOWN and Kind.REFUSE in kinds:
                place = kinds.index(Kind.REFUSE)
            if parent.history.size or self.is_mine(place):
                yield step

    def _child(self, parent: Played, history: History, same: int) -> Played | None:
        """Run a history, of which so many attempts have to be those of its parent; ``None`` where it struck nothing."""
        if history.others:
            if history in self._seen:
                return None
            self._seen.add(history)
        played = self._played(history)
        index = parted(parent, played, same)
        if index is not None:
            raise NotTheSameError(parent, played, index)
        if not played.struck:
            self.found.missed += 1
            return None
        return played

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

    def _is_cancelled_before(self, history: History, parent: Played) -> bool:
        if not self.reduces or not equivalence.is_cancelled_before(history, parent.attempts, self.faults):
            return False
        self.found.left_out[equivalence.CANCELLED] += 1
        return True

    def _played(self, history: History) -> Played:
        if self.is_over(self.found.runs):
            raise CutOffError
        played = self.play(history)
        self.found.runs += 1
        self._note(played)
        return played

    def _note(self, played: Played) -> None:
        self.found.note(played)


def strikes(step: Step, parent: Played, attempt: Attempt) -> bool:
    """Whether a fault says anything new of an attempt; a stale connection is one that has served before."""
    return applies(step, attempt) and (step.kind is not Kind.STALE or attempt.index in parent.reused)
