"""Threads that stay on real time, though one on virtual time starts them and waits for them.

An app that is served in an event loop of its own needs one. Its sleeps and timers are real; the wall clock that
it reads is the run's, so that what it stamps and checks agrees with the client.
"""

from __future__ import annotations

import _thread
import functools
import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from pytest_retrychaos.clock.cpython import real_twin

READS_RUN: ContextVar[bool] = ContextVar("reads_run", default=False)
"""Whether the wall clock that this context reads is the run's, in whatever thread: contexts are handed on."""

_acquire = _thread.LockType.acquire  # taken before any clock replaces it


@functools.cache
def real_starter() -> Callable[..., Any]:  # Any: a built-in of any signature
    """Give what starts a thread that virtual time knows nothing of."""
    return real_twin(_thread.start_new_thread)


class Backstage:
    """Starts threads on real time, and waits for them in real time."""

    def start(self, function: Callable[[], None], name: str) -> None:
        """Run a function in a daemon thread, which returns at once."""

        def run() -> None:
            READS_RUN.set(True)
            function()

        def start() -> None:
            threading.Thread(target=run, name=name, daemon=True).start()

        # In two steps: a thread that virtual time knows nothing of starts the one that shows under its name.
        real_starter()(start, ())

    def wait(self, lock: _thread.LockType, seconds: float) -> bool:
        """Acquire a lock within so many real seconds; whether that was in time. No virtual time passes."""
        return _acquire(lock, True, seconds)
