"""Attempts that failed before a request could be sent have no path: they belong to what follows in the same call."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor

import aiohttp
import anyio
import httpx
import pytest
import requests

from pytest_retrychaos import Chaos
from tests.unit.record.wire import groups, reasons, send, sends


@pytest.mark.parametrize("fault", ["refuse", "dns", "connect-timeout"])
def test_an_attempt_that_was_not_sent_joins_the_next_of_its_call(chaos: Chaos, fault: str) -> None:
    """Whatever kept it from being sent."""
    chaos.script(f"{fault}, ok")

    sends({}, {}, wait=1)

    assert groups(chaos) == [[1, 2]]
    assert reasons(chaos) == ["began", "not sent"]
    assert chaos.operations[0].name == "POST /payments"
    assert chaos.waits == [1.0]


def test_several_in_a_row_join(chaos: Chaos) -> None:
    """A chain that ends with a request."""
    chaos.script("refuse x3, ok")

    sends({}, {}, {}, {})

    assert groups(chaos) == [[1, 2, 3, 4]]
    assert chaos.operations[0].name == "POST /payments"


def test_several_in_a_row_that_nothing_follows_are_one(chaos: Chaos) -> None:
    """A call that never got through."""
    chaos.script("refuse x3")

    sends({}, {}, {})

    assert groups(chaos) == [[1, 2, 3]]
    assert chaos.operations[0].name == "service.test (nothing was sent)"
    assert chaos.operations[0].attempts[0].method is None


def test_in_the_middle_of_an_operation_it_belongs_to_it(chaos: Chaos) -> None:
    """Failed, refused, and carried out at last."""
    chaos.script("503, refuse, ok")

    sends({}, {}, {})

    assert groups(chaos) == [[1, 2, 3]]
    assert reasons(chaos) == ["began", "not sent", "retry"]


def test_at_the_end_of_an_operation_it_belongs_to_it(chaos: Chaos) -> None:
    """A client that gave up after its retry was refused did retry."""
    chaos.script("503, refuse")

    sends({}, {})

    assert groups(chaos) == [[1, 2]]
    assert chaos.operations[0].name == "POST /payments"


@pytest.mark.parametrize("status", [400, 401, 404, 422])
def test_after_a_refusal_it_is_an_operation_by_itself(chaos: Chaos, status: int) -> None:
    """What was refused for good is not asked again: a compensation could not connect, for all that is known."""
    chaos.script(f"{status}, refuse x2")

    with chaos.operation("order 7"):
        sends({}, {"path": "/cancellations"}, {"path": "/cancellations"}, wait=1)

    assert groups(chaos) == [[1], [2, 3]]


def test_a_refusal_that_is_sent_again_takes_what_was_refused_in_between(chaos: Chaos) -> None:
    """The request that got through tells whose retry it was."""
    chaos.script("400, refuse, ok")

    sends({}, {}, {}, wait=1)

    assert groups(chaos) == [[1, 2, 3]]


def test_after_a_loop_that_had_waited_what_comes_at_once_is_an_operation_by_itself(chaos: Chaos) -> None:
    """Three attempts were all it had; then its compensation could not connect."""
    chaos.script("503 x3, refuse x2")

    with chaos.operation("order 7"):
        for wait in (1, 1, 0, 1, 0):
            send()
            time.sleep(wait)

    assert groups(chaos) == [[1, 2, 3], [4, 5]]


def test_what_follows_tells_that_it_belonged_to_another_request(chaos: Chaos) -> None:
    """The first was given up; what was refused was the second."""
    chaos.script("503, refuse, ok")

    sends({}, {"path": "/refunds"}, {"path": "/refunds"})

    assert groups(chaos) == [[1], [2, 3]]
    assert [operation.name for operation in chaos.operations] == ["POST /payments", "POST /refunds"]


def test_an_earlier_operation_takes_what_was_refused_before_it_goes_on(chaos: Chaos) -> None:
    """Another request in between, to another host."""
    chaos.script("503, ok, refuse, ok")

    sends({}, {"host": "log.test", "path": "/log"}, {}, {})

    assert groups(chaos) == [[1, 3, 4], [2]]


def test_after_a_success_it_belongs_to_the_next_request(chaos: Chaos) -> None:
    """What was done is done."""
    chaos.script("ok, refuse, ok")

    sends({}, {}, {})

    assert groups(chaos) == [[1], [2, 3]]


def test_from_another_call_it_is_an_operation_by_itself(chaos: Chaos) -> None:
    """The test gave up, and called again."""
    chaos.script("refuse, ok")

    send()
    send()

    assert groups(chaos) == [[1], [2]]
    assert [operation.name for operation in chaos.operations] == ["service.test (nothing was sent)", "POST /payments"]


def test_each_call_of_a_loop_is_a_call_of_its_own(chaos: Chaos) -> None:
    """A batch that goes on after one customer could not be reached."""
    chaos.script("refuse x2, ok")

    for number in range(3):
        send(body=f'{{"customer":{number}}}')

    assert groups(chaos) == [[1], [2], [3]]


def test_a_comprehension_of_the_test_is_a_loop(chaos: Chaos) -> None:
    """Whether it has a frame of its own or not."""
    chaos.script("refuse x4, ok*")

    _ = [send() for _ in range(2)]
    assert all(send() is None for _ in range(2))

    assert groups(chaos) == [[1], [2], [3], [4]]


def test_within_one_scope_calls_join(chaos: Chaos) -> None:
    """The test said that it is one operation."""
    chaos.script("refuse x2, ok")

    with chaos.operation("order 7"):
        send()
        send()
        send()

    assert groups(chaos) == [[1, 2, 3]]
    assert [operation.name for operation in chaos.operations] == ["order 7"]


def test_from_another_scope_it_is_an_operation_by_itself(chaos: Chaos) -> None:
    """Even within one call."""
    chaos.script("refuse, ok")

    def client() -> None:
        with chaos.operation("order 7"):
            send()
        with chaos.operation("order 8"):
            send()

    client()

    assert groups(chaos) == [[1], [2]]
    assert [operation.name for operation in chaos.operations] == ["order 7", "order 8"]


def test_to_another_host_it_is_an_operation_by_itself(chaos: Chaos) -> None:
    """Nothing was sent that could be compared."""
    chaos.script("refuse, ok")

    sends({"host": "a.test"}, {"host": "b.test"})

    assert groups(chaos) == [[1], [2]]


def test_what_was_refused_at_each_of_two_hosts_joins_there(chaos: Chaos) -> None:
    """One call, two hosts, both refused at first."""
    chaos.script("refuse x2, ok, ok")
    a, b = {"host": "a.test", "path": "/a"}, {"host": "b.test", "path": "/b"}

    sends(a, b, a, b)

    assert groups(chaos) == [[1, 3], [2, 4]]


def test_reading_the_record_in_the_middle_of_a_call_changes_nothing(chaos: Chaos) -> None:
    """A client that looks at the attempts between two of them."""
    chaos.script("refuse, ok")

    def client() -> None:
        send()
        assert groups(chaos) == [[1]]
        send()

    client()

    assert groups(chaos) == [[1, 2]]


def test_a_retry_in_a_scope_leaves_the_names_of_others_alone(chaos: Chaos) -> None:
    """Names count operations, each once."""
    chaos.script("503, refuse, ok, ok")

    with chaos.operation("order 7"):
        sends({}, {}, {}, {"path": "/mail"})

    assert groups(chaos) == [[1, 2, 3], [4]]
    assert [operation.name for operation in chaos.operations] == ["order 7", "order 7/2"]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize(
    ("script", "reasons_"),
    [
        ("refuse x3, ok", ["began", "not sent", "not sent", "not sent"]),
        ("503, refuse x3, ok", ["began", "not sent", "not sent", "not sent", "retry"]),
        ("refuse x3", ["began", "not sent", "not sent"]),
        ("503, refuse x3", ["began", "not sent", "not sent", "not sent"]),
    ],
)
def test_each_attempt_to_connect_may_be_a_task_of_its_own(
    chaos: Chaos, backend: str, script: str, reasons_: list[str]
) -> None:
    """As anyio makes them: each ends before the next is begun."""
    chaos.script(script, strict=False)

    async def client() -> None:
        async with httpx.AsyncClient(timeout=5) as session:
            for _ in reasons_:
                with contextlib.suppress(httpx.HTTPError):
                    await session.post(chaos.url + "/payments", json={"amount": 1})
                await anyio.sleep(1)

    anyio.run(client, backend=backend)

    assert groups(chaos) == [list(range(1, len(reasons_) + 1))]
    assert reasons(chaos) == reasons_


@pytest.mark.parametrize(
    ("script", "reasons_"),
    [
        ("503, refuse x2", ["began", "not sent", "not sent"]),
        ("refuse x2, ok", ["began", "not sent", "not sent"]),
        ("refuse, 503, refuse, ok", ["began", "not sent", "not sent", "retry"]),
    ],
)
def test_who_connects_and_who_writes_may_be_two_tasks(chaos: Chaos, script: str, reasons_: list[str]) -> None:
    """As in aiohttp: a task of its own writes the request, the caller's connects."""
    chaos.script(script)

    async def client(url: str) -> None:
        async with aiohttp.ClientSession() as session:
            for _ in reasons_:
                with contextlib.suppress(aiohttp.ClientError):
                    await (await session.post(url, json={"amount": 1})).read()
                await asyncio.sleep(1)

    asyncio.run(chaos.call_async(client, chaos.url + "/payments"))

    assert groups(chaos) == [list(range(1, len(reasons_) + 1))]
    assert reasons(chaos) == reasons_


