"""Descriptors for clients that do not block: an event loop waits on them, and they show what a real one would.

A socket keeps the number of its own descriptor, under which an event object or a pipe is put in place of the
connection. So whoever registered it, removes it or closes it deals with a number that is the socket's own.
"""

from __future__ import annotations

import _socket
import errno
import os
import socket

from pytest_retrychaos.transports.seam import Exchange, Unsent

REAL_FILENO = _socket.socket.fileno
REAL_CLOSE = _socket.socket.close


def _number(sock: socket.socket) -> int:
    """Give a socket's descriptor; one that gave its own away while it could block gets another."""
    number = REAL_FILENO(sock)
    if number < 0:
        ours, other = socket.socketpair()
        _socket.socket.__init__(sock, sock.family, sock.type, sock.proto, ours.detach())
        other.close()
        number = REAL_FILENO(sock)
    return number


class Signal:
    """Readable while it is on, writable always."""

    __slots__ = ("_is_on", "number")

    def __init__(self, sock: socket.socket) -> None:
        self.number = _number(sock)
        event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        os.dup2(event, self.number, inheritable=False)
        os.close(event)
        self._is_on = False

    def set(self, *, on: bool) -> None:
        """Switch it."""
        if on == self._is_on:
            return
        self._is_on = on
        if on:
            os.eventfd_write(self.number, 1)
        else:
            os.eventfd_read(self.number)


class DeadEnd:
    """A connection that is never made, as a client sees it that does not block.

    Its socket becomes writable when the failure is known, and ``SO_ERROR`` tells it (connect(2)).
    """

    is_readable = False
    signal = None

    def __init__(self, exchange: Exchange, unsent: Unsent, sock: socket.socket, host: str, number: int) -> None:
        self._exchange = exchange
        self._unsent: Unsent | None = unsent
        self._error = number
        self._is_known = False
        self.host = host
        self.timeout: float | None = 0.0
        self.is_closed = False
        # The reading end of a pipe is never writable until the other end hangs up.
        reader, self._other_end = os.pipe()
        os.dup2(reader, _number(sock), inheritable=False)
        os.close(reader)

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

    def meet_silence(self) -> None:
        """Do nothing: the kernel bounds the wait."""

    def receive(self, limit: int, *, peek: bool = False) -> bytes:  # noqa: ARG002 - as of a connection
        raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))

    def send(self, data: object) -> int:  # noqa: ARG002 - as of a connection
        raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))

    def shut_down(self, *, reading: bool, writing: bool) -> None:  # noqa: ARG002 - as of a connection
        raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))
