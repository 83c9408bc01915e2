"""A function that meets the script call by call: for what does not go over HTTP.

Each call is an attempt (method ``CALL``, host the qualified name, target that behind a ``/``). Where the
service would answer, the function is called; that it returned is the effect. A key that was given as
``idempotency_key`` is remembered: after a success the same key gives the value that was returned, and the
function is not called again.

A ``timeout`` costs what the call's own ``timeout`` argument says, and no time where it has none.
``slow`` and ``drip`` cost their time, up to that deadline. ``stale`` never strikes: there is no connection.
"""

from __future__ import annotations

import errno
import functools
import inspect
import json
import math
import socket
from collections.abc import Callable, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any, NoReturn, ParamSpec, TypeVar, cast

from pytest_retrychaos.engine.retry_after import retry_after
from pytest_retrychaos.faults.errors import nearest
from pytest_retrychaos.model import SECOND, Headers, Outcome, Request, Response, Wire
from pytest_retrychaos.service import Service
from pytest_retrychaos.service.brought import RaisesError, unanswered
from pytest_retrychaos.transports import greeting
from pytest_retrychaos.transports.arguments import as_request, deadline_of, name_of, plain
from pytest_retrychaos.transports.channel import Waiting, os_error
from pytest_retrychaos.transports.seam import Exchange, Ticket

P = ParamSpec("P")
R = TypeVar("R")

ErrorSource = BaseException | type[BaseException] | Callable[[], BaseException]
"""An exception, its class, or a function that makes it."""

_RESULT = "Call-Result"
"""Header of the recorded answer: the number of the value that was returned."""


class StatusError(Exception):
    """Raised by a faulty function for a scripted status.

    ``status`` is the number, ``headers`` those of the step, ``retry_after`` the seconds that ``Retry-After``
    asks for, ``None`` where it asks for nothing readable.
    """

    def __init__(self, status: int, headers: Mapping[str, str], retry_after: float | None) -> None:
        phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else "Unknown"
        super().__init__(f"{status} {phrase}")
        self.status = status
        self.headers = headers
        self.retry_after = retry_after


class BrokenAnswerError(Exception):
    """Raised by a faulty function for ``truncate`` and ``garbage``: it was called, but what came back is unreadable."""


DEFAULTS: dict[str, Callable[[], BaseException]] = {
    "timeout": lambda: TimeoutError("timed out"),
    "reset": lambda: os_error(errno.ECONNRESET),
    # A ConnectionError, as http.client's RemoteDisconnected is, that can be told from a reset.
    "eof": lambda: os_error(errno.ECONNABORTED),
    "refuse": lambda: os_error(errno.ECONNREFUSED),
    "dns": lambda: socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
    "connect-timeout": lambda: os_error(errno.ETIMEDOUT),
    "tls": greeting.handshake_failure,
    "truncate": lambda: BrokenAnswerError("the answer ended too early"),
    "garbage": lambda: BrokenAnswerError("the answer cannot be read"),
}
"""What is raised for each fault that is no status."""

CLASSES = ("3xx", "4xx", "5xx")

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


def faulty(
    fn: Callable[P, R], errors: Mapping[str, ErrorSource], exchange: Exchange, clock: Waiting, results: Results
) -> Callable[P, R]:
    """Wrap a function so that every call of it is an attempt that meets the script.

    ``errors`` maps a fault's word (``timeout``, ``reset``, ``503``, ``5xx``) to an exception, its class or a
    function without arguments that makes it; of the others see `DEFAULTS` and `StatusError`. What the function
    itself raises is raised as it is.

    Raises `TypeError` for what is no plain function, `ValueError` for a word that is no fault.
    """
    _check_function(fn)
    made = Errors(errors)

    @functools.wraps(fn, updated=("__dict__",) if inspect.isroutine(fn) else ())
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        __tracebackhide__ = True
        call = Call(lambda: fn(*args, **kwargs), name_of(fn), results)
        carrier = _Carrier(exchange, clock, made, deadline_of(fn, args, kwargs))
        number = carrier.carry(as_request(fn, args, kwargs), call)
        if not results.has(number):
            raise exchange.refuse(
                "a call with this idempotency key returned in an earlier run, and a store file keeps no Python values: "
                "use a new key, or a store in memory"
            )
        return cast("R", results.get(number))

    return wrapped


def _check_function(fn: object) -> None:
    if not callable(fn):
        raise TypeError(f"chaos.faulty({fn!r}): give a function; what it returned cannot meet a script any more")
    call = fn if inspect.isroutine(fn) or isinstance(fn, functools.partial | type) else type(fn).__call__
    for is_kind, kind in (
        (inspect.iscoroutinefunction, "an async function"),
        (inspect.isasyncgenfunction, "an async generator function"),
        (inspect.isgeneratorfunction, "a generator function"),
    ):
        if is_kind(fn) or is_kind(call):
            raise TypeError(
                f"chaos.faulty({name_of(fn)}): this is {kind}, which does nothing yet when it is called; "
                "wrap the plain function inside that does the work"
            )


