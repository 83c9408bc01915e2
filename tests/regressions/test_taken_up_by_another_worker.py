"""What fails and is put back into a queue may be taken up by any worker; and a hedge whose copy fails first."""

from __future__ import annotations

import asyncio
import queue
import threading

import httpx
import pytest
import requests

from pytest_retrychaos import Chaos, LawsBroken


def crawl_by_threads(url: str, pages: int) -> None:
    """Three threads read pages; a timer puts one back that could not be read."""
    todo: queue.Queue[tuple[int, int]] = queue.Queue()
    for page in range(pages):
        todo.put((page, 0))

    def work() -> None:
        while True:
            try:
                page, tries = todo.get(timeout=9)
            except queue.Empty:
                return
            try:
                requests.get(f"{url}/pages/{page}", timeout=5).raise_for_status()
            except requests.RequestException:
                if tries < 3:
                    threading.Timer(2**tries, todo.put, [(page, tries + 1)]).start()

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def crawl_by_tasks(url: str, pages: int) -> None:
    """The same in three tasks, that end by themselves."""

    async def crawl() -> None:
        todo: asyncio.Queue[tuple[int, int]] = asyncio.Queue()
        for page in range(pages):
            todo.put_nowait((page, 0))

        async def work(client: httpx.AsyncClient) -> None:
            while True:
                try:
                    page, tries = await asyncio.wait_for(todo.get(), 9)
                except TimeoutError:
                    return
                try:
                    (await client.get(f"{url}/pages/{page}")).raise_for_status()
                except httpx.HTTPError:
                    if tries < 3:
                        asyncio.get_running_loop().call_later(2**tries, todo.put_nowait, (page, tries + 1))

        async with httpx.AsyncClient(timeout=5) as client, asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(work(client))

    asyncio.run(crawl())


@pytest.mark.parametrize("crawl", [crawl_by_threads, crawl_by_tasks])
@pytest.mark.parametrize("script", ["503, ok", "timeout, ok", "ok, reset, 503 x2, ok"])
@pytest.mark.parametrize("pages", [5, 80])
def test_what_another_worker_takes_up_was_not_given_up(chaos, crawl, script, pages):
    """However many pages come in between."""
    chaos.script(script)

    crawl(chaos.url, pages)

    assert "RT01" not in chaos.verify().codes


def test_what_no_worker_takes_up_was_given_up(chaos):
    """The others read other pages."""
    chaos.script("503, ok")
    pages = [threading.Thread(target=requests.get, args=[f"{chaos.url}/pages/{page}"]) for page in range(3)]
    for page in pages:
        page.start()
    for page in pages:
        page.join()

    with pytest.raises(LawsBroken, match="RT01"):
        chaos.verify()


def hedge(url: str) -> int:
    """Read; send a copy after a second, and take what comes well."""

    async def read() -> int:
        async with httpx.AsyncClient(timeout=10) as client:
            first = asyncio.create_task(client.get(f"{url}/rates"))
            await asyncio.sleep(1)
            copy = asyncio.create_task(client.get(f"{url}/rates"))
            answers = await asyncio.gather(first, copy, return_exceptions=True)
        well = [one for one in answers if isinstance(one, httpx.Response) and one.is_success]
        return well[0].status_code if well else 0

    return asyncio.run(read())


@pytest.mark.chaos("slow=5s, 503", "slow=5s, reset")
def test_a_copy_that_fails_first_was_not_given_up(chaos: Chaos) -> None:
    """The one before it is still under way, and goes well."""
    assert hedge(chaos.url) == 200
    chaos.verify()


@pytest.mark.chaos("slow=5s, 503, ok")
def test_a_copy_beside_another_request_is_none(chaos: Chaos) -> None:
    """It was for another page."""

    async def read() -> None:
        async with httpx.AsyncClient(timeout=10) as client:
            await asyncio.gather(client.get(f"{chaos.url}/a"), client.get(f"{chaos.url}/b"))

    asyncio.run(read())

    with pytest.raises(LawsBroken, match="RT01"):
        chaos.verify()
