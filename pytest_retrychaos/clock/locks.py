"""Waits on locks, queues and older threads: patched methods of the C types, so that every object follows.

`threading.Event`, `Condition`, `Semaphore`, `Barrier`, `queue.Queue` and futures all wait on such a lock.
A wait with a limit ends in virtual time; other threads, and objects once the clock has gone, wait for real.
"""

from __future__ import annotations

import _queue
import _thread
import functools
from _thread import get_ident
from collections.abc import Callable
from typing import Any

from pytest_retrychaos.clock.active import ACTIVE
from pytest_retrychaos.clock.cpython import TypePatch
from pytest_retrychaos.clock.waits import nanoseconds, wait

Method = Callable[..., Any]  # Any: a method of a C type, whatever it takes
_ACQUIRING = ("acquire", "acquire_lock", "__enter__")
_NO_LIMIT = -1


def _deadline(seconds: float) -> int:
    return ACTIVE.clock.now_ns + nanoseconds(seconds)


def _bind_acquire(blocking: bool = True, timeout: float = _NO_LIMIT) -> float:
    return timeout if blocking else 0


def _acquire(real: Method, make: Callable[[], Any], what: str) -> Method:  # Any: a lock of that type
    def acquire(lock: Any, *args: Any, **kwargs: Any) -> bool:  # Any: as the caller gives it
        if get_ident() != ACTIVE.owner:
            return real(lock, *args, **kwargs)  # type: ignore[no-any-return]  # a bool
        if not args and not kwargs:
            timeout: float = _NO_LIMIT
        else:
            real(make(), *args, **kwargs)  # on a free one: raises what the real call would, and never waits
            timeout = _bind_acquire(*args, **kwargs)
        if real(lock, False):
            return True
        if timeout == 0:
            ACTIVE.clock.wait_until(0)
            return False
        deadline = None if timeout == _NO_LIMIT else _deadline(timeout)
        return wait(lambda limit: real(lock, True, limit) if limit else real(lock, False), deadline, what)

    return acquire


def _bind_get(block: bool = True, timeout: float | None = None) -> float | None:
    return timeout if block else 0


def _full_queue() -> _queue.SimpleQueue[None]:
    full: _queue.SimpleQueue[None] = _queue.SimpleQueue()
    full.put(None)
    return full


def _get(real: Method) -> Method:
    def get(queue: Any, *args: Any, **kwargs: Any) -> Any:  # Any: a queue's items are whatever was put
        if get_ident() != ACTIVE.owner:
            return real(queue, *args, **kwargs)
        real(_full_queue(), *args, **kwargs)  # raises what the real call would, and never waits
        timeout = _bind_get(*args, **kwargs)
        got: list[Any] = []

        def attempt(limit: float) -> bool:
            try:
                got.append(real(queue, True, limit) if limit else real(queue, False))
            except _queue.Empty:
                return False
            return True

        deadline = None if timeout is None else _deadline(timeout)
        if not wait(attempt, deadline, "an item in a queue"):
            raise _queue.Empty
        return got[0]

    return get


def _join(real: Method) -> Method:
    def join(handle: Any, *args: Any) -> None:  # Any: an undocumented type of the interpreter
        timeout = args[0] if args else None
        if get_ident() != ACTIVE.owner or (timeout is not None and timeout < 0) or handle.is_done():
            real(handle, *args)
            return

        def attempt(limit: float) -> bool:
            real(handle, limit)
            return bool(handle.is_done())

        wait(attempt, None if timeout is None else _deadline(timeout), "a thread to end")

    return join


@functools.cache
def lock_patches() -> tuple[TypePatch, ...]:
    """Make the patches of the types on which threads wait, once in a process."""
    patches = []
    kinds: list[tuple[type, str]] = [
        (_thread.LockType, "a lock that is held"),
        (_thread.RLock, "a reentrant lock that another thread holds"),
    ]
    for kind, what in kinds:
        function = _acquire(kind.__dict__["acquire"], kind, what)
        if kind is _thread.LockType:
            function = _acquire(kind.__dict__["acquire"], _thread.allocate_lock, what)
        patches += [TypePatch(kind, name, function) for name in _ACQUIRING if name in kind.__dict__]
    patches.append(TypePatch(_queue.SimpleQueue, "get", _get(_queue.SimpleQueue.__dict__["get"])))
    handle = getattr(_thread, "_ThreadHandle", None)  # from 3.13 on a thread is joined through one
    if handle is not None:
        patches.append(TypePatch(handle, "join", _join(handle.__dict__["join"])))
    return tuple(patches)
