"""Where the thread of a mounted app comes from: the service knows no clock, and has it handed in."""

from __future__ import annotations

import threading
from _thread import LockType
from collections.abc import Callable
from typing import Protocol


class Backstage(Protocol):
    """Starts threads, and waits for them, in real time."""

    def start(self, function: Callable[[], None], name: str) -> None:
        """Run a function in a daemon thread."""

    def wait(self, lock: LockType, seconds: float) -> bool:
        """Acquire a lock within so many real seconds; whether that was in time."""


class PlainThreads:
    """The backstage of a service that is used without virtual time."""

    def start(self, function: Callable[[], None], name: str) -> None:
        """Run a function in a daemon thread."""
        threading.Thread(target=function, name=name, daemon=True).start()

    def wait(self, lock: LockType, seconds: float) -> bool:
        """Acquire a lock within so many real seconds; whether that was in time."""
        return lock.acquire(True, seconds)
