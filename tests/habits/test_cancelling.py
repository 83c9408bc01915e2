"""Cancelled by the test: clients that stop, and such as go on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import anyio
import httpx
import pytest
import trio

from pytest_retrychaos import Chaos, LawsBroken

KEY = {"Idempotency-Key": "order-7-key-0001"}
Client = Callable[[str], Awaitable[int]]


async def post(url: str) -> int:
    async with httpx.AsyncClient(timeout=5) as client:
        return (await client.post(url + "/payments", json={"amount": 1}, headers=KEY)).status_code


async def lets_it_pass(url: str) -> int:
    """Catches what a request raises, and nothing else."""
    for number in range(4):
        try:
            status = await post(url)
        except httpx.HTTPError:
            status = 0
        if status in (200, 201):
            break
        await asyncio.sleep(2.0**number)
    return status


async def cleans_up(url: str) -> int:
    """Says that it was cancelled, and then ends."""
    try:
        return await lets_it_pass(url)
    except asyncio.CancelledError:
        async with httpx.AsyncClient(timeout=5) as client:
            await client.post(url + "/audit", json={"cancelled": True})
        raise


async def takes_it_for_a_failure(url: str) -> int:
    """Catches everything, the cancellation too."""
    for number in range(4):
        try:
            status = await post(url)
            if status in (200, 201):
                return status
            await asyncio.sleep(2.0**number)
        except BaseException:
            await asyncio.sleep(1)
    return 0


async def begins_a_task_for_each_attempt(url: str) -> int:
    """Catches the cancellation of what it waits for, which is its own."""
    for number in range(4):
        with contextlib.suppress(asyncio.CancelledError):
            status = await asyncio.create_task(post(url))
            if status in (200, 201):
                return status
            await asyncio.sleep(2.0**number)
    return 0


RIGHT = pytest.mark.parametrize("client", [lets_it_pass, cleans_up])
WRONG = pytest.mark.parametrize("client", [takes_it_for_a_failure, begins_a_task_for_each_attempt])


@RIGHT
@pytest.mark.asyncio
@pytest.mark.parametrize("script", ["503, ok", "slow=5s, ok", "timeout"])
async def test_a_client_that_ends_keeps_the_law(chaos: Chaos, client: Client, script: str) -> None:
    """In its waiting, or in the middle of an attempt."""
    chaos.script(script, strict=False)
    task = asyncio.create_task(client(chaos.url))
    await asyncio.sleep(0.5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert chaos.verify().of("RT08").ruling.value == "held"


@WRONG
@pytest.mark.asyncio
@pytest.mark.parametrize("script", ["503, ok", "slow=5s, ok"])
async def test_a_client_that_goes_on_breaks_it(chaos: Chaos, client: Client, script: str) -> None:
    """The payment is made though it was called off."""
    chaos.script(script, strict=False)
    task = asyncio.create_task(client(chaos.url))
    await asyncio.sleep(0.5)
    task.cancel()
    await task

    with pytest.raises(LawsBroken, match=r"^RT08 went on after a cancellation: POST /payments was sent again"):
        chaos.verify()


@pytest.mark.asyncio
@pytest.mark.chaos("503, ok", seed=7)
async def test_the_finding_says_what_happened(chaos: Chaos) -> None:
    """When it was cancelled, which attempt came after it, why that matters and what to do."""
    task = asyncio.create_task(takes_it_for_a_failure(chaos.url))
    await asyncio.sleep(0.5)
    task.cancel()
    await task

    with pytest.raises(LawsBroken) as broken:
        chaos.verify()
    assert str(broken.value) == (
        "RT08 went on after a cancellation: POST /payments was sent again 1 s after the test had cancelled it\n"
        "  t+0.00s  #1  POST /payments  key K1   503\n"
        "  t+1.50s  #2  POST /payments  key K1   201, committed   ◄ sent after the cancellation\n"
        "  why   nobody waits for the result any more: the work is done for no one, and whoever cancelled believes"
        " that it was not\n"
        "  fix   let the cancellation pass: catch Exception, not BaseException, and raise CancelledError again\n"
        '  again @pytest.mark.chaos("503, ok", seed=7)'
    )


@pytest.mark.parametrize("how", ["timeout", "wait_for"])
@pytest.mark.asyncio
async def test_a_deadline_that_the_test_sets_is_a_cancellation(chaos: Chaos, how: str) -> None:
    """Of the client that stops nothing is asked any more, of the one that goes on its stopping."""
    chaos.script("503, ok", strict=False, per="operation")
    for client in (lets_it_pass, takes_it_for_a_failure):
        with contextlib.suppress(TimeoutError):
            if how == "timeout":
                async with asyncio.timeout(0.5):
                    await chaos.call_async(client, chaos.url)
            else:
                await asyncio.wait_for(chaos.call_async(client, chaos.url), 0.5)

    with pytest.raises(LawsBroken) as broken:
        chaos.verify(ignore=["ID03"])  # both send one key
    assert [finding.shape for finding in broken.value.verdict.findings] == ["RT08"]
    assert broken.value.verdict.findings[0].operation == 1
    assert [scope.cancelled_ns is not None for scope in chaos.trace.scopes] == [True, True]


@pytest.mark.asyncio
@pytest.mark.chaos("503, ok", strict=False)
async def test_anyio_lets_nothing_go_on(chaos: Chaos) -> None:
    """It cancels at every await until the block ends."""
    with anyio.move_on_after(0.5):
        await chaos.call_async(takes_it_for_a_failure, chaos.url)

    assert chaos.verify().of("RT08").ruling.value == "held"
    assert chaos.trace.scopes[0].cancelled_ns == 500_000_000


@pytest.mark.asyncio
@pytest.mark.chaos("503, ok x2")
async def test_after_the_deadline_the_test_may_send_again(chaos: Chaos) -> None:
    """What it cancelled has ended with the block."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.5):
            await lets_it_pass(chaos.url)
    await lets_it_pass(chaos.url)

    assert chaos.verify().of("RT08").ruling.value in ("held", "does not apply")


