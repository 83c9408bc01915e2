"""Threads older than the clock that sleep as they did when it began, as the system and the interpreter know it.

Most programs keep such threads (a pool, a test runner's own). One that was never woken was handed nothing, and one
that waits again where it waited at first, for a lock or for something to read, is done with what it was handed: of
neither is anything to be waited for. Where the system does not tell (it is not Linux, or a sandbox that imitates it),
none is taken for asleep.
"""

from __future__ import annotations

import _thread
import functools
import os
import threading
from types import CodeType, FrameType
from typing import Final, NamedTuple

from pytest_retrychaos.clock.functions import real
from pytest_retrychaos.frames import thread_frames

_TASKS: Final = "/proc/self/task"
_MAPS: Final = "/proc/self/maps"
_ASLEEP: Final = b"\nState:\tS"
_SWITCHES: Final = b"\nvoluntary_ctxt_switches:"
"""From here on a thread's status says how often it has left the processor."""
_FUTEX, *_READS = {"x86_64": (b"202", b"0", b"45"), "aarch64": (b"98", b"63", b"207")}.get(os.uname().machine, (b"",))
"""The numbers of the calls futex, read and recvfrom. A loop that polls waits alike for anything: it is none of them."""
_NO_LIMIT: Final = b"0x0"
"""The fourth argument of a futex that is waited for as long as it takes."""
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
"""What a thread waits in, or how often it has been woken; and where in its code it is."""


class _Thread(NamedTuple):
    """What the system and the interpreter tell of a thread."""

    status: int
    call: int
    ident: int | None
    """The interpreter's name for it, where it has one."""

    def wait(self) -> bytes:
        """Look what it waits in."""
        try:
            # Not `os.read`, which gives the turn away. One that is being woken shows the call that it was in: only
            # its state tells, and that comes first, or it may be asleep again in another call.
            status = os.pread(self.status, 4096, 0)
            call = os.pread(self.call, 256, 0).split()
        except ProcessLookupError:
            return _ENDED
        if _ASLEEP not in status:
            return _AWAKE
        if call[0] == _FUTEX and (call[4] != _NO_LIMIT or _is_of_a_library(call[1])):
            return _AWAKE  # for all that is known it waits for the interpreter's lock
        if self.ident is not None and (call[0] == _FUTEX or call[0] in _READS):
            return b" ".join(call[: 1 if call[0] == _FUTEX else 2])
        start = status.find(_SWITCHES)
        return status[start:] if start >= 0 else _AWAKE


def _is_of_a_library(address: bytes) -> bool:
    """Whether a futex is the interpreter's or the C library's own, and not of a lock that a program has made.

    For the interpreter's lock one waits with a limit, but for what guards it, a moment only, without.
    """
    number = int(address, 16)
    return any(number in variables for variables in _libraries())


@functools.cache
def _libraries() -> list[range]:
    """List where the variables of the program and its libraries are: the memory, open to writing, that files give."""
    with open(_MAPS, "rb") as maps:
        lines = [line.split() for line in maps]
    bounds = [line[0].split(b"-") for line in lines if line[1] == b"rw-p" and line[4] != b"0"]
    return [range(int(start, 16), int(end, 16)) for start, end in bounds]


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
        self._threads: list[_Thread] | None = None
        self._first: list[_State] = []
        """What they did when they were looked at first."""

    def settle(self) -> None:
        """Look who sleeps, once those who are about to have had the processor for a moment."""
        self._numbers = _others()
        self.count()
        for _ in range(_MOMENTS):
            if not any(wait == _AWAKE for wait, _ in self._first):
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
                threads.append(_Thread(status, self._open(number, "syscall"), idents.get(number)))
        except OSError:
            return
        self._threads, self._first = threads, _states(threads)

    def sleep_on(self) -> bool:
        """Whether none of them is, or may be, at work on anything."""
        if self._threads is None:
            return False
        return all(
            now[0] == _ENDED or (now == first and now[0] != _AWAKE)
            for first, now in zip(self._first, _states(self._threads), strict=True)
        )

    def close(self) -> None:
        """Give back the descriptors; from then on nobody is known to sleep."""
        self._threads, self._first = None, []
        while self._descriptors:
            os.close(self._descriptors.pop())

    def _open(self, number: str, name: str) -> int:
        self._descriptors.append(os.open(f"{_TASKS}/{number}/{name}", os.O_RDONLY | os.O_CLOEXEC))
        return self._descriptors[-1]


def _states(threads: list[_Thread]) -> list[_State]:
    waits = [thread.wait() for thread in threads]
    frames = thread_frames() if threads else {}  # after the waits: who is back at its place by then is done
    return [
        (wait, _place(None if thread.ident is None else frames.get(thread.ident)))
        for thread, wait in zip(threads, waits, strict=True)
    ]


def _others() -> list[str] | None:
    if _thread._count() == 0 and threading.current_thread() is threading.main_thread():
        return []
    me = str(threading.get_native_id())
    try:
        others = [number for number in os.listdir(_TASKS) if number != me]
    except OSError:
        return None
    return others if len(others) <= _MOST else None
