"""A round of asyncio's loop on virtual time: what the library's round does, and what it is spared.

As a script (``python test_rounds.py NAME ARGUMENTS``) it is one run in a process of its own, beside no thread of the
test runner's: on account of such a thread most rounds are the library's.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest

from pytest_retrychaos.clock import VirtualClock, install

SECOND = 1_000_000_000


def alone(run: Callable[..., object], *arguments: object) -> Any:  # Any: what the run gives
    """Do a run in a process of its own, and give what it gives."""
    return printed(sys.executable, __file__, run.__name__, json.dumps(arguments))


def printed(*command: str) -> Any:  # Any: as above
    """Give the JSON that a command prints, and nothing else."""
    child = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert child.stderr == ""
    return json.loads(child.stdout)


async def naps(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(1)


@pytest.mark.parametrize("is_loaded", [True, False], ids=["before", "during"])
def test_a_loop_that_only_sleeps_asks_no_selector(is_loaded: bool) -> None:
    """Whether asyncio was loaded before the clock began or after: a few looks are left, where the loop ends."""
    code = f"""
        import selectors, sys
        from pytest_retrychaos.clock import VirtualClock, install
        assert "asyncio" not in sys.modules
        if {is_loaded}:
            import asyncio
        with install(VirtualClock()):
            import asyncio
            looks, real = [], selectors.EpollSelector.select
            async def naps():
                for _ in range(100):
                    await asyncio.sleep(1)
            selectors.EpollSelector.select = lambda *args: (looks.append(1), real(*args))[1]
            asyncio.run(naps())
        print(len(looks))
        """
    assert printed(sys.executable, "-c", textwrap.dedent(code)) < 20


def run_measured() -> list[object]:
    rounds, real = list[int](), asyncio.BaseEventLoop._run_once  # type: ignore[attr-defined]  # private: the round

    def measured(loop: asyncio.BaseEventLoop) -> None:
        rounds.append(1)
        real(loop)

    asyncio.BaseEventLoop._run_once = measured  # type: ignore[attr-defined]  # as above
    clock = VirtualClock()
    with install(clock):
        asyncio.run(naps(10))
    is_there = asyncio.BaseEventLoop._run_once is measured  # type: ignore[attr-defined]  # as above
    return [clock.now_ns // SECOND, len(rounds) > 20, is_there]


def test_another_round_than_the_one_that_is_known_stays() -> None:
    """As a tool's that measures each round: it goes on doing so, on virtual time."""
    assert alone(run_measured) == [10, True, True]


async def _much(came: list[tuple[int, str]], clock: VirtualClock) -> None:
    loop, chance = asyncio.get_running_loop(), random.Random(5)
    unheard: list[Coroutine[Any, Any, None]] = []

    def note(what: str) -> None:
        came.append((clock.now_ns, what))

    async def one(number: int) -> None:
        for step in range(8):
            await asyncio.sleep(chance.choice([0, 1e-7, 0.00051, 0.5, 0.5, 1, -1]))
            note(f"slept {number}")
            if number == step:
                loop.call_soon_threadsafe(note, f"soon {number}")
                unheard.append(asyncio.sleep(0.1234))
                unheard[-1].send(None)  # a timer for which nobody waits
            later = loop.call_later(chance.choice([0, 0.5, 1]), note, f"later {number}")
            if chance.random() < 0.1:
                later.cancel()
            try:
                async with asyncio.timeout(chance.choice([0.25, 0.5])):
                    await asyncio.sleep(0.5)
            except TimeoutError:
                note(f"late {number}")

    await asyncio.gather(*[one(number) for number in range(20)])
    for each in unheard:
        each.close()


def run_much(seed: int | None, is_debug: bool) -> list[tuple[int, str]]:
    clock, came = VirtualClock(), list[tuple[int, str]]()
    with install(clock, chooser=None if seed is None else random.Random(seed)):
        asyncio.run(_much(came, clock), debug=is_debug)
    return came


