"""A round of asyncio's own loop on virtual time: what ``_run_once`` does, without what it asks in vain.

Laws of this module:
1. A round calls the same callbacks in the same order at the same moments as the library's does over the functions
   that are replaced; it draws the same from the seed and counts as many readings of the clock.
2. A round of which that is not certain is the library's, before anything of it is done: one with a descriptor that
   is ready, timers due at one moment or many to clear away, other threads, something outside, debug mode, a clock that
   someone else has replaced.
3. Where a loop watches nothing but its own pipe, and nobody can have written to that since it was found empty, the
   system is not asked: what lay there would come later, and beside something else, which draws from the seed.
4. After a round that only ended sleeps, by which no code but asyncio's has run, the next one follows at once.
5. Where the library's round is not the one that is known here, every round is the library's.
"""

from __future__ import annotations

import functools
import select
import selectors
import sys
from collections.abc import Callable
from heapq import heappop
from math import ceil
from typing import Any

from pytest_retrychaos.clock.active import ACTIVE
from pytest_retrychaos.clock.cpython import TypePatch
from pytest_retrychaos.clock.functions import builtin
from pytest_retrychaos.clock.loops import LOOPS, RESOLUTION
from pytest_retrychaos.clock.virtual import VirtualClock
from pytest_retrychaos.model import SECOND

Function = Callable[..., Any]  # Any: a method of whatever signature
Loop = Any  # Any: an event loop, of which private attributes are read
Module = Any  # Any: a module, of which private names are read

ROUNDS = "asyncio.unix_events"
"""The module whose loading brings the loop that is meant here."""

_NAMES = (
    "MAXIMUM_SELECT_TIMEOUT _MIN_CANCELLED_TIMER_HANDLES_FRACTION _MIN_SCHEDULED_TIMER_HANDLES _cancelled "
    "_clock_resolution _current_handle _debug _format_handle _process_events _ready _run _scheduled _selector "
    "_stopping _timer_cancelled_count _when append heapify heappop heapq len logger popleft range select "
    "slow_callback_duration time warning"
)
"""What the library's round speaks of in Python 3.11 to 3.13, besides `min` and `max`."""
_TO_MILLISECONDS = {1e3, 1e-3}
"""The constants by which `selectors.EpollSelector` rounds a timeout up."""
_LONGEST = 24 * 3600.0
"""Seconds: a loop of asyncio's waits no longer at once (``MAXIMUM_SELECT_TIMEOUT``)."""
_LIMITS = {
    "MAXIMUM_SELECT_TIMEOUT": 24 * 3600,
    "_MIN_SCHEDULED_TIMER_HANDLES": 100,
    "_MIN_CANCELLED_TIMER_HANDLES_FRACTION": 0.5,
}
"""The limits of the library's round that is known."""
_FEW_CANCELLED = 50
"""Of no more cancelled timers does a loop clear away more than the first (``_MIN_SCHEDULED_TIMER_HANDLES``, halved)."""
_READINGS = 5
"""More often a round and the one that follows at once do not read the clock."""

_REAL_EPOLL: Any = select.epoll.poll if hasattr(select, "epoll") else None  # Any: the method of a C type


def _has_news(loop: Loop) -> bool:
    """Ask the system whether a descriptor of a loop's is ready."""
    selector = loop._selector
    return bool(_REAL_EPOLL(selector._selector, 0, len(selector._fd_to_key) or 1))


def _exact(timeout: float) -> float:
    """Take off what comes of subtracting two moments.

    A float has fewer digits behind the point the longer the machine has been up: what it has too much would be rounded
    up to a millisecond, on one machine and not on another. What is more than nothing stays so: a task that sees itself
    a last digit too early would otherwise wait for no time, over and over.
    """
    return max(round(timeout, 9), 1e-9) if timeout > 0.0 else timeout


def _wakes_at(scheduled: list[Any], clock: VirtualClock) -> int | None:  # Any: timers
    """Say when the first of a loop's timers ends its wait; ``None`` where that is not so simple."""
    when: float = scheduled[0]._when
    if len(scheduled) > 1 and (scheduled[1]._when == when or (len(scheduled) > 2 and scheduled[2]._when == when)):
        return None  # due at one moment: the seed decides
    timeout = _exact(when - (clock.monotonic_start_ns + clock.now_ns) / SECOND)
    if not 0.0 < timeout <= _LONGEST:
        return None
    # Up to milliseconds as `selectors` does it for epoll, then to nanoseconds as the interpreter does.
    return clock.now_ns + ceil(ceil(timeout * 1e3) * 1e-3 * 1e9)


def _run_watched(base: Module, loop: Loop, handle: Any) -> None:  # Any: a callback's handle
    """Call what is left of a round in the middle of which debug mode has begun."""
    try:
        loop._current_handle = handle
        start = loop.time()
        handle._run()
        took = loop.time() - start
        if took >= loop.slow_callback_duration:
            base.logger.warning("Executing %s took %.3f seconds", base._format_handle(handle), took)
    finally:
        loop._current_handle = None


