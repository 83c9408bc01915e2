"""Who is told to stop while it waits for its next try: a wait for an event is ended before its time is up.

A worker in a thread writes ``if stop.wait(delay): return``. One in an event loop waits for an `asyncio.Event`, a
`trio.Event` or anyio's under a deadline, that of ``wait_for(stop.wait(), delay)`` or of a block. What the code under
test waits for itself counts, not what a library does in its own name: a pool of connections waits for events, too.
"""

from __future__ import annotations

import functools
import math
import sys
import threading
import weakref
from collections.abc import Awaitable, Callable, Iterator
from types import CodeType, FrameType
from typing import Any, Final

from pytest_retrychaos.clock import workers
from pytest_retrychaos.clock.active import ACTIVE, is_foreign
from pytest_retrychaos.clock.cpython import TypePatch
from pytest_retrychaos.clock.strands import tick

Wait = Callable[[Any], Awaitable[Any]]  # Any: an event of several libraries, and what its wait gives

_THREADS_WAIT: Final = threading.Event.wait.__code__
_WAIT_FOR: Final = ("asyncio.tasks", "wait_for")
_IN_BETWEEN: Final = frozenset({"asyncio", "anyio", "contextlib"})
"""Packages by which code waits in its own name."""
_BLOCKS: Final = _IN_BETWEEN | {"trio", "async_timeout", "pytest_retrychaos"}
"""Packages by which code sets a deadline in its own name."""
_STEP: Final = "Handle._run"
"""By which asyncio lets a task go on: below lies who runs the loop."""
_STEPS: Final = frozenset({_STEP, "unrolled_run", "sleep_until"})
"""The same, and trio's; and trio's sleep."""

_latest: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()  # Any: tasks and deadlines of several kinds
"""By task: the deadline of the block that its own code began last."""


def note_roused(worker: object, since: tuple[int, int]) -> None:
    """Remember that a thread's wait was ended before its time was up, if its own code waited for an event."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code is not _THREADS_WAIT and is_foreign(frame.f_code.co_filename):
        frame = frame.f_back
    caller = frame.f_back if frame is not None and frame.f_code is _THREADS_WAIT else None
    if caller is not None and not is_foreign(caller.f_code.co_filename):
        _note(worker, since)


def _note(worker: object, since: tuple[int, int]) -> None:
    known = workers.cancellations(worker)
    known.waited, known.roused_ns = since, ACTIVE.clock.now_ns


def note_block(deadline: object, frame: FrameType | None) -> None:
    """Remember the deadline of a block, if the running task's own code, of which this is a frame, begins it."""
    task = workers.running_task()
    if task is not None and _is_own(frame):
        _latest[task] = weakref.ref(deadline)


def _is_own(frame: FrameType | None) -> bool | None:
    """Whether the code under test asks for it, itself or through a library of concurrency; ``None``: the loop does."""
    while frame is not None and is_foreign(frame.f_code.co_filename):
        if frame.f_code.co_qualname == _STEP:
            return None
        if frame.f_globals.get("__name__", "").partition(".")[0] not in _IN_BETWEEN:
            return False
        frame = frame.f_back
    return frame is not None


def is_own_block(frame: FrameType | None) -> bool:
    """Whether a block whose deadline has come is one of the code under test.

    It is none where a library sets it for a read, nor where trio sleeps, which it does by one.
    """
    while frame is not None and frame.f_code.co_qualname not in _STEPS:
        if not is_foreign(frame.f_code.co_filename):
            return True
        if frame.f_globals.get("__name__", "").partition(".")[0] not in _BLOCKS:
            return False
        frame = frame.f_back
    return False


def _stoppable(frame: FrameType | None) -> object:
    """Give the task whose own code waits under a deadline, where it is asked for in this frame; else ``None``."""
    task = workers.running_task()
    if task is None or _is_own(frame) is False:
        return None
    return task if _has_deadline(task) else _sharer(task)


def _has_deadline(task: Any) -> bool:  # Any: as above
    """Whether a task is in a block with a deadline."""
    if hasattr(task, "parent_nursery"):
        return bool(sys.modules["trio"].current_effective_deadline() < math.inf)
    known = _latest.get(task)
    deadline: Any = None if known is None else known()  # Any: as above
    if deadline is None:
        return False
    if hasattr(deadline, "when"):  # asyncio's
        return deadline.when() is not None and deadline._state.value == "active"
    return deadline.deadline < math.inf and deadline._host_task is not None


def _sharer(task: object) -> object:
    """Give the task whose own code awaits ``wait_for``, which made this one of what it waits for (Python 3.11)."""
    parent = workers.parent_of(task)
    awaited: Any = workers.coroutine_of(parent)  # Any: a coroutine, and what each awaits
    caller: CodeType | None = None
    while (frame := getattr(awaited, "cr_frame", None)) is not None:
        if (frame.f_globals.get("__name__"), frame.f_code.co_qualname) == _WAIT_FOR:
            is_own = caller is not None and not is_foreign(caller.co_filename)
            return parent if is_own and frame.f_locals.get("fut") is task else None
        caller, awaited = frame.f_code, awaited.cr_await
    return None


def _since(worker: object) -> int:
    """Give when a worker's wait began, as `tick` counts: with the task that ``wait_for`` makes of it (Python 3.11)."""
    task = workers.running_task()
    return tick() if task is worker else workers.born(task)


def _waits(real: Wait) -> Wait:
    @functools.wraps(real)
    async def wait(event: Any) -> Any:  # Any: as above
        may_be_told = workers.is_mine() and not event.is_set()
        worker = _stoppable(sys._getframe(1)) if may_be_told else None
        told = weakref.ref(worker) if worker is not None else None
        since = (0, 0) if worker is None else (ACTIVE.clock.now_ns, _since(worker))
        del worker  # a task that waits is not to be kept by what it waits in
        came = await real(event)
        if told is not None and workers.is_mine() and (stopped := told()) is not None:
            _note(stopped, since)
        return came

    return wait


@functools.cache
def _patch(kind: type) -> TypePatch:
    return TypePatch(kind, "wait", _waits(kind.__dict__["wait"]))


def event_patches() -> Iterator[TypePatch]:
    """Make the patches of the events of event loops, in the libraries that are loaded."""
    for name in ("asyncio.locks", "trio._sync"):
        if name in sys.modules:
            yield _patch(sys.modules[name].Event)
