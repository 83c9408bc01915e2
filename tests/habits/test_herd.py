"""Herds of real clients: threads, tasks of asyncio and of trio, what they are told and how they arrive."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import threading
import time

import aiohttp
import httpx
import pytest
import requests
import responses
import trio

from pytest_retrychaos import Chaos, LawsBroken, NoTimeout
from pytest_retrychaos.clock.errors import Refused
from pytest_retrychaos.engine import Retry, RetryBudget, exponential, fixed


def pay(url, number, attempts=5, wait=1.0):
    """Pay one order, with retries a second apart."""
    for _ in range(attempts):
        try:
            answer = requests.post(
                f"{url}/payments", json={"order": number}, headers={"Idempotency-Key": f"{number}"}, timeout=5
            )
            answer.raise_for_status()
        except requests.RequestException:
            time.sleep(wait)
        else:
            return answer.json()["id"]
    raise RuntimeError(f"order {number} was not paid")


async def pay_async(session, url, number):
    """The same in a task."""
    for _ in range(5):
        async with session.post(
            f"{url}/payments", json={"order": number}, headers={"Idempotency-Key": f"{number}"}
        ) as answer:
            if answer.status == 201:
                return (await answer.json())["id"]
        await asyncio.sleep(1)
    raise RuntimeError(f"order {number} was not paid")


def test_threads_are_each_an_operation(chaos):
    """Twenty copies meet an outage of two seconds and come back each second."""
    chaos.script("down=2s")

    herd = chaos.herd(20, lambda number: pay(chaos.url, number))

    assert len(set(herd.values)) == len(chaos.ledger) == 20
    assert herd.arrivals.counts == (20, 20, 20)
    assert herd.arrivals.failed == (20, 20, 0)
    assert [len(one.attempts) for one in chaos.operations] == [3] * 20
    assert (herd.arrivals.cause_ended, herd.arrivals.time_to_recovery) == (2.0, 0.0)


def test_copies_that_give_up_are_collected(chaos):
    """What each raised is kept under its number, and ends no other."""
    chaos.script("503 x3, ok")

    herd = chaos.herd(5, lambda number: pay(chaos.url, number, attempts=1))

    assert sorted(map(str, herd.errors.values())) == sorted(f"order {n} was not paid" for n in herd.errors)
    assert len(herd.errors) == 3
    assert [value is None for value in herd.values] == [number in herd.errors for number in range(5)]


def test_what_is_no_exception_ends_the_herd(chaos):
    """A client without a timeout meets silence: it is told as ever, not kept as one copy's bad luck."""
    chaos.script("timeout, ok", strict=False)

    with pytest.raises(NoTimeout):
        chaos.herd(3, lambda: requests.get(chaos.url))


def test_limit_turns_a_herd_away_with_real_429s(chaos):
    """Ten a second are let in, at once and then each second, and each is told when to come back."""
    chaos.service.limit("10/s")

    herd = chaos.herd(30, lambda number: pay(chaos.url, number))

    assert herd.arrivals.counts == (30, 20, 10)
    assert herd.arrivals.peak_over_capacity == 3.0
    assert [attempt.status for attempt in chaos.attempts].count(429) == 30
    assert {attempt.response_headers["Retry-After"] for attempt in chaos.attempts if attempt.status == 429} == {"1"}
    assert herd.arrivals.outlived_by == 2.0  # all copies came at once; ten of the second second were turned away again
    chaos.verify(only=("BK04", "ID", "RT"))


def test_copies_spread_over_a_window_by_the_seed():
    """The same seed, the same moments; they are numbered as they come."""

    def moments(seed):
        with Chaos(seed=seed) as chaos:
            herd = chaos.herd(40, lambda number: pay(chaos.url, number), over=10)
            return [attempt.began_ns for attempt in chaos.attempts], herd.arrivals.counts

    one, counts = moments(1)

    assert one == sorted(one) == moments(1)[0] != moments(2)[0]
    assert sum(counts) == 40
    assert max(counts) < 10


