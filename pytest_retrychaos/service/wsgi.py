"""Mounting a WSGI application (PEP 3333) as the service."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import unquote_to_bytes

from pytest_retrychaos.model import Headers, Request, Response
from pytest_retrychaos.service.handlers import HandlerError, as_response, name_of, read_fields

App = Callable[..., Iterable[bytes]]


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
        return self._response(request, *begun[0], b"".join(written))

    def _response(self, request: Request, status: str, headers: list[tuple[str, str]], body: bytes) -> Response:
        code = status[:3] if isinstance(status, str) else ""
        if not (code.isascii() and code.isdigit()):
            raise HandlerError(f"handler {self.__qualname__} gave the status {status!r}: write '200 OK'")
        kept = [pair for pair in read_fields(headers, self.__qualname__) if is_kept(pair[0], request)]
        return as_response(Response(int(code), Headers(kept), body), self.__qualname__)


_FROM_TRANSPORT = frozenset({"content-length", "date", "connection", "transfer-encoding"})


def is_kept(name: str, request: Request) -> bool:
    """Tell whether a header field is an app's to send; the others the transport adds.

    Without a body to measure, as under HEAD, the app alone knows its length.
    """
    lower = name.lower()
    return lower not in _FROM_TRANSPORT or (lower == "content-length" and request.method == "HEAD")


def server_of(request: Request) -> tuple[str, int]:
    """Give the name and the port that a request was sent to."""
    host = request.host
    name, _, port = host.rpartition(":")
    if not port.isdigit() or (":" in name and not name.endswith("]")):
        name, port = host, ""
    return name, int(port or (443 if request.scheme == "https" else 80))


def _environ(request: Request) -> dict[str, Any]:  # Any: PEP 3333 has no narrower type
    path, _, query = request.target.partition("?")
    name, port = server_of(request)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "RAW_URI": request.target,
        "QUERY_STRING": query,
        "SERVER_NAME": name,
        "SERVER_PORT": str(port),
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
