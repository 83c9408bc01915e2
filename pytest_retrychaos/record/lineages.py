"""On whose behalf a request is sent: a thread, a task or a pool's item, and who began that.

Laws of this module:
1. Lineages are numbered by first appearance; a worker that is gone has ended.
2. What a retry may go on with is of its own lineage, or of one that has ended and is related: a part that its
   own began, or one begun by the same (a deadline around each attempt makes a task of each).
"""

from __future__ import annotations

import weakref
from typing import Any, Final, Protocol


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


class Lineage:
    """One worker as the record knows it."""

    __slots__ = ("_worker", "_workers", "is_task", "number", "parent")

    def __init__(self, number: int, workers: Workers, worker: object) -> None:
        self.number = number
        self.parent: Lineage | None = None
        """Who began it."""
        self.is_task = workers.is_task(worker)
        self._workers = workers
        self._worker: Any = None if worker is None else weakref.ref(worker)  # Any: a weak reference, or None

    @property
    def has_ended(self) -> bool:
        """Whether it cannot send anything more."""
        if self._worker is None:
            return False
        worker = self._worker()
        return worker is None or self._workers.has_ended(worker)

    def is_related(self, other: Lineage) -> bool:
        """Whether one began the other, or both were begun by the same."""
        if other.parent is self or self.parent is other:
            return True
        return self.parent is not None and self.parent is other.parent


SOLE: Final = Lineage(0, Alone(), None)
"""The lineage of a run in which there is but one."""


class Lineages:
    """The lineages of one run, each worker's own."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._known: weakref.WeakKeyDictionary[Any, Lineage] = weakref.WeakKeyDictionary()  # Any: workers
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
        known = self._known.get(worker)
        if known is None:
            known = self._of(worker)
        if known.parent is None:
            parent = self._workers.parent_of(worker)
            if parent is not None:
                known.parent = self._of(parent)
        return known

    def _of(self, worker: object) -> Lineage:
        known = self._known.get(worker)
        if known is None:
            known = self._known[worker] = self._new(worker)
        return known

    def _new(self, worker: object) -> Lineage:
        lineage = Lineage(len(self.all), self._workers, worker)
        self.all.append(lineage)
        return lineage