@pytest.mark.parametrize(
    "script", ["503, refuse x3", "refuse, 503, refuse x2", "503, refuse, 503, refuse", "reset, dns x3"]
)
@pytest.mark.parametrize("depth", [0, 1, 2])
@pytest.mark.parametrize("kind", ["httpx", "aiohttp", "thread"])
def test_each_attempt_may_be_a_task_in_tasks(chaos: Chaos, kind: str, depth: int, script: str) -> None:
    """Deadlines around each attempt, and none gets through any more: it was retried, and given up."""
    chaos.script(script)

    async def get() -> None:
        if kind == "thread":
            await asyncio.to_thread(requests.get, f"{chaos.url}/rates", timeout=5)
        elif kind == "httpx":
            async with httpx.AsyncClient() as client:
                await client.get(f"{chaos.url}/rates")
        else:
            async with aiohttp.ClientSession() as session, session.get(f"{chaos.url}/rates") as answer:
                await answer.read()

    async def client() -> None:
        for number in range(4):
            attempt: Awaitable[None] = get()
            for _ in range(depth):
                attempt = asyncio.ensure_future(_awaited(attempt))
            with contextlib.suppress(requests.ConnectionError, httpx.TransportError, aiohttp.ClientError):
                await attempt
            await asyncio.sleep(2**number)

    async def main() -> None:
        await asyncio.gather(client())

    asyncio.run(main())

    assert groups(chaos) == [list(range(1, len(chaos.attempts) + 1))]
    chaos.verify()


