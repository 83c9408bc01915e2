"""Right clients that work side by side, one for each shape that concurrent code takes.

Each charges 20 customers with equal bodies, and retries. With ``keyed`` every charge has a key of its own, and repeats
what may have been carried out; without, it repeats only what was turned away or never sent.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed

import anyio
import httpx
import requests

CUSTOMERS = 20
TRIES = 4
SAFE = (429, 503)
PASSING = (408, 409, 429, 500, 502, 503, 504)
BODY = {"amount": 1000}


def _fields(keyed: bool) -> dict[str, str]:
    return {"Idempotency-Key": str(uuid.uuid4())} if keyed else {}


def _passes(status: int, keyed: bool) -> bool:
    return status in (PASSING if keyed else SAFE)


class Again(Exception):
    """The attempt failed in a way that may be tried again, after so many seconds at least."""

    def __init__(self, after: str = "0") -> None:
        super().__init__(after)
        self.after = float(after)


# threads


def _once(url: str, fields: dict[str, str]) -> None:
    """Send once; raise `Again` where it may be sent again."""
    keyed = bool(fields)
    try:
        answer = requests.post(url + "/charges", json=BODY, headers=fields, timeout=5)
    except requests.ConnectionError as error:
        if keyed or "refused" in str(error):
            raise Again from error
        raise
    except requests.RequestException as error:
        if keyed:
            raise Again from error
        raise
    if _passes(answer.status_code, keyed):
        raise Again(answer.headers.get("Retry-After", "0"))


def _pause(number: int, error: Again) -> float:
    return max(2.0**number, error.after)


def charge(url: str, keyed: bool) -> bool:
    """Charge one customer; whether it is known to have been done."""
    fields = _fields(keyed)
    for number in range(TRIES):
        try:
            _once(url, fields)
            return True
        except Again as error:
            if number < TRIES - 1:
                time.sleep(_pause(number, error))
        except requests.RequestException:
            return False
    return False


def pool(url: str, keyed: bool) -> None:
    """A pool, one item a customer."""
    with ThreadPoolExecutor(8) as workers:
        for _ in workers.map(lambda _: charge(url, keyed), range(CUSTOMERS)):
            pass


def threads(url: str, keyed: bool) -> None:
    """A thread for each customer."""
    started = [threading.Thread(target=charge, args=(url, keyed)) for _ in range(CUSTOMERS)]
    for one in started:
        one.start()
    for one in started:
        one.join()


def submitted_again(url: str, keyed: bool) -> None:
    """A pool to which a failed item is handed in again, after a wait."""
    with ThreadPoolExecutor(4) as workers:

        def hand_in(fields: dict[str, str]) -> Future[None]:
            return workers.submit(_once, url, fields)

        for _ in range(CUSTOMERS // 4):
            fields = _fields(keyed)
            for number in range(TRIES):
                try:
                    hand_in(fields).result()
                    break
                except Again as error:
                    if number < TRIES - 1:
                        time.sleep(_pause(number, error))
                except requests.RequestException:
                    break


def by_timer(url: str, keyed: bool) -> None:
    """Each retry is begun by a timer."""
    done = threading.Semaphore(0)

    def attempt(fields: dict[str, str], number: int) -> None:
        try:
            _once(url, fields)
        except Again as error:
            if number < TRIES - 1:
                threading.Timer(_pause(number, error), attempt, (fields, number + 1)).start()
                return
        except requests.RequestException:
            pass
        done.release()

    for _ in range(CUSTOMERS // 4):
        attempt(_fields(keyed), 0)
    for _ in range(CUSTOMERS // 4):
        done.acquire()


def by_queue(url: str, keyed: bool) -> None:
    """Producer and consumers: what fails is put back with its number, and waits there."""
    work: queue.Queue[tuple[dict[str, str], int, float] | None] = queue.Queue()
    for _ in range(CUSTOMERS):
        work.put((_fields(keyed), 0, 0))

    def consume() -> None:
        while (item := work.get()) is not None:
            fields, number, pause = item
            time.sleep(pause)
            try:
                _once(url, fields)
            except Again as error:
                if number < TRIES - 1:
                    work.put((fields, number + 1, _pause(number, error)))
            except requests.RequestException:
                pass
            work.task_done()

    consumers = [threading.Thread(target=consume) for _ in range(4)]
    for one in consumers:
        one.start()
    work.join()
    for _ in consumers:
        work.put(None)
    for one in consumers:
        one.join()


def with_refresher(url: str, keyed: bool) -> None:
    """A thread that refreshes a token beside the work."""
    over = threading.Event()

    def refresh() -> None:
        while not over.wait(3):
            for number in range(TRIES):
                answer = requests.get(url + "/token", timeout=5)
                if answer.status_code < 500 and answer.status_code not in SAFE:
                    break
                time.sleep(2.0**number)

    refresher = threading.Thread(target=refresh)
    refresher.start()
    try:
        pool(url, keyed)
    finally:
        over.set()
        refresher.join()


def as_they_come(url: str, keyed: bool) -> None:
    """What is done first is looked at first."""
    with ThreadPoolExecutor(8) as workers:
        for future in as_completed([workers.submit(charge, url, keyed) for _ in range(CUSTOMERS)]):
            future.result()


# event loops


async def _once_async(client: httpx.AsyncClient, url: str, fields: dict[str, str]) -> None:
    keyed = bool(fields)
    try:
        answer = await client.post(url + "/charges", json=BODY, headers=fields)
    except httpx.ConnectError as error:
        raise Again from error
    except httpx.HTTPError as error:
        if keyed:
            raise Again from error
        raise
    if _passes(answer.status_code, keyed):
        raise Again(answer.headers.get("Retry-After", "0"))


async def charge_async(client: httpx.AsyncClient, url: str, keyed: bool) -> bool:
    """Charge one customer; whether it is known to have been done."""
    fields = _fields(keyed)
    for number in range(TRIES):
        try:
            await _once_async(client, url, fields)
            return True
        except Again as error:
            if number < TRIES - 1:
                await anyio.sleep(_pause(number, error))
        except httpx.HTTPError:
            return False
    return False


async def _gather(url: str, keyed: bool) -> None:
    async with httpx.AsyncClient(timeout=5) as client:
        await asyncio.gather(*(charge_async(client, url, keyed) for _ in range(CUSTOMERS)))


def gather(url: str, keyed: bool) -> None:
    """asyncio.gather, one client for all."""
    asyncio.run(_gather(url, keyed))


async def _task_group(url: str, keyed: bool) -> None:
    async with anyio.create_task_group() as group:
        for _ in range(CUSTOMERS):
            group.start_soon(_charge_alone, url, keyed)


async def _charge_alone(url: str, keyed: bool) -> None:
    async with httpx.AsyncClient(timeout=5) as client:
        await charge_async(client, url, keyed)


def task_group(url: str, keyed: bool) -> None:
    """anyio's task group on asyncio, a client each."""
    anyio.run(_task_group, url, keyed)


