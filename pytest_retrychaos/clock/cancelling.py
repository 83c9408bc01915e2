"""Cancellations that the test asked for: of which tasks, when, and until when.

Laws of this module:
1. The test asks where its own function calls ``cancel()``, directly or in a function inside it, and where a
   deadline that it set itself (``asyncio.timeout``, ``wait_for``, ``move_on_after``) comes. A deadline that the
   code under test sets, inside the test's function too, is its own business.
2. A cancelled task passes it on to what it awaits, by itself; what it begins afterwards counts as cancelled.
3. It is over when the task takes it back (``uncancel``), as a deadline does at the end of its block.
4. What the code itself cancels for good, such as the loser of a race, is noted apart.
"""

from __future__ import annotations

import functools
import sys
import weakref
from _thread import get_ident
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from pytest_retrychaos.clock import stopping, workers
from pytest_retrychaos.clock.active import ACTIVE, is_foreign
from pytest_retrychaos.clock.cpython import TypePatch

ANYIO = "anyio._backends._asyncio"
"""The module that has its deadlines on asyncio, loaded when it first runs a loop."""

Method = Callable[..., Any]  # Any: a method, whatever it takes

_DEADLINES: weakref.WeakSet[Any] = weakref.WeakSet()  # Any: deadlines of several libraries
"""Those that the test itself set."""

_EXPIRIES = {
    ("asyncio.timeouts", "Timeout._on_timeout"): "self",
    (ANYIO, "CancelScope._deliver_cancellation"): "origin",
}
"""Functions by which a deadline cancels, and what the deadline is called in them."""

_LOOPS = {("asyncio.events", "Handle._run"), ("trio._core._run", "unrolled_run")}
"""Functions that let a task go on, or a timer strike."""

_CONCURRENCY = frozenset({"asyncio", "anyio", "trio", "async_timeout", "contextlib", "functools", "pytest_retrychaos"})
"""Packages by which the test itself sets a deadline or cancels. Any other sets its own, as httpx does for each read."""

_WAIT_FOR = ("asyncio.tasks", "wait_for")
_DEADLINE = "_cancel_and_wait"
"""By which `wait_for` ends the task that it made of what it waits for (Python 3.11)."""
_NAMED = {name for _, name in (*_EXPIRIES, *_LOOPS, _WAIT_FOR)}
"""By their names alone, since most frames have none of them."""


def note_deadline(deadline: Any) -> None:  # Any: as above
    """Take a deadline or a scope for one that the test itself set."""
    _DEADLINES.add(deadline)


def _is_of_test(frame: FrameType | None, *, is_deadline: bool) -> bool:
    """Whether the test's own code asks for it, itself or by what libraries of concurrency give it to ask with."""
    test = ACTIVE.clock.test_code
    while frame is not None and test is not None:
        code = frame.f_code
        if code is test:
            return True
        if code.co_qualname in _NAMED:
            name = (frame.f_globals.get("__name__"), code.co_qualname)
            if name in _EXPIRIES and frame.f_locals.get(_EXPIRIES[name]) in _DEADLINES:
                return True
            is_deadline = is_deadline or name == _WAIT_FOR
            if name in _LOOPS:
                return False  # below lies who runs the loop
        if is_foreign(code.co_filename):
            if frame.f_globals.get("__name__", "").partition(".")[0] not in _CONCURRENCY:
                return False
        else:
            is_inside = code.co_qualname.startswith(f"{test.co_qualname}.<locals>.")
            return is_inside and code.co_filename == test.co_filename and not is_deadline
        frame = frame.f_back
    return False


def _is_passed_on() -> bool:
    """Whether it comes of a cancellation that the test asked for: out of it, or out of a task that it reached."""
    return workers.passes_on() or workers.is_cancelled(workers.here())


def _cancels(real: Method) -> Method:
    def cancel(task: Any, *args: Any, **kwargs: Any) -> Any:  # Any: as the caller gives it
        is_mine = get_ident() == ACTIVE.owner
        if is_mine and (_is_passed_on() or _is_of_test(sys._getframe(1), is_deadline=False)):
            with workers.cancelling(task, ACTIVE.clock.now_ns):
                return real(task, *args, **kwargs)
        is_asked = real(task, *args, **kwargs)
        if is_mine and is_asked and sys._getframe(1).f_code.co_qualname != _DEADLINE:
            workers.cancellations(task).called_off_ns = ACTIVE.clock.now_ns
        return is_asked

    return cancel


def _takes_back(real: Method) -> Method:
    def uncancel(task: Any) -> Any:  # Any: the number that are left
        left = real(task)
        if not left:
            workers.end_cancellation(task, ends_wait=stopping.is_own_block(sys._getframe(1)))
        return left

    return uncancel


def _begins(real: Method) -> Method:
    def begin(deadline: Any) -> Any:  # Any: what the block is given
        if get_ident() == ACTIVE.owner:
            frame = sys._getframe(1)
            if _is_of_test(frame, is_deadline=True):
                _DEADLINES.add(deadline)
            stopping.note_block(deadline, frame)
        return real(deadline)

    return begin


def _trio_cancels(real: Method) -> Method:
    def cancel(scope: Any, *args: Any, **kwargs: Any) -> Any:  # Any: as the caller gives it
        if get_ident() == ACTIVE.owner and not scope._cancel_called:
            is_asked = scope in _DEADLINES or _is_of_test(sys._getframe(1), is_deadline=False)
            for task in _tasks_within(scope._cancel_status, through_shields=not is_asked):
                if is_asked:
                    workers.note_cancellation(task, ACTIVE.clock.now_ns)
                elif task is not workers.here():  # it ends its own block, as trio does at the end of a run
                    workers.cancellations(task).called_off_ns = ACTIVE.clock.now_ns
        return real(scope, *args, **kwargs)

    return cancel


def _tasks_within(status: Any, *, through_shields: bool) -> Iterator[Any]:  # Any: trio's private classes
    """Give the tasks that are cancelled; ``through_shields``, those too that will be when they have closed up."""
    if status is None:
        return
    yield from status._tasks
    for child in status._children:
        if through_shields or not child._scope.shield:
            yield from _tasks_within(child, through_shields=through_shields)


def _trio_closes(real: Method) -> Method:
    def close(scope: Any, error: BaseException | None) -> Any:  # Any: what is left of the error
        left = real(scope, error)
        if scope.cancelled_caught:
            workers.end_cancellation(workers.here(), ends_wait=stopping.is_own_block(sys._getframe(1)))
        return left

    return close


@functools.cache
def _patch(kind: type, name: str, made: Callable[[Method], Method]) -> TypePatch:
    return TypePatch(kind, name, made(kind.__dict__[name]))


def cancel_patches() -> Iterator[TypePatch]:
    """Make the patches of what cancels and of what sets a deadline, in the libraries that are loaded."""
    tasks, timeouts = sys.modules.get("_asyncio"), sys.modules.get("asyncio.timeouts")
    if tasks is not None and timeouts is not None:
        yield _patch(tasks.Task, "cancel", _cancels)
        yield _patch(tasks.Task, "uncancel", _takes_back)
        yield _patch(timeouts.Timeout, "__aenter__", _begins)
    anyio: Any = sys.modules.get(ANYIO)
    if anyio is not None:
        yield _patch(anyio.CancelScope, "__enter__", _begins)
    trio = sys.modules.get("trio._core._run")
    if trio is not None:
        scope = trio.CancelScope
        yield _patch(scope, "__enter__", _begins)
        yield _patch(scope, "_cancel" if "_cancel" in scope.__dict__ else "cancel", _trio_cancels)
        yield _patch(scope, "_close", _trio_closes)