def test_tasks_run_in_a_loop_of_their_own(chaos):
    """An async function is enough."""
    chaos.script("503 x50, ok")

    async def client(number):
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(5)) as session:
            return await pay_async(session, chaos.url, number)

    herd = chaos.herd(50, client, over=0.5)

    assert len(set(herd.values)) == len(chaos.ledger) == 50
    assert (herd.arrivals.operations, herd.arrivals.attempts) == (50, 100)
    chaos.verify(only=("ID", "RT"))


def test_herd_is_awaited_in_a_running_loop(chaos):
    """The client, and its pool, may be of that loop."""
    chaos.script("503 x10, ok")

    async def main():
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(5)) as session:
            return await chaos.herd_async(10, lambda number: pay_async(session, chaos.url, number))

    herd = asyncio.run(main())

    assert herd.arrivals.counts == (10, 10)


def test_tasks_end_with_the_herd_that_is_cancelled(chaos):
    """None goes on in the loop of the test."""

    async def client():
        await asyncio.sleep(60)

    async def main():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(chaos.herd_async(5, client), 10)
        await asyncio.sleep(0)
        return len(asyncio.all_tasks())

    assert asyncio.run(main()) == 1
    assert chaos.clock.elapsed < 11


def test_tasks_end_with_a_copy_that_ends_the_herd(chaos):
    """What is no Exception ends them all."""

    async def client(number):
        if number == 3:
            raise GeneratorExit
        await asyncio.sleep(60)

    async def main():
        with pytest.raises(GeneratorExit):
            await chaos.herd_async(5, client)
        await asyncio.sleep(0)
        return len(asyncio.all_tasks())

    assert asyncio.run(main()) == 1


def test_large_herd_of_tasks_begins_at_one_moment(chaos):
    """They are begun in several turns of the loop, which take no virtual time."""

    async def client():
        return chaos.clock.elapsed

    assert set(chaos.herd(2500, client).values) == {0.0}


def test_herd_is_awaited_in_trio(chaos):
    """Tasks of trio, spread over ten seconds."""
    chaos.script("503, ok", per="operation")

    async def client(number):
        async with httpx.AsyncClient(timeout=5) as http:
            for _ in range(3):
                answer = await http.get(f"{chaos.url}/orders")
                if answer.status_code < 500:
                    return answer.status_code
                await trio.sleep(1)
            return None

    async def main():
        return await chaos.herd_async(10, client, over=10)

    herd = trio.run(main)

    assert herd.values == (200,) * 10
    assert herd.arrivals.attempts == 20


def test_herd_in_a_running_loop_names_the_way_out(chaos):
    """It would block the loop, or begin a second one."""

    async def client():
        return None

    async def main():
        with pytest.raises(TypeError, match=r"await chaos\.herd_async"):
            chaos.herd(3, client)
        with pytest.raises(TypeError, match=r"await asyncio\.to_thread\(chaos\.herd"):
            chaos.herd(3, lambda: None)

    asyncio.run(main())


def test_blocking_herd_runs_beside_a_loop(chaos):
    """The way out that the error names."""
    chaos.script("503 x5, ok")

    async def main():
        return await asyncio.to_thread(chaos.herd, 5, lambda number: pay(chaos.url, number))

    herd = asyncio.run(main())

    assert herd.arrivals.counts == (5, 5)


def test_coroutine_in_a_thread_is_refused(chaos):
    """Nothing would have run, and nothing would have said so."""

    async def client(number):
        return number

    with pytest.raises(TypeError, match='returned a coroutine: say as_="tasks"'):
        chaos.herd(3, lambda number: client(number))


def test_blocking_function_in_tasks_is_refused(chaos):
    """A task awaits."""
    with pytest.raises(TypeError, match="returned 5, which cannot be awaited"):
        chaos.herd(3, lambda: 5, as_="tasks")


