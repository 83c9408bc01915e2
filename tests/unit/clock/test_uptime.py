"""How long a machine has been up is no part of a run: the same seed gives the same moments on each."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import queue
import random
import select
import socket
import threading
import time
from collections.abc import Callable
from functools import partial

import pytest
import trio

from pytest_retrychaos import Chaos
from pytest_retrychaos.clock import VirtualClock, install

DAY = 86_400
AGES = (60, 65_000, 66_000, 10 * DAY)
"""Seconds, in four sizes of floats."""
LIMITS = (0.3, 1.2, 2.7, 3.0)
"""Only the last is what a float can hold."""


def _sleep_to(chance: random.Random) -> None:
    """To a moment of which a large float has not all the digits."""
    time.sleep(chance.randrange(1, 1000) / 1000)


def sleeps_for_a_budget(chance: random.Random) -> int:
    """Another try, as long as no more than the limit has gone by."""
    _sleep_to(chance)
    limit, began, tries = chance.choice(LIMITS), time.monotonic(), 0
    while time.monotonic() - began < limit:
        time.sleep(0.1)
        tries += 1
    return tries


def sleeps_to_a_deadline(chance: random.Random) -> int:
    """The last sleep is what is left, and after it the deadline has come."""
    _sleep_to(chance)
    deadline, sleeps = time.monotonic() + chance.choice(LIMITS), 0
    while (left := deadline - time.monotonic()) > 0:
        time.sleep(min(0.1, left))
        sleeps += 1
    return sleeps


def waits_on_a_condition(chance: random.Random) -> int:
    """Woken three times in vain, each time it computes anew what is left."""
    _sleep_to(chance)
    condition, looks = threading.Condition(), list[int]()

    def kick() -> None:
        for _ in range(3):
            time.sleep(chance.randrange(1, 80) / 1000)
            with condition:
                condition.notify_all()

    kicker = threading.Thread(target=kick)
    kicker.start()
    with condition:
        condition.wait_for(lambda: looks.append(1), timeout=chance.choice(LIMITS))
    kicker.join()
    return len(looks)


def takes_from_a_queue(chance: random.Random) -> int:
    """One item comes; for the next, what is left of the limit."""
    _sleep_to(chance)
    items, deadline, takes = queue.Queue[int](), time.monotonic() + chance.choice(LIMITS), 0
    timer = threading.Timer(chance.randrange(1, 250) / 1000, items.put, (1,))
    timer.start()
    while (left := deadline - time.monotonic()) > 0:
        takes += 1
        try:
            items.get(timeout=left)
        except queue.Empty:
            break
    timer.join()
    return takes


def selects(chance: random.Random) -> int:
    """A wait on nothing, over and over."""
    _sleep_to(chance)
    deadline, waits = time.monotonic() + chance.choice(LIMITS), 0
    while (left := deadline - time.monotonic()) > 0:
        select.select([], [], [], min(left, 0.07))
        waits += 1
    return waits


def limits_a_task(chance: random.Random, *, debug: bool) -> int:
    """A limit that was set before a sleep, and then naps until a deadline."""

    async def main() -> int:
        loop, naps = asyncio.get_running_loop(), 0
        limit = loop.time() + chance.choice(LIMITS)
        await asyncio.sleep(chance.randrange(1, 300) / 1000)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout_at(limit):
                await asyncio.sleep(100)
        deadline = loop.time() + chance.choice(LIMITS)
        while (left := deadline - loop.time()) > 0:
            await asyncio.sleep(min(left, 0.07))
            naps += 1
        return naps

    return asyncio.run(main(), debug=debug)


def naps_on_trio(chance: random.Random) -> int:
    """Whose clock begins anywhere."""

    async def main() -> int:
        await trio.sleep(chance.randrange(1, 1000) / 1000)
        deadline, naps = trio.current_time() + chance.choice(LIMITS), 0
        while (left := deadline - trio.current_time()) > 0:
            await trio.sleep(min(left, 0.07))
            naps += 1
        return naps

    return trio.run(main)


PROGRAMS: list[Callable[[random.Random], int]] = [
    sleeps_for_a_budget,
    sleeps_to_a_deadline,
    waits_on_a_condition,
    takes_from_a_queue,
    selects,
    partial(limits_a_task, debug=False),
    partial(limits_a_task, debug=True),  # which is the library's own round of the loop
    naps_on_trio,
]


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_same_happens_at_the_same_moments(program: Callable[[random.Random], int]) -> None:
    """As often as it does, and to the nanosecond, whatever digits the machine's floats have left."""

    def run(age: int, seed: int) -> tuple[int, int]:
        clock = VirtualClock()
        with install(clock, chooser=random.Random(seed)):
            clock.start_monotonic(age)
            return program(random.Random(seed)), clock.now_ns

    first, *others = ([run(age, seed) for seed in range(30)] for age in AGES)
    assert others == [first] * len(others)


