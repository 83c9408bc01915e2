"""Which line of an async test a request comes from; tasks and threads have none."""

from __future__ import annotations

import asyncio
import sys
import threading

import httpx
import pytest

from pytest_retrychaos import Chaos
from tests.unit.record.wire import groups, send

BACKENDS = pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])


async def post(url: str, tries: int = 1) -> int:
    """Send, and once more after a 503; 0 where no connection was made."""
    status = 0
    async with httpx.AsyncClient(timeout=5) as client:
        for _ in range(tries):
            try:
                status = (await client.post(url + "/payments", json={"amount": 1})).status_code
            except httpx.ConnectError:
                continue
            if status == 201:
                break
    return status


def sites(chaos: Chaos) -> list[int | None]:
    """The line of each attempt, numbered by first appearance."""
    return [attempt.site for attempt in chaos.attempts]


@pytest.mark.asyncio
@pytest.mark.chaos("503, ok")
async def test_a_call_from_another_line_is_one_operation_or_two(chaos: Chaos) -> None:
    """Under pytest-asyncio, as in a blocking test."""
    await post(chaos.url)
    await post(chaos.url)

    assert groups(chaos) == [[1], [2]]
    assert sites(chaos) == [1, 2]
    assert [operation.one_or_two for operation in chaos.trace.operations] == [False, True]


@BACKENDS
@pytest.mark.anyio
@pytest.mark.chaos("503, ok")
async def test_the_same_under_anyio(chaos: Chaos, anyio_backend: str) -> None:
    """On both of its loops."""
    del anyio_backend
    await post(chaos.url)
    await post(chaos.url)

    assert groups(chaos) == [[1], [2]]
    assert sites(chaos) == [1, 2]


@BACKENDS
@pytest.mark.anyio
@pytest.mark.chaos("503, refuse, ok")
async def test_the_attempts_of_one_call_are_one_operation(chaos: Chaos, anyio_backend: str) -> None:
    """The retry loop is in the code that the test called."""
    del anyio_backend
    assert await post(chaos.url, tries=3) == 201

    assert groups(chaos) == [[1, 2, 3]]
    assert {sites(chaos)[0], sites(chaos)[-1]} == {1}


@BACKENDS
@pytest.mark.anyio
@pytest.mark.chaos("refuse, ok")
async def test_what_was_not_sent_does_not_join_another_call(chaos: Chaos, anyio_backend: str) -> None:
    """The test gave up, and called again."""
    del anyio_backend
    await post(chaos.url)
    await post(chaos.url)

    assert groups(chaos) == [[1], [2]]


@pytest.mark.asyncio
@pytest.mark.chaos("ok")
async def test_tasks_and_threads_come_from_no_line(chaos: Chaos) -> None:
    """The test's own frame is not on their stacks."""
    await asyncio.create_task(post(chaos.url))
    await asyncio.gather(post(chaos.url), post(chaos.url))
    await asyncio.to_thread(send)
    thread = threading.Thread(target=send)
    thread.start()
    thread.join()

    assert sites(chaos) == [None] * 5


if sys.version_info >= (3, 12):  # no task starts eagerly before

    @pytest.mark.asyncio
    @pytest.mark.chaos("503, ok")
    async def test_a_client_may_send_from_tasks_that_start_eagerly(chaos: Chaos) -> None:
        """As aiohttp connects: each attempt's task is begun by the same one, and no loop was asked for it."""

        async def client() -> None:
            loop = asyncio.get_running_loop()
            while await asyncio.Task(post(chaos.url), loop=loop, eager_start=True) == 503:
                await asyncio.sleep(1)

        await client()

        assert groups(chaos) == [[1, 2]]
        own = [chaos.trace.lineages[attempt.lineage] for attempt in chaos.attempts]
        assert own[0] is not own[1]
        assert own[0].parent == own[1].parent is not None
