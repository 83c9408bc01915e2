"""Who is at work: the task, the item of a pool or the thread that runs; who began it, and whether it has ended."""

from __future__ import annotations

import contextvars
import sys
import weakref
from _thread import get_ident
from typing import Any, TypeVar

from pytest_retrychaos.clock.active import ACTIVE
from pytest_retrychaos.clock.strands import Strand, Work

T = TypeVar("T")

_PARENTS: weakref.WeakKeyDictionary[Any, object] = weakref.WeakKeyDictionary()  # Any: tasks of several libraries
"""Of tasks: who began them."""


def here() -> object:
    """Give who is at work in this thread: a task, an item of a pool, or the thread itself."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None and asyncio._get_running_loop() is not None:
        task = asyncio.current_task()
        if task is not None:
            return task
    trio = sys.modules.get("trio._core._run")
    task = getattr(trio.GLOBAL_RUN_CONTEXT, "task", None) if trio is not None else None
    if task is not None:
        return task
    return ACTIVE.turns.granted.work if ACTIVE.turns is not None else None


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
    """Remember who began a task."""
    _PARENTS[task] = weakref.ref(parent)


def parent_of(worker: object) -> object:
    """Give who began it; ``None`` where that is not known or gone."""
    if isinstance(worker, (Strand, Work)):
        return worker.parent
    nursery = getattr(worker, "parent_nursery", None)  # a trio task knows it by itself
    if nursery is not None:
        return nursery.parent_task
    known: Any = _PARENTS.get(worker)  # Any: a weak reference
    return None if known is None else known()


def inherited(variable: contextvars.ContextVar[T | None]) -> T | None:
    """Look a variable up in the context in which the running thread was begun: the thread itself starts with none."""
    worker = ACTIVE.turns.granted.work if ACTIVE.turns is not None else None
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


def has_ended(worker: object) -> bool:
    """Whether it has come to its end."""
    if isinstance(worker, (Strand, Work)):
        return worker.is_done
    done = getattr(worker, "done", None)
    if done is not None:
        return bool(done())
    coroutine = getattr(worker, "coro", None)  # of a trio task
    return coroutine is None or coroutine.cr_frame is None
