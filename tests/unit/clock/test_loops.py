"""Event loops on virtual time: asyncio by any runner, and trio."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import trio

from pytest_retrychaos.clock import Deadlock, VirtualClock, install

SECOND = 1_000_000_000


async def nap(seconds: float = 3600) -> float:
    began = asyncio.get_running_loop().time()
    await asyncio.sleep(seconds)
    return asyncio.get_running_loop().time() - began


def by_runner(coroutine: Coroutine[Any, Any, float]) -> float:
    with asyncio.Runner() as runner:
        return runner.run(coroutine)


def by_loop(coroutine: Coroutine[Any, Any, float]) -> float:
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(coroutine)
    finally:
        loop.close()


@pytest.mark.parametrize("run", [asyncio.run, by_runner, by_loop], ids=["run", "Runner", "loop"])
def test_an_hour_of_sleep_takes_an_hour_of_virtual_time(run: Callable[..., float], clock: VirtualClock) -> None:
    """However the loop is run."""
    assert run(nap()) == pytest.approx(3600, abs=1e-3)
    assert 3600 * SECOND <= clock.now_ns < 3601 * SECOND


def test_tasks_sleep_side_by_side(clock: VirtualClock) -> None:
    """A thousand naps cost the longest."""

    async def main() -> None:
        await asyncio.gather(*[nap(number / 100) for number in range(1001)])

    asyncio.run(main())
    assert 10 * SECOND <= clock.now_ns < 10.1 * SECOND


def test_deadlines_end_in_virtual_time(clock: VirtualClock) -> None:
    """Of ``wait_for``, ``timeout`` and a queue."""

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 10)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(20):
                await asyncio.Queue().get()

    asyncio.run(main())
    assert 30 * SECOND <= clock.now_ns < 30.1 * SECOND


def test_threads_of_a_loop_are_on_virtual_time(clock: VirtualClock) -> None:
    """Work in threads goes on side by side with the loop's own."""

    async def main() -> None:
        began = clock.now_ns
        await asyncio.gather(
            asyncio.to_thread(time.sleep, 5), nap(5), asyncio.get_running_loop().run_in_executor(None, time.sleep, 5)
        )
        assert 5 * SECOND <= clock.now_ns - began < 5.1 * SECOND

    asyncio.run(main())


def test_a_thread_calls_into_a_loop(clock: VirtualClock) -> None:
    """By ``call_soon_threadsafe``, which wakes a loop that waits without a limit."""

    async def main() -> None:
        loop, event = asyncio.get_running_loop(), asyncio.Event()

        def tell() -> None:
            time.sleep(7)
            loop.call_soon_threadsafe(event.set)

        thread = asyncio.to_thread(tell)
        await asyncio.gather(thread, event.wait())

    asyncio.run(main())
    assert clock.now_ns == 7 * SECOND


