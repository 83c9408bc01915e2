"""What exploring chooses beside faults: the caller's cancellation, the zone, reused connections, who goes on first."""

from __future__ import annotations

import asyncio
import calendar
import contextlib
import threading
import time
from email.utils import parsedate

import httpx
import pytest
import requests
import trio

from pytest_retrychaos import Chaos
from pytest_retrychaos.engine import Retry
from tests.unit.fuzz.exploring import explore, explore_test, shortest

KEY = {"Idempotency-Key": "order-7"}


async def _charge(client: httpx.AsyncClient, url: str, body: dict[str, object]) -> dict[str, object]:
    answer = await client.post(f"{url}/payments", json=body, headers=KEY, timeout=10)
    answer.raise_for_status()
    return answer.json()


async def takes_a_cancellation_for_a_failure(url: str, **body: object) -> object:
    """Retries whatever is raised, CancelledError included."""
    async with httpx.AsyncClient(verify=False) as client:
        for retry in range(3):
            try:
                return await _charge(client, url, body)
            except (httpx.HTTPError, asyncio.CancelledError):
                if retry == 2:
                    raise
            await asyncio.sleep(4)
    return None


async def sleeps_on_after_a_cancellation(url: str, **body: object) -> object:
    """Takes the end of its sleep for the end of its wait, whoever ended it."""
    async with httpx.AsyncClient(verify=False) as client:
        for retry in range(3):
            try:
                return await _charge(client, url, body)
            except httpx.HTTPError:
                if retry == 2:
                    raise
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(4)
    return None


async def right_on_asyncio(url: str, **body: object) -> object:
    """The engine's."""
    async with httpx.AsyncClient(verify=False) as client:
        return await Retry(on=httpx.HTTPError).call_async(_charge, client, url, body)


async def right_on_trio(url: str, **body: object) -> object:
    """The engine's again."""
    return await right_on_asyncio(url, **body)


async def right_in_a_thread(url: str, **body: object) -> object:
    """The engine's, where the cancellation cannot reach it: the thread ends what it has begun."""

    def pay() -> object:
        return Retry().call(requests.post, f"{url}/payments", json=body, headers=KEY, timeout=10).json()

    return await asyncio.to_thread(pay)


async def right_behind_a_shield(url: str, **body: object) -> object:
    """Shielded on purpose."""
    return await asyncio.shield(asyncio.ensure_future(right_on_asyncio(url, **body)))


async def cleans_up(url: str, **body: object) -> object:
    """Takes back what may have been done, and lets the cancellation pass."""
    try:
        return await right_on_asyncio(url, **body)
    except asyncio.CancelledError:
        async with httpx.AsyncClient(verify=False) as client:
            await Retry().call_async(client.delete, f"{url}/payments/1", timeout=10)
        raise


FEW = ["503", "timeout"]


@pytest.mark.parametrize(
    ("client", "found"),
    [
        (takes_a_cancellation_for_a_failure, {"RT08": "no fault with cancel='#1'"}),
        (sleeps_on_after_a_cancellation, {"RT08": "503 with cancel='2s'"}),
        (right_on_asyncio, {}),
        (right_in_a_thread, {}),
        (right_behind_a_shield, {}),
        (cleans_up, {}),
    ],
)
def test_a_client_that_goes_on_after_a_cancellation_is_found(client, found):
    """In flight, and in a wait; at the first attempt and at a later one."""
    assert shortest(explore(client, faults=FEW)) == found


def test_trio_is_cancelled_by_a_scope_around_the_test():
    """At the same moments."""
    on_asyncio, on_trio = explore(right_on_asyncio, faults=FEW), explore(right_on_trio, faults=FEW, loop="trio")

    assert shortest(on_trio) == {}
    assert (on_trio.runs, on_trio.missed) == (on_asyncio.runs, on_asyncio.missed)


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
@pytest.mark.parametrize(("cancel", "waits"), [("#2", [0]), ("100s", []), ("1.5s", [])])
def test_a_cancellation_comes_when_it_is_said_to(loop, cancel, waits):
    """While an attempt is in flight, once it is committed; at a moment; and in a wait."""

    async def body(chaos: Chaos) -> None:
        async with httpx.AsyncClient(verify=False) as client:
            for _ in range(2):
                await client.post(f"{chaos.url}/payments", timeout=1000)
                await (asyncio.sleep(2) if loop == "asyncio" else trio.sleep(2))

    script = "slow=200s" if cancel == "100s" else None
    with Chaos(script, loop=loop, cancel=cancel, test_code=body.__code__) as chaos:
        chaos.recorded.caller.run(loop, lambda: body(chaos))

    at = {"#2": 2, "100s": 100, "1.5s": 1.5}[cancel]
    assert (chaos.clock.elapsed, len(chaos.attempts), len(chaos.ledger)) == (at, len(waits) + 1, len(waits) + 1)
    last = chaos.attempts[-1]
    assert last.error is None if cancel == "1.5s" else "which the test had cancelled" in (last.error or "")


