"""Mounting a WSGI application (PEP 3333) as the service."""

from __future__ import annotations

import inspect
import io
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from pytest_retrychaos.model import Headers, Request, Response
from pytest_retrychaos.service.handlers import HandlerError, as_response, name_of

App = Callable[..., Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class Mounted:
    """A mounted app: who keeps its keys, and what counts its effects."""

    handler: WsgiHandler
    has_own_keys: bool
    counter: Callable[[], int] | None


def mounted(app: App, idempotency: object, effects: Callable[[], int] | None) -> Mounted:
    """Check what `Service.mount` was given; `TypeError` or `ValueError` names value, rule and way out."""
    _check_app(app)
    if idempotency not in ("ours", "own"):
        raise ValueError(f"mount(idempotency={idempotency!r}): use 'ours' (this service's layer) or 'own'")
    if effects is not None and not callable(effects):
        raise TypeError(f"mount(effects={effects!r}): give a function that returns how many effects there are")
    if idempotency == "own" and effects is None:
        raise ValueError(
            "mount(idempotency='own') needs effects=: a function that returns how many effects the app"
            " has had, else its replays could not be told from new effects"
        )
    return Mounted(WsgiHandler(app), idempotency == "own", effects)


def _check_app(app: object) -> None:
    if not callable(app):
        raise TypeError(f"mount({app!r}): an app is a WSGI callable that takes (environ, start_response)")
    if _is_asgi(app):
        raise TypeError(
            f"mount({name_of(app)}): this is an ASGI app, and only WSGI apps can be mounted;"
            " wrap it (a2wsgi.ASGIMiddleware), or write a route for it"
        )


def _is_asgi(app: Any) -> bool:  # Any: whatever the user gave
    call = app if inspect.isfunction(app) or inspect.ismethod(app) else type(app).__call__
    if inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(call):
        return True
    try:
        parameters = inspect.signature(app).parameters.values()
    except (TypeError, ValueError):
        return False
    required = [
        item
        for item in parameters
        if item.default is item.empty and item.kind in (item.POSITIONAL_ONLY, item.POSITIONAL_OR_KEYWORD)
    ]
    return len(required) == 3 or [item.name for item in required] == ["scope"]


class WsgiHandler:
    """A WSGI application as a handler."""

    def __init__(self, app: App) -> None:
        self._app = app
        self.__qualname__ = name_of(app)

    def __call__(self, request: Request) -> Response:
        """Run the application for one request; what it raises passes through."""
        begun: list[tuple[str, list[tuple[str, str]]]] = []
        written: list[bytes] = []

        def start_response(
            status: str, headers: list[tuple[str, str]], exc_info: Any = None
        ) -> Callable[[bytes], None]:  # Any: sys.exc_info(), as PEP 3333 has it
            if begun and exc_info is None:
                raise HandlerError(f"handler {self.__qualname__}: start_response was called twice")
            begun[:] = [(status, headers)]
            return written.append

        pieces = self._app(_environ(request), start_response)
        try:
            written.extend(pieces)
        finally:
            close = getattr(pieces, "close", None)
            if close is not None:
                close()
        if not begun:
            raise HandlerError(f"handler {self.__qualname__} never called start_response")
        return self._response(*begun[0], b"".join(written))

    def _response(self, status: str, headers: list[tuple[str, str]], body: bytes) -> Response:
        code = status[:3]
        if not code.isdigit():
            raise HandlerError(f"handler {self.__qualname__} gave the status {status!r}: write '200 OK'")
        kept = [pair for pair in headers if pair[0].lower() not in _TRANSPORT]
        return as_response(Response(int(code), Headers(kept), body), self.__qualname__)


_TRANSPORT = frozenset({"content-length", "date", "connection", "transfer-encoding"})
"""Fields that the transport adds."""


def _environ(request: Request) -> dict[str, Any]:  # Any: PEP 3333 has no narrower type
    path, _, query = request.target.partition("?")
    name, _, port = request.host.partition(":")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "RAW_URI": request.target,
        "QUERY_STRING": query,
        "SERVER_NAME": name,
        "SERVER_PORT": port or ("443" if request.scheme == "https" else "80"),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_LENGTH": str(len(request.body)),
        "HTTP_HOST": request.host,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": request.scheme,
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for key in request.headers:
        values = "; " if key == "cookie" else ","
        joined = values.join(request.headers.all(key))
        if key == "content-type":
            environ["CONTENT_TYPE"] = joined
        elif key not in ("content-length", "transfer-encoding", "host"):
            environ["HTTP_" + key.upper().replace("-", "_")] = joined
    return environ
