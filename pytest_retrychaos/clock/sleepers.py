"""Threads older than the clock that sleep as they did when it began, as the system and the interpreter know it.

Most programs keep such threads (a pool, a test runner's own). One that was never woken was handed nothing, and one
that waits again where it waited at first, for a lock or for something to read, is done with what it was handed: of
neither is anything to be waited for. Where the system does not tell (it is not Linux, or a sandbox that imitates it),
none is taken for asleep.
"""

from __future__ import annotations

import _thread
import os
import threading
from types import CodeType, FrameType
from typing import Final

from pytest_retrychaos.clock.functions import real
from pytest_retrychaos.frames import thread_frames

_TASKS: Final = "/proc/self/task"
_ASLEEP: Final = b"\nState:\tS"
_SWITCHES: Final = b"\nvoluntary_ctxt_switches:"
"""From here on a thread's status says how often it has left the processor."""
_FUTEX, *_READS = {"x86_64": (b"202", b"0", b"45"), "aarch64": (b"98", b"63", b"207")}.get(os.uname().machine, (b"",))
"""The numbers of the calls futex, read and recvfrom. A loop that polls waits alike for anything: it is none of them."""
_NO_LIMIT: Final = b"0x0"
"""The fourth argument of a futex that is waited for as long as it takes; for the interpreter's lock none is."""
_AWAKE: Final = b"awake"
_ENDED: Final = b"ended"
_MOMENT: Final = 0.0005
"""Real seconds. What a run has handed over at its end is done with some moments later: Linux takes 6 ms to close what
c-ares watches its configuration with.
"""
_MOMENTS: Final = 20
_OWN: Final = __name__.rpartition(".")[0]
_MOST: Final = 64
"""So many threads are looked at: two descriptors are kept for each."""

_Place = tuple[tuple[CodeType, int], ...]
_State = tuple[bytes, _Place]
"""What a thread waits in, and where in its code; or how often it has been woken, and nothing."""


class _Sleeper:
    """A thread, and what it did when it was first looked at."""

    def __init__(self, status: int, call: int, ident: int | None) -> None:
        self._status = status
        self._call = call
        self._ident = ident
        """The interpreter's name for it, where it has one."""
        self._first = self._state(thread_frames())

    @property
    def is_awake(self) -> bool:
        return self._first[0] == _AWAKE

    def sleeps_on(self, frames: dict[int, FrameType]) -> bool:
        state = self._state(frames)
        return state[0] == _ENDED or (state == self._first and state[0] != _AWAKE)

    def _state(self, frames: dict[int, FrameType]) -> _State:
        try:
            call = os.pread(self._call, 256, 0).split()  # not `os.read`, which gives the turn away
            if self._ident is not None and _waits(call):
                return b" ".join(call[: 1 if call[0] == _FUTEX else 2]), _place(frames.get(self._ident))
            if call[0] == _FUTEX and call[4] != _NO_LIMIT:
                return _AWAKE, ()  # for all that is known it waits for the interpreter's lock
            status = os.pread(self._status, 4096, 0)
        except ProcessLookupError:
            return _ENDED, ()
        start = status.find(_SWITCHES)
        return status[start:] if start >= 0 and _ASLEEP in status else _AWAKE, ()


def _waits(call: list[bytes]) -> bool:
    """Whether a thread waits, without a limit, for a lock or for something to read."""
    return call[0] in _READS or (call[0] == _FUTEX and call[4] == _NO_LIMIT)


def _place(frame: FrameType | None) -> _Place:
    """Say where a thread is in its code, below what stands for the interpreter's own functions meanwhile."""
    while frame is not None and frame.f_globals.get("__name__", "").startswith(_OWN):
        frame = frame.f_back
    place = []
    while frame is not None:
        place.append((frame.f_code, frame.f_lineno))
        frame = frame.f_back
    return tuple(place)


class Sleepers:
    """The threads of the process that are older than the clock, the caller left out."""

    def __init__(self) -> None:
        self._descriptors: list[int] = []
        self._numbers: list[str] | None = None
        """The system's names for them; ``None`` where it does not tell, and where they are too many."""
        self._threads: list[_Sleeper] | None = None

    def settle(self) -> None:
        """Look who sleeps, once those who are about to have had the processor for a moment."""
        self._numbers = _others()
        self.count()
        for _ in range(_MOMENTS):
            if not any(thread.is_awake for thread in self._threads or ()):
                break
            real("sleep")(_MOMENT)
            self.count()

    def count(self) -> None:
        """Look who of them sleeps now."""
        self.close()
        if self._numbers is None:
            return
        known = list(threading._active.values())  # type: ignore[attr-defined]  # `enumerate` takes a lock
        idents = {str(thread.native_id): thread.ident for thread in known}
        threads = []
        try:
            for number in self._numbers:
                try:
                    status = self._open(number, "status")
                except FileNotFoundError:  # it has ended
                    continue
                threads.append(_Sleeper(status, self._open(number, "syscall"), idents.get(number)))
        except OSError:
            return
        self._threads = threads

    def sleep_on(self) -> bool:
        """Whether none of them is, or may be, at work on anything."""
        if self._threads is None:
            return False
        frames = thread_frames() if self._threads else {}
        return all(thread.sleeps_on(frames) for thread in self._threads)

    def close(self) -> None:
        """Give back the descriptors; from then on nobody is known to sleep."""
        self._threads = None
        while self._descriptors:
            os.close(self._descriptors.pop())

    def _open(self, number: str, name: str) -> int:
        self._descriptors.append(os.open(f"{_TASKS}/{number}/{name}", os.O_RDONLY | os.O_CLOEXEC))
        return self._descriptors[-1]


def _others() -> list[str] | None:
    if _thread._count() == 0 and threading.current_thread() is threading.main_thread():
        return []
    me = str(threading.get_native_id())
    try:
        others = [number for number in os.listdir(_TASKS) if number != me]
    except OSError:
        return None
    return others if len(others) <= _MOST else None
