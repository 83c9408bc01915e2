"""Herds of one run, from their arguments to what became of them."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Iterator
from typing import Any, Final

from pytest_retrychaos.clock.errors import Refused
from pytest_retrychaos.clock.virtual import VirtualClock
from pytest_retrychaos.clock.workers import is_in_loop
from pytest_retrychaos.herd.copies import Copies
from pytest_retrychaos.herd.plan import Plan
from pytest_retrychaos.herd.result import Herd
from pytest_retrychaos.laws.arrivals import arrivals
from pytest_retrychaos.run import Run
from pytest_retrychaos.trace import Trace

COLLECTED_AFTER: Final = 20_000
"""New objects between two looks of the collector; Python's own choice is 700 to 2 000."""


class Herding:
    """Runs herds, one at a time; ``trace`` takes the record when one has ended."""

    def __init__(self, run: Run, trace: Callable[[], Trace]) -> None:
        self._run = run
        self._trace = trace

    def run(self, n: object, client: object, *, over: object, window: object, as_: object) -> Herd[Any]:
        """Run a herd in threads, or in tasks of a loop of its own; see `Chaos.herd`."""
        plan = Plan.read("chaos.herd", n, client, over=over, window=window, as_=as_)
        with self._under_way(plan) as copies:
            if is_in_loop():
                raise TypeError(f"chaos.herd({plan.count}, {plan.name}) {_IN_A_LOOP[plan.is_async]}")
            if plan.is_async:
                import asyncio

                asyncio.run(copies.as_tasks())
            else:
                copies.as_threads()
        return self._result(copies)

    async def run_async(self, n: object, client: object, *, over: object, window: object) -> Herd[Any]:
        """Run a herd in tasks of the loop that runs already; see `Chaos.herd_async`."""
        plan = Plan.read("chaos.herd_async", n, client, over=over, window=window, as_="tasks")
        with self._under_way(plan) as copies:
            await copies.as_tasks()
        return self._result(copies)

    @contextlib.contextmanager
    def _under_way(self, plan: Plan) -> Iterator[Copies]:
        run, clock = self._run, self._run.clock
        if not isinstance(clock, VirtualClock):
            raise Refused(
                "a herd on transport='loopback': its copies are told apart on virtual time only. "
                "Use transport='network', which answers every host but this machine"
            )
        if run.is_herding:
            raise run.exchange.refuse(
                f"a herd of {plan.name} inside a herd: the copies of both would be mixed up. "
                "Let the first end before the second begins, or take more copies"
            )
        number = len(run.herds)
        copies = Copies(plan, number, run.recorder, clock, run.seed)
        run.herds.append(copies.record(run.service.capacity))
        run.is_herding = True
        try:
            with _collecting_seldom():
                yield copies
        finally:
            run.is_herding = False
            run.herds[number] = copies.record(run.service.capacity)

    def _result(self, copies: Copies) -> Herd[Any]:
        return Herd(tuple(copies.values), copies.errors, arrivals(self._trace(), copies.number))


@contextlib.contextmanager
def _collecting_seldom() -> Iterator[None]:
    """Let the collector look for cycles less often: a herd makes a record that grows, and hardly any cycle.

    At ten thousand tasks it would take a sixth of the time, looking at the same objects again and again.
    """
    before = gc.get_threshold()
    if before[0]:  # 0: it is off
        gc.set_threshold(max(before[0], COLLECTED_AFTER), *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


_IN_A_LOOP = {
    True: "would begin a loop in one that runs: await chaos.herd_async(…) instead",
    False: "would block the event loop that runs: await asyncio.to_thread(chaos.herd, …) instead, "
    "or give an async function to chaos.herd_async",
}
"""What to do in a running loop, by whether the function is async."""
