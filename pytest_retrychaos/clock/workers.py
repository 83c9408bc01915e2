"""Who is at work: the task, the item of a pool or the thread that runs; who began it, and whether it has ended."""

from __future__ import annotations

import contextlib
import contextvars
import sys
import weakref
from _thread import get_ident
from collections.abc import Iterator
from operator import itemgetter
from typing import Any, TypeVar

from pytest_retrychaos.clock.active import ACTIVE
from pytest_retrychaos.clock.strands import Strand, Work, tick

T = TypeVar("T")


class Cancelled:
    """What was asked of one worker."""

    __slots__ = ("asked_ns", "called_off_ns", "is_inherited", "is_open", "roused_ns", "waited")

    def __init__(self) -> None:
        self.asked_ns: list[int] = []
        """When it was asked to end."""
        self.is_open = False
        """Nobody has taken it back."""
        self.is_inherited = False
        """It was asked of who began the task: the task itself cannot take it back."""
        self.called_off_ns: int | None = None
        """When the code under test cancelled it, for good."""
        self.roused_ns: int | None = None
        """When somebody ended its wait for an event before its time was up."""
        self.waited = (0, 0)
        """When that wait had begun, in time and as `tick` counts."""


_passing: list[object] = []
"""Tasks that are being cancelled just now, each by the one before."""
_PARENTS: weakref.WeakKeyDictionary[Any, object] = weakref.WeakKeyDictionary()  # Any: tasks of several libraries
"""Of tasks: who began them."""

_BORN: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()  # Any: as above
"""Of tasks: when they were begun, as `tick` counts."""

_SELF: contextvars.ContextVar[weakref.ref[Any]] = contextvars.ContextVar("_SELF")  # Any: as above
"""In a task's context: the task. What it begins without its loop's knowledge starts from a copy."""

_CANCELLED: weakref.WeakKeyDictionary[Any, Cancelled] = weakref.WeakKeyDictionary()  # Any: as above, strands too
"""Of tasks: the cancellations that the test asked for, and the last of the code's own."""


def here() -> object:
    """Give who is at work in this thread: a task, an item of a pool, or the thread itself."""
    task = running_task()
    if task is not None:
        return task
    return ACTIVE.turns.turn.granted.work if ACTIVE.turns is not None else None


def running_task() -> object:
    """Give the task of an event loop that runs in this thread, if any."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None and asyncio._get_running_loop() is not None:
        task = asyncio.current_task()
        if task is not None:
            return task
    trio = sys.modules.get("trio._core._run")
    return trio.GLOBAL_RUN_CONTEXT.__dict__.get("task") if trio is not None else None


def running_loop() -> Any | None:
    """Give the asyncio loop that runs in this thread, if any."""
    events = sys.modules.get("asyncio.events")
    return events._get_running_loop() if events is not None else None


def is_in_loop() -> bool:
    """Whether an event loop runs in this thread."""
    if running_loop() is not None:
        return True
    trio = sys.modules.get("trio._core._run")
    return trio is not None and hasattr(trio.GLOBAL_RUN_CONTEXT, "runner")


def note_parent(task: object, parent: object) -> None:
    """Remember who began a task; what a cancelled one begins is cancelled work, too."""
    _PARENTS[task] = weakref.ref(parent)
    _BORN[task] = tick()
    context = _context_of(task)
    if context is not None:
        with contextlib.suppress(RuntimeError):  # a context that tasks share, and that is at work
            context.run(_SELF.set, weakref.ref(task))
    if is_cancelled(parent):
        note_cancellation(task, _CANCELLED[parent].asked_ns[-1])
        cancellations(task).is_inherited = True


def tasks_since(moment: int) -> list[Any]:  # Any: tasks of several libraries
    """List the tasks that were begun since a moment, as `tick` counts, and are still there, the oldest first."""
    born = [(since, task) for task, since in list(_BORN.items()) if since > moment]
    return [task for _, task in sorted(born, key=itemgetter(0))]


def note_cancellation(task: object, asked_ns: int) -> None:
    """Remember that the test asked a task to end."""
    known = cancellations(task)
    if not known.is_open:
        known.asked_ns.append(asked_ns)
    known.is_open = True


def end_cancellation(task: object, *, ends_wait: bool) -> None:
    """Remember that a task is no longer asked to end; ``ends_wait``: by a deadline of the code's own."""
    known = _CANCELLED.get(task)
    if known is None:
        return
    if ends_wait and known.called_off_ns is not None:
        known.roused_ns = known.called_off_ns
    known.called_off_ns = None
    if not known.is_inherited:
        known.is_open = False


