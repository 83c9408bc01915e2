"""A thread on virtual time, and why it goes on after it blocked."""

from __future__ import annotations

import _thread
import contextlib
import contextvars
import enum
import itertools
import random
import threading
from collections.abc import Callable
from typing import Any, Protocol

_LOCK: Any = type(_thread.allocate_lock())  # Any: in a process that gevent has patched it is a type of its own
REAL_ACQUIRE: Callable[..., bool] = _LOCK.acquire
REAL_RELEASE: Callable[..., None] = _LOCK.release
"""The lock's own methods, whatever is patched: the scheduler itself waits in real time."""


tick: Callable[[], int] = itertools.count(1).__next__
"""Numbers what happens, so that of two things the earlier is known though no time passed between them."""


class Woke(enum.Enum):
    """Why a thread that blocked goes on."""

    BY_KEY = "what it waited for was announced"
    BY_TIME = "its deadline came"
    BY_SILENCE = "nobody will ever announce what it waited for"
    BY_END = "virtual time has ended: it repeats its wait for real"


class Poller(Protocol):
    """Descriptors that a thread waits on."""

    patience: float
    """Real seconds for which something outside is given time to make one ready before virtual time jumps."""
    is_endless: bool
    """Whether it is waited for as long as it takes where no deadline could come instead."""
    descriptors: list[tuple[int, int]]
    """Descriptors and events, as ``poll`` takes them, for a real wait."""

    def look(self) -> bool:
        """Whether one is ready now."""


class Work:
    """An item that a pool works on: who handed it in, and in which context."""

    __slots__ = ("__weakref__", "born", "context", "is_done", "parent")

    def __init__(self, parent: object) -> None:
        self.parent = parent
        self.born = tick()
        self.context = contextvars.copy_context()
        self.is_done = False


class Strand:
    """A thread on virtual time: what it waits for, and the doorbell that tells it to look whether it has the turn."""

    __slots__ = (
        "__weakref__",
        "born",
        "chance",
        "context",
        "deadline_ns",
        "error",
        "gate",
        "ident",
        "is_done",
        "is_free",
        "key",
        "name",
        "number",
        "parent",
        "poller",
        "ready_as",
        "sentinel",
        "waits_for",
        "woke",
        "work",
    )  # fmt: skip

    def __init__(self, name: str, parent: object = None) -> None:
        self.name = name
        self.born = tick()
        self.parent = parent
        """Who began it: a task, an item of a pool, a thread."""
        self.context = contextvars.copy_context()
        """The context in which it was begun; the thread itself starts with an empty one."""
        self.ident = 0
        self.chance: random.Random | None = None
        """Decides, by the seed, what a real machine leaves to chance; a thread's own, whatever others do."""
        self.gate = _thread.allocate_lock()
        REAL_ACQUIRE(self.gate)
        self.number = 0
        """Of its latest wait; 0 while it waits for nothing."""
        self.ready_as = 0
        """Under which number it stands in line; 0 while it does not."""
        self.key: int | None = None
        self.deadline_ns: int | None = None
        self.waits_for = ""
        """In words, for a deadlock's report."""
        self.is_free: Callable[[], bool] | None = None
        """Whether what it waits for can be had, where that can be seen: an older thread may give it silently."""
        self.poller: Poller | None = None
        self.woke = Woke.BY_KEY
        self.error: BaseException | None = None
        """What it is to raise when it goes on."""
        self.is_done = False
        self.sentinel: object = None
        """What the interpreter releases when the thread has gone: a lock, or from 3.13 on its handle."""
        self.work: object = self
        """What it is working on: itself, or an item that a pool handed to it."""

    @property
    def holds_up(self) -> bool:
        """Whether the interpreter would not end before it has: it runs, and is no daemon."""
        thread = threading._active.get(self.ident)  # type: ignore[attr-defined]  # private: by identifier
        return not self.is_done and thread is not None and not thread.daemon

    def ring(self) -> None:
        """Let it look whether it has the turn; ringing twice is harmless."""
        with contextlib.suppress(RuntimeError):
            REAL_RELEASE(self.gate)

    def wait_for_ring(self, seconds: float = -1) -> bool:
        """Wait, in real time, without a limit where it is negative; a signal's handler may raise out of here."""
        return REAL_ACQUIRE(self.gate, True, seconds)

    def __repr__(self) -> str:
        return f"<Strand {self.name}>"
