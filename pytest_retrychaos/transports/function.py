"""A function that meets the script call by call: for what does not go over HTTP.

What is raised for each fault, and which functions can be wrapped; how a call is carried out: see `calls`.
"""

from __future__ import annotations

import errno
import functools
import inspect
import socket
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, ParamSpec, TypeVar, cast

from pytest_retrychaos.engine.retry_after import retry_after
from pytest_retrychaos.faults.errors import nearest
from pytest_retrychaos.model import Response
from pytest_retrychaos.service.handlers import takes
from pytest_retrychaos.transports import greeting
from pytest_retrychaos.transports.arguments import as_request, deadline_of, name_of
from pytest_retrychaos.transports.calls import Awaited, Call, Carrier, Results, carry, carry_async
from pytest_retrychaos.transports.channel import Waiting, os_error
from pytest_retrychaos.transports.seam import Exchange

P = ParamSpec("P")
R = TypeVar("R")

ErrorSource = BaseException | type[BaseException] | Callable[[], BaseException]
"""An exception, its class, or a function that makes it."""


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


def faulty(
    fn: Callable[P, R], errors: Mapping[str, ErrorSource], exchange: Exchange, clock: Waiting, results: Results
) -> Callable[P, R]:
    """Wrap a function so that every call of it is an attempt that meets the script; an async one is awaited.

    ``errors`` maps a fault's word (``timeout``, ``reset``, ``503``, ``5xx``) to an exception, its class or a
    function without arguments that makes it; of the others see `DEFAULTS` and `StatusError`. What the function
    itself raises is raised as it is.

    Raises `TypeError` for what is no function, or makes a generator; `ValueError` for a word that is no fault.
    """
    _check_function(fn)
    made = Errors(errors)
    name = name_of(fn)

    def carrier(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Carrier:  # Any: as the caller gives it
        return Carrier(exchange, clock, made, deadline_of(fn, args, kwargs), as_request(fn, args, kwargs))

    @functools.wraps(fn, updated=("__dict__",) if inspect.isroutine(fn) else ())
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        __tracebackhide__ = True
        number = carry(carrier(args, kwargs), Call(lambda: fn(*args, **kwargs), name, results), clock)
        return cast("R", _value(results, number, exchange))

    @functools.wraps(fn, updated=("__dict__",) if inspect.isroutine(fn) else ())
    async def awaited(*args: P.args, **kwargs: P.kwargs) -> Any:  # Any: what the function's own result gives
        __tracebackhide__ = True
        call = Awaited(lambda: cast("Awaitable[Any]", fn(*args, **kwargs)), name, results)
        number = await carry_async(carrier(args, kwargs), call, clock)
        return _value(results, number, exchange)

    return cast("Callable[P, R]", awaited) if _is_async(fn) else wrapped


def _value(results: Results, number: int, exchange: Exchange) -> Any:  # Any: whatever a function returned
    if not results.has(number):
        raise exchange.refuse(
            "a call with this idempotency key returned in an earlier run, and a store file keeps no Python values: "
            "use a new key, or a store in memory"
        )
    return results.get(number)


def _called(fn: object) -> object:
    """Give what is called where an object is: its own method, or the function that it is."""
    is_itself = inspect.isroutine(fn) or isinstance(fn, functools.partial | type)
    return fn if is_itself else type(fn).__call__


def _is_async(fn: object) -> bool:
    return inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(_called(fn))


def _check_function(fn: object) -> None:
    if not callable(fn):
        raise TypeError(f"chaos.faulty({fn!r}): give a function; what it returned cannot meet a script any more")
    for is_kind, kind in (
        (inspect.isasyncgenfunction, "an async generator function"),
        (inspect.isgeneratorfunction, "a generator function"),
    ):
        if is_kind(fn) or is_kind(_called(fn)):
            raise TypeError(
                f"chaos.faulty({name_of(fn)}): this is {kind}, which does nothing yet when it is called; "
                "wrap the plain function inside that does the work"
            )


class Errors:
    """Which exception stands for which fault."""

    def __init__(self, given: Mapping[str, ErrorSource]) -> None:
        if not isinstance(given, Mapping):
            raise TypeError(f"errors={given!r}: give a mapping of words to errors, as in {{'timeout': TimeoutError}}")
        for word, source in given.items():
            _check_word(word)
            if not _makes_errors(source):
                raise TypeError(
                    f"errors[{word!r}] = {source!r}: give an exception, its class, or a function of nothing that "
                    "makes it; a class that needs arguments in a lambda"
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


def _makes_errors(source: object) -> bool:
    """Whether it is an exception, or gives one when it is called, as far as that can be told."""
    if isinstance(source, type):
        return issubclass(source, BaseException) and takes(source)
    return isinstance(source, BaseException) or (callable(source) and takes(source))


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
