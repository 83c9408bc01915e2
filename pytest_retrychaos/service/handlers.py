"""What a user's handler returns, made into an answer; anything else is the handler's fault, by name."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pytest_retrychaos.model import Headers, Request, Response

Handler = Any
"""``Callable[[Request], Response | JSON | (status, JSON) | (status, JSON, headers)]``: JSON has no type."""

FAILED = Response.json({"error": {"code": "internal_error", "message": "Internal server error."}}, 500)
"""What a client sees of a handler that failed."""

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
"""What a header's name is (RFC 9110, 5.6.2)."""
_WAY_OUT = "return a Response, a JSON value, (status, value) or (status, value, headers)"


class HandlerError(Exception):
    """A handler returned what is no answer; the message names the handler, the value and the rule."""


class RaisedAfterAnswer(Exception):
    """An app raised, as its ``__cause__`` says, after it had given a whole answer."""

    def __init__(self, response: Response) -> None:
        super().__init__("the app raised after its answer")
        self.response = response


def call_handler(handler: Handler, request: Request) -> Response:
    """Run a handler; what it raises passes through, what it returns is checked (`HandlerError`)."""
    name = name_of(handler)
    response = as_response(handler(request), name)
    if request.answerer is None and request.method != "HEAD" and response.status not in (204, 304):
        _check_length(response, name)
    return response


def takes(function: Callable[..., object], *arguments: object) -> bool:
    """Whether a function can be called so, as far as it tells."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # a built-in that does not say
        return True
    try:
        signature.bind(*arguments)
    except TypeError:
        return False
    return True


def _check_length(response: Response, name: str) -> None:
    """Refuse a length that is not the body's: a client would wait for the rest, and be blamed for that."""
    length = response.headers.by_name.get("content-length")
    if length is not None and length != str(len(response.body)):
        raise _fault(
            name,
            f"a Content-Length of {length!r} and a body of {len(response.body)} bytes",
            "leave it out, the length is added; `truncate` is the fault that breaks it",
        )


def name_of(handler: object) -> str:
    """Name a handler as its author would."""
    name = getattr(handler, "__qualname__", None) or type(handler).__qualname__
    return str(name).replace(".<locals>", "")


def as_response(value: Any, name: str) -> Response:  # Any: whatever a handler returned
    """Make an answer of what the handler called ``name`` returned."""
    if isinstance(value, Response):
        _check_status(value.status, name)
        if not isinstance(value.headers, Headers):
            raise _fault(
                name, f"a Response with headers {value.headers!r}", "make it by Response.json or Response.text"
            )
        if not isinstance(value.body, bytes):
            raise _fault(name, f"a Response with the body {value.body!r}", "the body is bytes")
        _check_fields(value.headers.pairs, name)
        return value
    if inspect.iscoroutine(value):
        value.close()
        raise _fault(name, "a coroutine", "a handler is a plain function; write def, not async def")
    if not isinstance(value, tuple):
        return Response(200, _JSON, _encoded(value, name))
    if len(value) not in (2, 3):
        raise _fault(name, repr(value), f"a tuple has two or three parts; {_WAY_OUT}")
    status, content = value[0], value[1]
    _check_status(status, name)
    fields = read_fields(value[2], name) if len(value) == 3 else ()
    if content is None or status in (204, 304):
        if content is not None:
            raise _fault(name, repr(value), f"a {status} has no body; return ({status}, None)")
        return Response(status, Headers(fields))
    body = _encoded(content, name)
    typed = any(key.lower() == "content-type" for key, _ in fields)
    return Response(status, Headers(fields if typed else (*_JSON.pairs, *fields)), body)


_JSON = Headers([("Content-Type", "application/json")])


def _fault(name: str, what: str, rule: str) -> HandlerError:
    return HandlerError(f"handler {name} returned {what}: {rule}")


def _check_status(status: object, name: str) -> None:
    if not isinstance(status, int) or isinstance(status, bool) or not 200 <= status <= 599:
        raise _fault(name, f"the status {status!r}", "a status is a whole number from 200 to 599")


def _encoded(value: object, name: str) -> bytes:
    try:
        return json.dumps(value, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise _fault(name, f"{value!r:.200}", f"not JSON ({error}); {_WAY_OUT}") from error


def read_fields(given: Any, name: str) -> tuple[tuple[str, str], ...]:  # Any: whatever a handler returned
    """Read the headers that the handler called ``name`` gave; `HandlerError` where they are none."""
    if isinstance(given, Headers):
        given = given.pairs
    pairs = given.items() if isinstance(given, Mapping) else given
    if not isinstance(pairs, Iterable) or isinstance(pairs, str | bytes):
        raise _fault(name, f"the headers {given!r}", "headers are a mapping, or pairs of name and value")
    found = tuple(pairs)
    if not all(isinstance(pair, tuple | list) and len(pair) == 2 for pair in found):
        raise _fault(name, f"the headers {given!r}", "headers are a mapping, or pairs of name and value")
    _check_fields(found, name)
    return tuple([(key, value) for key, value in found])


def _check_fields(pairs: Iterable[tuple[object, object]], name: str) -> None:
    for key, value in pairs:
        if not isinstance(key, str) or not TOKEN.match(key):
            raise _fault(name, f"the header name {key!r}", "a name is letters, digits and !#$%&'*+.^_`|~-")
        if not isinstance(value, str) or any(letter in value for letter in "\r\n\0"):
            raise _fault(name, f"the header {key}: {value!r}", "a value is a str without CR, LF or NUL")
        try:
            value.encode("latin-1")
        except UnicodeEncodeError as error:
            raise _fault(name, f"the header {key}: {value!r}", "a value is Latin-1 text") from error
