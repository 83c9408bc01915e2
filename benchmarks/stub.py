"""The cheapest thing a client can talk to: a socket object that answers at once with a canned response.

It is the floor of the comparison: what the unmodified client itself costs.
"""

from __future__ import annotations

import io
import os
import socket

BODY = b'{"id":"pay_0000000000000001","object":"payment","amount":10,"currency":"USD","status":"succeeded"}'
ANSWER = (
    b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nDate: Tue, 01 Jan 2030 00:00:00 GMT\r\n"
    b"Content-Length: %d\r\n\r\n" % len(BODY)
) + BODY


class StubSocket:
    """What urllib3, http.client and httpcore need of a socket."""

    _never, _end = os.pipe()

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._waiting = b""

    def sendall(self, data: bytes, flags: int = 0) -> None:
        self._waiting = self._answer

    def send(self, data: bytes, flags: int = 0) -> int:
        self._waiting = self._answer
        return len(data)

    def recv(self, limit: int, flags: int = 0) -> bytes:
        data, self._waiting = self._waiting[:limit], self._waiting[limit:]
        return data

    def recv_into(self, buffer: memoryview, limit: int = 0, flags: int = 0) -> int:
        data = self.recv(limit or len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def makefile(self, *_: object, **__: object) -> io.BufferedReader:
        return io.BufferedReader(_Raw(self))

    def fileno(self) -> int:
        return self._never

    def settimeout(self, timeout: float | None) -> None: ...
    def setsockopt(self, *_: object) -> None: ...
    def shutdown(self, how: int) -> None: ...
    def close(self) -> None: ...


class _Raw(io.RawIOBase):
    def __init__(self, sock: StubSocket) -> None:
        self._socket = sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # as io documents it
        return self._socket.recv_into(buffer)


class Stubbed:
    """Let every connection be a stub, for as long as a ``with`` block lasts."""

    def __init__(self, answer: bytes = ANSWER, kind: type[StubSocket] = StubSocket) -> None:
        self._answer, self._kind = answer, kind

    def __enter__(self) -> None:
        import urllib3.util.connection

        self._real = socket.create_connection, urllib3.util.connection.create_connection
        socket.create_connection = lambda *_, **__: self._kind(self._answer)  # type: ignore[assignment, return-value]
        urllib3.util.connection.create_connection = lambda *_, **__: self._kind(self._answer)  # type: ignore[assignment]

    def __exit__(self, *_: object) -> None:
        import urllib3.util.connection

        socket.create_connection, urllib3.util.connection.create_connection = self._real