@pytest.mark.parametrize("seed", [None, 1, 2])
def test_everything_comes_in_the_order_and_at_the_moments_of_the_library_s_rounds(seed: int | None) -> None:
    """Which are those of debug mode: with a seed and without, over ties, cancelled timers and calls of no time."""
    assert alone(run_much, seed, False) == alone(run_much, seed, True)


def run_signals() -> list[int]:
    came: list[int] = []
    clock = VirtualClock()

    async def main() -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, lambda: came.append(clock.now_ns))
        for _ in range(2):
            await asyncio.sleep(1)
            os.kill(os.getpid(), signal.SIGUSR1)
        await asyncio.sleep(1)
        asyncio.get_running_loop().remove_signal_handler(signal.SIGUSR1)

    with install(clock):
        asyncio.run(main())
    return came


def test_a_signal_is_handled_at_once() -> None:
    """By the handler that the loop was given: its own pipe is looked into meanwhile."""
    assert alone(run_signals) == [SECOND, 2 * SECOND]


def run_calls() -> int:
    async def main() -> int:
        loop, left = asyncio.get_running_loop(), 0
        for _ in range(10):
            loop.call_soon_threadsafe(lambda: None)
            await asyncio.sleep(1)
        with suppress(BlockingIOError):
            left = len(loop._ssock.recv(100))  # type: ignore[attr-defined]  # private: the reading end
        return left

    with install(VirtualClock()):
        return asyncio.run(main())


def test_what_is_written_to_the_loop_s_own_pipe_is_read() -> None:
    """It would be full after some hundred thousand calls from elsewhere."""
    assert alone(run_calls) == 0


def test_a_thread_from_before_that_calls_the_loop_is_heard() -> None:
    """It answers in real time, for which time does not jump."""
    asked, loops = threading.Event(), list[Callable[[], object]]()

    def answer() -> None:
        asked.wait()
        loops[0]()

    thread = threading.Thread(target=answer)
    thread.start()

    async def main() -> None:
        await naps(3)
        loop, answered = asyncio.get_running_loop(), asyncio.Event()
        loops.append(lambda: loop.call_soon_threadsafe(answered.set))
        asked.set()
        await asyncio.wait_for(answered.wait(), 3600)

    with install(VirtualClock(), grace=5):
        asyncio.run(main())
    thread.join()


def run_reader() -> list[tuple[int, str]]:
    came: list[tuple[int, str]] = []
    clock = VirtualClock()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        reading, writing = os.pipe()
        loop.add_reader(reading, lambda: came.append((clock.now_ns, os.read(reading, 1).decode())))
        for byte in (b"a", b"b"):
            await asyncio.sleep(1)
            os.write(writing, byte)
        await asyncio.sleep(1)
        loop.remove_reader(reading)

    with install(clock):
        asyncio.run(main())
    return came


def test_a_descriptor_that_becomes_ready_between_sleeps_is_noticed() -> None:
    """At once, before time moves on."""
    assert alone(run_reader) == [[SECOND, "a"], [2 * SECOND, "b"]]


def run_clock_of_a_test(is_of_all: bool) -> list[object]:
    clock = VirtualClock()

    async def main() -> bool:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(1)
        ahead = loop.time() + 100
        sleeper = asyncio.ensure_future(asyncio.sleep(50))
        await asyncio.sleep(0)
        if is_of_all:
            type(loop).time = lambda _: ahead  # type: ignore[method-assign]  # as a test does it
        else:
            loop.time = lambda: ahead  # type: ignore[method-assign]  # as above
        for _ in range(5):
            await asyncio.sleep(0)
        return sleeper.done()

    with install(clock):
        return [asyncio.run(main()), clock.now_ns]


@pytest.mark.parametrize("is_of_all", [True, False], ids=["loops", "loop"])
def test_a_clock_that_a_test_gives_a_loop_in_the_middle_is_followed(is_of_all: bool) -> None:
    """As by `monkeypatch`: a timer is due when that clock says so."""
    assert alone(run_clock_of_a_test, is_of_all) == [True, SECOND]


