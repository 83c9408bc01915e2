"""Threads and event loops on virtual time: what a thousand and ten thousand of them cost, beside the peers.

Each run is a process of its own, since the peak of memory is the process's, and since one of the peers has to be
started by a command of its own. As a script (``python benchmarks/concurrency.py NAME COUNT``) it is such a run.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import resource
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pytest_retrychaos import Chaos
from pytest_retrychaos.clock.cpython import real_twin

NOW = real_twin(time.process_time)
ROUNDS = 3
URL = "http://service.test/payments"
AT_ONCE = 100
"""httpx: so many POSTs under way, as many as its pool has connections; what queues there costs its square."""
SLEEPERS, SLEEPS = 100, 100
LOOPBACK_ANSWER = b"HTTP/1.1 %s\r\nContent-Length: 2\r\n\r\n{}"


def _spent(act: Callable[[], object]) -> float:
    began = NOW()
    act()
    return NOW() - began


def _threads(work: Callable[[int], None], count: int) -> None:
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def requests_threads(count: int) -> float:
    """Three GETs in each of so many threads, a second apart."""
    import requests

    def work(number: int) -> None:
        with requests.Session() as session:
            for _ in range(3):
                session.get("http://service.test/orders", timeout=5)
                time.sleep(1)

    with Chaos():
        return _spent(lambda: _threads(work, count))


async def _with_one_retry(post: Callable[[int], Any]) -> None:  # Any: a coroutine of a status
    if await post(0) >= 500:
        await asyncio.sleep(1)
        assert await post(1) == 201


def aiohttp_tasks(count: int) -> float:
    """One POST with one retry in each of so many tasks."""
    import aiohttp

    async def main() -> None:
        async with aiohttp.ClientSession() as session:

            async def one(number: int) -> None:
                async def post(_: int) -> int:
                    order, key = {"amount": number, "currency": "USD"}, {"Idempotency-Key": f"key-{number}"}
                    async with session.post(URL, json=order, headers=key) as answer:
                        await answer.read()
                        return answer.status

                await _with_one_retry(post)

            await asyncio.gather(*map(one, range(count)))

    with Chaos(f"503 x{count}, ok"):
        return _spent(lambda: asyncio.run(main()))


def aiohttp_tasks_uncollected(count: int) -> float:
    """The same with Python's collector off."""
    gc.disable()
    return aiohttp_tasks(count)


def httpx_tasks(count: int) -> float:
    """The same through httpx, with a semaphore in front of its pool."""
    import httpx

    async def main() -> None:
        gate = asyncio.Semaphore(AT_ONCE)
        async with httpx.AsyncClient(timeout=None) as client:

            async def one(number: int) -> None:
                async def post(_: int) -> int:
                    order, key = {"amount": number, "currency": "USD"}, {"Idempotency-Key": f"key-{number}"}
                    async with gate:
                        return (await client.post(URL, json=order, headers=key)).status_code

                await _with_one_retry(post)

            await asyncio.gather(*map(one, range(count)))

    with Chaos(f"503 x{count}, ok"):
        return _spent(lambda: asyncio.run(main()))


async def _sleep_all(count: int) -> None:
    async def one(number: int) -> None:
        for _ in range(SLEEPS):
            await asyncio.sleep(1 + number / 1000)

    await asyncio.gather(*map(one, range(count)))


def asyncio_sleeps(count: int) -> float:
    """A hundred sleeps, each task's of a length of its own."""
    with Chaos():
        return _spent(lambda: asyncio.run(_sleep_all(count)))


def detangle_sleeps(count: int) -> float:
    """The same on detangle's loop."""
    import detangle

    return _spent(lambda: detangle.run(lambda: _sleep_all(count)))


def _sleep_in_thread(number: int) -> None:
    for _ in range(SLEEPS):
        time.sleep(1 + number / 1000)


def thread_sleeps(count: int) -> float:
    """A hundred sleeps in each of so many threads."""
    with Chaos():
        return _spent(lambda: _threads(_sleep_in_thread, count))


def frontrun_sleeps(count: int) -> float:
    """The same in one schedule of frontrun's, by its cheaper strategy."""
    import frontrun

    def explore() -> None:
        result = frontrun.explore(
            setup=object,
            workers=[lambda _, number=number: _sleep_in_thread(number) for number in range(count)],
            invariant=lambda _: True,
            clock="virtual",
            strategy="random",
            max_attempts=1,
            max_ops=10_000_000,
        )
        assert result.num_explored == 1

    return _spent(explore)


async def _three_attempts() -> None:
    import httpx

    async with httpx.AsyncClient(timeout=5) as client:
        for _ in range(3):
            answer = await client.post(URL, json={"amount": 10}, headers={"Idempotency-Key": "key"})
            if answer.status_code < 500:
                return
            await asyncio.sleep(1)
        raise AssertionError("the third attempt succeeds")


def httpx_runs(count: int) -> float:
    """So many runs of a client that succeeds with its third attempt."""

    def run() -> None:
        with Chaos("503 x2, ok"):
            asyncio.run(_three_attempts())

    run()
    return _spent(lambda: [run() for _ in range(count)])