def _run_once(real: Function, base: Module, kind: Any) -> Function:  # Any: the loop's class
    own_time, monotonic = base.BaseEventLoop.time, builtin("monotonic")
    epoll: Any = selectors.EpollSelector  # Any: private attributes are read
    end_sleep = base.futures._set_result_unless_cancelled

    def run_once(loop: Loop) -> object:  # long, and one: it is what every sleep and every step of a task costs
        try:
            is_known = loop.time.__func__ is own_time
        except AttributeError:  # a test's own function, on this one loop
            return real(loop)
        if (
            not is_known
            or base.time.monotonic is not monotonic
            or type(loop) is not kind
            or type(selector := loop._selector) is not epoll
            or "select" in selector.__dict__
            or loop._clock_resolution is not RESOLUTION
            or loop._thread_id != ACTIVE.owner
            or loop._debug
        ):
            return real(loop)
        clock, turns, scheduled, ready = ACTIVE.clock, ACTIVE.turns, loop._scheduled, loop._ready
        if (
            turns is None
            or clock.readings + _READINGS >= clock.watch_at
            or loop._timer_cancelled_count > _FEW_CANCELLED
        ):
            return real(loop)
        outside, watched, me = turns.outside, selector._fd_to_key, id(loop)
        is_open = len(watched) > 1 or loop._signal_handlers  # the system may make something ready
        is_silent = outside.silent == me and not is_open
        outside.silent = 0
        while scheduled and scheduled[0]._cancelled:
            loop._timer_cancelled_count -= 1
            heappop(scheduled)._scheduled = False
        if ready or loop._stopping:
            is_quiet = not is_open and outside.is_quiet(turns.turn)
            if (not (is_silent and is_quiet) and _has_news(loop)) or not turns.is_alone_until(0):
                return real(loop)
            clock.readings += 2  # a wait for no time, and when it has ended
        elif scheduled:
            is_quiet = not is_open
            wakes_ns = _wakes_at(scheduled, clock)
            if wakes_ns is None or (not is_silent and _has_news(loop)) or not turns.skip_to(wakes_ns):
                return real(loop)
            clock.readings += 1
        else:
            return real(loop)
        if is_quiet:
            outside.silent = me
        end = (clock.monotonic_start_ns + clock.now_ns) / SECOND + RESOLUTION
        while scheduled and scheduled[0]._when < end:
            handle = heappop(scheduled)
            handle._scheduled = False
            ready.append(handle)
        may_go_on = True
        while True:
            left = len(ready)  # what these add to it is the next round's
            while left:
                left -= 1
                handle = ready.popleft()
                if handle._cancelled:
                    continue
                if loop._debug:  # since a moment ago
                    _run_watched(base, loop, handle)
                else:
                    handle._run()
                may_go_on = may_go_on and handle._callback is end_sleep
            may_go_on = may_go_on and outside.silent == me and len(watched) == 1
            if not (may_go_on and ready) or loop._stopping or (scheduled and scheduled[0]._cancelled):
                return None
            clock.readings += 2

    return run_once


def _constants(function: Function, kind: str) -> tuple[object, ...]:
    code = getattr(function, "__code__", None)
    return () if code is None else getattr(code, kind)


def _is_known(base: Module, function: Function) -> bool:
    loop = base.BaseEventLoop
    return (
        set(_constants(function, "co_names")) - {"min", "max"} == set(_NAMES.split())
        and tuple(getattr(base, name, None) for name in _LIMITS) == tuple(_LIMITS.values())
        and loop.time.__module__ == LOOPS
        and _constants(loop.time, "co_names") == ("time", "monotonic")
        and set(_constants(selectors.EpollSelector.select, "co_consts")) >= _TO_MILLISECONDS
    )


def _select(real: Function) -> Function:
    def select(selector: Any, timeout: float | None = None) -> Any:  # Any: a selector; what is ready
        return real(selector, timeout if timeout is None else _exact(timeout))

    return select


def _remove_signal_handler(real: Function) -> Function:
    def remove_signal_handler(loop: Loop, sig: Any) -> Any:  # Any: as the caller gives it
        if ACTIVE.turns is not None:
            ACTIVE.turns.outside.silent = 0  # the interpreter itself may have written to the loop's pipe
        return real(loop, sig)

    return remove_signal_handler


@functools.cache
def _patches(base: Module, kind: Any, real: Function) -> tuple[TypePatch, ...]:  # Any: the loop's class
    name = "remove_signal_handler"
    return (
        TypePatch(base.BaseEventLoop, "_run_once", _run_once(real, base, kind)),
        TypePatch(kind, name, _remove_signal_handler(kind.__dict__[name])),
        TypePatch(selectors.EpollSelector, "select", _select(selectors.EpollSelector.select)),
    )


def round_patches() -> tuple[TypePatch, ...]:
    """Make the patches of asyncio's own loop, where it is loaded and its round is the one that is known.

    It is asked anew for each run: a tool may have put its own round in place since the last one.
    """
    unix = sys.modules.get(ROUNDS)
    if unix is None or _REAL_EPOLL is None:
        return ()
    base = sys.modules[LOOPS]
    real = base.BaseEventLoop._run_once
    return _patches(base, unix._UnixSelectorEventLoop, real) if _is_known(base, real) else ()
