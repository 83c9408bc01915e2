"""Threads older than the clock that have done nothing since it began, as the system counts.

One that has slept all the while was handed nothing, so nothing is to be waited for: most programs keep such threads
(a pool, a test runner's own). Where the system does not tell (it is not Linux, or a sandbox that imitates it), none is
taken for asleep.
"""

from __future__ import annotations

import _thread
import os
import threading
from typing import Final

_TASKS: Final = "/proc/self/task"
_ASLEEP: Final = b"\nState:\tS"
_SWITCHES: Final = b"\nvoluntary_ctxt_switches:"
"""From here on a thread's status says how often it has left the processor."""
_AWAKE: Final = b"awake"
_ENDED: Final = b"ended"
_MOST: Final = 64
"""So many threads are looked at: a descriptor is kept for each."""


class Sleepers:
    """The threads of the process other than the caller, as they were at the last `count`."""

    def __init__(self) -> None:
        self._descriptors: list[int] = []
        self._found: list[bytes] | None = None
        """What `_state` says of each; ``None`` where the system does not tell."""

    def count(self) -> None:
        """Look who sleeps."""
        self.close()
        if _thread._count() == 0 and threading.current_thread() is threading.main_thread():
            self._found = []
            return
        me = str(threading.get_native_id())
        try:
            others = [number for number in os.listdir(_TASKS) if number != me]
            for number in others[: _MOST + 1]:
                self._descriptors.append(os.open(f"{_TASKS}/{number}/status", os.O_RDONLY | os.O_CLOEXEC))
        except OSError:
            return
        if len(others) <= _MOST:
            self._found = list(map(_state, self._descriptors))

    def sleep_on(self) -> bool:
        """Whether none of them has run since, or is about to."""
        return self._found is not None and all(map(_sleeps_on, self._descriptors, self._found))

    def close(self) -> None:
        """Give back the descriptors; from then on nobody is known to sleep."""
        self._found = None
        while self._descriptors:
            os.close(self._descriptors.pop())


def _sleeps_on(descriptor: int, found: bytes) -> bool:
    state = _state(descriptor)
    return state == _ENDED or (state == found and state != _AWAKE)


def _state(descriptor: int) -> bytes:
    """Say how often a thread that sleeps has left the processor."""
    try:
        status = os.pread(descriptor, 4096, 0)  # not `os.read`, which gives the turn away
    except ProcessLookupError:
        return _ENDED
    start = status.find(_SWITCHES)
    return status[start:] if start >= 0 and _ASLEEP in status else _AWAKE
