"""Mounting an ASGI application (ASGI 3.0, HTTP 2.4) as the service.

The app lives in an event loop of its own, on real time; only the wall clock that it reads is the run's. Its
answer is taken when its call has ended, background tasks included, and as a whole. A client never leaves in
between: ``http.disconnect`` comes after the answer alone.
"""

from __future__ import annotations

import asyncio
import inspect
import weakref
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from pytest_retrychaos.model import Headers, Request, Response
from pytest_retrychaos.service.apploop import AppLoop, NoAnswer
from pytest_retrychaos.service.backstage import Backstage
from pytest_retrychaos.service.handlers import HandlerError, RaisedAfterAnswer, as_response
from pytest_retrychaos.service.lifespan import Lifespan
from pytest_retrychaos.service.wsgi import is_kept, server_of

Message = Mapping[str, Any]
"""What is sent and received: each kind has keys of its own."""

CLIENT = ("127.0.0.1", 50_000)
"""The address that every request comes from."""


class AsgiHandler:
    """An ASGI application as a handler. It starts up at once; `HandlerError` where it cannot."""

    def __init__(self, app: Any, name: str, backstage: Backstage, seconds: float) -> None:  # Any: an ASGI app
        self._app = app
        self._seconds = seconds
        self.__qualname__ = name
        self._lifespan = Lifespan(app, name)
        self._loop = AppLoop(f"chaos app {name}", backstage)
        self._forget = weakref.finalize(self, self._loop.abandon)  # of a run that never began, nobody closes it
        self._forget.atexit = False
        try:
            self._loop.run(self._lifespan.start, seconds)
        except BaseException as error:
            self._forget()
            if isinstance(error, NoAnswer):
                raise self._unfinished("its lifespan's startup has not ended", error) from None
            raise

    def __call__(self, request: Request) -> Response:
        """Run the application for one request; what it raises passes through."""
        call = Call(request)
        try:
            return self._loop.run(lambda: self._answer(call), self._seconds)
        except NoAnswer as late:
            raise self._unfinished(f"{call.progress} {request.method} {request.path}", late) from None
        except (Exception, KeyboardInterrupt):
            raise
        except BaseException as error:
            raise HandlerError(f"app {self.__qualname__} raised {type(error).__name__}: {error}") from error

    def close(self) -> None:
        """Let the app shut down and end its thread; harmless when done twice.

        `HandlerError` where that fails or takes too long.
        """
        if self._forget.detach() is None:
            return
        try:
            self._loop.run(self._lifespan.stop, self._seconds)
        except NoAnswer as late:
            raise self._unfinished("its lifespan's shutdown has not ended", late) from None
        finally:
            self._end()

    def _end(self) -> None:
        try:
            self._loop.stop(self._seconds)
        except NoAnswer as late:
            raise HandlerError(
                f"app {self.__qualname__}: its thread did not end with the run: it is at {late}; "
                "let what it runs be cancelled"
            ) from None

    def _unfinished(self, what: str, late: NoAnswer) -> HandlerError:
        return HandlerError(
            f"app {self.__qualname__}: {what} within {self._seconds:g} s of real time: it is at {late}. "
            "If it only takes longer, mount(…, answer_within=seconds)"
        )

    async def _answer(self, call: Call) -> Response:
        name = self.__qualname__
        running = self._app(call.scope(self._lifespan.state), call.receive, call.send)
        if not inspect.isawaitable(running):
            raise HandlerError(f"app {name} returned {running!r:.200}: an ASGI app returns an awaitable")
        try:
            await running
        except Exception as error:
            if call.is_complete:
                raise RaisedAfterAnswer(call.response(name)) from error
            raise
        return call.response(name)


class Call:
    """One request's messages: what the app receives, and the answer that it sends."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._was_received = False
        self._start: Message | None = None
        self._pieces: list[bytes] = []
        self._completed = asyncio.Event()

    @property
    def is_complete(self) -> bool:
        """Whether the app has sent its whole answer."""
        return self._completed.is_set()

    @property
    def progress(self) -> str:
        """How far the app has come, in words that a method and a path follow."""
        if self.is_complete:
            return "it answered, and still runs (a background task?), for"
        return "it has not answered" if self._start is None else "it began and has not ended its answer to"

    def scope(self, state: Mapping[str, Any]) -> dict[str, Any]:  # Any: as the specification has it
        """Describe the connection, as the specification asks."""
        request = self._request
        path, _, query = request.target.partition("?")
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": request.method.upper(),
            "scheme": request.scheme,
            "path": unquote_to_bytes(path).decode("utf-8", "replace"),
            "raw_path": path.encode("latin-1", "replace"),
            "query_string": query.encode("latin-1", "replace"),
            "root_path": "",
            "headers": self._headers(),
            "client": CLIENT,
            "server": server_of(request),
            "state": dict(state),
            "extensions": {},
        }

    def _headers(self) -> list[tuple[bytes, bytes]]:
        pairs = self._request.headers.pairs
        if "host" not in self._request.headers:
            pairs = (("host", self._request.host), *pairs)
        return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in pairs]

    async def receive(self) -> Message:
        """Give the request's body, and once the answer is complete, the disconnection."""
        if not self._was_received:
            self._was_received = True
            return {"type": "http.request", "body": self._request.body, "more_body": False}
        await self._completed.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Take a part of the answer; `HandlerError` where it is not its turn."""
        kind = message["type"]
        expected = "http.response.start" if self._start is None else "http.response.body"
        if self.is_complete or kind != expected:
            turn = "nothing: the answer is complete" if self.is_complete else repr(expected)
            raise HandlerError(f"the app sent {kind!r} where ASGI expects {turn}")
        if self._start is None:
            self._start = message
            return
        self._pieces.append(bytes(message.get("body", b"")))
        if not message.get("more_body", False):
            self._completed.set()

    def response(self, name: str) -> Response:
        """Make the answer of what was sent; `HandlerError` where it is none."""
        if self._start is None:
            raise HandlerError(f"app {name} returned without an answer: it sent no 'http.response.start'")
        if not self.is_complete:
            raise HandlerError(f"app {name} returned without the end of its answer: the last body has more_body=False")
        body = b"".join(self._pieces)
        try:
            pairs = [(_text(key), _text(value)) for key, value in self._start.get("headers", ())]
        except (TypeError, ValueError, AttributeError):
            given = self._start.get("headers")
            raise HandlerError(f"app {name} sent the headers {given!r:.200}: they are pairs of bytes") from None
        kept = [pair for pair in pairs if is_kept(pair[0], self._request)]
        return as_response(Response(self._start.get("status", 0), Headers(kept), body), name)


def _text(value: bytes) -> str:
    return value.decode("latin-1")
