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
        note_child(-id(result))
        try:
            return real(result, timeout)
        finally:
            forget_child(-id(result))

    return wait


_METHODS: dict[str, tuple[str, str, Callable[[Method], Method]]] = {
    "concurrent.futures.process": ("ProcessPoolExecutor", "submit", _submit),
    "multiprocessing.pool": ("ApplyResult", "wait", _wait),
}
PROCESSES = tuple(_METHODS)
"""The modules whose loading brings what is replaced here."""


@functools.cache
def process_patch(module: ModuleType) -> TypePatch:
    """Make the patch of one of those modules, once in a process."""
    owner, name, make = _METHODS[module.__name__]
    kind: type = getattr(module, owner)
    return TypePatch(kind, name, make(kind.__dict__[name]))


def process_patches() -> list[TypePatch]:
    """Make the patches of those modules that are loaded."""
    return [process_patch(sys.modules[name]) for name in PROCESSES if name in sys.modules]