def nursery(url: str, keyed: bool) -> None:
    """anyio's task group on trio, a client each."""
    anyio.run(_task_group, url, keyed, backend="trio")


async def _around_each(url: str, keyed: bool, how: str) -> None:
    async def one() -> None:
        fields = _fields(keyed)
        async with httpx.AsyncClient(timeout=None) as client:
            for number in range(TRIES):
                try:
                    if how == "wait_for":
                        await asyncio.wait_for(_once_async(client, url, fields), 5)
                    elif how == "timeout":
                        async with asyncio.timeout(5):
                            await _once_async(client, url, fields)
                    else:
                        with anyio.fail_after(5):
                            await _once_async(client, url, fields)
                    return
                except Again as error:
                    await asyncio.sleep(_pause(number, error))
                except TimeoutError:
                    if not keyed:
                        return
                    await asyncio.sleep(2.0**number)
                except httpx.HTTPError:
                    return

    await asyncio.gather(*(one() for _ in range(CUSTOMERS)))


def wait_for_each(url: str, keyed: bool) -> None:
    """wait_for around each attempt: a task of its own on Python 3.11."""
    asyncio.run(_around_each(url, keyed, "wait_for"))


def timeout_each(url: str, keyed: bool) -> None:
    """asyncio.timeout around each attempt."""
    asyncio.run(_around_each(url, keyed, "timeout"))


def fail_after_each(url: str, keyed: bool) -> None:
    """anyio's deadline around each attempt."""
    asyncio.run(_around_each(url, keyed, "anyio"))


async def _task_each(url: str, keyed: bool) -> None:
    async def one() -> None:
        fields = _fields(keyed)
        async with httpx.AsyncClient(timeout=5) as client:
            for number in range(TRIES):
                try:
                    await asyncio.create_task(_once_async(client, url, fields))
                    return
                except Again as error:
                    await asyncio.sleep(_pause(number, error))
                except httpx.HTTPError:
                    return

    await asyncio.gather(*(one() for _ in range(CUSTOMERS)))


def task_each(url: str, keyed: bool) -> None:
    """A task for each attempt."""
    asyncio.run(_task_each(url, keyed))


async def _workers(url: str, keyed: bool) -> None:
    work: asyncio.Queue[tuple[dict[str, str], int, float]] = asyncio.Queue()
    for _ in range(CUSTOMERS):
        work.put_nowait((_fields(keyed), 0, 0))

    async def consume() -> None:
        async with httpx.AsyncClient(timeout=5) as client:
            while True:
                fields, number, pause = await work.get()
                await asyncio.sleep(pause)
                try:
                    await _once_async(client, url, fields)
                except Again as error:
                    if number < TRIES - 1:
                        work.put_nowait((fields, number + 1, _pause(number, error)))
                except httpx.HTTPError:
                    pass
                work.task_done()

    consumers = [asyncio.create_task(consume()) for _ in range(4)]
    await work.join()
    for one in consumers:
        one.cancel()
    await asyncio.gather(*consumers, return_exceptions=True)


def async_queue(url: str, keyed: bool) -> None:
    """Consumers of an asyncio queue, which are cancelled when it is empty."""
    asyncio.run(_workers(url, keyed))


async def _in_threads(url: str, keyed: bool) -> None:
    await asyncio.gather(*(asyncio.to_thread(charge, url, keyed) for _ in range(CUSTOMERS)))


def in_threads(url: str, keyed: bool) -> None:
    """A blocking client, each call in a thread of the loop's."""
    asyncio.run(_in_threads(url, keyed))


SHAPES: list[Callable[[str, bool], None]] = [
    pool, threads, submitted_again, by_timer, by_queue, with_refresher, as_they_come, gather, task_group, nursery,
    wait_for_each, timeout_each, fail_after_each, task_each, async_queue, in_threads,
]  # fmt: skip