async def _awaited(attempt: Awaitable[None]) -> None:
    await attempt


def test_what_is_moved_to_an_operation_stands_where_it_began(chaos: Chaos) -> None:
    """Of a batch one was refused, and one failed later: whichever comes first may be either's retry."""
    chaos.script("refuse, timeout, ok")
    with ThreadPoolExecutor(2) as pool:
        for _ in range(2):
            list(pool.map(lambda _: send(method="GET", body=None), range(2)))
            time.sleep(1)

    for operation in chaos.operations:
        indexes = [attempt.index for attempt in operation.attempts]
        assert indexes == sorted(indexes)


def test_tasks_side_by_side_that_cannot_connect_are_operations_of_their_own(chaos: Chaos) -> None:
    """All were begun before the first was refused."""
    chaos.script("refuse x3")

    async def client() -> None:
        async with httpx.AsyncClient(timeout=5) as session:
            await session.post(chaos.url + "/payments", json={"amount": 1})

    async def main() -> None:
        await asyncio.gather(*(client() for _ in range(3)), return_exceptions=True)

    asyncio.run(main())

    assert groups(chaos) == [[1], [2], [3]]


def test_in_a_thread_what_was_not_sent_joins_the_next(chaos: Chaos) -> None:
    """A thread is begun by one call, though the test's own frame is not on its stack."""
    chaos.script("refuse x2, ok")

    thread = threading.Thread(target=sends, args=({}, {}, {}), kwargs={"wait": 1})
    thread.start()
    thread.join()

    assert groups(chaos) == [[1, 2, 3]]


def connects(waits: list[float]) -> None:
    """Send as often as there are waits, each followed by one."""
    for number, wait in enumerate(waits):
        send(body=f'{{"attempt":{number}}}')
        time.sleep(wait)


def test_waiting_that_begins_anew_begins_an_operation(chaos: Chaos) -> None:
    """The client gave one customer up and went on to the next at once."""
    chaos.script("refuse x6, ok")

    connects([1, 2, 0, 1, 2, 0, 0])

    assert groups(chaos) == [[1, 2, 3], [4, 5, 6], [7]]


@pytest.mark.parametrize("waits", [[0, 0, 0, 0], [0, 1, 2, 0], [1, 1, 1, 1]])
def test_waiting_that_goes_on_does_not(chaos: Chaos, waits: list[float]) -> None:
    """None at all, a first retry at once, and a steady wait are one loop."""
    chaos.script("refuse x3, ok")

    connects(waits)

    assert groups(chaos) == [[1, 2, 3, 4]]


def test_a_loop_that_waits_once_and_then_no_more_is_one(chaos: Chaos) -> None:
    """What begins anew and never waits is seen as what it is."""
    chaos.script("refuse x5, ok")

    connects([1, 0, 0, 0, 0, 0])

    assert groups(chaos) == [[1, 2], [3, 4, 5, 6]]
