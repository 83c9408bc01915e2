"""The watch on a thread that holds the turn in a real blocking call: it is reported instead of hanging for ever.

It begins with the first thread that a test starts, and counts looks rather than seconds, so that a machine
that slept accuses nobody. Waits that end by themselves (for a child process, before time jumps) are none of
its business, and neither is a thread that stands in a debugger.
"""

from __future__ import annotations

import ctypes
import math
import signal
import threading
from _thread import allocate_lock, get_ident
from types import FrameType
from typing import Any

from pytest_retrychaos.clock.backstage import real_starter
from pytest_retrychaos.clock.errors import Stuck
from pytest_retrychaos.clock.report import stuck
from pytest_retrychaos.clock.strands import REAL_ACQUIRE, REAL_RELEASE
from pytest_retrychaos.clock.turns import Turns
from pytest_retrychaos.frames import thread_frames

WATCHDOG = 30.0
"""Real seconds for which a thread may hold the turn."""
_LOOKS = 10
"""At least so many looks without progress come before the report."""
_SIGNAL = signal.SIGURG
"""Nobody uses it, and one that comes late is ignored by default."""
_DEBUGGERS = ("bdb", "pdb", "pydevd", "_pydevd_bundle", "debugpy")


class Watchdog:
    """Watches over the turns of one run, from its `start` to its `stop`."""

    def __init__(self, turns: Turns, seconds: float) -> None:
        self._turns = turns
        self._seconds = seconds
        self._is_on = False
        self._leash = allocate_lock()
        self._begun = allocate_lock()
        self._gone = allocate_lock()
        self._error: Stuck | None = None
        self._before: Any = None  # Any: a handler, in one of several shapes

    def start(self) -> None:
        """Begin, in the test's own thread; harmless when done twice."""
        if self._is_on or not self._seconds:
            return
        self._is_on = True
        REAL_ACQUIRE(self._leash)
        REAL_ACQUIRE(self._begun)
        REAL_ACQUIRE(self._gone)
        if get_ident() == threading.main_thread().ident and signal.getsignal(_SIGNAL) is signal.SIG_DFL:
            self._before = signal.signal(_SIGNAL, self._raise)
        self._turns.outside.own_threads += 1
        real_starter()(self._run, ())
        REAL_ACQUIRE(self._begun)  # before that the interpreter does not count it, and an older thread would be missed

    def stop(self) -> None:
        """End, leaving neither thread nor handler; harmless when done twice."""
        if not self._is_on:
            return
        if self._leash.locked():
            REAL_RELEASE(self._leash)
        REAL_ACQUIRE(self._gone, True, 1.0)
        self._turns.outside.own_threads -= 1
        if self._before is not None and get_ident() == threading.main_thread().ident:
            signal.signal(_SIGNAL, self._before)
            self._before = None
        self._is_on = False

    def _run(self) -> None:
        REAL_RELEASE(self._begun)
        tick = min(1.0, self._seconds / _LOOKS)
        needed = math.ceil(self._seconds / tick)
        latest: object = None
        seen = 0
        while not REAL_ACQUIRE(self._leash, True, tick):
            progress = self._turns.progress
            if progress != latest or self._turns.outside.is_bounded or self._is_debugged():
                latest, seen = progress, 0
                continue
            seen += 1
            if seen >= needed:
                self._bark()
                break
        REAL_RELEASE(self._gone)

    def _is_debugged(self) -> bool:
        frame = thread_frames().get(self._turns.granted.ident)
        while frame is not None:
            if frame.f_globals.get("__name__", "").partition(".")[0] in _DEBUGGERS:
                return True
            frame = frame.f_back
        return False

    def _bark(self) -> None:
        turns, turn = self._turns, self._turns.turn
        main = turn.main
        error = stuck(turn.granted, self._seconds)
        turns.clock.stops.append(error)
        if turn.granted is not main:
            main.error = error
            turn.seize()
            main.ring()
            turns.outside.stir()
        elif self._before is not None:
            self._error = error
            signal.pthread_kill(main.ident, _SIGNAL)
        else:  # takes a class only, and strikes when the call returns
            kind = type("Stuck", (Stuck,), {"__str__": lambda _: str(error)})
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(main.ident), ctypes.py_object(kind))

    def _raise(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 (a handler's signature)
        error, self._error = self._error, None
        if error is not None:
            raise error
