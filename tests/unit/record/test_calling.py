"""Calls of async code: each in a scope of its own, told and recorded."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from pytest_retrychaos import Chaos, LawsBroken
from tests.unit.record.wire import groups, send


async def charge(url: str, tries: int = 3, amount: int = 1) -> dict[str, Any]:
    """Charge, and try again after what turned the request away."""
    async with httpx.AsyncClient(timeout=5) as client:
        for number in range(tries):
            answer = await client.post(url + "/payments", json={"amount": amount})
            if answer.status_code != 503 or number == tries - 1:
                break
            await asyncio.sleep(2.0**number)
    answer.raise_for_status()
    return {"status": "succeeded"}


def test_what_was_returned_is_returned_and_told(chaos: Chaos) -> None:
    """The value itself, and what it claims."""
    chaos.script("503, ok")

    value = asyncio.run(chaos.call_async(charge, chaos.url))

    assert value == {"status": "succeeded"}
    assert groups(chaos) == [[1, 2]]
    operation = chaos.operations[0]
    assert operation.name == "charge"
    assert operation.told is not None
    assert operation.told.claims_success is True
    chaos.verify()


def test_what_was_raised_is_raised_and_told(chaos: Chaos) -> None:
    """The chain, the outermost first."""
    chaos.script("503 x2")

    with pytest.raises(httpx.HTTPStatusError):
        asyncio.run(chaos.call_async(charge, chaos.url, tries=2))

    told = chaos.operations[0].told
    assert told is not None
    assert told.raised[0].type == "httpx.HTTPStatusError"


def test_a_failure_that_is_swallowed_is_seen(chaos: Chaos) -> None:
    """RT05 judges async code as it does blocking code."""

    async def swallow() -> dict[str, str]:
        try:
            return await charge(chaos.url, tries=2)
        except httpx.HTTPError:
            return {"status": "succeeded"}

    chaos.script("503 x2")
    asyncio.run(chaos.call_async(swallow))

    with pytest.raises(LawsBroken, match=r"^RT05, ID05 "):
        chaos.verify()


def test_calls_side_by_side_have_each_their_own_scope(chaos: Chaos) -> None:
    """Three customers with equal bodies, each turned away once."""
    chaos.script("503, ok", per="operation")

    async def all_of_them() -> None:
        await asyncio.gather(*(chaos.call_async(charge, chaos.url) for _ in range(3)))

    asyncio.run(all_of_them())

    assert [[one.fault for one in operation.attempts] for operation in chaos.operations] == [["503", "ok"]] * 3
    assert [scope.told is not None for scope in chaos.trace.scopes] == [True, True, True]
    assert len({operation.record.scope for operation in chaos.operations}) == 3
    chaos.verify()


def test_a_task_begun_inside_belongs_to_the_scope(chaos: Chaos) -> None:
    """Contexts are handed on."""

    async def fan_out() -> None:
        await asyncio.gather(*(charge(chaos.url, amount=amount) for amount in range(2)))

    asyncio.run(chaos.call_async(fan_out))

    assert [one.scope for one in chaos.attempts] == [0, 0]
    assert [operation.name.rpartition(".")[2] for operation in chaos.operations] == ["fan_out", "fan_out/2"]


@pytest.mark.parametrize("kind", ["thread", "pool", "to_thread"])
def test_a_thread_begun_inside_belongs_to_the_scope(chaos: Chaos, kind: str) -> None:
    """Also where it is begun with an empty context."""

    def work() -> None:
        send()

    async def start() -> None:
        if kind == "to_thread":
            await asyncio.to_thread(work)
        elif kind == "pool":
            with ThreadPoolExecutor(1) as pool:
                pool.submit(work)
        else:
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()

    async def main() -> None:
        with chaos.operation("order 7"):
            await start()
        await asyncio.to_thread(work)

    asyncio.run(main())

    assert [one.scope for one in chaos.attempts] == [0, None]


def test_a_scope_that_is_closed_in_another_context_is_closed(chaos: Chaos) -> None:
    """A fixture opens it in one task, and ends in another."""
    scope = chaos.operation("order 7")

    async def end() -> None:
        scope.__exit__(None, None, None)

    async def main() -> None:
        scope.__enter__()
        await asyncio.create_task(end())

    asyncio.run(main())

    assert chaos.trace.scopes[0].ended_ns == 0


def test_a_generator_function_is_refused_by_the_blocking_call(chaos: Chaos) -> None:
    """Its call does none of its work."""

    def pages() -> Iterator[int]:
        yield 1

    async def pages_async() -> AsyncIterator[int]:
        yield 1

    text = (
        r"pages\): this is a generator function, and calling it does none of its work: give a function that consumes it"
    )
    with pytest.raises(TypeError, match=text):
        chaos.call(pages)
    with pytest.raises(TypeError, match=r"pages_async\): this is a generator function"):
        chaos.call(pages_async)
    assert chaos.trace.scopes == ()


def test_an_async_function_is_refused_by_the_blocking_call(chaos: Chaos) -> None:
    """It is said what to write."""
    with pytest.raises(
        TypeError, match=r"^chaos\.call\(charge\): this is an async function: await chaos\.call_async\(charge, …\)$"
    ):
        chaos.call(charge, chaos.url)


def test_a_coroutine_that_comes_back_is_refused_by_the_blocking_call(chaos: Chaos) -> None:
    """A plain function may return one."""
    with pytest.raises(TypeError, match=r"it returned a coroutine: await chaos\.call_async"):
        chaos.call(lambda: charge(chaos.url))


def test_a_value_in_place_of_the_function_is_refused(chaos: Chaos) -> None:
    """Who writes the call itself is told what to write."""
    with pytest.raises(TypeError, match=r"^chaos\.call\(7\): this cannot be called: give the function itself, not its"):
        chaos.call(7)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"as in chaos\.call_async\(charge, amount\)$"):
        asyncio.run(chaos.call_async({"id": 1}))  # type: ignore[arg-type]


def test_a_partial_is_awaited(chaos: Chaos) -> None:
    """What returns something to await is enough."""
    asyncio.run(chaos.call_async(functools.partial(charge, chaos.url)))

    assert len(chaos.attempts) == 1


def test_what_cannot_be_awaited_is_refused(chaos: Chaos) -> None:
    """A blocking function, or the value of a call."""
    with pytest.raises(
        TypeError,
        match=r"^chaos\.call_async\(len\): it returned 3, which cannot be awaited: give the function itself, "
        r"not its call; a blocking one is called by chaos\.call\(len, …\)$",
    ):
        asyncio.run(chaos.call_async(len, "abc"))  # type: ignore[arg-type]
