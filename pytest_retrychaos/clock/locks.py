"""Waits on locks and queues: patched methods of the C types, so that every object follows, older ones too.

`threading.Event`, `Condition`, `Semaphore`, `Barrier`, `queue.Queue` and futures all wait on such a lock. Other
threads, and objects once the clock has gone, wait for real. What another thread's method call gives is
announced; what it gives behind these methods (a bound method kept from before) is found by looking.
"""

from __future__ import annotations

import _queue
import _thread
import functools
import sys
import threading
from _thread import get_ident
from collections.abc import Callable
from typing import Any

from pytest_retrychaos.clock.active import ACTIVE
from pytest_retrychaos.clock.cpython import TypePatch
from pytest_retrychaos.clock.functions import count_reading
from pytest_retrychaos.clock.waits import deadline, seconds_left, wait

Method = Callable[..., Any]  # Any: a method of a C type, whatever it takes
_ACQUIRING = ("acquire", "acquire_lock", "__enter__")
_RELEASING = ("release", "release_lock", "_release_save")
_PUTTING = ("put", "put_nowait")
_NO_LIMIT = -1
_WAIT = threading.Condition.wait.__code__
_IS_OWNED = threading.Condition._is_owned.__code__  # type: ignore[attr-defined]  # private: what looks at a lock


def _bind_acquire(blocking: bool = True, timeout: float = _NO_LIMIT) -> float:
    return timeout if blocking else 0


def _acquire(real: Method, make: Callable[[], Any], what: str) -> Method:  # Any: a lock of that type
    def acquire(lock: Any, *args: Any, **kwargs: Any) -> bool:  # Any: as the caller gives it
        is_plain = not kwargs and (not args or (len(args) == 1 and args[0] is False))
        if is_plain and real(lock, False):  # it was free: whoever asks, nobody waits
            return True
        if get_ident() != ACTIVE.owner:
            return real(lock, *args, **kwargs)  # type: ignore[no-any-return]  # a bool
        if is_plain:
            return _block(real, lock, 0 if args else _NO_LIMIT, what)
        real(make(), *args, **kwargs)  # on a free one: raises what the real call would, and never waits
        if real(lock, False):
            return True
        return _block(real, lock, _bind_acquire(*args, **kwargs), what)

    return acquire


def _block(real: Method, lock: Any, timeout: float, what: str) -> bool:  # Any: a lock
    turns = ACTIVE.turns
    assert turns is not None
    thread = turns.ends.get(id(lock))
    if thread is not None and thread.is_done:
        return bool(real(lock, True))  # it has ended: the interpreter is about to release
    if timeout == 0:
        # A condition asks so whether its lock is held, also where garbage is collected: that is no spinning.
        caller = sys._getframe(2).f_code
        if caller is _IS_OWNED:
            return False
        if not turns.let_others_run():
            count_reading()  # for the watch on loops that only look
            if caller is _WAIT:
                turns.wait_an_instant()
        return real(lock, False)  # type: ignore[no-any-return]  # a bool
    limit = None if timeout == _NO_LIMIT else deadline(timeout)
    if thread is not None:
        return _await_end(real, lock, thread, limit)
    got = wait(lambda: real(lock, False), id(lock), limit, what, is_free=lambda: repr(lock).startswith("<unlocked"))
    if got is None:
        left = seconds_left(limit)
        return real(lock, True, _NO_LIMIT if left is None else left)  # type: ignore[no-any-return]  # a bool
    return got


def _await_end(real: Method, lock: Any, thread: Any, limit: int | None) -> bool:  # Any: a lock; a strand
    done = wait(lambda: thread.is_done, id(thread), limit, f"the thread {thread.name} to end")
    if done is None:
        left = seconds_left(limit)
        return real(lock, True, _NO_LIMIT if left is None else left)  # type: ignore[no-any-return]  # a bool
    return real(lock, True) if done else False


def _enter(real: Method, acquire: Method) -> Method:
    def enter(lock: Any) -> bool:  # Any: a lock
        return True if real(lock, False) else acquire(lock)

    return enter


def _release(real: Method, is_held: Callable[[Any], bool]) -> Method:  # Any: a lock
    def release(lock: Any) -> Any:  # Any: a lock; what a condition keeps of it
        result = real(lock)
        turns = ACTIVE.turns
        if turns is not None and id(lock) in turns.waiting and not is_held(lock):
            turns.wake(id(lock))
        return result

    return release


