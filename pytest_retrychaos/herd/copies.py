"""The copies of a herd under way: in threads or in tasks, each in a scope of its own."""

from __future__ import annotations

import contextlib
import inspect
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Any, Final

from pytest_retrychaos.clock.virtual import VirtualClock
from pytest_retrychaos.faults import Kind, parse
from pytest_retrychaos.herd.plan import Plan
from pytest_retrychaos.model import SECOND
from pytest_retrychaos.record import Recorder
from pytest_retrychaos.record.telling import tell_error, tell_value
from pytest_retrychaos.service import Limit
from pytest_retrychaos.trace import HerdRecord, Told

BEGUN_AT_ONCE: Final = 1000
"""Tasks begun in one turn of the loop, all turns in one virtual moment: the watchdog takes a turn of half a minute for
a thread that hangs."""


class Copies:
    """The copies of one herd under way, and what each was told."""

    def __init__(self, plan: Plan, number: int, recorder: Recorder, clock: VirtualClock, seed: int) -> None:
        self._plan = plan
        self.number = number
        self._recorder = recorder
        self._clock = clock
        self._moments = plan.moments(seed, number)
        self.began_ns = clock.now_ns
        self.values: list[Any] = [None] * plan.count  # Any: what the code under test returns
        self.errors: dict[int, Exception] = {}
        self._stops: list[BaseException] = []

    def as_threads(self) -> None:
        """Let each copy run in a thread, to its end."""
        name = f"herd of {self._plan.name}"
        started: list[threading.Thread] = []
        try:
            for number in range(self._plan.count):
                thread = threading.Thread(target=self._in_thread, args=(number,), name=f"{name}, copy {number}")
                thread.start()
                started.append(thread)
        except RuntimeError as error:  # the system gives no more
            error.add_note(f"{len(started)} of {self._plan.count} threads were begun: take fewer copies, or tasks")
            self._stops.append(error)
        for thread in started:
            thread.join()
        self._raise_stop()

    def _in_thread(self, number: int) -> None:
        try:
            if self._moments[number]:
                self._clock.wait_until(self.began_ns + self._moments[number])
            with self._scope(number) as told:
                value = self._plan.call(number)
                if inspect.iscoroutine(value):
                    value.close()
                    raise _Misused(
                        f'{self._plan.name} returned a coroutine: say as_="tasks", or give an async function'
                    )
                told(value)
        except BaseException as error:
            self._keep(number, error)

    async def as_tasks(self) -> None:
        """Let each copy run in a task, to its end: asyncio's, or trio's where that runs."""
        if (trio := _running_trio()) is not None:
            async with trio.open_nursery() as nursery:
                for number in range(self._plan.count):
                    nursery.start_soon(self._in_task, number, trio.sleep)
        else:
            await self._as_asyncio_tasks()
        self._raise_stop()

    async def _as_asyncio_tasks(self) -> None:
        import asyncio

        tasks = []
        try:
            for number in range(self._plan.count):
                tasks.append(asyncio.ensure_future(self._in_task(number, asyncio.sleep)))
                if len(tasks) % BEGUN_AT_ONCE == 0:
                    await asyncio.sleep(0)
            await asyncio.gather(*tasks)
        except BaseException:
            for task in tasks:
                task.cancel()
            raise

    async def _in_task(self, number: int, sleep: Callable[[float], Awaitable[None]]) -> None:
        try:
            if self._moments[number]:
                await sleep(self._moments[number] / SECOND)
            with self._scope(number) as told:
                value = self._plan.call(number)
                if not inspect.isawaitable(value):
                    raise _Misused(
                        f"{self._plan.name} returned {value!r}, which cannot be awaited; a task awaits its copy"
                    )
                told(await value)
        except Exception as error:
            self._keep(number, error)

    @contextlib.contextmanager
    def _scope(self, number: int) -> Iterator[Callable[[Any], None]]:  # Any: as `values`
        """Open the scope of a copy, which ends with what the copy is told."""
        scope, token = self._recorder.open_scope(f"{self._plan.name} {number}", herd=self.number)
        telling: Told | None = None

        def told(value: Any) -> None:  # Any: as `values`
            nonlocal telling
            self.values[number] = value
            telling = tell_value(value)

        try:
            yield told
        except BaseException as error:
            telling = tell_error(error)
            raise
        finally:
            self._recorder.close_scope(scope, token, telling)

    def _keep(self, number: int, error: BaseException) -> None:
        if isinstance(error, Exception) and not isinstance(error, _Misused):
            self.errors[number] = error
        else:
            self._stops.append(error)

    def _raise_stop(self) -> None:
        for stop in self._stops:
            raise TypeError(str(stop)) if isinstance(stop, _Misused) else stop

    def record(self, limit: Limit | None) -> HerdRecord:
        """Make the trace's record of the herd as far as it has come."""
        plan = self._plan
        record = HerdRecord(plan.count, self.began_ns, self._clock.now_ns, plan.over_ns, plan.window_ns, None)
        if limit is not None:
            record = replace(record, limit=limit.count, limit_ns=limit.per_ns)
        cause_ended = self._faults_ended()
        if cause_ended is None and limit is not None:
            cause_ended = self.began_ns + self._moments[-1]
        return replace(record, cause_ended_ns=cause_ended)

    def _faults_ended(self) -> int | None:
        """Find when the last fault that struck a copy was over; an outage goes on from the first that met it."""
        over: dict[str, int] = {}
        lengths: dict[str, int] = {}
        ended: int | None = None
        for sheet in self._recorder.sheets:
            fault = sheet.fault
            if fault is None or fault == "ok":
                continue
            if fault not in lengths:
                lengths[fault] = _outage_ns(fault)
            if sheet.began_ns >= over.get(fault, 0):
                over[fault] = sheet.began_ns + lengths[fault]
            if sheet.scope is not None and self._recorder.scopes[sheet.scope].herd == self.number:
                ended = max(ended or 0, over[fault])
        return ended


def _outage_ns(fault: str) -> int:
    """Tell how long a fault goes on once it has struck; a moment where it is no outage."""
    step = parse(fault).steps[0]
    return (step.duration_ns or 0) if step.kind is Kind.DOWN else 0


def _running_trio() -> Any | None:  # Any: the module, which may be missing
    trio = sys.modules.get("trio")
    return trio if trio is not None and trio.lowlevel.in_trio_run() else None


class _Misused(TypeError):
    """A copy is not what ``as_`` says it is."""
