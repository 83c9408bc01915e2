"""Event loops on virtual time: what is known of the insides of asyncio's loops and of trio, but for `rounds`.

They need little, since what they wait with is patched: asyncio reads its clock and waits on a selector, trio
too. An asyncio loop compares times with a resolution that vanishes in the float of a clock that has run for
months, so it gets a coarser one. What the library leaves to chance (which of several ready descriptors or
timers due at one moment comes first, and every batch of trio's tasks) is decided by the seed.
"""

from __future__ import annotations

import contextlib
import functools
import heapq
import random
import sys
import weakref
from _thread import get_ident
from collections.abc import Callable, MutableSequence
from types import FrameType
from typing import Any, NoReturn

from pytest_retrychaos.clock.active import ACTIVE
from pytest_retrychaos.clock.cpython import BuiltinSwap, TypePatch, following_twin
from pytest_retrychaos.clock.functions import real
from pytest_retrychaos.clock.refusals import refuse_frozen, refused_loop
from pytest_retrychaos.clock.switches import Switches
from pytest_retrychaos.clock.workers import here, note_parent, running_loop
from pytest_retrychaos.model import SECOND

Function = Callable[..., Any]  # Any: a built-in or method of any signature
Loop = Any  # Any: an event loop, of which private attributes are set

LOOPS = "asyncio.base_events"
TRIO = "trio._core._run"
"""The modules whose loading brings what is replaced here."""

RESOLUTION = 1e-6
"""Seconds: well above the spacing of floats at any monotonic reading, well below the millisecond of a selector."""

LONGEST_WAIT = 24 * 3600 * SECOND
"""Neither asyncio's loops nor trio wait for longer at once (``MAXIMUM_SELECT_TIMEOUT``, ``_MAX_TIMEOUT``)."""
_NEVER = 1e10
"""Seconds: what lies three hundred years ahead is no moment to wait for, a day at a time."""

_told: weakref.WeakSet[Any] = weakref.WeakSet()  # Any: runners of trio's
"""Those whose main task was told that nobody can go on."""

_resolutions: list[tuple[Loop, float, list[Any]]] = []  # Any: timers
"""Loops that ran under the clock, each with the resolution and the timers that it had."""


def prepare(loop: Loop) -> None:
    """Make a loop that begins to run fit for virtual time; `Refused` where it is none of asyncio's own."""
    refuse_frozen(loop)
    if getattr(loop, "_clock_resolution", 0) >= RESOLUTION:
        return  # prepared before: no loop has so coarse a one of its own here
    selector_events = sys.modules.get("asyncio.selector_events")
    if selector_events is None or not isinstance(loop, selector_events.BaseSelectorEventLoop):
        raise refused_loop(f"{type(loop).__module__}.{type(loop).__qualname__}")
    _resolutions.append((loop, loop._clock_resolution, list(loop._scheduled)))
    loop._clock_resolution = RESOLUTION


def has_no_moment(loop: Loop | None) -> bool:
    """Whether the loop that runs here waits for no moment at all, though for the longest time: it would wait anew."""
    if loop is not None:
        return bool(loop._scheduled) and loop._scheduled[0]._when - loop.time() > _NEVER
    runner = _trio_runner()
    if runner is None:
        return False
    seconds: float = runner.clock.deadline_to_sleep_time(runner.deadlines.next_deadline())
    return seconds > _NEVER


def raised_in_trio(error: BaseException) -> bool:
    """Let trio's main task raise what ends its wait; whether it does. Out of trio it would leave that running."""
    runner = _trio_runner()
    if runner is None:
        return False
    task = runner.main_task
    if task is None or task._abort_func is None or runner in _told:
        _abandon(sys._getframe(1))
        return False
    _told.add(runner)

    def raise_error() -> NoReturn:
        raise error

    task._attempt_abort(raise_error)
    return True


def _abandon(frame: FrameType | None) -> None:
    """End a run of trio's from which an error is about to be raised: a shielded task would keep it from ending."""
    while frame is not None:
        if frame.f_globals.get("__name__") == TRIO and frame.f_code.co_name == "run" and "gen" in frame.f_locals:
            with contextlib.suppress(BaseException):  # it calls that an error of its own
                frame.f_locals["gen"].close()
            return
        frame = frame.f_back


def _trio_runner() -> Any:  # Any: trio's own, or None
    trio = sys.modules.get(TRIO)
    return None if trio is None else getattr(trio.GLOBAL_RUN_CONTEXT, "runner", None)


def loops_go_home() -> None:
    """Give every loop its own resolution back, and let what it put off meanwhile wait as long as was left, no longer.

    A loop that goes on in another thread does that itself.
    """
    while _resolutions:
        loop, resolution, older = _resolutions.pop()
        loop._clock_resolution = resolution
        known = {id(timer) for timer in older}
        timers = [timer for timer in list(loop._scheduled) if id(timer) not in known]
        if not timers:
            continue
        if not loop.is_running() or loop is running_loop():
            _bring_back(loop, timers, _ahead())
        else:
            with contextlib.suppress(RuntimeError):  # it was closed a moment ago
                loop.call_soon_threadsafe(_bring_back, loop, timers, _ahead())


def _ahead() -> float:
    """Give by how many seconds the clock of a run that ends has left the real one behind."""
    ahead: float = (ACTIVE.clock.monotonic_ns - real("monotonic_ns")()) / SECOND
    return ahead


def _bring_back(loop: Loop, timers: list[Any], ahead: float) -> None:  # Any: timers
    """Put the timers of a run from its clock on the real one."""
    for timer in timers:
        timer._when -= ahead
    heapq.heapify(loop._scheduled)


