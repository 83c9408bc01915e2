"""Other plugins in one session: runners of async tests, time limits, coverage, and tools that hold the clock too."""

from __future__ import annotations

import pytest

CONFIG = """
[pytest]
filterwarnings = error
asyncio_default_fixture_loop_scope = function
"""

ASYNCIO = """
import asyncio, time, aiohttp, httpx, pytest, pytest_asyncio

@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def session():
    async with aiohttp.ClientSession() as made:
        yield made

@pytest_asyncio.fixture
async def client():
    async with httpx.AsyncClient() as made:
        yield made

@pytest_asyncio.fixture
async def late(chaos):
    await asyncio.sleep(100)
    async with httpx.AsyncClient() as made:
        yield made
    await asyncio.sleep(100)

async def post(session, url):
    while True:
        async with session.post(url + "/things", json={}) as response:
            if response.status < 500:
                return response.status
        await asyncio.sleep(30)

@pytest.mark.parametrize("number", range(2))
@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.chaos("503, 502, ok")
async def test_a_client_from_before(chaos, session, number):
    assert await post(session, chaos.url) == 201
    assert 60 <= chaos.clock.elapsed < 60.1 and len(chaos.attempts) == 3

@pytest.mark.asyncio
@pytest.mark.chaos("503 x2, ok")
async def test_an_async_fixture(chaos, client):
    while (await client.post(chaos.url + "/things", json={})).status_code == 503:
        await asyncio.sleep(50)
    assert 100 <= chaos.clock.elapsed < 100.1

@pytest.mark.asyncio
async def test_a_fixture_that_uses_chaos(late, chaos):
    assert (await late.get(chaos.url)).status_code == 200
    assert 100 <= chaos.clock.elapsed < 100.1

@pytest.mark.asyncio(loop_scope="class")
class TestInOneLoop:
    @pytest.mark.chaos("timeout, ok")
    async def test_one(self, chaos, client):
        with pytest.raises(httpx.ReadTimeout):
            await client.get(chaos.url)
        await client.get(chaos.url)
        assert 5 <= chaos.clock.elapsed < 5.1

    @pytest.mark.chaos("503, ok")
    async def test_two(self, chaos, client):
        await asyncio.wait_for(asyncio.gather(client.get(chaos.url), client.get(chaos.url)), 5)

@pytest.mark.asyncio(loop_scope="module")
async def test_a_loop_of_a_module(chaos):
    await asyncio.sleep(3600)

@pytest.mark.asyncio(loop_scope="module")
async def test_real_time_in_the_same_loop():
    began = time.monotonic()
    await asyncio.sleep(0.01)
    assert time.monotonic() - began < 60 and time.gmtime().tm_year < 2030
"""

ANYIO = """
import anyio, httpx, pytest, time

@pytest.fixture(scope="module", params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param

@pytest.fixture(scope="module")
async def shared(anyio_backend):
    async with httpx.AsyncClient() as made:
        yield made

@pytest.mark.anyio
@pytest.mark.chaos("503 x2, ok")
async def test_a_loop_of_its_own(chaos):
    async with httpx.AsyncClient() as client:
        while (await client.post(chaos.url + "/things", json={})).status_code == 503:
            await anyio.sleep(50)
    with anyio.move_on_after(10):
        await anyio.sleep_forever()
    await anyio.to_thread.run_sync(time.sleep, 10)
    assert 120 <= chaos.clock.elapsed < 120.1

@pytest.mark.parametrize("number", range(2))
@pytest.mark.anyio
async def test_a_client_of_the_module(chaos, shared, number):
    assert (await shared.get(chaos.url)).status_code == 200
    await anyio.sleep(5)
    assert 5 <= chaos.clock.elapsed < 5.1
"""

TRIO = """
import httpx, pytest, trio

@pytest.fixture
async def client():
    async with httpx.AsyncClient() as made:
        yield made

@pytest.mark.trio
@pytest.mark.chaos("503 x2, ok")
async def test_it(chaos, client):
    while (await client.post(chaos.url + "/things", json={})).status_code == 503:
        await trio.sleep(50)
    assert 100 <= chaos.clock.elapsed < 100.1
"""