def reads_a_date_as_local_time(url: str, **body: object) -> object:
    """Right wherever the local time is UTC."""
    for _ in range(3):
        answer = requests.post(f"{url}/payments", json=body, headers=KEY, timeout=10)
        if answer.status_code != 503:
            break
        date = parsedate(answer.headers.get("Retry-After", ""))
        time.sleep(1 if date is None else max(0, time.mktime(date) - time.time()))
    return answer.json()


def reads_a_date_as_it_is(url: str, **body: object) -> object:
    """Right everywhere."""
    for _ in range(3):
        answer = requests.post(f"{url}/payments", json=body, headers=KEY, timeout=10)
        if answer.status_code != 503:
            break
        date = parsedate(answer.headers.get("Retry-After", ""))
        time.sleep(1 if date is None else max(0, calendar.timegm(date) - time.time()))
    return answer.json()


@pytest.mark.parametrize(
    ("client", "found"),
    [
        (
            reads_a_date_as_local_time,
            {
                "BK04/early": "503 retry-after=date+30s with timezone='Asia/Tokyo'",
                "BK04/late": "503 retry-after=date+30s with timezone='America/New_York'",
            },
        ),
        (reads_a_date_as_it_is, {}),
    ],
)
def test_a_client_that_is_right_in_utc_alone_is_found(client, found):
    """A zone is chosen where a date was sent."""
    assert shortest(explore(client, faults=["503", "503 retry-after=date+30s"], timezone="UTC")) == found


def takes_a_closed_connection_for_a_loss(url: str, **body: object) -> object:
    """Reads an answer once its connection is still there to be read from."""
    with requests.Session() as session:
        session.get(f"{url}/payments", timeout=10)
        for _ in range(2):
            answer = session.post(f"{url}/payments", json=body, headers=KEY, timeout=10)
            if answer.headers.get("Connection") != "close":
                break
    return answer.json()


def test_a_client_that_needs_its_connections_kept_alive_is_found():
    """Connections are closed where one was used again."""
    found = explore(takes_a_closed_connection_for_a_loss, depth=1, faults=["stale"])

    assert shortest(found) == {"RT07": "no fault with keep_alive=False"}
    assert found.missed == 0


def logs_in_beside(chaos: Chaos) -> None:
    """Believe that of two threads the one that began to wait first goes on first."""
    token: dict[str, str] = {}

    def log_in() -> None:
        time.sleep(1)
        token["Authorization"] = "Bearer t"

    def read() -> None:
        time.sleep(1)
        requests.get(f"{chaos.url}/orders", headers=token, timeout=10)

    threads = [threading.Thread(target=log_in), threading.Thread(target=read)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert chaos.attempts[0].credentials == "t"


async def logs_in_beside_on_asyncio(chaos: Chaos) -> None:
    """Believe that of two timers the one that was set first is first."""
    token: dict[str, str] = {}

    async def log_in() -> None:
        await asyncio.sleep(1)
        token["Authorization"] = "Bearer t"

    async def read(client: httpx.AsyncClient) -> None:
        await asyncio.sleep(1)
        await client.get(f"{chaos.url}/orders", headers=token, timeout=10)

    async with httpx.AsyncClient(verify=False) as client:
        await asyncio.gather(log_in(), read(client))
    assert chaos.attempts[0].credentials == "t"


async def logs_in_beside_on_trio(chaos: Chaos) -> None:
    """Believe that of two tasks the one that was begun first is first."""
    token: dict[str, str] = {}

    async def log_in() -> None:
        await trio.lowlevel.checkpoint()
        token["Authorization"] = "Bearer t"

    async def read(client: httpx.AsyncClient) -> None:
        await trio.lowlevel.checkpoint()
        await client.get(f"{chaos.url}/orders", headers=token, timeout=10)

    async with httpx.AsyncClient(verify=False) as client, trio.open_nursery() as nursery:
        nursery.start_soon(log_in)
        nursery.start_soon(read, client)
    assert chaos.attempts[0].credentials == "t"


@pytest.mark.parametrize(
    ("test", "seed", "loop"),
    [(logs_in_beside, 4, None), (logs_in_beside_on_asyncio, 4, None), (logs_in_beside_on_trio, 1, "trio")],
)
def test_an_order_that_was_left_to_chance_is_found(test, seed, loop):
    """One switch: the other goes first. The seeds are such that without one it is as was believed."""
    found = explore_test(test, depth=1, faults=["401"], switches=1, seed=seed, loop=loop)

    ((shape, played),) = found.worst.items()
    assert shape.startswith("the test's own assertion")
    assert (played.history.faults, len(played.history.switches)) == ((), 1)
    assert explore_test(test, depth=1, faults=["401"], seed=seed, loop=loop).worst == {}
