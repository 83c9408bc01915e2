"""What is registered with ``responses``, as the service's own answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING, Any

from pytest_retrychaos.model import Headers, Outcome, Request, Response, Wire
from pytest_retrychaos.service.brought import RaisesError, unanswered
from pytest_retrychaos.transports.seam import Exchange, Ticket

if TYPE_CHECKING:
    import requests

_FRAMING = frozenset({"content-length", "connection", "keep-alive"})
"""Fields of a registered answer that the simulated connection decides."""


class ClientIsToldError(BaseException):
    """Carries the mock's exception past the client's layers to where the mock was called, as it would go.

    It is no `Exception`: those layers would take it for a failure of theirs, wrap it and retry.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class Interception:
    """One request that a mock has intercepted, with all its tries: the answerer.

    ``ask`` gives the registered answer to the request with the body that arrived; it raises what the mock
    raises.
    """

    is_awaited = False

    def __init__(self, ask: Callable[[bytes], requests.Response]) -> None:
        self._ask = ask
        self._given: list[tuple[Response, requests.Response]] = []
        self._error: Exception | None = None
        self.intact: requests.Response | None = None
        """The mock's own object, if that is what the last try got, unharmed."""

    def begin(self) -> None:
        """Note that a try has arrived."""
        self._given.clear()
        self._error = self.intact = None

    def answer(self, request: Request) -> Response:
        """Answer as the service's handler."""
        try:
            own = self._ask(request.body)
        except Exception as error:  # whatever a mock or a matcher raises is the client's to see
            raise RaisesError(error) from error
        response = on_wire(own, request.method)
        self._given.append((response, own))
        return response

    def raised(self, error: Exception) -> None:
        """Note that the mock raised."""
        self._error = error

    def end(self, outcome: Outcome) -> Exception | None:
        """Note how the try ended; give the mock's exception where no fault hides it from the client."""
        response = outcome.response
        for sent, own in self._given[:1]:
            if outcome.wire is Wire.ANSWER and response is sent:
                self.intact = own
        if not self._given and response is not None and response.status < 300:
            return self._error  # a 2xx step too has no answer to give that status to
        return unanswered(outcome)


def on_wire(own: requests.Response, method: str) -> Response:
    """Write a mock's answer as a server would send it, and leave the object as if unread."""
    from urllib3 import HTTPResponse

    raw = own.raw
    unread: object = vars(own)["_content"]  # private: False unless a callback has put a body in place
    if unread is False:
        raw.enforce_content_length = False
        body = raw.read(decode_content=False) or b""
        own.raw = HTTPResponse(
            BytesIO(body),
            headers=raw.headers,
            status=raw.status,
            reason=raw.reason,
            preload_content=False,
            original_response=raw._original_response,
            request_method=method,
        )
    else:
        body = own.content or b""
    left_out = set() if method == "HEAD" else set(_FRAMING)
    if unread is not False:
        left_out.add("content-encoding")
    kept = [(name, value) for name, value in _fields(own) if name.lower() not in left_out]
    return Response(own.status_code, Headers(kept), body)


def _fields(own: requests.Response) -> list[tuple[str, str]]:
    """List header fields: repeats as registered, what a callback changed as it left it."""
    registered: dict[str, list[tuple[str, str]]] = {}
    for name, value in own.raw.headers.items():
        registered.setdefault(_text(name).lower(), []).append((_text(name), _text(value)))
    found: list[tuple[str, str]] = []
    for given, text in own.headers.items():
        name, value = _text(given), _text(text)
        repeats = registered.get(name.lower(), [])
        is_unchanged = ", ".join(each for _, each in repeats) == value
        found += repeats if is_unchanged and repeats else [(name, value)]
    return found


def _text(value: object) -> str:
    """Give a header's text as it travels: one character a byte."""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    text = str(value)
    return text if text.isascii() else text.encode().decode("latin-1")


class MockedExchange:
    """An exchange that knows which interception a request belongs to.

    ``under_way`` gives the one whose tries are being sent, if any; ``wait`` lets nanoseconds pass.
    """

    def __init__(
        self,
        exchange: Exchange,
        under_way: Callable[[], Interception | None],
        wait: Callable[[int], None],
    ) -> None:
        self._exchange = exchange
        self._under_way = under_way
        self._wait = wait

    def __getattr__(self, name: str) -> Any:  # Any: whatever the exchange has there
        return getattr(self._exchange, name)

    def arriving(self, head: Request, *, reused: bool) -> Ticket:
        """Take an attempt, with its interception."""
        interception = self._under_way()
        head = head if interception is None else replace(head, answerer=interception)
        return self._exchange.arriving(head, reused=reused)

    def arrived(self, ticket: Ticket, body: bytes) -> Outcome | None:
        """Carry out a request; what the mock raises goes to the client unless a fault strikes."""
        interception = self._under_way()
        if interception is None:
            return self._exchange.arrived(ticket, body)
        interception.begin()
        outcome = self._exchange.arrived(ticket, body)
        if outcome is not None:
            self._end(interception, ticket, outcome)
        return outcome

    def decided(self, ticket: Ticket) -> Outcome:
        """Give a postponed answer."""
        outcome = self._exchange.decided(ticket)
        interception = self._under_way()
        if interception is not None:
            self._end(interception, ticket, outcome)
        return outcome

    def _end(self, interception: Interception, ticket: Ticket, outcome: Outcome) -> None:
        error = interception.end(outcome)
        if error is not None:
            self._wait(outcome.delay_ns)
            ticket.was_told(error)
            raise ClientIsToldError(error)
