"""Who calls an async test: it runs it in a loop of its own, and cancels it where the run is told to.

Laws of this module:
1. What is cancelled is the task that runs the test, as its own caller could: by ``Task.cancel`` or a cancel scope
   around it. It counts as asked for by the test (RT08).
2. A cancellation while an attempt is in flight reaches the client before the answer does.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from pytest_retrychaos.clock import workers
from pytest_retrychaos.clock.active import ACTIVE
from pytest_retrychaos.clock.cancelling import note_deadline

AsyncTest = Callable[[], Coroutine[Any, Any, object]]  # Any: what a coroutine yields is its loop's business


class Caller:
    """The caller of one run's test."""

    def __init__(self, due_ns: int | None = None, attempt: int | None = None) -> None:
        """``due_ns``: when to cancel; ``attempt``: or while which attempt is in flight."""
        self._due_ns = due_ns
        self._attempt = attempt
        self._cancel: Callable[[], object] | None = None
        self.has_cancelled = False
        """Whether there was something to cancel when the moment came."""
        self.has_run = False
        """Whether there was an async test."""

    def note_attempt(self, index: int) -> None:
        """Note that an attempt has reached the service, and waits for its answer."""
        if index == self._attempt:
            self._ask()

    def run(self, loop: str, test: AsyncTest) -> object:
        """Run a test to its end and give what it returned, or ``None`` where it ended by the cancellation."""
        self.has_run = True
        try:
            return self._by_trio(test) if loop == "trio" else self._by_asyncio(test)
        finally:
            self._cancel = None

    def _ask(self) -> None:
        if self._cancel is not None:
            self._cancel()

    def _can(self, cancel: Callable[[], object]) -> None:
        self._cancel = cancel
        if self._due_ns is not None and ACTIVE.turns is not None:
            ACTIVE.turns.alarm(self._due_ns, self._ask)

    def _by_asyncio(self, test: AsyncTest) -> object:
        import asyncio

        with asyncio.Runner() as runner:
            loop, coroutine = runner.get_loop(), test()

            def cancel() -> None:
                for task in asyncio.all_tasks(loop):
                    if task.get_coro() is coroutine:
                        self.has_cancelled = True
                        with workers.cancelling(task, ACTIVE.clock.now_ns):
                            task.cancel()

            self._can(lambda: loop.call_soon_threadsafe(cancel))  # first in line: before the answer is read
            try:
                return runner.run(coroutine)
            except asyncio.CancelledError:
                if not self.has_cancelled:
                    raise
                return None

    def _by_trio(self, test: AsyncTest) -> object:
        import trio

        async def main() -> object:
            token = trio.lowlevel.current_trio_token()
            with trio.CancelScope() as scope:
                note_deadline(scope)

                def cancel() -> None:
                    self.has_cancelled = True
                    scope.cancel()

                self._can(lambda: cancel() if trio.lowlevel.in_trio_task() else token.run_sync_soon(cancel))
                return await test()
            return None

        return trio.run(main)