def test_a_function_inside_a_blocking_test_cancels_for_it(chaos: Chaos) -> None:
    """The usual shape where no plugin runs the loop."""
    chaos.script("503, ok", strict=False)

    async def main() -> None:
        task = asyncio.create_task(takes_it_for_a_failure(chaos.url))
        await asyncio.sleep(0.5)
        task.cancel()
        await task

    asyncio.run(main())

    with pytest.raises(LawsBroken, match=r"^RT08 "):
        chaos.verify()


@pytest.mark.chaos("slow=5s, ok")
def test_a_deadline_of_the_codes_own_is_none_of_the_tests(chaos: Chaos) -> None:
    """It cuts one attempt, and the next one follows, as it should."""

    async def client() -> None:
        for _ in range(3):
            try:
                async with asyncio.timeout(1):
                    await post(chaos.url)
                return
            except TimeoutError:
                await asyncio.sleep(1)

    asyncio.run(client())

    assert chaos.verify().of("RT08").ruling.value == "does not apply"
    assert chaos.attempts[0].cut is False


@pytest.mark.chaos("slow=5s, ok")
def test_wait_for_of_the_codes_own_is_none_of_the_tests(chaos: Chaos) -> None:
    """Also where it makes a task of each attempt (Python 3.11)."""

    async def client() -> None:
        for _ in range(3):
            try:
                await asyncio.wait_for(post(chaos.url), 1)
                return
            except TimeoutError:
                await asyncio.sleep(1)

    asyncio.run(client())

    assert [len(operation.attempts) for operation in chaos.operations] == [2]
    assert chaos.verify().of("RT08").ruling.value == "does not apply"


@pytest.mark.asyncio
@pytest.mark.chaos("slow=5s, ok", strict=False)
async def test_what_is_shielded_goes_on_by_right(chaos: Chaos) -> None:
    """The cancellation does not reach it."""

    async def client() -> int:
        return await asyncio.shield(asyncio.ensure_future(lets_it_pass(chaos.url)))

    task = asyncio.create_task(client())
    await asyncio.sleep(0.5)
    task.cancel()
    await asyncio.sleep(60)

    result = chaos.verify().of("RT08")
    assert result.ruling.value in ("does not apply", "held")


@pytest.mark.chaos("503, ok", strict=False)
def test_a_trio_client_that_its_test_cancels_is_asked_for_nothing_more(chaos: Chaos) -> None:
    """trio cancels at every await until the block ends: nothing can go on."""

    async def client() -> None:
        while await post(chaos.url) != 201:
            await trio.sleep(2)

    async def main() -> None:
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(client)
                await trio.sleep(0.5)
                scope.cancel()

    trio.run(main)

    assert chaos.verify().of("RT08").ruling.value == "held"


@pytest.mark.asyncio
@pytest.mark.chaos("timeout", strict=False)
async def test_a_read_that_the_test_cut_was_not_given_up(chaos: Chaos) -> None:
    """Closing while the service is silent is no timeout then: RT01 asks for no retry."""
    async with httpx.AsyncClient(timeout=5) as client:
        task = asyncio.create_task(client.get(chaos.url + "/items"))
        await asyncio.sleep(0.5)
        task.cancel()
        await asyncio.wait([task])

    assert chaos.attempts[0].error == "cut: closed by the client, which the test had cancelled"
    chaos.verify()


@pytest.mark.asyncio
@pytest.mark.chaos("503 x2", strict=False)
async def test_a_group_that_the_test_cancels_passes_it_on(chaos: Chaos) -> None:
    """Once its own task was cancelled, it cancels those in it."""

    async def by_group() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(takes_it_for_a_failure(chaos.url))

    task = asyncio.create_task(by_group())
    await asyncio.sleep(0.5)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task

    with pytest.raises(LawsBroken, match=r"^RT08 "):
        chaos.verify()


@pytest.mark.asyncio
@pytest.mark.chaos("503")
async def test_what_a_client_cancels_within_itself_is_not_the_tests_doing(chaos):
    """httpx ends scopes of its own where it closes; the test asked for nothing."""
    async with httpx.AsyncClient(timeout=5) as client:
        await client.get(chaos.url + "/orders")

    with pytest.raises(LawsBroken, match="RT01 not retried"):
        chaos.verify()


@pytest.mark.asyncio
@pytest.mark.chaos("timeout, ok")
async def test_a_clients_own_timeout_is_not_the_tests_deadline(chaos):
    """Nor where the retry loop stands in the test itself."""
    async with httpx.AsyncClient(timeout=5) as client:
        for _ in range(2):
            with contextlib.suppress(httpx.ReadTimeout):
                await client.get(chaos.url + "/orders")
                break
            await asyncio.sleep(1)

    verdict = chaos.verify()

    assert verdict.of("RT01").ruling.value == "held"
    assert verdict.of("RT08").reason == "the test cancelled nothing that had not ended"