def _leave(real: Method, is_held: Callable[[Any], bool]) -> Method:  # Any: a lock
    def leave(lock: Any, *_: object) -> None:  # Any: a lock
        real(lock)
        turns = ACTIVE.turns
        if turns is not None and id(lock) in turns.waiting and not is_held(lock):
            turns.wake(id(lock))

    return leave


def _restore(acquire: Method, release_save: Method, restore: Method) -> Method:
    def acquire_restore(lock: Any, state: Any) -> None:  # Any: a lock and what _release_save gave
        if get_ident() == ACTIVE.owner:
            acquire(lock)
            release_save(lock)
        restore(lock, state)  # nothing has run since, so it is free

    return acquire_restore


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

        def attempt() -> bool:
            try:
                got.append(real(queue, False))
            except _queue.Empty:
                return False
            return True

        if attempt():
            return got[0]
        limit = None if timeout is None else deadline(timeout)
        came = timeout != 0 and wait(attempt, id(queue), limit, "an item in a queue", is_free=lambda: not queue.empty())
        if came is None:
            return real(queue, True, seconds_left(limit))
        if not came:
            raise _queue.Empty
        return got[0]

    return get


def _put(real: Method) -> Method:
    def put(queue: Any, *args: Any, **kwargs: Any) -> None:  # Any: a queue and its item
        real(queue, *args, **kwargs)
        turns = ACTIVE.turns
        if turns is not None and id(queue) in turns.waiting:
            turns.wake(id(queue))

    return put


def _join(real: Method, is_done: Method) -> Method:
    def join(handle: Any, *args: Any) -> None:  # Any: an undocumented type of the interpreter
        timeout: float | None = args[0] if args else None
        if get_ident() != ACTIVE.owner or is_done(handle):
            real(handle, *args)
            return
        assert ACTIVE.turns is not None
        thread = ACTIVE.turns.ends.get(id(handle))
        limit = None if timeout is None or timeout < 0 else deadline(timeout)
        if thread is not None and not thread.is_done:
            done = wait(lambda: thread.is_done, id(thread), limit, f"the thread {thread.name} to end")
        elif thread is None:
            done = wait(lambda: is_done(handle), id(handle), limit, "a thread to end", is_free=lambda: is_done(handle))
        else:
            done = True
        if done is None:
            left = seconds_left(limit)
            real(handle, *(() if left is None else (left,)))
        elif done:
            real(handle)

    return join


def _done(real: Method, join: Method) -> Method:
    def is_done(handle: Any) -> bool:  # Any: as above
        turns = ACTIVE.turns
        if get_ident() == ACTIVE.owner and turns is not None:
            thread = turns.ends.get(id(handle))
            if thread is not None and thread.is_done:
                join(handle)  # it is about to go: only the interpreter's own clearing up is left
        return real(handle)  # type: ignore[no-any-return]  # a bool

    return is_done


@functools.cache
def lock_patches() -> tuple[TypePatch, ...]:
    """Make the patches of the types on which threads wait, once in a process."""
    patches = []
    kinds: list[tuple[type, Callable[[], Any], str]] = [
        (_thread.LockType, _thread.allocate_lock, "a lock that is held"),
        (_thread.RLock, _thread.RLock, "a reentrant lock that another thread holds"),
    ]
    for kind, make, what in kinds:
        own = dict(kind.__dict__)
        acquire = _acquire(own["acquire"], make, what)
        enter = _enter(own["acquire"], acquire)
        for name in _ACQUIRING:
            if name in own:
                patches.append(TypePatch(kind, name, enter if name == "__enter__" else acquire))
        is_held = own.get("_is_owned", lambda _: False)  # a reentrant one may be held on
        patches += [TypePatch(kind, name, _release(own[name], is_held)) for name in _RELEASING if name in own]
        patches.append(TypePatch(kind, "__exit__", _leave(own["__exit__"], is_held)))
        if "_acquire_restore" in own:
            restore = _restore(acquire, own["_release_save"], own["_acquire_restore"])
            patches.append(TypePatch(kind, "_acquire_restore", restore))
    queue = _queue.SimpleQueue
    patches.append(TypePatch(queue, "get", _get(queue.__dict__["get"])))
    patches += [TypePatch(queue, name, _put(queue.__dict__[name])) for name in _PUTTING]
    handle = getattr(_thread, "_ThreadHandle", None)  # from 3.13 on a thread is joined through one
    if handle is not None:
        join, is_done = handle.__dict__["join"], handle.__dict__["is_done"]
        patches.append(TypePatch(handle, "join", _join(join, is_done)))
        patches.append(TypePatch(handle, "is_done", _done(is_done, join)))
    return tuple(patches)