def test_herd_within_a_herd_is_refused_and_cannot_be_swallowed():
    """Each copy would keep the error for itself."""
    with Chaos() as chaos:
        herd = chaos.herd(2, lambda: chaos.herd(2, lambda: None))

        assert [type(error) for error in herd.errors.values()] == [Refused, Refused]
        with pytest.raises(Refused, match="inside a herd"):
            chaos.verify()


def test_herd_on_loopback_is_refused():
    """On real time its copies could not be told apart."""
    with (
        Chaos(transport="loopback") as chaos,
        pytest.raises(Refused, match=r"a herd on transport='loopback'.*Use transport='network'"),
    ):
        chaos.herd(2, lambda: None)


def test_scope_inside_a_copy_belongs_to_its_herd(chaos):
    """Code under test may itself open scopes, and start threads."""

    def client(number):
        def send():
            requests.get(f"{chaos.url}/orders", timeout=5)

        with chaos.operation(f"order {number}"):
            thread = threading.Thread(target=send)
            thread.start()
            thread.join()
        send()

    herd = chaos.herd(4, client)

    assert (herd.arrivals.attempts, herd.arrivals.operations) == (8, 8)


def test_second_herd_is_counted_by_itself(chaos):
    """One after the other they do not mix."""
    first = chaos.herd(3, lambda number: pay(chaos.url, number))
    chaos.clock.advance(60)
    second = chaos.herd(2, lambda number: pay(chaos.url, number + 3))

    assert (first.arrivals.counts, second.arrivals.counts) == ((3,), (2,))


def test_outage_that_began_before_the_herd_ends_when_it_ends(chaos):
    """It is counted from the first attempt that met it, a copy's or not."""
    chaos.script("down=10s")
    with pytest.raises(requests.ConnectionError):
        requests.get(chaos.url, timeout=5)
    chaos.clock.advance(9)

    herd = chaos.herd(3, lambda number: pay(chaos.url, number))

    assert herd.arrivals.cause_ended == 1.0


def test_functions_that_are_no_http_make_a_herd(chaos):
    """A driver or a queue meets the script in the same way."""
    chaos.script("503 x4, ok")
    query = chaos.faulty(lambda: "row")

    herd = chaos.herd(4, Retry(attempts=2, backoff=fixed(2), on=Exception)(query))

    assert herd.values == ("row",) * 4
    assert herd.arrivals.counts == (4, 0, 4)


def test_collector_is_as_before_after_a_herd(chaos):
    """It looks less often meanwhile."""
    before = gc.get_threshold()

    herd = chaos.herd(2, gc.get_threshold)

    assert herd.values == ((20_000, *before[1:]),) * 2
    assert gc.get_threshold() == before


def test_trace_of_a_herd_reads_back_the_same(chaos):
    """The record has the herd, and who belongs to it."""
    from pytest_retrychaos.laws.arrivals import arrivals
    from pytest_retrychaos.trace import Trace

    chaos.service.limit("2/s")
    chaos.script("down=1s")
    herd = chaos.herd(6, lambda number: pay(chaos.url, number))

    assert arrivals(Trace.from_json(chaos.trace.to_json()), 0) == herd.arrivals
    assert herd.arrivals.cause_ended == 1.0


def test_engine_with_a_budget_keeps_its_retries_within_it(chaos):
    """A hundred clients share it through an outage of a minute; it grants ten at once, and one each second."""
    chaos.script("down=60s")
    retry = Retry(attempts=30, backoff=exponential(0.5, cap=4), budget=RetryBudget(per_second=1, burst=10, ratio=0.1))

    herd = chaos.herd(100, retry(lambda: requests.get(f"{chaos.url}/orders", timeout=5)), over=60)

    assert herd.arrivals.retry_ratio < 1
    assert "LD02" in [result.code for result in chaos.verify(retry).held]


