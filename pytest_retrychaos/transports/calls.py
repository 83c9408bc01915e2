"""One call of a function as an attempt, from the first step that may strike to what its caller gets.

Each call is an attempt (method ``CALL``, host the qualified name, target that behind a ``/``). Where the
service would answer, the function is called; that it returned is the effect. A key that was given as
``idempotency_key`` is remembered: after a success the same key gives the value that was returned, and the
function is not called again.

A ``timeout`` costs what the call's own ``timeout`` argument says, and no time where it has none.
``slow`` and ``drip`` cost their time, up to that deadline. ``stale`` never strikes: there is no connection.

`Carrier` decides; `carry` and `carry_async` wait, and the latter awaits the function in the pauses that the
exchange makes before it asks for the answer.
"""

from __future__ import annotations

import inspect
import json
import math
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Generator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

from pytest_retrychaos.model import SECOND, Headers, Outcome, Request, Response, Wire
from pytest_retrychaos.service import Service
from pytest_retrychaos.service.brought import RaisesError, unanswered
from pytest_retrychaos.transports.arguments import plain
from pytest_retrychaos.transports.channel import Waiting
from pytest_retrychaos.transports.seam import Exchange, Ticket

if TYPE_CHECKING:
    from pytest_retrychaos.transports.function import Errors

_RESULT = "Call-Result"
"""Header of the recorded answer: the number of the value that was returned."""

_WORDS = {
    Wire.SILENCE: "timeout",
    Wire.RESET: "reset",
    Wire.EOF: "eof",
    Wire.REFUSED: "refuse",
    Wire.NO_NAME: "dns",
    Wire.NO_HANDSHAKE: "connect-timeout",
    Wire.NO_TLS: "tls",
    Wire.TRUNCATED: "truncate",
    Wire.GARBAGE: "garbage",
}

Steps = Generator[int | None, None, int]
"""Moments to wait for (virtual ns), or ``None`` where the function is about to be asked; the value's number at last."""