def cancellations(worker: object) -> Cancelled:
    """Give what was asked of a worker, now and later: it goes on being noted there."""
    known = _CANCELLED.get(worker)
    if known is None:
        known = _CANCELLED[worker] = Cancelled()
    return known


def is_cancelled(worker: object) -> bool:
    """Whether the test asked a worker to end, and nobody has taken that back."""
    return is_task(worker) and worker in _CANCELLED and _CANCELLED[worker].is_open


@contextlib.contextmanager
def cancelling(task: object, asked_ns: int) -> Iterator[None]:
    """Remember that the test asked a task to end; what that one passes on meanwhile is asked for as well."""
    note_cancellation(task, asked_ns)
    _passing.append(task)
    try:
        yield
    finally:
        _passing.pop()


def passes_on() -> bool:
    """Whether a cancellation that the test asked for is just being passed on."""
    return bool(_passing)


def parent_of(worker: object) -> object:
    """Give who began it; ``None`` where that is not known or gone."""
    if isinstance(worker, (Strand, Work)):
        return worker.parent
    nursery = getattr(worker, "parent_nursery", None)  # a trio task knows it by itself
    if nursery is not None:
        return nursery.parent_task
    if worker not in _PARENTS:
        _meet(worker)
    known: Any = _PARENTS.get(worker)  # Any: a weak reference
    return None if known is None else known()


def _meet(task: object) -> None:
    """Note the parent of a task that no loop was asked for: one that starts eagerly, inside who began it."""
    context = _context_of(task)
    known = None if context is None else context.get(_SELF)
    parent = None if known is None else known()
    if parent is not None and parent is not task:
        note_parent(task, parent)


def _context_of(task: object) -> contextvars.Context | None:
    get = getattr(task, "get_context", None)  # asyncio's tell it from Python 3.12 on, and no older starts eagerly
    return get() if get is not None else None


def coroutine_of(task: object) -> object:
    """Give the coroutine that a task runs; ``None`` where it is no task."""
    get = getattr(task, "get_coro", None)
    return get() if get is not None else getattr(task, "coro", None)


def born(worker: object) -> int:
    """Give when a worker was begun, as `now` counts; 0 where it was before anything is known."""
    if isinstance(worker, (Strand, Work)):
        return worker.born
    if worker is not None and worker not in _BORN:
        _meet(worker)
    return 0 if worker is None else _BORN.get(worker, 0)


now = tick
"""Gives a number that is greater than all before."""


def inherited(variable: contextvars.ContextVar[T | None]) -> T | None:
    """Look a variable up in the context in which the running thread was begun: the thread itself starts with none."""
    worker = ACTIVE.turns.turn.granted.work if ACTIVE.turns is not None else None
    while isinstance(worker, (Strand, Work)):
        value = worker.context.get(variable)
        if value is not None:
            return value
        worker = worker.parent
    return None


def is_task(worker: object) -> bool:
    """Whether it is a task of an event loop."""
    return worker is not None and not isinstance(worker, (Strand, Work))


def is_mine() -> bool:
    """Whether this thread is on virtual time."""
    return get_ident() == ACTIVE.owner


def is_interrupted() -> bool:
    """Whether this thread is the run's, but another has the turn: only a signal's handler acts in it then."""
    me = get_ident()
    return ACTIVE.turns is not None and me != ACTIVE.owner and any(one.ident == me for one in ACTIVE.turns.turn.strands)


def has_ended(worker: object) -> bool:
    """Whether it has come to its end."""
    if isinstance(worker, (Strand, Work)):
        return worker.is_done
    done = getattr(worker, "done", None)
    if done is not None:
        return bool(done())
    coroutine = getattr(worker, "coro", None)  # of a trio task
    return coroutine is None or coroutine.cr_frame is None