THREADS = """
import time, pytest, requests
from concurrent.futures import ThreadPoolExecutor

@pytest.mark.parametrize("number", range(4))
@pytest.mark.chaos("503 x3, ok")
def test_a_pool(chaos, number):
    def post(_):
        while requests.post(chaos.url + "/things", json={}, timeout=5).status_code == 503:
            time.sleep(10)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(post, range(3)))
    assert len(chaos.attempts) == 6
"""


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Run pytest in a process of its own, with warnings as errors."""
    pytester.makeini(CONFIG)
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", *arguments)


def test_runners_of_async_tests_share_a_session(pytester: pytest.Pytester) -> None:
    """pytest-asyncio in every loop scope, anyio's plugin on both backends, pytest-trio, in random order."""
    pytester.makepyfile(test_asyncio=ASYNCIO, test_anyio=ANYIO, test_trio=TRIO)
    run(pytester).assert_outcomes(passed=15)


def test_async_and_threaded_tests_are_shared_out_to_workers(pytester: pytest.Pytester) -> None:
    """By xdist, each worker with a clock and a network of its own."""
    pytester.makepyfile(test_trio=TRIO, test_threads=THREADS)
    run(pytester, "-n", "2").assert_outcomes(passed=5)


def test_a_time_limit_counts_real_time_wherever_a_test_waits(pytester: pytest.Pytester) -> None:
    """Hours in virtual time are none; a test that really hangs is ended, also where another thread has the turn."""
    pytester.makepyfile(
        """
        import asyncio, threading, time, pytest

        @pytest.mark.parametrize("method", ["signal", "thread"])
        def test_waits(chaos, request, method):
            request.applymarker(pytest.mark.timeout(30, method=method))
            thread = threading.Thread(target=time.sleep, args=(3600,))
            thread.start()
            thread.join()
            asyncio.run(asyncio.sleep(3600))

        @pytest.mark.timeout(2, method="signal", func_only=True)
        def test_spins(chaos):
            while True:
                pass

        @pytest.mark.timeout(2, method="signal", func_only=True)
        def test_spins_in_a_loop(chaos):
            async def main():
                while True:
                    pass
            asyncio.run(main())

        @pytest.mark.timeout(2, method="signal", func_only=True)
        def test_another_thread_spins(chaos):
            stop = []
            def spin():
                while not stop:
                    pass
            thread = threading.Thread(target=spin)
            try:
                thread.start()
                thread.join()
            finally:
                stop.append(True)

        def test_goes_on(chaos):
            time.sleep(5)
            assert chaos.clock.elapsed == 5
        """
    )

    result = run(pytester, "-p", "no:randomly")

    result.assert_outcomes(passed=3, failed=3)
    result.stdout.fnmatch_lines(["E       Failed: Timeout (>2.0s) from pytest-timeout."] * 3)