def run_debug() -> list[str]:
    told: list[str] = []
    clock = VirtualClock()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        await naps(3)
        loop.set_debug(True)
        loop.slow_callback_duration = 0.5
        await naps(3)
        loop.call_soon(clock.advance, 1 * SECOND)
        await asyncio.sleep(1)

    asyncio.log.logger.addFilter(lambda record: told.append(record.getMessage().rpartition(" took ")[2]) or False)
    with install(clock):
        asyncio.run(main())
    return told


def test_debug_mode_that_begins_in_the_middle_is_followed() -> None:
    """A callback that is slow is told."""
    assert alone(run_debug) == ["1.000 seconds"]


def run_rounds_of_a_tool() -> list[bool]:
    with install(VirtualClock()):
        asyncio.run(naps(1))
    rounds, real = list[int](), asyncio.BaseEventLoop._run_once  # type: ignore[attr-defined]  # private: the round

    def measured(loop: asyncio.BaseEventLoop) -> None:
        rounds.append(1)
        real(loop)

    asyncio.BaseEventLoop._run_once = measured  # type: ignore[attr-defined]  # as above
    with install(VirtualClock()):
        asyncio.run(naps(10))
    return [len(rounds) > 20, asyncio.BaseEventLoop._run_once is measured]  # type: ignore[attr-defined]  # as above


def test_another_round_that_comes_between_two_runs_stays() -> None:
    """What was known of the round in the first run is not held to be so in the second."""
    assert alone(run_rounds_of_a_tool) == [True, True]


def run_selects_of_a_test() -> int:
    async def main() -> int:
        loop, looks = asyncio.get_running_loop(), list[int]()
        selector = loop._selector  # type: ignore[attr-defined]  # private: what it waits with
        real = selector.select
        selector.select = lambda timeout: (looks.append(1), real(timeout))[1]
        await naps(10)
        return len(looks)

    with install(VirtualClock()):
        return asyncio.run(main())


def test_a_select_that_a_test_gives_a_loop_s_selector_is_called() -> None:
    """In each round: two for every sleep."""
    assert alone(run_selects_of_a_test) == 20


def run_pipe_from_before() -> list[object]:
    loop, chance, clock = asyncio.new_event_loop(), random.Random(1), VirtualClock()
    readings: list[int] = []
    loop.call_soon_threadsafe(lambda: readings.append(clock.readings))

    async def main() -> None:
        await asyncio.sleep(1)
        reading, writing = os.pipe()
        loop.add_reader(reading, os.read, reading, 1)
        os.write(writing, b"a")
        await asyncio.sleep(1)
        loop.remove_reader(reading)

    with install(clock, chooser=chance):
        loop.run_until_complete(main())
    loop.close()
    return [readings, chance.random()]


def test_what_lay_in_a_loop_s_pipe_before_the_run_is_read_in_its_first_round() -> None:
    """Later it would come beside another descriptor, and the seed would decide between them."""
    assert alone(run_pipe_from_before) == [[1], 0.2550690257394217]


def run_signal_of_another() -> list[str]:
    came: list[str] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(1)
        loop.add_signal_handler(signal.SIGUSR1, came.append, "first")
        os.kill(os.getpid(), signal.SIGUSR1)
        loop.remove_signal_handler(signal.SIGUSR1)
        await asyncio.sleep(1)
        loop.add_signal_handler(signal.SIGUSR1, came.append, "second")
        await asyncio.sleep(1)
        loop.remove_signal_handler(signal.SIGUSR1)

    with install(VirtualClock()):
        asyncio.run(main())
    return came


def test_a_signal_is_not_told_to_a_handler_that_came_after_it() -> None:
    """The loop forgets one whose handler was taken away before its next round."""
    assert alone(run_signal_of_another) == []


def run_debug_in_a_round() -> list[str]:
    told: list[str] = []
    clock = VirtualClock()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.slow_callback_duration = 0.5
        loop.call_soon(loop.set_debug, True)
        loop.call_soon(clock.advance, 1 * SECOND)
        await asyncio.sleep(2)

    asyncio.log.logger.addFilter(lambda record: told.append(record.getMessage().rpartition(" took ")[2]) or False)
    with install(clock):
        asyncio.run(main())
    return told