@pytest.mark.parametrize("budget", [{"burst": 1}, {"burst": 5, "per_second": 0}, {"per_second": 1}])
@pytest.mark.parametrize("latency", [0, 0.1])
def test_engine_with_a_budget_keeps_within_it_at_one_moment(chaos, budget, latency):
    """Those that come at once may begin and fail one after the other: a budget that is not full takes each in."""
    chaos.service.latency = latency
    chaos.script("503 *")
    retry = Retry(backoff=exponential(1), budget=RetryBudget(ratio=0.1, **{"per_second": 0.1, **budget}))

    chaos.herd(60, retry(lambda: requests.get(f"{chaos.url}/orders", timeout=5)))

    assert chaos.verify(retry, only=["LD02"])


def test_engine_without_a_budget_is_held_to_one(chaos):
    """The same clients, each on its own."""
    chaos.script("down=60s")
    backoff = exponential(0.5, cap=4)
    client = Retry(attempts=30, backoff=backoff)(lambda: requests.get(f"{chaos.url}/orders", timeout=5))

    chaos.herd(100, client, over=60)

    with pytest.raises(LawsBroken, match=r"^LD02 budget overdrawn"):
        chaos.verify(Retry(attempts=30, backoff=backoff, budget=RetryBudget(per_second=1, burst=10)))


def test_fixed_delays_are_synchronised_and_full_jitter_is_not(chaos):
    """The laws say what the chart shows."""
    chaos.script("down=5s", strict=False)

    def client(backoff):
        return Retry(attempts=10, backoff=backoff)(lambda: requests.get(f"{chaos.url}/orders", timeout=5))

    chaos.herd(30, client(exponential(1, cap=8)))
    held = [result.code for result in chaos.verify().held]
    chaos.script("down=5s", strict=False)
    chaos.herd(30, client(fixed(1)))

    assert {"BK03", "LD03"} <= set(held)
    with pytest.raises(LawsBroken) as broken:
        chaos.verify()
    assert broken.value.verdict.codes == ("BK03", "LD03")
    assert str(broken.value).count("arrivals in every") == 1


def test_herd_that_runs_out_of_descriptors_is_told_so():
    """Clients would take the system's error for one of the network, retry, and prove nothing."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    async def client():
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(5)) as session,
            session.get("http://service.test/orders"),
        ):
            await asyncio.sleep(1)

    with Chaos() as chaos:
        used = len(os.listdir("/proc/self/fd"))  # those that watch older threads among them
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + 60, hard))
        try:
            herd = chaos.herd(100, client)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

        assert herd.errors
        with pytest.raises(Refused, match=r"connections are open at once.*raise the limit \(ulimit -n\)"):
            chaos.verify()


@pytest.mark.parametrize("as_", ["threads", "tasks"])
def test_same_seed_gives_the_same_herd(as_):
    """Byte for byte, whatever the copies draw; another seed gives another one."""

    def trace(seed):
        with Chaos("down=4s", seed=seed) as chaos:
            chaos.service.limit("10/s")
            retry = Retry(attempts=9, backoff=exponential(1, cap=8))

            async def client():
                async with httpx.AsyncClient(timeout=5) as http:
                    return (await retry.call_async(http.get, f"{chaos.url}/orders")).status_code

            blocking = retry(lambda: requests.get(f"{chaos.url}/orders", timeout=5).status_code)
            chaos.herd(20, client if as_ == "tasks" else blocking, over=3)
            return chaos.trace.to_json()

    assert trace(1) == trace(1) != trace(2)


def test_herd_meets_what_a_suite_has_registered_with_responses():
    """Copies in threads, around mocks that were there before."""
    with Chaos("503 x10, ok", transport="responses") as chaos, responses.RequestsMock() as mock:
        mock.get("http://api.test/orders", json=[])
        retry = Retry(backoff=fixed(1))
        herd = chaos.herd(10, lambda: retry.call(requests.get, "http://api.test/orders", timeout=5).json())

    assert herd.values == ([],) * 10
    assert herd.arrivals.counts == (10, 10)
