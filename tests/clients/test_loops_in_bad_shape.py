"""What code does to event loops: leaves them running, forgets tasks, cancels, interrupts, nests, debugs, serves."""

from __future__ import annotations

import asyncio
import logging
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import aiohttp
import anyio
import httpx
import pytest
import trio

from pytest_retrychaos import Chaos
from pytest_retrychaos.clock import Refused


async def get(url: str, seconds: float = 300) -> int:
    timeout = aiohttp.ClientTimeout(seconds)
    async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as response:
        await response.read()
        return response.status


def test_a_loop_left_running_goes_on_in_real_time() -> None:
    """In a thread of its own: work is handed to it in the run and after it."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    with Chaos("503, ok") as chaos:
        thread.start()
        asyncio.run_coroutine_threadsafe(asyncio.sleep(3600), loop).result(timeout=4000)
        assert [asyncio.run_coroutine_threadsafe(get(chaos.url), loop).result(timeout=10) for _ in range(2)] == [
            503,
            200,
        ]
        assert 3600 <= chaos.clock.elapsed < 3600.1
    asyncio.run_coroutine_threadsafe(asyncio.sleep(0.01), loop).result(timeout=10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.mark.chaos("timeout", strict=False)
def test_a_task_left_pending_holds_nothing_up(chaos) -> None:
    """It is destroyed with its loop, as it is without chaos."""
    loop = asyncio.new_event_loop()

    async def begin() -> asyncio.Task[int]:
        task = asyncio.create_task(get(chaos.url))
        await asyncio.sleep(1)
        return task

    task = loop.run_until_complete(begin())
    assert not task.done()
    assert 1 <= chaos.clock.elapsed < 1.1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)
    loop.close()


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
def test_a_coroutine_never_awaited_sends_nothing(chaos) -> None:
    """Python's own warning is all that is heard of it."""

    async def main() -> None:
        get(chaos.url)

    asyncio.run(main())
    assert not chaos.attempts


@pytest.mark.chaos("timeout, ok")
def test_a_task_cancelled_in_the_middle_of_an_attempt_closes_its_connection(chaos) -> None:
    """The attempt says so, and the next one is another."""

    async def main() -> int:
        task = asyncio.create_task(get(chaos.url))
        await asyncio.sleep(5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return await get(chaos.url)

    assert asyncio.run(main()) == 200
    assert [attempt.error for attempt in chaos.attempts] == [
        "cut: closed by the client, which the test had cancelled",
        None,
    ]


@pytest.mark.chaos("503, reset, ok")
def test_a_group_of_tasks_ends_in_a_group_of_errors(chaos) -> None:
    """Each with the error of its own attempt."""

    async def one() -> None:
        async with httpx.AsyncClient() as client:
            (await client.get(chaos.url)).raise_for_status()

    async def main() -> list[Any]:
        return await asyncio.gather(one(), one(), one(), return_exceptions=True)

    async def group() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(one())

    assert sorted(type(one).__name__ for one in asyncio.run(main())) == ["HTTPStatusError", "NoneType", "ReadError"]
    chaos.script("503")
    with pytest.raises(ExceptionGroup) as caught:
        asyncio.run(group())
    assert [type(error) for error in caught.value.exceptions] == [httpx.HTTPStatusError]


def by_asyncio() -> None:
    async def main() -> None:
        while True:
            await asyncio.sleep(1)

    asyncio.run(main())


def by_trio() -> None:
    async def main() -> None:
        while True:
            await trio.sleep(1)

    trio.run(main)


@pytest.mark.parametrize("run", [by_asyncio, by_trio])
def test_an_interrupt_ends_a_loop(chaos, run: Callable[[], None]) -> None:
    """As Ctrl-C does, while virtual time runs and runs."""
    before = signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    try:
        with pytest.raises(KeyboardInterrupt):
            run()
    finally:
        signal.signal(signal.SIGALRM, before)


def test_loops_run_in_threads_of_a_pool(chaos) -> None:
    """Three at once, each with a client."""
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(lambda _: asyncio.run(get(chaos.url)), range(3))) == [200] * 3


def test_chaos_in_a_coroutine_is_refused_where_there_is_one(chaos) -> None:
    """One at a time, in a running loop too."""

    async def main() -> None:
        with Chaos():
            pass

    with pytest.raises(Refused, match="a second chaos was started while one is active"):
        asyncio.run(main())


@pytest.mark.parametrize("run", [asyncio.run, trio.run], ids=["asyncio", "trio"])
def test_chaos_begins_and_ends_inside_a_running_loop(run: Callable[..., Any]) -> None:
    """Before and after it the loop is on real time; its timers keep their meaning."""

    async def main() -> None:
        await anyio.sleep(0.001)
        with Chaos("503, ok") as chaos:
            async with httpx.AsyncClient() as client:
                assert (await client.get(chaos.url)).status_code == 503
                await anyio.sleep(100)
                await anyio.to_thread.run_sync(time.sleep, 100)
                assert (await client.get(chaos.url)).status_code == 200
            assert 200 <= chaos.clock.elapsed < 200.1
        await anyio.sleep(0.001)
        await anyio.to_thread.run_sync(time.sleep, 0.001)

    run(main) if run is trio.run else run(main())


