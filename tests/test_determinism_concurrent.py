"""The same seed gives the same trace with threads and tasks, byte for byte; other seeds give other interleavings.

As a script (``python tests/test_determinism_concurrent.py SEED``) it prints the trace of each scenario as a line.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import queue
import random
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pytest_retrychaos import Chaos

RUNS = 1000 if os.environ.get("RETRYCHAOS_LONG") else 50
SCRIPT = "503 x4, reset after-commit x2, timeout x2, 429 retry-after=3, eof, refuse, slow=2s, truncate, ok"
URL = "https://pay.test/charges"
TASKS = 100


def headers() -> dict[str, str]:
    return {"Idempotency-Key": str(uuid.uuid4())}


def with_threads() -> None:
    """Eight threads of three kinds: a pool's, plain ones over a queue, a timer; requests and urllib3."""
    import requests
    import urllib3

    pool_manager = urllib3.PoolManager(timeout=5)
    lock, orders = threading.Lock(), queue.Queue[int | None]()
    done: list[int] = []

    def charge(number: int) -> None:
        session, key = requests.Session(), headers()
        for attempt in range(8):
            try:
                session.post(URL, json={"n": number}, headers=key, timeout=5).raise_for_status()
            except requests.RequestException:
                time.sleep(random.uniform(1, 2**attempt + 1))
            else:
                with lock:
                    done.append(number)
                return

    def consume() -> None:
        while (number := orders.get()) is not None:
            pool_manager.request("PUT", f"http://orders.test/{number}", json={"n": number}, retries=False)

    consumers = [threading.Thread(target=consume) for _ in range(3)]
    for consumer in consumers:
        consumer.start()
    timer = threading.Timer(5, lambda: requests.get("http://orders.test/report", timeout=5))
    timer.start()
    with ThreadPoolExecutor(4) as pool:
        for number in pool.map(lambda number: (charge(number), number)[1], range(8)):
            orders.put(number)
    for _ in consumers:
        orders.put(None)
    for thread in (*consumers, timer):
        thread.join()
    pool_manager.clear()


async def charge_by_httpx(client: Any, number: int, sleep: Callable[[float], Any]) -> None:  # Any: an httpx client
    import httpx

    key = headers()
    for attempt in range(8):
        try:
            (await client.post(URL, json={"n": number}, headers=key)).raise_for_status()
        except httpx.HTTPError:
            await sleep(random.uniform(1, 2**attempt + 1))
        else:
            return


def with_tasks() -> None:
    """A hundred tasks, through httpx and aiohttp, with work in threads beside."""
    import aiohttp
    import httpx

    async def charge_by_aiohttp(session: aiohttp.ClientSession, number: int) -> None:
        key = headers()
        for attempt in range(8):
            try:
                async with session.post(URL, json={"n": number}, headers=key, raise_for_status=True) as answer:
                    await answer.read()
            except (aiohttp.ClientError, TimeoutError):
                await asyncio.sleep(random.uniform(1, 2**attempt + 1))
            else:
                return

    async def main() -> None:
        async with (
            httpx.AsyncClient(timeout=5) as client,
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(5)) as session,
        ):
            await asyncio.gather(
                asyncio.to_thread(time.sleep, 3),
                *[charge_by_httpx(client, number, asyncio.sleep) for number in range(TASKS // 2)],
                *[charge_by_aiohttp(session, number) for number in range(TASKS // 2, TASKS)],
            )

    asyncio.run(main())


def with_trio() -> None:
    """Twenty tasks on trio."""
    import httpx
    import trio

    async def main() -> None:
        async with httpx.AsyncClient(timeout=5) as client, trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(charge_by_httpx, client, number, trio.sleep)

    trio.run(main)


SCENARIOS = (with_threads, with_tasks, with_trio)


def trace_of(scenario: Callable[[], None], seed: int) -> str:
    """Run a scenario and give its trace as JSON."""
    with Chaos(name=scenario.__name__, seed=seed) as chaos:
        chaos.script(SCRIPT, host="pay.test")
        scenario()
        return chaos.trace.to_json()


def in_a_new_process(seed: int, hash_seed: int, times: int = 1) -> list[bytes]:
    """Run the scenarios under a hash seed, so often, and collect garbage all the time."""
    environment = {**os.environ, "PYTHONHASHSEED": str(hash_seed)}
    command = [sys.executable, __file__, str(seed), str(20 + 7 * (hash_seed % 9)), str(times)]
    done = subprocess.run(command, capture_output=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def first() -> list[bytes]:
    """The traces of one run with the seed 7."""
    return in_a_new_process(7, 0)


@pytest.mark.timeout(60 + RUNS * 15)
def test_concurrent_traces_are_the_same_in_new_processes(first: list[bytes]) -> None:
    """Byte for byte, whatever the hash seed, the garbage collector and the process."""
    with ThreadPoolExecutor(2) as pool:
        others = list(pool.map(lambda number: in_a_new_process(7, number), range(1, RUNS)))

    for place, scenario in enumerate(SCENARIOS):
        differing = [number for number, other in enumerate(others, start=1) if other[place] != first[place]]
        assert not differing, scenario.__name__


def test_concurrent_traces_are_the_same_again_in_one_process(first: list[bytes]) -> None:
    """Whatever ran before: libraries begin threads of their own and read certificates in the first run alone."""
    traces = in_a_new_process(7, 1, times=3)

    assert [trace == first[number % len(first)] for number, trace in enumerate(traces)] == [True] * 9


@pytest.mark.parametrize("place", range(len(SCENARIOS)), ids=[scenario.__name__ for scenario in SCENARIOS])
def test_every_operation_came_to_its_end(place: int, first: list[bytes]) -> None:
    """What is compared is not empty: each fault fired, and every charge was made once."""
    trace = json.loads(first[place])

    assert [step["text"] for script in trace["scripts"] for step in script["steps"] if not step["fired"]] == []
    charged = [effect["body"] for effect in trace["effects"] if effect["target"] == "/charges"]
    assert len(charged) == len(set(charged)) == (8, TASKS, 20)[place]


def test_another_seed_gives_another_interleaving(first: list[bytes]) -> None:
    """Of every scenario."""
    other = in_a_new_process(8, 0)

    assert [one == two for one, two in zip(first, other, strict=True)] == [False] * len(SCENARIOS)


if __name__ == "__main__":
    gc.set_threshold(int(sys.argv[2]) if len(sys.argv) > 2 else 700)
    for each in SCENARIOS * int(sys.argv[3] if len(sys.argv) > 3 else 1):
        print(trace_of(each, int(sys.argv[1])))
