"""Descriptors for clients that do not block: an event loop waits on them, and they show what a real one would.

A socket keeps the number of its own descriptor, under which one end of a pair of sockets, or of a pipe, is put in
place of the connection. So whoever registered it, removes it or closes it deals with a number that is the socket's
own, and a selector that watches it learns of the end of the run as it would of the peer's: the other end is closed.
"""

from __future__ import annotations

import _socket
import errno
import os
import socket
import weakref
from typing import Any

from pytest_retrychaos.clock.workers import running_loop
from pytest_retrychaos.transports.loops import is_closing, let_go
from pytest_retrychaos.transports.seam import Exchange, Unsent

REAL_FILENO = _socket.socket.fileno


def _put_under(sock: socket.socket, descriptor: int) -> int:
    """Let a socket's number stand for a descriptor; one that gave its own away while it could block takes this one."""
    number = REAL_FILENO(sock)
    if number < 0:
        _socket.socket.__init__(sock, sock.family, sock.type, sock.proto, descriptor)
        return descriptor
    os.dup2(descriptor, number, inheritable=False)
    os.close(descriptor)
    return number


class Signal:
    """Readable while it is on, writable always."""

    __slots__ = ("_is_on", "_loop", "_other_end", "number")

    def __init__(self, sock: socket.socket) -> None:
        self._other_end = -1  # there may be no descriptors left
        ours, other = socket.socketpair()
        ours.setblocking(False)
        self._other_end = other.detach()
        self.number = _put_under(sock, ours.detach())
        self._is_on = False
        loop: Any = running_loop()  # Any: an asyncio loop
        self._loop: weakref.ref[Any] | None = None if loop is None else weakref.ref(loop)

    def set(self, *, on: bool) -> None:
        """Switch it."""
        if on == self._is_on or self._other_end < 0:
            return
        self._is_on = on
        if on:
            os.write(self._other_end, b"x")
        else:
            os.read(self.number, 1)

    def close(self) -> None:
        """Give back what is not the socket's own; the socket then finds that its peer has closed."""
        other_end, self._other_end = self._other_end, -1
        if other_end >= 0:
            os.close(other_end)

    @property
    def is_closing(self) -> bool:
        """Whether the client has closed the connection, and its loop has yet to close the socket."""
        loop = self._loop() if self._loop is not None else None
        return loop is not None and is_closing(loop, self.number)

    def hang_up(self) -> None:
        """Let the socket go on for real, without the peer: its loop finds the end, and nothing to read before."""
        self.set(on=False)
        self.close()
        loop = self._loop() if self._loop is not None else None
        if loop is not None:
            let_go(loop, self.number)

    def __del__(self) -> None:
        self.close()


class DeadEnd:
    """A connection that is never made, as a client sees it that does not block.

    Its socket becomes writable when the failure is known, and ``SO_ERROR`` tells it (connect(2)).
    """

    is_readable = is_silent = False
    signal = None

    def __init__(self, exchange: Exchange, unsent: Unsent, sock: socket.socket, host: str, number: int) -> None:
        self._exchange = exchange
        self._unsent: Unsent | None = unsent
        self._error = number
        self._is_known = False
        self.host = host
        self.timeout: float | None = 0.0
        self.is_closed = False
        self._other_end = -1
        # The reading end of a pipe is never writable until the other end hangs up.
        reader, self._other_end = os.pipe()
        _put_under(sock, reader)

    def settle(self) -> None:
        """Let the client know that it failed."""
        self._is_known = True
        other_end, self._other_end = self._other_end, -1
        if other_end >= 0:
            os.close(other_end)

    def option(self, level: int, name: int) -> int:
        """Answer ``getsockopt``."""
        if (level, name) != (socket.SOL_SOCKET, socket.SO_ERROR) or not self._is_known:
            return 0
        self._tell(OSError(self._error, os.strerror(self._error)))
        return self._error

    def close(self) -> None:
        """Close the client's end: where nothing was known yet, its patience was over."""
        if self.is_closed:
            return
        self.is_closed = True
        known = self._is_known
        self.settle()
        self._tell(OSError(self._error, os.strerror(self._error)) if known else TimeoutError("timed out"))

    def _tell(self, error: OSError) -> None:
        unsent, self._unsent = self._unsent, None
        if unsent is not None:
            self._exchange.not_sent(unsent.ticket, error, None)

    def drop_idle(self) -> None:
        """Do nothing: there is no connection."""

    def take_in(self) -> None:
        """Do nothing: how it ends is noted when it does."""

    def meet_silence(self) -> None:
        """Do nothing: the kernel bounds the wait."""

    def receive(self, limit: int, *, peek: bool = False) -> bytes:  # noqa: ARG002 - as of a connection
        raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))

    def send(self, data: object) -> int:  # noqa: ARG002 - as of a connection
        raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))

    def shut_down(self, *, reading: bool, writing: bool) -> None:  # noqa: ARG002 - as of a connection
        raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))