class Errors:
    """Which exception stands for which fault."""

    def __init__(self, given: Mapping[str, ErrorSource]) -> None:
        for word, source in given.items():
            _check_word(word)
            if not isinstance(source, BaseException) and not callable(source):
                raise TypeError(
                    f"errors[{word!r}] = {source!r}: give an exception, its class, or a function that makes it"
                )
        self._given = dict(given)

    def of_fault(self, word: str) -> BaseException:
        """Make the exception for a fault that is no status."""
        return self._make(word) if word in self._given else DEFAULTS[word]()

    def of_status(self, response: Response, now: float) -> BaseException:
        """Make the exception for a status; ``now`` is the wall clock in epoch seconds."""
        for word in (str(response.status), f"{response.status // 100}xx"):
            if word in self._given:
                return self._make(word)
        asked = retry_after(response.headers.pairs, now=now)
        return StatusError(response.status, response.headers, None if asked is None else asked.seconds)

    def _make(self, word: str) -> BaseException:
        source = self._given[word]
        if isinstance(source, BaseException):
            return source.with_traceback(None)
        made = source()
        if not isinstance(made, BaseException):
            raise TypeError(f"errors[{word!r}] made {made!r}, which is no exception: return one")
        return made


def _check_word(word: object) -> None:
    if isinstance(word, str) and (word in DEFAULTS or word in CLASSES):
        return
    if isinstance(word, str) and word.isascii() and word.isdecimal() and 300 <= int(word) <= 599:
        return
    hint = nearest(str(word), (*DEFAULTS, *CLASSES, *map(str, HTTPStatus)))
    raise ValueError(
        f"errors={{{word!r}: …}} names no fault that raises{hint or '.'} "
        f"The words are {', '.join(DEFAULTS)}, a status such as '503', and '4xx' or '5xx'"
    )


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
    """One call of the function: the answerer of its request."""

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
                TypeError(f"chaos.faulty({self._name}): it returned an awaitable; wrap the plain function inside")
            )
        number = self._results.add(value)
        fields = [("Content-Type", "application/json"), (_RESULT, str(number))]
        return Response(200, Headers(fields), json.dumps(plain(value), sort_keys=True).encode())

    def raised(self, error: Exception) -> None:
        """Do nothing: the outcome tells it."""


class _Carrier:
    """Carries one call through the exchange, on virtual time."""

    def __init__(self, exchange: Exchange, clock: Waiting, errors: Errors, deadline: float | None) -> None:
        self._exchange = exchange
        self._clock = clock
        self._errors = errors
        self._deadline = deadline
        self._until = math.inf if deadline is None else clock.now_ns + round(deadline * SECOND)

    def carry(self, request: Request, call: Call) -> int:
        """Give the number of the value that the caller gets, or raise what it gets."""
        self._connect(request.host)
        head = replace(request, body=b"", answerer=call)
        ticket = self._exchange.arriving(head, reused=False)
        ticket.waits(self._deadline)
        outcome = self._exchange.arrived(ticket, request.body)
        if outcome is None:
            self._wait(ticket, self._exchange.awaited(ticket))
            outcome = self._exchange.decided(ticket)
        return self._render(ticket, outcome)

    def _connect(self, name: str) -> None:
        """Let the steps strike that strike before anything is sent."""
        exchange = self._exchange
        unsent = exchange.resolving(name) or exchange.connecting(name, 0, self._deadline) or exchange.securing(name)
        if unsent is None:
            return
        if unsent.wire is Wire.NO_HANDSHAKE and self._deadline is not None:
            self._clock.wait_until(int(self._until))
        error = self._errors.of_fault(_WORDS[unsent.wire])
        exchange.not_sent(unsent.ticket, error, self._deadline)
        raise error

    def _render(self, ticket: Ticket, outcome: Outcome) -> int:
        self._wait(ticket, self._clock.now_ns + outcome.delay_ns)
        if outcome.wire is Wire.SILENCE:
            self._time_out(ticket)
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
        self._wait(ticket, self._clock.now_ns + outcome.spread_ns)
        ticket.saw_headers()
        ticket.saw_all()
        return int(response.headers[_RESULT])

    def _wait(self, ticket: Ticket, until_ns: int) -> None:
        if until_ns > self._until:
            self._time_out(ticket)
        self._clock.wait_until(until_ns)

    def _time_out(self, ticket: Ticket) -> NoReturn:
        if self._deadline is not None:
            self._clock.wait_until(int(self._until))
        self._fail(ticket, self._errors.of_fault("timeout"))

    def _fail(self, ticket: Ticket, error: BaseException) -> NoReturn:
        ticket.saw_error(error, timeout=self._deadline)
        raise error