def shuffle_due(loop: Loop, chooser: random.Random, switches: Switches) -> None:
    """Let the seed decide among the timers that are due at the earliest moment.

    They lie together at the top of the loop's heap, and may change places: none comes before another.
    """
    scheduled = loop._scheduled
    if len(scheduled) < 2:
        return
    earliest = scheduled[0]._when
    if scheduled[1]._when != earliest and (len(scheduled) == 2 or scheduled[2]._when != earliest):
        return
    places, open_places = [], [0]
    while open_places:
        place = open_places.pop()
        if place < len(scheduled) and scheduled[place]._when == earliest:
            places.append(place)
            open_places += (2 * place + 1, 2 * place + 2)
    if len(places) > 1:
        places.sort()
        handles = [scheduled[place] for place in places]
        chooser.shuffle(handles)
        for place, handle in zip(places, switches.ordered(handles), strict=True):
            scheduled[place] = handle


def _set_running_loop(real: Function) -> Function:
    def set_running_loop(loop: Loop | None) -> Any:  # Any: None
        if loop is not None and get_ident() == ACTIVE.owner:
            prepare(loop)
        return real(loop)

    return set_running_loop


@functools.cache
def _loop_swap(builtin: Function) -> BuiltinSwap:
    return BuiltinSwap(builtin, _set_running_loop(following_twin(builtin)))


def _create_task(real: Function) -> Function:
    def create_task(loop: Loop, *args: Any, **kwargs: Any) -> Any:  # Any: as the caller gives it
        task = real(loop, *args, **kwargs)
        if get_ident() == ACTIVE.owner:
            note_parent(task, here())
        return task

    return create_task


@functools.cache
def _task_patch(kind: type) -> TypePatch:
    return TypePatch(kind, "create_task", _create_task(kind.__dict__["create_task"]))


def loop_swaps() -> tuple[BuiltinSwap | TypePatch, ...]:
    """Make the swaps of what a loop calls when it begins to run, or a task, in the libraries that are loaded."""
    module, base = sys.modules.get("_asyncio"), sys.modules.get(LOOPS)
    swaps: list[BuiltinSwap | TypePatch] = []
    if module is not None and base is not None:
        swaps += [_loop_swap(module._set_running_loop), _task_patch(base.BaseEventLoop)]
    trio = sys.modules.get(TRIO)
    if trio is not None:
        swaps.append(_spawn_patch(trio.Runner))
    return tuple(swaps)


def _spawn(real: Function) -> Function:
    def spawn(runner: Any, *args: Any, **kwargs: Any) -> Any:  # Any: as trio gives it
        parent = here()
        task = real(runner, *args, **kwargs)
        if get_ident() == ACTIVE.owner:
            note_parent(task, parent)
        return task

    return spawn


@functools.cache
def _spawn_patch(kind: type) -> TypePatch:
    return TypePatch(kind, "spawn_impl", _spawn(kind.__dict__["spawn_impl"]))


class _Chance(random.Random):
    """Shuffles trio's batches, of which it takes the last first, and so sees who runs."""

    def __init__(self, switches: Switches, context: Any, runners: dict[Any, list[Any]]) -> None:  # Any: trio's
        super().__init__(0)
        self._switches = switches
        self._context = context
        self._runners = runners

    def shuffle(self, x: MutableSequence[Any]) -> None:  # Any: trio's tasks
        if get_ident() == ACTIVE.owner and (runner := self._context.runner) not in self._runners:
            self._runners[runner] = list(runner.deadlines._heap)
        super().shuffle(x)
        x[:] = self._switches.ordered(x[::-1])[::-1]


class Trio:
    """What trio is told for a run: the seed of its scheduler, and no worker threads from before.

    Afterwards what a task has put off meanwhile waits as long as was left, no longer.
    """

    def __init__(self, seed: int | None, switches: Switches) -> None:
        self._run: Any = sys.modules.get(TRIO)  # Any: private names are set
        self._cache: Any = sys.modules.get("trio._core._thread_cache")
        self._seed = seed
        self._switches = switches
        self._before: tuple[bool, random.Random, dict[Any, None]] | None = None
        self._runners: dict[Any, list[Any]] = {}
        """Those that ran under the clock, each with the deadlines that it had."""

    def on(self) -> None:
        """Tell it."""
        if self._run is None or self._cache is None or self._before is not None:
            return
        idle = self._cache.THREAD_CACHE._idle_workers
        self._before = (self._run._ALLOW_DETERMINISTIC_SCHEDULING, self._run._r, dict(idle))
        idle.clear()
        self._run._ALLOW_DETERMINISTIC_SCHEDULING = True
        if self._seed is not None:
            self._run._r = _Chance(self._switches, self._run.GLOBAL_RUN_CONTEXT, self._runners)
            self._run._r.seed(self._seed)

    def off(self) -> None:
        """Put back what was before; harmless when it is not on."""
        if self._before is None or self._run is None or self._cache is None:
            return
        self._run._ALLOW_DETERMINISTIC_SCHEDULING, self._run._r, idle = self._before
        self._cache.THREAD_CACHE._idle_workers.update(idle)
        self._before = None
        while self._runners:
            runner, older = self._runners.popitem()
            known = {entry[:2] for entry in older}
            made = [entry for entry in list(runner.deadlines._heap) if entry[:2] not in known]
            with contextlib.suppress(sys.modules["trio"].RunFinishedError):
                if made:
                    runner.entry_queue.run_sync_soon(_bring_deadlines_back, made, _ahead())


def _bring_deadlines_back(entries: list[Any], ahead: float) -> None:  # Any: trio's
    """Put the deadlines of a run from its clock on the real one, in trio's own thread."""
    for deadline, _, scope in entries:
        if scope._registered_deadline == deadline:  # else it was left, or has another one by now
            scope.deadline -= ahead
