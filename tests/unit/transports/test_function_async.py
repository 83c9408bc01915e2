"""Async functions that meet the script call by call."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
import trio

from pytest_retrychaos.chaos import Chaos
from pytest_retrychaos.clock.errors import Refused
from pytest_retrychaos.transports.function import BrokenAnswerError, StatusError
from pytest_retrychaos.views import LawsBroken


@pytest.fixture
def run() -> Iterator[Chaos]:
    with Chaos() as chaos:
        yield chaos


class Queue:
    """What a test would wrap: it notes its calls, takes a second of time for each, and returns their number."""

    def __init__(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self.calls: list[object] = []
        self._sleep = sleep

    async def put(
        self,
        item: object,
        *,
        timeout: float | None = None,  # noqa: ARG002 - read by whoever wraps it
        idempotency_key: str | None = None,  # noqa: ARG002 - the same
    ) -> int:
        """Put an item in."""
        await self._sleep(1)
        self.calls.append(item)
        return len(self.calls)

    async def __call__(self, item: object) -> int:
        """Put an item in."""
        return await self.put(item)


FAULTS: dict[str, type[Exception]] = {
    "timeout": TimeoutError,
    "reset": ConnectionResetError,
    "eof": ConnectionAbortedError,
    "refuse": ConnectionRefusedError,
    "dns": socket.gaierror,
    "connect-timeout": TimeoutError,
    "tls": ssl.SSLError,
    "truncate": BrokenAnswerError,
    "garbage": BrokenAnswerError,
    "down=3s": ConnectionRefusedError,
    "503": StatusError,
}


@pytest.mark.parametrize(("step", "expected"), FAULTS.items(), ids=FAULTS)
def test_a_fault_raises_what_it_raises_in_a_plain_function(run: Chaos, step: str, expected: type[Exception]) -> None:
    """Whether the function was awaited is told by the fault table."""
    run.script(step)
    queue = Queue()
    with pytest.raises(expected):
        asyncio.run(run.faulty(queue.put)(1))
    assert run.attempts[0].fault == step
    assert len(queue.calls) == len(run.ledger) == (1 if step in ("truncate", "garbage") else 0)


@pytest.mark.parametrize(
    "make", [lambda queue: queue.put, lambda queue: queue, lambda queue: functools.partial(queue.put)]
)
def test_any_async_callable_can_be_wrapped(run: Chaos, make: Callable[[Queue], Any]) -> None:
    """Methods, objects and partials; the wrapped one is an async function, too."""
    put = run.faulty(make(Queue()))
    assert inspect.iscoroutinefunction(put)
    assert asyncio.run(put("a")) == 1
    assert (len(run.ledger), run.clock.elapsed) == (1, 1)


def test_trio_awaits_it_too(run: Chaos) -> None:
    """The waits are those of the library whose loop runs."""
    run.script("slow=3s, timeout, ok")
    put = run.faulty(Queue(trio.sleep).put)

    async def main() -> int:
        assert await put("a") == 1
        with contextlib.suppress(TimeoutError):
            await put("b", timeout=5)
        return await put("b", timeout=5)

    assert trio.run(main) == 2
    assert run.clock.elapsed == pytest.approx(1 + 3 + 5 + 1)


def test_it_is_awaited_though_the_answer_is_lost(run: Chaos) -> None:
    """What retries without a key puts it in twice, and is told so."""
    run.script("reset after-commit, ok")
    put = run.faulty(Queue().put)

    async def main() -> int:
        try:
            return await put("a")
        except ConnectionResetError:
            return await put("a")

    assert asyncio.run(main()) == 2
    assert [attempt.committed for attempt in run.attempts] == [True, True]
    assert len(run.operations) == 1
    with pytest.raises(LawsBroken, match="ID01, ID04 broken"):
        run.verify()


def test_the_same_key_gives_the_same_value(run: Chaos) -> None:
    """The function is not awaited again."""
    run.script("timeout after-commit, ok")
    queue = Queue()
    put = run.faulty(queue.put)

    async def main() -> int:
        with contextlib.suppress(TimeoutError):
            await put("a", timeout=5, idempotency_key="k")
        await asyncio.sleep(1)
        return await put("a", timeout=5, idempotency_key="k")

    assert asyncio.run(main()) == 1
    assert queue.calls == ["a"]
    run.verify()


def test_a_key_is_in_flight_while_the_function_is_awaited(run: Chaos) -> None:
    """A second call with it is turned away as by a real service."""
    put = run.faulty(Queue().put)

    async def main() -> list[object]:
        calls = [put("a", idempotency_key="k") for _ in range(2)]
        return await asyncio.gather(*calls, return_exceptions=True)

    first, second = asyncio.run(main())
    assert first == 1
    assert isinstance(second, StatusError)
    assert second.status == 409


def test_calls_side_by_side_wait_side_by_side(run: Chaos) -> None:
    """A fault's time is the task's own: the loop goes on."""
    run.script("timeout x2, slow=5s")
    put = run.faulty(Queue().put)

    async def main() -> list[object]:
        return await asyncio.gather(*[put(item, timeout=8) for item in range(3)], return_exceptions=True)

    told = asyncio.run(main())
    assert [type(one) for one in told].count(TimeoutError) == 2
    assert len(run.operations) == 3
    assert run.clock.elapsed == pytest.approx(8)


def test_a_duplicate_awaits_it_twice(run: Chaos) -> None:
    """As the network would deliver it."""
    run.script("duplicate")
    queue = Queue()
    assert asyncio.run(run.faulty(queue.put)("a")) == 1
    assert (queue.calls, len(run.ledger)) == (["a", "a"], 2)


def test_what_the_function_raises_is_raised(run: Chaos) -> None:
    """It has had no effect."""

    async def refuse() -> None:
        raise LookupError("no such queue")

    with pytest.raises(LookupError, match="no such queue"):
        asyncio.run(run.faulty(refuse)())
    assert run.ledger == ()


def test_a_deadline_around_it_is_the_clients_timeout(run: Chaos) -> None:
    """The function is cancelled, has no effect, and its key is free again."""
    put = run.faulty(Queue().put)

    async def main() -> int:
        try:
            async with asyncio.timeout(0.5):
                return await put("a", idempotency_key="k")
        except TimeoutError:
            await asyncio.sleep(1)
            return await put("a", idempotency_key="k")

    assert asyncio.run(run.call_async(main)) == 1
    assert [attempt.committed for attempt in run.attempts] == [False, True]
    assert run.attempts[0].error == "timeout: closed by the client while the service was silent"
    assert run.waits == [1.0]
    run.verify()


def test_a_connect_timeout_that_is_cut_short_has_ended(run: Chaos) -> None:
    """It was not sent, whoever gave up first."""
    run.script("connect-timeout")

    async def main() -> None:
        async with asyncio.timeout(1):
            await run.faulty(Queue().put)("a", timeout=5)

    with pytest.raises(TimeoutError):
        asyncio.run(main())
    assert run.attempts[0].ended == 1


def test_what_would_come_later_is_refused(run: Chaos) -> None:
    """Nobody would await it once its caller has given up."""
    run.script("slow=3s before-commit", strict=False)
    with pytest.raises(Refused, match=r"`slow=3s before-commit` cannot strike Queue\.put, an async function"):
        asyncio.run(run.faulty(Queue().put)("a"))
