"""Work that is handed to other processes by `concurrent.futures` and `multiprocessing`: time does not jump over it.

It is done in real time, and the threads that carry it there and back live in real time too.
"""

from __future__ import annotations

import functools
import sys
from _thread import get_ident
from collections.abc import Callable
from types import ModuleType
from typing import Any

from pytest_retrychaos.clock.active import ACTIVE
from pytest_retrychaos.clock.children import forget_child, note_child
from pytest_retrychaos.clock.cpython import TypePatch

Method = Callable[..., Any]  # Any: a method, whatever it takes


def _submit(real: Method) -> Method:
    def submit(pool: Any, /, *args: Any, **kwargs: Any) -> Any:  # Any: as the caller gives it; a future
        future = real(pool, *args, **kwargs)
        if get_ident() == ACTIVE.owner:
            work = -id(future)  # no process has a number like that
            note_child(work)
            future.add_done_callback(lambda _: forget_child(work))
        return future

    return submit


def _wait(real: Method) -> Method:
    def wait(result: Any, timeout: float | None = None) -> Any:  # Any: a result that is to come
        if get_ident() != ACTIVE.owner or result.ready():
            return real(result, timeout)
        return _while_noted(real, result, timeout)

    return wait


def _next(real: Method) -> Method:
    def next_(results: Any, timeout: float | None = None) -> Any:  # Any: results that come one by one
        if get_ident() != ACTIVE.owner:
            return real(results, timeout)
        return _while_noted(real, results, timeout)

    return next_


def _while_noted(real: Method, awaited: Any, timeout: float | None) -> Any:  # Any: as above
    note_child(-id(awaited))
    try:
        return real(awaited, timeout)
    finally:
        forget_child(-id(awaited))


_METHODS: dict[str, tuple[tuple[str, str, Callable[[Method], Method]], ...]] = {
    "concurrent.futures.process": (("ProcessPoolExecutor", "submit", _submit),),
    "multiprocessing.pool": (
        ("ApplyResult", "wait", _wait),
        ("IMapIterator", "next", _next),
        ("IMapIterator", "__next__", _next),
    ),
}
PROCESSES = tuple(_METHODS)
"""The modules whose loading brings what is replaced here."""


@functools.cache
def patches_of(module: ModuleType) -> tuple[TypePatch, ...]:
    """Make the patches of one of those modules, once in a process."""
    kinds: list[tuple[type, str, Callable[[Method], Method]]] = [
        (getattr(module, owner), name, make) for owner, name, make in _METHODS[module.__name__]
    ]
    return tuple(TypePatch(kind, name, make(kind.__dict__[name])) for kind, name, make in kinds)


def process_patches() -> list[TypePatch]:
    """Make the patches of those modules that are loaded."""
    return [patch for name in PROCESSES if name in sys.modules for patch in patches_of(sys.modules[name])]