def detangle_runs(count: int) -> float:
    """The same against a server of a dozen lines on detangle's simulated network; it answers and keeps nothing."""
    import detangle

    async def main() -> None:
        answers = iter((b"503 Service Unavailable", b"503 Service Unavailable", b"201 Created"))

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):  # the client may come anew
                while True:
                    lines = (await reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
                    length = next(int(line[15:]) for line in lines if line[:15] == b"content-length:")
                    await reader.readexactly(length)
                    answer = next(answers)
                    writer.write(LOOPBACK_ANSWER % answer)
                    if answer[:3] == b"201":
                        break
            writer.close()

        async with await asyncio.start_server(serve, "service.test", 80):
            await _three_attempts()

    def run() -> None:
        detangle.run(main)

    run()
    return _spent(lambda: [run() for _ in range(count)])


def _run(measure: Callable[[int], float], count: int) -> tuple[float, float]:
    """Give processor seconds and the peak in MB of a run in a process of its own."""
    command = [sys.executable, __file__, measure.__name__, str(count)]
    if measure is frontrun_sleeps:
        command.insert(0, str(Path(sys.executable).with_name("frontrun")))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    seconds, peak = json.loads(done.stdout.splitlines()[-1])
    return seconds, peak


def many() -> list[str]:
    """A thousand threads and ten thousand tasks, and how the cost grows."""
    lines = ["| client | how many | attempts | processor time | an attempt | peak |", "|---|---|---|---|---|---|"]
    for measure, name, each, counts in (
        (requests_threads, "requests, threads", 3, (333, 1000, 3333)),
        (aiohttp_tasks, "aiohttp, tasks", 2, (500, 1500, 5000, 10_000)),
        (httpx_tasks, "httpx, tasks", 2, (500, 1500)),
    ):
        for count in counts:
            seconds, peak = _run(measure, count)
            attempts = each * count
            lines.append(
                f"| {name} | {count:,} | {attempts:,} | {seconds:.1f} s | {1e6 * seconds / attempts:.0f} µs | "
                f"{peak:.0f} MB |".replace(",", " ").replace("  ", ", ", 1)
            )
    return lines


def collected() -> list[str]:
    """How much of the growth is Python's collector, which looks at every task that is alive."""
    lines = ["| aiohttp, tasks | with the collector | without it |", "|---|---|---|"]
    for count in (500, 5000):
        with_it, without = (
            statistics.median(_run(measure, count)[0] for _ in range(ROUNDS))
            for measure in (aiohttp_tasks, aiohttp_tasks_uncollected)
        )
        each = 1e6 / (2 * count)
        lines.append(f"| {count} | {with_it * each:.0f} µs an attempt | {without * each:.0f} µs |")
    return lines


def _versus(
    ours: Callable[[int], float], theirs: Callable[[int], float], count: int, units: int
) -> tuple[float, float]:
    """Give units a second of both, medians of interleaved rounds."""
    rounds = [(_run(ours, count)[0], _run(theirs, count)[0]) for _ in range(ROUNDS)]
    one, other = (units / statistics.median(column) for column in zip(*rounds, strict=True))
    return one, other


def sleeps_and_runs() -> list[str]:
    """Sleeps and whole runs a second, beside simulators."""
    lines = ["| what | pytest-retrychaos | peer | times |", "|---|---|---|---|"]
    for what, ours, theirs, peer, count, units in (
        ("asyncio: 100 tasks × 100 sleeps", asyncio_sleeps, detangle_sleeps, "detangle", 100, 100 * SLEEPS),
        ("asyncio: 1 task × 100 sleeps", asyncio_sleeps, detangle_sleeps, "detangle", 1, SLEEPS),
        ("threads: 100 × 100 sleeps", thread_sleeps, frontrun_sleeps, "frontrun", 100, 100 * SLEEPS),
        ("httpx, asyncio: runs of three attempts", httpx_runs, detangle_runs, "detangle", 50, 50),
    ):
        if peer == "frontrun" and shutil.which("frontrun", path=str(Path(sys.executable).parent)) is None:
            lines.append(f"| {what} | – | frontrun is not installed | – |")
            continue
        one, other = _versus(ours, theirs, count, units)
        lines.append(f"| {what} | {one:.0f} a second | {peer} {other:.0f} | {one / other:.2f} |")
    return lines


SECTIONS = {
    "Many threads and tasks": (
        lambda: [*many(), "", *collected()],
        "1 000 threads × 3 requests under 5 s; 10 000 tasks × a POST with one retry under 15 s and 1 GB; linear.",
        """
One run of each in the first table. What aiohttp's tasks cost more where there are more of them is Python's own
collector: it looks at everything that is alive, and ten thousand tasks are. Through httpx the cost is the square of
the number of tasks, with a hundred at a time: httpcore's pool looks at every connection and every request that waits
whenever one begins or ends.
""",
    ),
    "Sleeps and runs": (
        sleeps_and_runs,
        "asyncio: as many sleeps a second as detangle; threads: 3 times frontrun's; 3 times detangle's httpx runs.",
        """
asyncio: reached, on CPython 3.12 and 3.13 too, since a round of the loop asks nothing in vain (`clock.rounds`). With no
clock, no selector and no seed at all, asyncio's own rounds take 7.7 µs for such a sleep (a subclass that adds the
timeout to a number). Beside a thread that is older than the run (pytest-rerunfailures keeps one) a sleep takes 73 µs:
before each jump of time the system is asked whether that thread is at work. httpx: `httpx.AsyncClient()` reads its
certificate authorities for 30 ms on detangle; here they are not read before a real peer is to be trusted. aioresponses
(0.7.8) does not work with aiohttp 3.14, and simloom and simloop want Python 3.12: not measured.
""",
    ),
}

if __name__ == "__main__":
    spent = globals()[sys.argv[1]](int(sys.argv[2]))
    print(json.dumps([spent, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
