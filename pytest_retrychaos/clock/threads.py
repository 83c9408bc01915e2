"""Threads that the code under test starts: they begin on virtual time, in the order that the turns decide."""

from __future__ import annotations

import _thread
import functools
from _thread import get_ident
from collections.abc import Callable
from typing import Any

from pytest_retrychaos.clock.active import ACTIVE
from pytest_retrychaos.clock.cpython import BuiltinSwap, following_twin
from pytest_retrychaos.clock.outsiders import is_of_outsider
from pytest_retrychaos.clock.strands import Strand
from pytest_retrychaos.clock.turns import Turns
from pytest_retrychaos.clock.workers import here

Function = Callable[..., Any]  # Any: a built-in of any signature
_STARTERS = ("start_new_thread", "start_new", "start_joinable_thread")


def _name(target: object) -> str:
    owner = getattr(target, "__self__", None)
    return str(getattr(owner, "name", None) or getattr(target, "__qualname__", repr(target)))


def _start(real: Function) -> Function:
    def start(*args: Any, **kwargs: Any) -> Any:  # Any: as the caller gives it
        function = args[0] if args else kwargs.get("function")
        turns = ACTIVE.turns
        if get_ident() != ACTIVE.owner or turns is None or not callable(function) or is_of_outsider(function):
            return real(*args, **kwargs)
        strand = turns.bear(_name(function), here())
        try:
            begin = _begin(turns, strand, function)
            begun = real(begin, *args[1:], **kwargs) if args else real(**{**kwargs, "function": begin})
        except BaseException:
            turns.drop(strand)
            raise
        if not isinstance(begun, int):  # from 3.13 on a thread is joined through a handle: a given one, or a new one
            _mark_end(turns, strand, begun)
        return begun

    return start


def _begin(turns: Turns, strand: Strand, function: Function) -> Function:
    def begin(*args: Any, **kwargs: Any) -> Any:  # Any: what the thread was to be called with
        turns.enter(strand)
        try:
            return function(*args, **kwargs)
        finally:
            turns.leave(strand)

    begin.__qualname__ = begin.__name__ = getattr(function, "__qualname__", repr(function))
    return begin


def _mark_end(turns: Turns, strand: Strand, sentinel: object) -> None:
    strand.sentinel = sentinel
    turns.ends[id(sentinel)] = strand


def _set_sentinel(real: Function) -> Function:
    # Up to 3.12 a thread is joined by waiting for a lock that the interpreter releases when it has gone.
    def set_sentinel() -> object:
        lock = real()
        if get_ident() == ACTIVE.owner and ACTIVE.turns is not None:
            _mark_end(ACTIVE.turns, ACTIVE.turns.granted, lock)
        return lock

    return set_sentinel


@functools.cache
def thread_swaps() -> tuple[BuiltinSwap, ...]:
    """Make the swaps of what starts a thread and tells its end, once in a process."""
    starters = [getattr(_thread, name) for name in _STARTERS if hasattr(_thread, name)]
    swaps = [BuiltinSwap(starter, _start(following_twin(starter))) for starter in starters]
    sentinel = getattr(_thread, "_set_sentinel", None)
    if sentinel is not None:
        swaps.append(BuiltinSwap(sentinel, _set_sentinel(following_twin(sentinel))))
    return tuple(swaps)