def test_loops_in_several_threads_share_one_time(clock: VirtualClock) -> None:
    """Five of them, each with an hour's nap."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(5) as pool:
        list(pool.map(lambda _: asyncio.run(nap()), range(5)))
    assert 3600 * SECOND <= clock.now_ns < 3601 * SECOND


def test_a_loop_from_before_is_on_virtual_time_and_goes_on_for_real() -> None:
    """Its resolution is its own again afterwards."""
    loop = asyncio.new_event_loop()
    resolution = loop._clock_resolution  # type: ignore[attr-defined]  # private: what is set meanwhile
    clock = VirtualClock()
    with install(clock):
        loop.run_until_complete(nap())
        assert clock.now_ns >= 3600 * SECOND
    assert loop.run_until_complete(nap(0.01)) < 10
    assert loop._clock_resolution == resolution  # type: ignore[attr-defined]  # as above
    loop.close()


def test_a_loop_that_waits_for_nothing_is_a_deadlock(clock: VirtualClock) -> None:
    """It is told so instead of hanging."""
    with pytest.raises(Deadlock):
        asyncio.run(asyncio.wait_for(asyncio.Event().wait(), None))


async def _forever() -> None:
    await trio.Event().wait()


@pytest.mark.parametrize(
    ("run", "waits"),
    [
        (trio.run, _forever),
        (trio.run, trio.sleep_forever),
        (asyncio.run, lambda: asyncio.sleep(float("inf"))),
    ],
    ids=["an event of trio's", "trio for ever", "asyncio for ever"],
)
def test_a_loop_that_waits_for_no_moment_is_a_deadlock(
    clock: VirtualClock, run: Callable[[Any], object], waits: Callable[[], Any]
) -> None:
    """Loops wait for a day at most, and then anew: that is no moment to jump to. Trio can be run again afterwards."""
    with pytest.raises(Deadlock):
        run(waits if run is trio.run else waits())
    assert clock.now_ns == 0
    assert trio.run(trio.sleep, 3) is None
    assert clock.now_ns == 3 * SECOND


def test_a_deadlock_of_tasks_says_where_each_waits(clock: VirtualClock) -> None:
    """The thread shows its loop alone."""

    async def take(lock: asyncio.Lock, other: asyncio.Lock) -> None:
        async with lock:
            await asyncio.sleep(1)
            async with other:
                pass

    async def main() -> None:
        one, two = asyncio.Lock(), asyncio.Lock()
        await asyncio.gather(take(one, two), take(two, one))

    with pytest.raises(Deadlock) as caught:
        asyncio.run(main())
    _, *tasks = str(caught.value).splitlines()
    assert tasks[0] == "The tasks that wait:"
    names = [line.partition(":")[0].rpartition(".")[2] for line in tasks[1:]]
    assert names == ["main", "take", "take"]
    assert all("test_loops.py:" in line for line in tasks[1:])


def test_a_clock_can_begin_inside_a_running_loop() -> None:
    """As where a coroutine uses it as a context manager."""

    async def main() -> int:
        clock = VirtualClock()
        with install(clock):
            await asyncio.sleep(100)
            return clock.now_ns

    assert 100 * SECOND <= asyncio.run(main()) < 100.1 * SECOND


def test_trio_is_on_virtual_time(clock: VirtualClock) -> None:
    """Its sleeps, its deadlines and its threads."""

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep, 50)
            nursery.start_soon(trio.to_thread.run_sync, time.sleep, 60)
        with trio.move_on_after(40) as scope:
            await trio.sleep_forever()
        assert scope.cancelled_caught

    trio.run(main)
    assert 100 * SECOND <= clock.now_ns < 100.1 * SECOND


async def _came(came: list[int], number: int, sleep: Callable[[float], Any]) -> None:
    for _ in range(3):
        await sleep(1)
        came.append(number)


def by_asyncio(came: list[int]) -> None:
    async def main() -> None:
        await asyncio.gather(*[_came(came, number, asyncio.sleep) for number in range(8)])

    loop = asyncio.new_event_loop()
    loop.time = lambda: float(round(loop_time(loop)))  # type: ignore[method-assign]  # all timers at one moment
    loop.run_until_complete(main())
    loop.close()


def loop_time(loop: asyncio.AbstractEventLoop) -> float:
    return time.monotonic()


def by_trio(came: list[int]) -> None:
    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for number in range(8):
                nursery.start_soon(_came, came, number, trio.sleep)

    trio.run(main)


@pytest.mark.parametrize("run", [by_asyncio, by_trio])
def test_the_seed_decides_the_order(run: Callable[[list[int]], None]) -> None:
    """Of timers that are due at one moment: one seed gives one order, others give others."""

    def order(seed: int) -> tuple[int, ...]:
        came: list[int] = []
        with install(VirtualClock(), chooser=random.Random(seed)):
            run(came)
        return tuple(came)

    assert order(1) == order(1)
    assert len({order(seed) for seed in range(5)}) > 1


def test_a_blocking_sleep_in_a_loop_is_noted(clock: VirtualClock) -> None:
    """With its place and length; outside a loop it is none of that."""

    async def main() -> None:
        time.sleep(3)

    time.sleep(1)
    asyncio.run(main())
    assert [(stall.at_ns, stall.length_ns) for stall in clock.stalls] == [(SECOND, 3 * SECOND)]
    assert clock.stalls[0].place.endswith(" main")


LATE = """
import sys
from pytest_retrychaos.clock import VirtualClock, install
assert "asyncio" not in sys.modules, "asyncio is loaded already"
clock = VirtualClock()
with install(clock):
    import asyncio
    asyncio.run(asyncio.sleep(3600))
print(clock.now_ns // 10**9)
"""


def test_a_loop_imported_during_the_test_is_on_virtual_time() -> None:
    """An asyncio that was not loaded when the clock began is met at its first wait."""
    child = subprocess.run([sys.executable, "-c", LATE], capture_output=True, text=True, check=False)
    assert (child.stdout, child.stderr) == ("3600\n", "")


def test_a_loop_that_sleeps_does_not_poll(clock: VirtualClock) -> None:
    """It reads the clock before and after each sleep, thirty thousand times in all."""

    async def naps() -> None:
        for _ in range(100):
            await asyncio.gather(*[asyncio.sleep(1) for _ in range(100)])

    asyncio.run(naps())
    assert clock.notes == []
    assert 100 * SECOND <= clock.now_ns < 101 * SECOND


def test_many_tasks_that_read_the_clock_a_little_do_not_poll(clock: VirtualClock) -> None:
    """As when each gives back its connection, and the pool looks whether one of a thousand has expired."""

    async def look() -> None:
        for _ in range(1000):
            time.monotonic()

    async def looks() -> None:
        await asyncio.gather(*[look() for _ in range(100)])

    asyncio.run(looks())
    assert (clock.notes, clock.now_ns) == ([], 0)
