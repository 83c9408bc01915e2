"""On whose behalf a request is sent: a thread, a task or a pool's item, and who began that.

Laws of this module:
1. Lineages are numbered by first appearance; a worker that is gone has ended.
2. What a retry may go on with is of its own lineage, or of one that has ended: one that its own began, or one
   that ended before its own was begun (a deadline around each attempt makes a task of each).
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from typing import Final, Protocol

AT_ONCE_NS: Final = 1_000_000
"""Who waits so soon after an attempt of a task that it began had waited for that task, and waits for its next try."""


class Cancelled(Protocol):
    """What was asked of one worker."""

    asked_ns: list[int]
    """When it was asked to end."""
    is_open: bool
    """Nobody has taken it back."""
    called_off_ns: int | None
    """When the code under test cancelled it, for good."""
    roused_ns: int | None
    """When somebody ended its wait for an event before its time was up."""
    waited: tuple[int, int]
    """When that wait had begun, in time and as `Workers.now` counts."""


class Workers(Protocol):
    """Tells who is at work."""

    def here(self) -> object:
        """Give the running task, pool item or thread; ``None`` where there is but one."""

    def parent_of(self, worker: object) -> object:
        """Give who began a worker, if that is known."""

    def has_ended(self, worker: object) -> bool:
        """Whether a worker has come to its end."""

    def is_task(self, worker: object) -> bool:
        """Whether a worker is a task of an event loop."""

    def coroutine_of(self, task: object) -> object:
        """Give the coroutine that a task runs; ``None`` where it is no task."""

    def born(self, worker: object) -> int:
        """Give when a worker was begun, as `now` counts; 0 where it was before anything is known."""

    def now(self) -> int:
        """Give a number that is greater than all before."""

    def cancellations(self, worker: object) -> Cancelled:
        """Give what was asked of a worker, now and later: it goes on being noted there."""


class Alone:
    """The workers of a run in which there is but one."""

    def here(self) -> object:
        return None

    def parent_of(self, worker: object) -> object:  # noqa: ARG002 - the protocol's
        return None

    def has_ended(self, worker: object) -> bool:  # noqa: ARG002 - the protocol's
        return False

    def is_task(self, worker: object) -> bool:  # noqa: ARG002 - the protocol's
        return False

    def coroutine_of(self, task: object) -> object:  # noqa: ARG002 - the protocol's
        return None

    def born(self, worker: object) -> int:  # noqa: ARG002 - the protocol's
        return 0

    def now(self) -> int:
        return 1

    def cancellations(self, worker: object) -> Cancelled:
        raise NotImplementedError(f"{worker!r} is no worker: there is none")


class Lineage:
    """One worker as the record knows it."""

    __slots__ = ("_cancelled", "_workers", "born", "is_task", "number", "parent", "worker")

    def __init__(self, number: int, workers: Workers, worker: object) -> None:
        self.number = number
        self.parent: Lineage | None = None
        """Who began it."""
        self.born = workers.born(worker)
        """When it was begun, in the order of what happened."""
        self.is_task = workers.is_task(worker)
        self._cancelled = None if worker is None else workers.cancellations(worker)
        self._workers = workers
        self.worker: Callable[[], object] = _no_one if worker is None else weakref.ref(worker)
        """Gives it, as long as it is there."""

    @property
    def has_ended(self) -> bool:
        """Whether it cannot send anything more."""
        if self.worker is _no_one:
            return False
        worker = self.worker()
        return worker is None or self._workers.has_ended(worker)

    @property
    def cancelled_ns(self) -> tuple[int, ...]:
        """When the test asked it to end."""
        return () if self._cancelled is None else tuple(self._cancelled.asked_ns)

    @property
    def called_off_ns(self) -> int | None:
        """When the code under test cancelled it, for good."""
        return None if self._cancelled is None else self._cancelled.called_off_ns

    @property
    def roused_ns(self) -> int | None:
        """When somebody ended its wait for an event before its time was up."""
        return None if self._cancelled is None else self._cancelled.roused_ns

    def was_roused_after(self, moment_ns: int, moment: int) -> int | None:
        """Give when its wait was ended, if that had begun right after what ended at a moment, and as that number."""
        if self._cancelled is None:
            return None
        since_ns, since = self._cancelled.waited
        return self._cancelled.roused_ns if since > moment and since_ns - moment_ns <= AT_ONCE_NS else None

    @property
    def ends_since_ns(self) -> int | None:
        """Since when it ought to end."""
        known = self._cancelled
        return known.asked_ns[-1] if known is not None and known.is_open else None

    def was_cancelled_since(self, moment_ns: int) -> bool:
        """Whether the test asked it, or who began it, to end at that moment or later."""
        if self._cancelled is not None and any(asked >= moment_ns for asked in self._cancelled.asked_ns):
            return True
        return self.parent is not None and self.parent.was_cancelled_since(moment_ns)

    @property
    def coroutine(self) -> object:
        """What it runs, where it is a task that is there."""
        worker = self.worker()
        return None if worker is None else self._workers.coroutine_of(worker)

    def line(self) -> Iterator[Lineage]:
        """List who began it, and who began that one, and so on."""
        parent = self.parent
        while parent is not None:
            yield parent
            parent = parent.parent

    def is_begun_by(self, other: Lineage) -> bool:
        """Whether another began it, or began who did."""
        return any(one is other for one in self.line())

    @property
    def keeper(self) -> Lineage | None:
        """The nearest of those who began it that has not ended: who may go on with what it left."""
        return next((one for one in self.line() if not one.has_ended), None)

    def branch_beside(self, other: Lineage) -> Lineage:
        """Give what the nearest who began both, or the other itself, has begun of this line; itself if there is none.

        When that was begun tells whether this line was under way already.
        """
        above = {other, *other.line()}
        branch = self
        while branch.parent is not None and branch.parent not in above:
            branch = branch.parent
        return self if branch.parent is None else branch

    def is_related(self, other: Lineage) -> bool:
        """Whether one began the other, or both were begun by the same."""
        if other.parent is self or self.parent is other:
            return True
        return self.parent is not None and self.parent is other.parent


def _no_one() -> None:
    """Stand for the worker of a run in which there is but one."""


SOLE: Final = Lineage(0, Alone(), None)
"""The lineage of a run in which there is but one."""


class Lineages:
    """The lineages of one run, each worker's own."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._known: dict[int, Lineage] = {}
        """By the worker's ``id``, which counts as long as that worker is there."""
        self.now = workers.now
        """Gives a number that is greater than all before, to be compared with `Lineage.born`."""
        self.all: list[Lineage] = []
        """In the order of their numbers."""
        self._only: Lineage | None = None

    def here(self) -> Lineage:
        """Give the lineage of who is at work now."""
        worker = self._workers.here()
        if worker is None:
            if self._only is None:
                self._only = self._new(None)
            return self._only
        known = self._known.get(id(worker))
        if known is None or known.worker() is not worker:
            known = self._of(worker)
        self._note_parents(known, worker)
        return known

    def cancellations_here(self) -> Cancelled | None:
        """Give what the test asks of the task at work, now and later; ``None`` where it is no task."""
        worker = self._workers.here()
        return self._workers.cancellations(worker) if self._workers.is_task(worker) else None

    def _note_parents(self, lineage: Lineage, worker: object) -> None:
        while lineage.parent is None:
            worker = self._workers.parent_of(worker)
            if worker is None:
                return
            lineage.parent = self._of(worker)
            lineage = lineage.parent

    def _of(self, worker: object) -> Lineage:
        known = self._known.get(id(worker))
        if known is None or known.worker() is not worker:
            known = self._known[id(worker)] = self._new(worker)
        return known

    def _new(self, worker: object) -> Lineage:
        lineage = Lineage(len(self.all), self._workers, worker)
        self.all.append(lineage)
        return lineage
