"""Where the threads of the process are in their code."""

from __future__ import annotations

import gc
import sys
from types import FrameType


def thread_frames() -> dict[int, FrameType]:
    """Give the frame that each thread is in, by the interpreter's name for it.

    The collector rests meanwhile: CPython 3.11 holds a lock of its own while it makes the dictionary, and clearing a
    `threading.local` that is garbage waits for the same lock, for ever (github.com/python/cpython/issues/106883).
    """
    was_enabled = gc.isenabled()
    try:
        gc.disable()
        return sys._current_frames()
    finally:
        if was_enabled:
            gc.enable()