def test_a_time_limit_by_a_thread_ends_a_test_that_hangs(pytester: pytest.Pytester) -> None:
    """It shows the stacks and ends the process, as it does without chaos."""
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.timeout(2, method="thread", func_only=True)
        def test_spins(chaos):
            while True:
                pass
        """
    )

    result = run(pytester)

    assert result.ret == 1
    result.stdout.fnmatch_lines(["*in test_spins", "*Timeout*"])


def test_coverage_sees_threads_and_tasks(pytester: pytest.Pytester) -> None:
    """Every branch that ran on virtual time is counted."""
    pytester.makepyfile(
        subject="""
        import asyncio

        def in_thread(number):
            if number > 1:
                return "big"
            return "small"

        async def in_task(number):
            await asyncio.sleep(1)
            if number > 1:
                return "big"
            return "small"
        """,
        test_subject="""
        import asyncio, time
        from concurrent.futures import ThreadPoolExecutor
        import subject

        def test_it(chaos):
            told = ["small", "small", "big", "big"]
            with ThreadPoolExecutor(2) as pool:
                assert list(pool.map(lambda n: (time.sleep(1), subject.in_thread(n))[1], range(4))) == told
            async def main():
                assert await asyncio.gather(*map(subject.in_task, range(4))) == told
            asyncio.run(main())
        """,
    )

    result = run(pytester, "--cov=subject", "--cov-branch", "--cov-report=term")

    result.assert_outcomes(passed=1)
    result.stdout.re_match_lines([r"subject\.py +\d+ +0 +4 +0 +100%"])


def test_time_machine_travels_inside_a_run(pytester: pytest.Pytester) -> None:
    """The wall clock is the traveller's and goes on with virtual time; a journey from before is ours to hide."""
    pytester.makepyfile(
        """
        import datetime, time, pytest, requests, time_machine

        def test_inside(chaos):
            with time_machine.travel("2020-05-05T00:00Z"):
                time.time()  # the first look starts it
                time.sleep(10)
                assert time.gmtime()[:6] == (2020, 5, 5, 0, 0, 10)
            assert chaos.clock.elapsed == 10 and datetime.datetime.now().year == 2030

        def test_inside_without_ticking(chaos):
            with time_machine.travel("2020-05-05T00:00Z", tick=False) as traveller:
                time.sleep(10)
                assert time.gmtime()[:6] == (2020, 5, 5, 0, 0, 0)
                traveller.shift(5)
                assert requests.get(chaos.url, timeout=3).status_code == 200
            assert chaos.clock.elapsed == 10

        @pytest.fixture
        def travelled():
            with time_machine.travel("2020-05-05T00:00Z"):
                yield
                assert time.gmtime().tm_year == 2020

        def test_outside(travelled, chaos):
            assert time.gmtime().tm_year == 2030
        """
    )
    run(pytester).assert_outcomes(passed=3)


def test_freezegun_freezes_inside_a_run_only(pytester: pytest.Pytester) -> None:
    """Around one it is refused by name, and where it would stop the clock that an event loop waits by."""
    pytester.makepyfile(
        """
        import asyncio, time, freezegun, pytest, requests, trio

        def test_inside(chaos):
            with freezegun.freeze_time("2020-05-05"):
                time.sleep(10)
                assert time.gmtime().tm_year == 2020
                assert requests.get(chaos.url, timeout=3).status_code == 200
            assert chaos.clock.elapsed == 10 and time.gmtime().tm_year == 2030

        @pytest.mark.parametrize("how", [{"tick": True}, {"real_asyncio": True}])
        def test_a_loop(chaos, how):
            with freezegun.freeze_time("2020-05-05", **how):
                asyncio.run(asyncio.sleep(5))
            assert 5 <= chaos.clock.elapsed < 5.1

        def test_a_stopped_loop(chaos):
            loop = asyncio.new_event_loop()
            with freezegun.freeze_time("2020-05-05"):
                loop.call_later(5, loop.stop)
                loop.run_forever()

        @pytest.mark.filterwarnings("ignore")
        def test_stopped_trio(chaos):
            with freezegun.freeze_time("2020-05-05"):
                trio.run(trio.sleep, 5)

        @pytest.fixture
        def frozen():
            with freezegun.freeze_time("2020-05-05"):
                yield

        def test_outside(frozen, chaos):
            pass
        """
    )

    result = run(pytester, "-p", "no:randomly")

    result.assert_outcomes(passed=3, failed=2, errors=1)
    told = "which has stopped the clock that it waits by: none of its waits would ever end."
    result.stdout.fnmatch_lines(
        [
            "*Refused: chaos cannot set the clock: *freezegun is active. End freeze_time before chaos begins.",
            f"*Refused: *test_a_stopped_loop runs an event loop under freeze_time, {told}*",
            f"*Refused: *runs an event loop under freeze_time, {told}*",
        ]
    )