@pytest.mark.chaos("503, ok")
def test_a_real_server_in_the_same_loop_answers(chaos) -> None:
    """On loopback, while the code that calls it is on virtual time; its own sleeps are virtual too."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(2)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nreal")
        await writer.drain()
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        assert await get(url.replace("127.0.0.1", "localhost"), 5) == 200
        async with httpx.AsyncClient(timeout=5) as client:
            assert (await client.get(url)).text == "real"
        assert await get(chaos.url) == 503
        assert await get(chaos.url) == 200
        server.close()

    asyncio.run(main())
    assert 4 <= chaos.clock.elapsed < 4.1


CHILD = (sys.executable, "-c", "import time; time.sleep(0.2); print('done')")


def test_a_child_process_of_asyncio_finishes_in_real_time(chaos) -> None:
    """A limit of virtual seconds does not end it; one that it really outlives does."""

    async def main() -> None:
        child = await asyncio.create_subprocess_exec(*CHILD, stdout=asyncio.subprocess.PIPE)
        assert (await asyncio.wait_for(child.communicate(), 60))[0] == b"done\n"
        child = await asyncio.create_subprocess_exec(*CHILD, stdout=asyncio.subprocess.DEVNULL)
        assert await asyncio.wait_for(child.wait(), 60) == 0
        child = await asyncio.create_subprocess_exec("sleep", "100")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(child.wait(), 0.2)
        child.kill()
        await child.wait()

    asyncio.run(main())


def test_a_child_process_of_trio_finishes_in_real_time(chaos) -> None:
    """By its pipe, and by the descriptor that tells its end."""

    async def main() -> None:
        with trio.fail_after(60):
            assert (await trio.run_process(CHILD, capture_stdout=True)).stdout == b"done\n"
            await trio.run_process(CHILD, stdout=-3)

    trio.run(main)
    assert chaos.clock.elapsed < 60


POOLS = """
import asyncio, multiprocessing, time
from concurrent.futures import ProcessPoolExecutor
from pytest_retrychaos import Chaos

def work(number):
    time.sleep(0.2)
    return number

async def in_loop(pool):
    return await asyncio.wait_for(asyncio.get_running_loop().run_in_executor(pool, work, 1), 60)

def children(fork):
    queue = fork.Queue()
    child = fork.Process(target=lambda: queue.put(work(2)))
    child.start()
    got = queue.get(timeout=60)
    child.join(60)
    return got, child.exitcode

if __name__ == "__main__":
    fork = multiprocessing.get_context("fork")
    with Chaos() as chaos:
        with ProcessPoolExecutor(2, mp_context=fork) as pool:
            print(list(pool.map(work, [1, 2])), pool.submit(work, 3).result(60), asyncio.run(in_loop(pool)))
        with fork.Pool(2) as pool:
            print(pool.map(work, [1, 2]), pool.apply_async(work, (3,)).get(60), list(pool.imap(work, [4, 5])))
        print(children(fork))
        assert chaos.clock.elapsed < 60
        time.sleep(3600)
"""


def test_work_for_other_processes_is_done_in_real_time() -> None:
    """By pools of `concurrent.futures` and `multiprocessing`, by a process and a queue."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", POOLS], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr) == ("[1, 2] 3 1\n[1, 2] 3 [4, 5]\n(2, 0)\n", "")


def test_debug_mode_measures_in_virtual_time(chaos, caplog: pytest.LogCaptureFixture) -> None:
    """A callback that slept blocks the loop for as long; what only computes takes none."""

    async def main() -> None:
        asyncio.get_running_loop().slow_callback_duration = 0.5
        await asyncio.sleep(100)
        assert await get(chaos.url) == 200
        time.sleep(1)

    with caplog.at_level(logging.WARNING, "asyncio"):
        asyncio.run(main(), debug=True)
    slow = [record.getMessage() for record in caplog.records]
    assert len(slow) == 1
    assert slow[0].endswith("took 1.000 seconds")


@pytest.mark.parametrize(
    "selector",
    [selectors.SelectSelector, selectors.PollSelector, selectors.EpollSelector],
    ids=lambda kind: kind.__name__,
)
def test_a_loop_with_any_selector_works(chaos, selector: type[selectors.BaseSelector]) -> None:
    """In a `Runner` that is used again and again."""
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector())) as runner:
        for _ in range(2):
            assert runner.run(get(chaos.url)) == 200
            runner.run(asyncio.sleep(5))
            runner.run(asyncio.to_thread(time.sleep, 5))
    assert 20 <= chaos.clock.elapsed < 20.1


if sys.version_info >= (3, 12):  # which brought eager tasks

    @pytest.mark.chaos("503 x2, ok")
    def test_eager_tasks_work(chaos) -> None:
        """They begin before they are scheduled; each is a worker of its own."""

        async def post() -> int:
            while (status := await get(chaos.url)) == 503:
                await asyncio.sleep(10)
            return status

        async def main() -> list[int]:
            asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
            return await asyncio.gather(*[post() for _ in range(2)])

        assert asyncio.run(main()) == [200, 200]
        assert len(chaos.operations) == 2