class Results:
    """What functions have returned in a run, by numbers that no earlier one on the same store has used."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._values: list[Any] = []  # Any: whatever they are

    @property
    def _first(self) -> int:
        return len(self._service.remembered)  # every returned value was an effect

    def add(self, value: Any) -> int:  # Any: whatever a function returned
        """Keep a value; give its number."""
        self._values.append(value)
        return self._first + len(self._values) - 1

    def has(self, number: int) -> bool:
        """Whether a value is of this run."""
        return number >= self._first

    def get(self, number: int) -> Any:  # Any: as above
        """Give a value that was kept."""
        return self._values[number - self._first]


class Call:
    """One call of a function: the answerer of its request."""

    is_awaited = False

    def __init__(self, call: Callable[[], Any], name: str, results: Results) -> None:  # Any: what it returns
        self._call = call
        self._name = name
        self._results = results

    def answer(self, request: Request) -> Response:  # noqa: ARG002 - the arguments are in the call
        """Call the function; the answer tells where its value is kept."""
        try:
            value = self._call()
        except Exception as error:  # the caller is to see it, whatever it is
            raise RaisesError(error) from error
        if inspect.isawaitable(value):
            if inspect.iscoroutine(value):
                value.close()
            raise RaisesError(
                TypeError(f"chaos.faulty({self._name}): it returned an awaitable; make it an async function")
            )
        number = self._results.add(value)
        fields = [("Content-Type", "application/json"), (_RESULT, str(number))]
        return Response(200, Headers(fields), json.dumps(plain(value), sort_keys=True).encode())

    def raised(self, error: Exception) -> None:
        """Do nothing: the outcome tells it."""


class Awaited:
    """One call of an async function: awaited before the service asks, as often as it will."""

    is_awaited = True

    def __init__(self, call: Callable[[], Awaitable[Any]], name: str, results: Results) -> None:  # Any: what it gives
        self._start = call
        self._ended: deque[tuple[Any, Exception | None]] = deque()  # Any: as above
        self._call = Call(self._end, name, results)

    async def run(self) -> None:
        """Await the function, once."""
        try:
            self._ended.append((await self._start(), None))
        except Exception as error:  # the caller is to see it, once the service has noted it
            self._ended.append((None, error))

    def _end(self) -> Any:  # Any: as above
        value, error = self._ended.popleft()
        if error is not None:
            raise error
        return value

    def answer(self, request: Request) -> Response:
        """Tell what the function gave when it was awaited."""
        return self._call.answer(request)

    def raised(self, error: Exception) -> None:
        """Do nothing: the outcome tells it."""


class Carrier:
    """Decides, step by step, how one call goes through the exchange."""

    def __init__(
        self, exchange: Exchange, clock: Waiting, errors: Errors, deadline: float | None, request: Request
    ) -> None:
        self._exchange = exchange
        self._clock = clock
        self._errors = errors
        self._deadline = deadline
        self._request = request
        self._until = math.inf if deadline is None else clock.now_ns + round(deadline * SECOND)

    def steps(self, call: Call | Awaited) -> Steps:
        """Give the number of the value that the caller gets, or raise what it gets.

        Closed in between, it notes that the caller waits no longer.
        """
        request = self._request
        yield from self._connect(request.host)
        ticket = self._exchange.arriving(replace(request, body=b"", answerer=call), reused=False)
        ticket.waits(self._deadline)
        try:
            outcome = yield from self._exchange.carrying(ticket, request.body)
            if outcome is None:
                yield from self._wait(ticket, self._exchange.awaited(ticket))
                outcome = self._exchange.decided(ticket)
            return (yield from self._render(ticket, outcome))
        except GeneratorExit:
            ticket.was_closed()
            raise

    def _connect(self, name: str) -> Generator[int, None, None]:
        """Let the steps strike that strike before anything is sent."""
        exchange = self._exchange
        unsent = exchange.resolving(name) or exchange.connecting(name, 0, self._deadline) or exchange.securing(name)
        if unsent is None:
            return
        error = self._errors.of_fault(_WORDS[unsent.wire])
        try:
            if unsent.wire is Wire.NO_HANDSHAKE and self._deadline is not None:
                yield int(self._until)
        finally:
            exchange.not_sent(unsent.ticket, error, self._deadline)
        raise error

    def _render(self, ticket: Ticket, outcome: Outcome) -> Generator[int, None, int]:
        yield from self._wait(ticket, self._clock.now_ns + outcome.delay_ns)
        if outcome.wire is Wire.SILENCE:
            yield from self._time_out(ticket)
        if outcome.wire is not Wire.ANSWER:
            self._fail(ticket, self._errors.of_fault(_WORDS[outcome.wire]))
        response = outcome.response
        assert response is not None
        own = unanswered(outcome)
        if own is not None:
            ticket.was_told(own)
            raise own
        if response.status >= 300:
            ticket.saw_headers()
            ticket.saw_all()
            raise self._errors.of_status(response, self._exchange.wall_ns() / SECOND)
        yield from self._wait(ticket, self._clock.now_ns + outcome.spread_ns)
        ticket.saw_headers()
        ticket.saw_all()
        return int(response.headers[_RESULT])

    def _wait(self, ticket: Ticket, until_ns: int) -> Generator[int, None, None]:
        if until_ns > self._until:
            yield from self._time_out(ticket)
        yield until_ns

    def _time_out(self, ticket: Ticket) -> Generator[int, None, NoReturn]:
        if self._deadline is not None:
            yield int(self._until)
        self._fail(ticket, self._errors.of_fault("timeout"))

    def _fail(self, ticket: Ticket, error: BaseException) -> NoReturn:
        ticket.saw_error(error, timeout=self._deadline)
        raise error


def carry(carrier: Carrier, call: Call, clock: Waiting) -> int:
    """Carry a call out: the function is called by the service itself."""
    steps = carrier.steps(call)
    try:
        while True:
            until_ns = next(steps)
            if until_ns is not None:
                clock.wait_until(until_ns)
    except StopIteration as end:
        return int(end.value)


async def carry_async(carrier: Carrier, call: Awaited, clock: Waiting) -> int:
    """Carry a call of an async function out, in the caller's own task."""
    steps = carrier.steps(call)
    try:
        while True:
            until_ns = next(steps)
            if until_ns is None:
                await call.run()
            elif until_ns <= clock.now_ns:
                clock.wait_until(until_ns)
            else:
                await _sleeper()((until_ns - clock.now_ns) / SECOND)
    except StopIteration as end:
        return int(end.value)
    finally:
        steps.close()


def _sleeper() -> Callable[[float], Awaitable[None]]:
    """Give the sleep of the library whose event loop runs here."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None and asyncio._get_running_loop() is not None and asyncio.current_task() is not None:
        return asyncio.sleep  # type: ignore[no-any-return]  # a module that is looked up by name
    return sys.modules["trio"].sleep  # type: ignore[no-any-return]  # the same
