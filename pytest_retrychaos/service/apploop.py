"""An event loop in a thread of its own, in which an ASGI app lives on real time.

A caller hands it a coroutine and waits for the end, for a bounded real time. When that has come, whatever the
coroutine started has run until it waits for something: what a client sees next does not depend on the machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
import threading
from _thread import allocate_lock
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from types import FrameType
from typing import Any, Generic, TypeVar

from pytest_retrychaos.frames import thread_frames
from pytest_retrychaos.service.backstage import Backstage

T = TypeVar("T")

TURNS = 1000
"""So many turns of the loop are left to what a request has started, before the caller goes on."""
TO_END = 5.0
"""Real seconds that a cancelled call, and the loop itself, get to end."""


class NoAnswer(Exception):
    """What was called did not end in time; the message says where it was."""


class _Call(Generic[T]):
    """A coroutine to be run in the loop, and what came of it."""

    def __init__(self, make: Callable[[], Coroutine[Any, Any, T]]) -> None:  # Any: a coroutine yields what it likes
        self._make = make
        self.task: asyncio.Task[None] | None = None
        self.value: T | None = None
        self.error: BaseException | None = None
        self.done = allocate_lock()
        self.done.acquire()

    def begin(self) -> None:
        self.task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        try:
            self.value = await self._make()
        except BaseException as error:  # an app's SystemExit is its own failure and does not end the loop
            self.error = error
        try:
            await _settle()
        finally:
            self.done.release()

    def cancel(self) -> None:
        if self.task is not None:
            self.task.cancel()


class AppLoop:
    """A running loop. It begins at once and ends by `stop`."""

    def __init__(self, name: str, backstage: Backstage) -> None:
        self._name = name
        self._backstage = backstage
        self._posted: deque[Callable[[], None]] = deque()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._thread = 0
        self._stopping: asyncio.Future[None] | None = None
        self._has_ended = False
        self._stuck: _Call[Any] | None = None  # Any: whatever it returns
        self._ended = allocate_lock()
        self._ended.acquire()
        backstage.start(self._main, name)

    def run(self, make: Callable[[], Coroutine[Any, Any, T]], seconds: float) -> T:  # Any: as in `_Call`
        """Run a coroutine in the loop and give what it returns or raises.

        `NoAnswer` where it takes longer than so many real seconds; it is cancelled then.
        """
        if self._has_ended:
            raise NoAnswer("nowhere: its event loop has ended")
        if self._stuck is not None and not self._backstage.wait(self._stuck.done, 0):
            raise NoAnswer(self._place(self._stuck))
        self._stuck = None
        call = _Call(make)
        self._post(call.begin)
        if not self._backstage.wait(call.done, seconds):
            place = self._place(call)
            self._post(call.cancel)
            if not self._backstage.wait(call.done, min(seconds, TO_END)):
                self._stuck = call
            raise NoAnswer(place)
        if call.error is not None:
            raise call.error
        return call.value  # type: ignore[return-value]  # there is one where there is no error

    def abandon(self) -> None:
        """Tell the loop to end, and do not wait for that."""
        self._post(self._stop)

    def stop(self, seconds: float) -> None:
        """End the loop, cancelling what still runs in it; `NoAnswer` where that takes longer than so many seconds."""
        self.abandon()
        if not self._backstage.wait(self._ended, min(seconds, TO_END)):
            raise NoAnswer(self._place(self._stuck))

    def _post(self, what: Callable[[], None]) -> None:
        if self._has_ended:
            return
        self._posted.append(what)
        os.eventfd_write(self._wake, 1)  # a plain write to a descriptor: no socket, which may be simulated here

    # in the thread

    def _main(self) -> None:
        self._thread = threading.get_ident()
        try:
            with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
                runner.run(self._serve())
        finally:
            self._has_ended = True
            os.close(self._wake)
            self._ended.release()

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(_ContextKeepingExecutor(thread_name_prefix=self._name))
        self._stopping = loop.create_future()
        loop.add_reader(self._wake, self._take)
        self._take()
        try:
            await self._stopping
        finally:
            loop.remove_reader(self._wake)

    def _take(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._wake)
        while self._posted:
            self._posted.popleft()()

    def _stop(self) -> None:
        if self._stopping is not None and not self._stopping.done():
            self._stopping.set_result(None)

    def _place(self, call: _Call[Any] | None) -> str:  # Any: whatever it returns
        """Name the line at which a call is: the nearest that no library has."""
        task = None if call is None else call.task
        is_waiting = task is not None and task is not asyncio.current_task(task.get_loop())
        frames = _awaited_frames(task) if is_waiting else _stack(thread_frames().get(self._thread))
        if not frames:
            return "an unknown place"
        own = [frame for frame in frames if not _is_library(frame.f_code.co_filename)]
        nearest = (own or frames)[-1]
        path = nearest.f_code.co_filename
        shown = os.path.relpath(path) if path.startswith(os.getcwd() + os.sep) else path
        return f"{shown}:{nearest.f_lineno} {nearest.f_code.co_name}"


class _ContextKeepingExecutor(ThreadPoolExecutor):
    """Runs what it is given in the context of whoever gave it, as ``asyncio.to_thread`` does."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:  # Any: whatever fn takes
        return super().submit(contextvars.copy_context().run, fn, *args, **kwargs)


async def _settle() -> None:
    """Let everything that is ready run until it waits."""
    ready = asyncio.get_running_loop()._ready  # type: ignore[attr-defined]  # private, of the loop made above
    for _ in range(TURNS):
        if not ready:
            return
        await asyncio.sleep(0)


def _awaited_frames(task: asyncio.Task[None] | None) -> list[FrameType]:
    """List where a task waits, the outermost first."""
    awaited: Any = None if task is None else task.get_coro()  # Any: a coroutine, or what else can be awaited
    frames: list[FrameType] = []
    while awaited is not None:
        frame = getattr(awaited, "cr_frame", None) or getattr(awaited, "gi_frame", None)
        if frame is not None:
            frames.append(frame)
        awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "gi_yieldfrom", None)
    return frames


def _stack(frame: FrameType | None) -> list[FrameType]:
    """List a running thread's frames, the outermost first."""
    frames: list[FrameType] = []
    while frame is not None:
        frames.insert(0, frame)
        frame = frame.f_back
    return frames


def _is_library(path: str) -> bool:
    return path.startswith(_LIBRARIES) or path.startswith("<frozen") or "site-packages" in path


_LIBRARIES = (os.path.dirname(os.__file__) + os.sep, os.path.dirname(os.path.dirname(__file__)) + os.sep)