Log = list[tuple[str, int]]


def threads_side_by_side(chance: random.Random, note: Callable[[str], None]) -> None:
    """One sleeps in steps, others until a deadline: to the same moments, by other sums."""

    def step() -> None:
        for _ in range(10):
            time.sleep(0.1)
            note("step")

    def until(name: str) -> None:
        for _ in range(4):
            deadline = time.monotonic() + chance.choice((0.1, 0.2, 0.3))
            while (left := deadline - time.monotonic()) > 0:
                note("waits")
                threading.Event().wait(left)
            note(name)

    threads = [threading.Thread(target=step), *(threading.Thread(target=until, args=(name,)) for name in "ab")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def tasks_side_by_side(chance: random.Random, note: Callable[[str], None]) -> None:
    """The same on asyncio."""

    async def step() -> None:
        for _ in range(10):
            await asyncio.sleep(0.1)
            note("step")

    async def until(name: str) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(4):
            deadline = loop.time() + chance.choice((0.1, 0.2, 0.3))
            while (left := deadline - loop.time()) > 0:
                note("waits")
                await asyncio.sleep(left)
            note(name)

    async def main() -> None:
        await asyncio.gather(step(), until("a"), until("b"))

    asyncio.run(main())


def trios_tasks_side_by_side(chance: random.Random, note: Callable[[str], None]) -> None:
    """The same on trio."""

    async def step() -> None:
        for _ in range(10):
            await trio.sleep(0.1)
            note("step")

    async def until(name: str) -> None:
        for _ in range(4):
            deadline = trio.current_time() + chance.choice((0.1, 0.2, 0.3))
            while (left := deadline - trio.current_time()) > 0:
                note("waits")
                await trio.sleep(left)
            note(name)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(step)
            nursery.start_soon(until, "a")
            nursery.start_soon(until, "b")

    trio.run(main)


@pytest.mark.parametrize("program", [threads_side_by_side, tasks_side_by_side, trios_tasks_side_by_side])
def test_who_comes_to_one_moment_by_other_sums_comes_in_the_order_of_the_seed(
    program: Callable[[random.Random, Callable[[str], None]], None],
) -> None:
    """Not in that of a last digit, which is another one on another machine; and each wait is one."""

    def run(age: int, seed: int) -> Log:
        clock, log = VirtualClock(), Log()
        with install(clock, chooser=random.Random(seed)):
            clock.start_monotonic(age)
            chance = random.Random(seed)
            _sleep_to(chance)
            program(chance, lambda what: log.append((what, clock.now_ns)))
        assert not clock.notes  # nobody was taken for one who polls the clock
        return log

    first, *others = ([run(age, seed) for seed in range(15)] for age in AGES)
    assert others == [first] * len(others)
    assert {sum(what == "waits" for what, _ in log) for log in first} == {8}
    assert all(moment_ns % 1_000_000 == 0 for log in first for _, moment_ns in log)


def test_a_timer_is_due_at_a_whole_nanosecond() -> None:
    """As the clock shows it; one that is far or never comes is left as it is."""

    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        whens = (loop.time() + 0.1, loop.time() + 0.1 + 1e-10, loop.time() - 5.0, 1e15, float("inf"))
        timers = [loop.call_at(when, int) for when in whens]
        found = [timer.when() for timer in timers]
        for timer in timers:
            timer.cancel()
        assert found[2:] == list(whens[2:])
        return found[:2]

    with install(VirtualClock()):
        one, other = asyncio.run(main())
    assert one == other


def test_what_is_waited_for_until_a_deadline_ends_at_the_deadline() -> None:
    """Exactly, and it is not too early to compare."""
    for milliseconds in range(1, 1000, 37):
        clock = VirtualClock()
        with install(clock):
            clock.start_monotonic(3 * DAY)
            time.sleep(milliseconds / 1000)
            deadline = time.monotonic() + 0.7
            time.sleep(deadline - time.monotonic())
            assert time.monotonic() >= deadline
        assert clock.now_ns == (milliseconds + 700) * 1_000_000


@pytest.mark.parametrize("fault", ["timeout", "connect-timeout"])
def test_a_socket_that_waits_until_a_deadline_gives_up_at_the_deadline(fault: str) -> None:
    """Whether it waits for an answer or for a connection."""
    for milliseconds in range(1, 1000, 37):
        with Chaos(fault) as chaos:
            time.sleep(milliseconds / 1000)
            deadline = time.monotonic() + 0.7
            client = http.client.HTTPConnection("api.test", timeout=deadline - time.monotonic())
            with contextlib.closing(client), pytest.raises(TimeoutError):
                client.request("GET", "/") or client.getresponse()
            assert chaos.clock.elapsed == (milliseconds + 700) / 1000


def test_a_connection_that_waits_until_a_deadline_gives_up_at_the_deadline() -> None:
    """It is not too early to compare."""
    for milliseconds in range(1, 1000, 37):
        with Chaos("timeout") as chaos, socket.create_connection(("api.test", 80)) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: api.test\r\n\r\n")
            time.sleep(milliseconds / 1000)
            deadline = time.monotonic() + 0.7
            connection.settimeout(deadline - time.monotonic())
            with pytest.raises(TimeoutError):
                connection.recv(1)
            assert time.monotonic() >= deadline
            assert chaos.clock.elapsed == (milliseconds + 700) / 1000


def test_a_real_sockets_timeout_is_the_nearest_nanosecond() -> None:
    """Also what the interpreter would round up, and what no float can tell from its neighbour."""
    with install(VirtualClock()), socket.socket() as sock:
        for timeout in (0.7, 1.1, 0.1 + 0.2, 0.7 + 1.6e-10, 1e-10, 0.0, 5, 1e9, None):
            sock.settimeout(timeout)
            assert sock.gettimeout() == {0.1 + 0.2: 0.3, 0.7 + 1.6e-10: 0.7, 1e-10: 1e-9}.get(timeout, timeout)


def test_a_test_that_moves_time_to_a_deadline_is_there() -> None:
    """As if it had slept."""
    for milliseconds in range(1, 1000, 37):
        with Chaos() as chaos:
            chaos.clock.advance(milliseconds / 1000)
            deadline = time.monotonic() + 0.7
            chaos.clock.advance(deadline - time.monotonic())
            assert time.monotonic() >= deadline
            assert chaos.clock.elapsed == (milliseconds + 700) / 1000


def test_a_sum_of_floats_is_no_nanosecond_more() -> None:
    """0.1 + 0.2 is a little more than 0.3, and less than nothing more of it can be waited for."""
    clock = VirtualClock()
    with install(clock):
        time.sleep(0.1 + 0.2)
        threading.Lock().acquire(timeout=0.1)
        held = threading.Lock()
        with held:
            held.acquire(timeout=0.1 + 0.2)
        time.sleep(1e-10)
    assert clock.now_ns == 600_000_001


def test_the_digits_are_those_of_the_clock_at_whole_seconds() -> None:
    """Readings a whole number of seconds apart differ by just that."""
    clock = VirtualClock()
    for moment_ns in range(1, 10**9, 12_345_679):
        readings = []
        for second in range(3):
            clock.move_to(second * 10**9 + moment_ns)
            readings.append(clock.monotonic)
        clock = VirtualClock()
        assert (readings[1] - readings[0], readings[2] - readings[0]) == (1.0, 2.0)


def test_promises_to_waits_that_ended_early_are_forgotten() -> None:
    """As a worker's, who is given something each time before the limit of its wait."""
    clock = VirtualClock()
    for number in range(10_000):
        clock.promise(clock.now_ns + 500_000_000, 0.5)
        clock.move_to(number * 1_000_000)
    assert len(clock._promised) < 3000
