"""What the functions of `time` do while a clock is installed: virtual time for its thread, real for others.

Each is called by the built-in that it stands in for. A bad argument is handed to the real function, which
raises what it always raises.
"""

from __future__ import annotations

import functools
import sys
import time
from _thread import get_ident
from collections.abc import Callable
from types import BuiltinFunctionType
from typing import Any

from pytest_retrychaos.clock.active import ACTIVE, nearest, place
from pytest_retrychaos.clock.cpython import BuiltinSwap, following_twin, real_twin
from pytest_retrychaos.clock.durations import nanoseconds
from pytest_retrychaos.clock.errors import Refused
from pytest_retrychaos.clock.virtual import SHORTEST_WAIT, Stall
from pytest_retrychaos.clock.workers import is_in_loop, running_task
from pytest_retrychaos.model import SECOND

LONGEST = 2**63
"""The interpreter's own timestamps are signed 64-bit nanoseconds."""

_MONOTONIC = frozenset(
    number
    for name in ("CLOCK_MONOTONIC", "CLOCK_MONOTONIC_RAW", "CLOCK_MONOTONIC_COARSE", "CLOCK_BOOTTIME")
    if (number := getattr(time, name, None)) is not None
)

_CLOCKS = (
    "sleep",
    "time",
    "time_ns",
    "monotonic",
    "monotonic_ns",
    "perf_counter",
    "perf_counter_ns",
    "clock_gettime",
    "clock_gettime_ns",
    "ctime",
    "asctime",
)

Function = Callable[..., Any]  # Any: a built-in of any signature


@functools.cache
def builtin(name: str) -> Function:
    """Find the built-in function of `time`, also where a test has put a stand-in of its own over the name."""
    holders = [time, sys.modules.get("_pytest.timing"), sys.modules.get("threading")]
    names = {"monotonic": ("monotonic", "_time")}.get(name, (name,))
    for holder in holders:
        for alias in names:
            found = getattr(holder, alias, None)
            if isinstance(found, BuiltinFunctionType) and found.__name__ == name:
                return found
    raise Refused(
        f"time.{name} has been replaced by {getattr(time, name)!r}, so virtual time cannot follow it. "
        "Start chaos first, or drop that replacement: under chaos sleeps cost no real time."
    )


def real(name: str) -> Function:
    """Return a function of `time` that stays on real time."""
    return _reals()[name]


@functools.cache
def _reals() -> dict[str, Function]:
    # All at once and before any swap is on: time-machine writes to the definition that a built-in has just then.
    machine = sys.modules.get("time_machine")
    if machine is None or not machine.traveller_stack:
        return {name: real_twin(builtin(name)) for name in _CLOCKS}
    # It has changed the C definitions; for the moment of the copy they are as they were.
    import _time_machine

    _time_machine.unpatch()
    try:
        return {name: real_twin(builtin(name)) for name in _CLOCKS}
    finally:
        _time_machine.patch()


def count_reading() -> None:
    """Count one look at the clock, for the watch on loops that poll it."""
    clock = ACTIVE.clock
    clock.readings += 1
    if clock.readings >= clock.watch_at:
        clock.polled(place(), running_task())


def note_stall(kind: str, length_ns: int) -> None:
    """Note what blocks the event loop that runs here, unless the test itself does it."""
    clock = ACTIVE.clock
    frame = nearest()
    if frame is None or frame.f_code is not clock.test_code:
        clock.note_stall(Stall(kind, clock.now_ns, length_ns, place(frame)))


def _reader(name: str, *, in_seconds: bool) -> Function:
    twin = real(name)

    def seconds() -> float:
        if get_ident() != ACTIVE.owner:
            return twin()  # type: ignore[no-any-return]  # the twin of a function that returns a float
        clock = ACTIVE.clock
        clock.readings += 1
        if clock.readings >= clock.watch_at:
            clock.polled(place(), running_task())
        return (clock.monotonic_start_ns + clock.now_ns) / SECOND

    def whole() -> int:
        if get_ident() != ACTIVE.owner:
            return twin()  # type: ignore[no-any-return]  # the twin of a function that returns an int
        clock = ACTIVE.clock
        clock.readings += 1
        if clock.readings >= clock.watch_at:
            clock.polled(place(), running_task())
        return clock.monotonic_start_ns + clock.now_ns

    return seconds if in_seconds else whole


def _sleeper() -> Function:
    twin = real("sleep")

    def sleep(seconds: Any) -> None:  # Any: whatever the caller gives
        if get_ident() != ACTIVE.owner:
            twin(seconds)
            return
        if type(seconds) is float and 0.0 <= seconds < 9e9:
            ns = nanoseconds(seconds)
        else:
            ns = _checked(seconds, twin)
        clock = ACTIVE.clock
        if ns and is_in_loop():
            note_stall("sleep", ns)
        clock.wait_until(clock.now_ns + ns)
        if ns < SHORTEST_WAIT and clock.readings >= clock.watch_at:  # else the readings are of others, meanwhile
            clock.polled(place(), running_task())

    return sleep


def _checked(seconds: Any, twin: Function) -> int:  # Any: whatever the caller gives
    try:
        ns = nanoseconds(seconds)
    except (TypeError, ValueError, OverflowError):
        twin(seconds)
        raise
    if not 0 <= ns < LONGEST or (isinstance(seconds, float) and seconds < 0):
        twin(seconds)  # raises before it sleeps
    return ns


def _clock_reader(before: Function, *, in_seconds: bool) -> Function:
    def clock_gettime(*args: Any) -> float:  # Any: whatever the caller gives
        if get_ident() == ACTIVE.owner and len(args) == 1 and _is_monotonic(args[0]):
            count_reading()
            ns = ACTIVE.clock.monotonic_ns
            return ns / SECOND if in_seconds else ns
        return before(*args)  # type: ignore[no-any-return]  # a clock's reading

    return clock_gettime


def _is_monotonic(number: object) -> bool:
    return isinstance(number, int) and number in _MONOTONIC


def _dated(before: Function, moment: Function, *, none_is_now: bool) -> Function:
    # ctime() and asctime() read the C clock by themselves; given the moment they only format it.
    def text(*args: Any) -> str:  # Any: whatever the caller gives
        if get_ident() == ACTIVE.owner and (not args or (none_is_now and args == (None,))):
            return before(moment())  # type: ignore[no-any-return]  # a date as text
        return before(*args)  # type: ignore[no-any-return]  # a date as text

    return text


@functools.cache
def time_swaps() -> tuple[BuiltinSwap, ...]:
    """Make the swaps of the functions that time-machine leaves alone, once in a process."""
    swaps = [BuiltinSwap(builtin("sleep"), _sleeper())]
    for name in ("monotonic", "perf_counter"):
        swaps.append(BuiltinSwap(builtin(name), _reader(name, in_seconds=True)))
        swaps.append(BuiltinSwap(builtin(f"{name}_ns"), _reader(f"{name}_ns", in_seconds=False)))
    for name in ("clock_gettime", "clock_gettime_ns"):
        was = following_twin(builtin(name))
        swaps.append(BuiltinSwap(builtin(name), _clock_reader(was, in_seconds=name == "clock_gettime")))
    for name, moment, none_is_now in (("ctime", "time", True), ("asctime", "localtime", False)):
        was = following_twin(builtin(name))
        swaps.append(BuiltinSwap(builtin(name), _dated(was, builtin(moment), none_is_now=none_is_now)))
    return tuple(swaps)