def test_debug_mode_that_begins_in_the_middle_of_a_round_is_followed() -> None:
    """By the callbacks that are left of that round."""
    assert alone(run_debug_in_a_round) == ["1.000 seconds"]


def run_time_outs() -> int:
    async def main() -> int:
        keep = asyncio.ensure_future(asyncio.sleep(100))
        for _ in range(1000):
            async with asyncio.timeout(3600):
                await asyncio.sleep(0.001)
        keep.cancel()
        return len(asyncio.get_running_loop()._scheduled)  # type: ignore[attr-defined]  # private: its timers

    with install(VirtualClock()):
        return asyncio.run(main())


def test_cancelled_timers_are_cleared_away() -> None:
    """Those of a thousand time-outs that were never reached do not pile up behind another one."""
    assert alone(run_time_outs) < 250


def run_until_deadlines(up_for_s: int, is_debug: bool) -> list[object]:
    """Beside a task that sleeps in steps, others sleep until deadlines: to the same moments, by other sums."""
    waits, notes = list[int](), list[str]()

    async def until(chance: random.Random) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(6):
            deadline = loop.time() + chance.choice((0.1, 0.2, 0.3))
            while (left := deadline - loop.time()) > 0:
                waits[-1] += 1
                await asyncio.sleep(left)

    async def main(chance: random.Random) -> None:
        await asyncio.sleep(chance.randrange(1000) / 1000)
        async with asyncio.TaskGroup() as group:
            group.create_task(until(chance))
            group.create_task(until(chance))
            for _ in range(20):
                await asyncio.sleep(0.1)

    for seed in range(10):
        clock = VirtualClock()
        waits.append(0)
        with install(clock, chooser=random.Random(seed)):
            clock.monotonic_start_ns = up_for_s * SECOND
            asyncio.run(main(random.Random(seed)), debug=is_debug)
        notes += clock.notes
    return [max(waits), notes]


@pytest.mark.parametrize("is_debug", [False, True], ids=["our round of the loop", "the library's"])
@pytest.mark.parametrize("up_for_s", [60, 65_000, 66_000, 3 * 86_400])
def test_a_task_that_wakes_a_last_digit_too_early_waits_no_more_than_once_again(up_for_s: int, is_debug: bool) -> None:
    """Not thousands of times for nothing, until it is taken for one that polls the clock: here are twelve deadlines."""
    most, notes = alone(run_until_deadlines, up_for_s, is_debug)
    assert most <= 2 * 12
    assert not notes


def run_limits(up_for_s: int, is_debug: bool) -> list[int]:
    moments: list[int] = []

    async def wait(milliseconds: int) -> None:
        loop = asyncio.get_running_loop()
        limit = loop.time() + 8
        await asyncio.sleep(milliseconds / 1000)
        with suppress(TimeoutError):
            async with asyncio.timeout_at(limit):
                await asyncio.sleep(100)

    for milliseconds in range(1, 1000, 37):
        clock = VirtualClock()
        with install(clock):
            clock.monotonic_start_ns = up_for_s * SECOND
            asyncio.run(wait(milliseconds), debug=is_debug)
        moments.append(clock.now_ns)
    return moments


@pytest.mark.parametrize("is_debug", [False, True], ids=["our round of the loop", "the library's"])
@pytest.mark.parametrize("up_for_s", [1, 65_000, 66_000, 3 * 86_400, 40 * 86_400])
def test_a_loops_limits_end_when_they_do_however_long_the_machine_has_been_up(up_for_s: int, is_debug: bool) -> None:
    """A limit is a moment less another: with the days, a float has fewer digits for what is left of it.

    asyncio rounds it up to milliseconds, and 7.577000000001 would be one more: seen once this machine was up for 65 536
    seconds.
    """
    assert alone(run_limits, up_for_s, is_debug) == alone(run_limits, 2, is_debug)


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](*json.loads(sys.argv[2]))))
