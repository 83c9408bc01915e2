"""A worker that waits for its next try on an event, by which it is told to stop."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait

import anyio
import httpx
import pytest
import requests
import trio

from pytest_retrychaos import LawsBroken
from pytest_retrychaos.engine import Retry, fixed


def post(url):
    """Send once, with a key."""
    return requests.post(f"{url}/orders", json={}, headers={"Idempotency-Key": "order-7"}, timeout=5).status_code


def work(url, stop):
    """Try until it succeeds, or is told to stop."""
    delay = 1
    while not stop.is_set() and post(url) >= 500:
        if stop.wait(delay):
            return
        delay *= 2


@pytest.mark.chaos("503 *", strict=False)
@pytest.mark.parametrize("after", [0.5, 10])
@pytest.mark.parametrize("in_pool", [True, False])
def test_who_is_stopped_in_its_back_off_has_not_given_up(chaos, after, in_pool):
    """Before its first retry, or after some."""
    stop = threading.Event()
    if in_pool:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(work, chaos.url, stop)
            time.sleep(after)
            stop.set()
    else:
        worker = threading.Thread(target=work, args=(chaos.url, stop))
        worker.start()
        time.sleep(after)
        stop.set()
        worker.join()

    chaos.verify()


def serve(url, orders):
    """Send each order once, and look for the next now and then."""
    while True:
        try:
            if orders.get(timeout=5) is None:
                return
        except queue.Empty:
            continue
        post(url)


def test_who_does_not_retry_is_still_told(chaos):
    """It waits for its next order, and is told that there is none."""
    chaos.script("503")
    orders = queue.Queue()
    worker = threading.Thread(target=serve, args=(chaos.url, orders))
    worker.start()
    orders.put(1)
    time.sleep(2)
    orders.put(None)
    worker.join()

    with pytest.raises(LawsBroken, match="RT01"):
        chaos.verify()


@pytest.mark.parametrize("awaits", ["a thread", "a future", "an event, and sends more"])
def test_who_waits_for_another_is_still_told(chaos, awaits):
    """Its wait ends early since the other one has."""
    chaos.script("503")
    other, done = threading.Timer(1, lambda: done.set()), threading.Event()
    other.start()
    post(chaos.url)
    if awaits == "a thread":
        other.join(5)
    elif awaits == "a future":
        with ThreadPoolExecutor(1) as pool:
            wait([pool.submit(time.sleep, 1)], timeout=5)
    else:
        done.wait(5)
        requests.get(f"{chaos.url}/rates", timeout=5)

    with pytest.raises(LawsBroken, match="RT01"):
        chaos.verify()


async def send(url):
    """Send once, with a key, from an event loop."""
    async with httpx.AsyncClient(timeout=5) as client:
        return (await client.post(f"{url}/orders", json={}, headers={"Idempotency-Key": "order-7"})).status_code


async def until_told(url, stop, comes_before):
    """Try until it succeeds, or is told to stop."""
    delay = 1
    while not stop.is_set() and await send(url) >= 500:
        if await comes_before(stop, delay):
            return
        delay *= 2


async def by_wait_for(stop, delay):
    """Wait as it is written most often."""
    try:
        await asyncio.wait_for(stop.wait(), delay)
    except TimeoutError:
        return False
    return True


async def by_timeout(stop, delay):
    """Wait in a block."""
    try:
        async with asyncio.timeout(delay):
            await stop.wait()
    except TimeoutError:
        return False
    return True


async def by_anyio(stop, delay):
    """Wait as anyio has it."""
    with anyio.move_on_after(delay) as scope:
        await stop.wait()
    return not scope.cancelled_caught


async def by_trio(stop, delay):
    """Wait as trio has it."""
    with trio.move_on_after(delay) as scope:
        await stop.wait()
    return not scope.cancelled_caught


async def on_asyncio(work, after):
    """Run a worker in a task, and tell it to stop."""
    stop = asyncio.Event()
    task = asyncio.create_task(work(stop))
    await asyncio.sleep(after)
    stop.set()
    await task


async def on_anyio(work, after):
    """The same by anyio, on either loop."""
    stop = anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(work, stop)
        await anyio.sleep(after)
        stop.set()


async def on_trio(work, after):
    """The same on trio."""
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(work, stop)
        await trio.sleep(after)
        stop.set()


LOOPS = {
    "asyncio, wait_for": ("asyncio", on_asyncio, by_wait_for),
    "asyncio, timeout": ("asyncio", on_asyncio, by_timeout),
    "asyncio, anyio": ("asyncio", on_anyio, by_anyio),
    "trio, anyio": ("trio", on_anyio, by_anyio),
    "trio": ("trio", on_trio, by_trio),
}


@pytest.mark.chaos("503 *", strict=False)
@pytest.mark.parametrize("after", [0.5, 10])
@pytest.mark.parametrize("loop", LOOPS)
def test_a_task_that_is_stopped_in_its_back_off_has_not_given_up(chaos, loop, after):
    """Before its first retry, or after some."""
    backend, run, comes_before = LOOPS[loop]

    anyio.run(run, lambda stop: until_told(chaos.url, stop, comes_before), after, backend=backend)

    chaos.verify()


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("does", ["ends", "waits for another", "waits, and sends more"])
def test_a_task_that_does_not_retry_is_still_told(chaos, loop, does):
    """It has ended, waits for an event for as long as that takes, or sends something else."""
    backend, run, comes_before = LOOPS[loop]
    chaos.script("503")

    async def work(stop):
        await send(chaos.url)
        if does == "waits for another":
            await stop.wait()
        elif does == "waits, and sends more":
            await comes_before(stop, 20)
            async with httpx.AsyncClient(timeout=5) as client:
                await client.get(f"{chaos.url}/rates")

    anyio.run(run, work, 10, backend=backend)

    with pytest.raises(LawsBroken, match="RT01"):
        chaos.verify()


def test_a_deadline_that_is_over_is_none(chaos):
    """The block with a deadline was around something else."""
    chaos.script("503")

    async def work(stop):
        async with asyncio.timeout(20):
            await send(chaos.url)
        await stop.wait()

    asyncio.run(on_asyncio(work, 10))

    with pytest.raises(LawsBroken, match="RT01"):
        chaos.verify()


async def in_a_task(url):
    """Send in a task of its own, as ``wait_for`` does it in Python 3.11."""
    return await asyncio.create_task(send(url))


async def in_a_thread(url):
    """Send by a client that blocks."""
    return await asyncio.to_thread(post, url)


@pytest.mark.chaos("503 *", strict=False)
def test_a_task_that_has_its_attempts_made_is_stopped_as_well(chaos):
    """Who waits is not who sent, but had begun that."""

    async def work(stop):
        while await in_a_task(chaos.url) >= 500:
            if await by_wait_for(stop, 1):
                return

    asyncio.run(on_asyncio(work, 0.5))

    chaos.verify()


@pytest.mark.parametrize("waits", ["beside it", "later", "and sends more"])
@pytest.mark.parametrize("sends", [in_a_task, in_a_thread])
def test_who_had_it_sent_and_waits_for_the_end_is_still_told(chaos, sends, waits):
    """It waits for the end of all work, while its worker gives up."""
    chaos.script("503")

    async def work(stop):
        worker = asyncio.create_task(sends(chaos.url))
        if waits != "beside it":
            await worker
        if waits == "later":
            await asyncio.sleep(1)
        await by_wait_for(stop, 60)
        if waits == "and sends more":
            await asyncio.to_thread(requests.get, f"{chaos.url}/rates", timeout=5)

    asyncio.run(on_asyncio(work, 10))

    with pytest.raises(LawsBroken, match="RT01"):
        chaos.verify()


async def told(stop):
    """Wait in a coroutine of one's own."""
    await stop.wait()


@pytest.mark.chaos("503 *", strict=False)
def test_a_wait_in_a_coroutine_of_its_own_is_one(chaos):
    """``wait_for`` is given what waits for the event."""

    async def comes_before(stop, delay):
        try:
            await asyncio.wait_for(told(stop), delay)
        except TimeoutError:
            return False
        return True

    asyncio.run(on_asyncio(lambda stop: until_told(chaos.url, stop, comes_before), 0.5))

    chaos.verify()


@pytest.mark.parametrize("policy", [None, Retry(attempts=5, backoff=fixed(1))])
def test_who_may_have_been_stopped_in_another_way_is_asked(chaos, policy):
    """Of what else a queue has for it nothing is known."""
    chaos.script("503")
    orders = queue.Queue()

    def until_sentinel():
        post(chaos.url)
        orders.get(timeout=1)

    worker = threading.Thread(target=until_sentinel)
    worker.start()
    time.sleep(0.5)
    orders.put(None)
    worker.join()

    with pytest.raises(LawsBroken, match=r"RT01(?s:.*)was it told to stop while it waited"):
        chaos.verify(policy)
