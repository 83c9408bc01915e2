"""Thread pools: all that is known of the insides of `concurrent.futures.ThreadPoolExecutor`.

A pool that was there before the clock keeps its workers, which live in real time; while the clock runs it has
others. A pool joins its workers in the order of a set of threads, which is that of their addresses: it gets
one in the order of their birth.
"""

from __future__ import annotations

import functools
import queue
import threading
from _thread import get_ident
from collections.abc import Callable
from concurrent.futures import thread as pools
from typing import Any

from pytest_retrychaos.clock.active import ACTIVE
from pytest_retrychaos.clock.cpython import TypePatch
from pytest_retrychaos.clock.genuine import genuine
from pytest_retrychaos.clock.order import InOrder
from pytest_retrychaos.clock.strands import Work
from pytest_retrychaos.clock.workers import here

Method = Callable[..., Any]  # Any: a method, whatever it takes
Pool = Any  # Any: a ThreadPoolExecutor, of which private attributes are set


_adopted: dict[int, tuple[Pool, tuple[Any, ...] | None]] = {}
"""By identity: pools that work under the clock, and the workers, queue and semaphore that they had before."""
_stand_ins: dict[int, Pool] = {}
"""By the identity of an older pool: whom the workers that it gets under the clock take for it."""


def _adopt(pool: Pool) -> None:
    if id(pool) in _adopted:
        return
    before = None
    if pool._threads:
        before = (pool._threads, pool._work_queue, pool._idle_semaphore)
        pool._work_queue, pool._idle_semaphore = queue.SimpleQueue(), threading.Semaphore(0)
        _stand_ins[id(pool)] = _stand_in(pool)
    pool._threads = InOrder()
    _adopted[id(pool)] = (pool, before)


def _stand_in(pool: Pool) -> Pool:
    """Make an object that has all that a pool has, for its workers to know in the pool's place.

    Each ends when it has done what it is at, as soon as who it works for has gone.
    """
    made: Pool = object.__new__(genuine(pools, "ThreadPoolExecutor"))
    made.__dict__ = pool.__dict__
    return made


def pools_go_home() -> None:
    """Give every pool back what it had: older ones their workers, the others a plain set."""
    for pool, before in _adopted.values():
        if before is None:
            pool._threads = set(pool._threads)
            continue
        _stand_ins.pop(id(pool), None)
        if ACTIVE.turns is not None:
            ACTIVE.turns.settle()
        pool._threads, pool._work_queue, pool._idle_semaphore = before
        if pool._shutdown:
            pool._work_queue.put(None)  # for the workers that it had then: so they end where a pool is shut down
    _adopted.clear()


def _submit(real: Method) -> Method:
    def submit(pool: Pool, fn: Method, /, *args: Any, **kwargs: Any) -> Any:  # Any: as the caller gives it
        if get_ident() == ACTIVE.owner:
            _adopt(pool)
        return real(pool, fn, *args, **kwargs)

    return submit


def _grow(real: Method) -> Method:
    def adjust_thread_count(pool: Pool) -> None:
        real(_stand_ins.get(id(pool), pool))

    return adjust_thread_count


def _made(real: Method) -> Method:
    def made(item: Any, *args: Any, **kwargs: Any) -> None:  # Any: a private class
        real(item, *args, **kwargs)
        if get_ident() == ACTIVE.owner:
            item.work = Work(here())

    return made


def _run(real: Method) -> Method:
    def run(item: Any) -> None:  # Any: a private class
        turns = ACTIVE.turns
        if get_ident() != ACTIVE.owner or turns is None or not hasattr(item, "work"):
            real(item)
            return
        strand = turns.granted
        work: Work = item.work
        strand.work = work
        try:
            real(item)
        finally:
            work.is_done = True
            strand.work = strand

    return run


@functools.cache
def pool_patches() -> tuple[TypePatch, ...]:
    """Make the patches of pools and their work items, once in a process."""
    item, kind = pools._WorkItem, genuine(pools, "ThreadPoolExecutor")
    return (
        TypePatch(kind, "submit", _submit(kind.submit)),
        TypePatch(kind, "_adjust_thread_count", _grow(vars(kind)["_adjust_thread_count"])),
        TypePatch(item, "__init__", _made(item.__init__)),
        TypePatch(item, "run", _run(item.run)),
    )
