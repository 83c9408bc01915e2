"""Waiting on an event loop: habits that leave the loop to others, and such as block it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import httpx
import pytest
import requests
import tenacity
import trio

from pytest_retrychaos import Chaos, LawsBroken


async def get(url: str) -> int:
    async with httpx.AsyncClient(timeout=5) as client:
        return (await client.get(url)).status_code


def ruling(chaos: Chaos) -> str:
    """What BK06 says; whatever else was found fails the test."""
    return chaos.verify().of("BK06").ruling.value


@pytest.mark.chaos("503 x2, ok")
def test_a_client_that_awaits_its_sleep_keeps_the_law(chaos: Chaos) -> None:
    """asyncio's own sleep."""

    async def client() -> None:
        for number in range(3):
            if await get(chaos.url + "/items") == 200:
                return
            await asyncio.sleep(2.0**number)

    asyncio.run(client())

    assert ruling(chaos) == "held"


@pytest.mark.chaos("503 x2, ok")
def test_a_trio_client_keeps_the_law(chaos: Chaos) -> None:
    """trio's own sleep."""

    async def client() -> None:
        for number in range(3):
            if await get(chaos.url + "/items") == 200:
                return
            await trio.sleep(2.0**number)

    trio.run(client)

    assert ruling(chaos) == "held"


@pytest.mark.parametrize(
    "run", [lambda url: asyncio.run(get(url)), lambda url: trio.run(get, url)], ids=["asyncio", "trio"]
)
@pytest.mark.parametrize("kind", ["route", "wsgi"])
def test_what_the_service_sleeps_is_not_the_clients_doing(
    chaos: Chaos, kind: str, run: Callable[[str], object]
) -> None:
    """A handler, and a WSGI app, runs in the client's thread: no loop runs there for it, and one of its own may."""

    async def inner() -> None:
        await asyncio.sleep(1)

    def slow(*_: object) -> dict[str, str]:
        time.sleep(2)
        asyncio.run(inner())
        return {}

    def app(environ: object, start_response: Callable[..., object]) -> list[bytes]:
        slow()
        start_response("200 OK", [])
        return []

    if kind == "route":
        chaos.service.route("GET", "/items", slow)
    else:
        chaos.service.mount(app)
    run(chaos.url + "/items")

    assert (chaos.clock.elapsed, ruling(chaos)) == (3, "does not apply")


@pytest.mark.parametrize("kind", ["asyncio", "trio"])
def test_a_handler_may_tell_the_test_that_a_request_has_come(chaos: Chaos, kind: str) -> None:
    """By an event or a channel of the loop's own library, on which a task of the test waits."""

    async def on_asyncio() -> None:
        arrived = asyncio.Event()
        chaos.service.route("GET", "/items", lambda _: arrived.set())
        await asyncio.gather(arrived.wait(), get(chaos.url + "/items"))

    async def on_trio() -> None:
        arrived = trio.Event()
        chaos.service.route("GET", "/items", lambda _: arrived.set())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(arrived.wait)
            nursery.start_soon(get, chaos.url + "/items")

    asyncio.run(on_asyncio()) if kind == "asyncio" else trio.run(on_trio)

    assert chaos.attempts[0].status == 200


@pytest.mark.chaos("503 x2, ok")
def test_a_blocking_client_in_a_thread_of_its_own_keeps_the_law(chaos: Chaos) -> None:
    """Its sleeps block a thread, and no loop."""

    def client() -> None:
        for number in range(3):
            if requests.get(chaos.url + "/items", timeout=5).ok:
                return
            time.sleep(2.0**number)

    asyncio.run(asyncio.to_thread(client))

    assert ruling(chaos) == "does not apply"
    assert chaos.trace.stalls == ()


@pytest.mark.chaos("503, ok")
def test_a_client_that_retries_by_tenacity_awaits(chaos: Chaos) -> None:
    """Its decorator knows coroutine functions."""

    @tenacity.retry(wait=tenacity.wait_fixed(2), retry=tenacity.retry_if_result(lambda status: status == 503))
    async def client() -> int:
        return await get(chaos.url + "/items")

    asyncio.run(client())

    assert ruling(chaos) == "held"


@pytest.mark.chaos("503 x2, ok", seed=7)
def test_a_client_that_sleeps_on_the_loop_breaks_the_law(chaos: Chaos) -> None:
    """The classic: time.sleep in a coroutine."""

    async def client() -> None:
        for number in range(3):
            if await get(chaos.url + "/items") == 200:
                return
            time.sleep(2.0**number)

    asyncio.run(client())

    with pytest.raises(LawsBroken) as broken:
        chaos.verify()
    line = client.__code__.co_firstlineno + 4
    assert str(broken.value) == (
        f"BK06 event loop blocked: tests/habits/test_event_loops.py:{line} client slept 3 s in 2 sleeps"
        " inside a running event loop\n"
        "  t+0.00s  #1  GET /items   503   ◄ then the loop was blocked for 1 s\n"
        "  t+1.00s  #2  GET /items   503\n"
        "  t+3.00s  #3  GET /items   200\n"
        "  why   while it sleeps, nothing else on that loop goes on: no other request, no timer, no cancellation\n"
        "  fix   await asyncio.sleep(…) (trio.sleep, anyio.sleep), or run blocking code by asyncio.to_thread\n"
        '  again @pytest.mark.chaos("503 x2, ok", seed=7)'
    )


@pytest.mark.chaos("503, ok")
def test_a_blocking_client_that_waits_on_the_loop_breaks_the_law(chaos: Chaos) -> None:
    """requests and a decorator that sleeps, called in a coroutine: the sleep is the library's."""

    @tenacity.retry(wait=tenacity.wait_fixed(2))
    def client() -> None:
        requests.get(chaos.url + "/items", timeout=5).raise_for_status()

    async def main() -> None:
        client()

    asyncio.run(main())

    with pytest.raises(LawsBroken, match=r"^BK06 event loop blocked: tenacity/nap\.py:\d+ sleep slept 2 s inside"):
        chaos.verify()


@pytest.mark.chaos("503, ok")
def test_a_trio_client_that_sleeps_on_the_loop_breaks_the_law(chaos: Chaos) -> None:
    """Another loop, the same mistake."""

    async def client() -> None:
        while await get(chaos.url + "/items") != 200:
            time.sleep(1)

    trio.run(client)

    with pytest.raises(LawsBroken, match=r"^BK06 .* client slept 1 s inside a running event loop"):
        chaos.verify()


@pytest.mark.chaos("ok")
def test_a_blocking_request_on_the_loop_is_told_and_not_judged(chaos: Chaos) -> None:
    """It is no sleep."""

    async def client() -> None:
        requests.get(chaos.url + "/items", timeout=5)

    asyncio.run(client())

    result = chaos.verify().of("BK06")
    assert result.ruling.value == "does not apply"
    assert result.reason.endswith(
        "made a blocking request inside a running event loop, which stands still meanwhile:"
        " that is no sleep, and how long it lasts is the network's doing"
    )


@pytest.mark.asyncio
@pytest.mark.chaos("503, ok")
async def test_what_the_test_itself_sleeps_is_its_own_business(chaos: Chaos) -> None:
    """It lets time pass between two looks."""
    assert await get(chaos.url + "/items") == 503
    time.sleep(60)
    assert await get(chaos.url + "/items") == 200

    assert chaos.trace.stalls == ()
    chaos.verify(ignore=["RT01"])
