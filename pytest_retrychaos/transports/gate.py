"""The listening sockets of the loopback server, and the ways in which they let no one in.

``open``: connections are taken. ``held``: the queue of each is full, so that a client's SYN gets no answer and it
waits, where `Knocks` sees it. ``shut``: nobody listens, and whoever sends a SYN is refused; the port stays ours.
"""

from __future__ import annotations

import contextlib
import enum
import errno
import socket
from collections.abc import Iterator

BACKLOG = 512
TRIES = 20
"""Free ports tried until one is free for every address."""

EVERY = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""Addresses that stand for all, and by which this machine reaches itself then."""


class Door(enum.Enum):
    """What a client meets that connects."""

    OPEN = "open"
    HELD = "held"
    SHUT = "shut"


class Gate:
    """Listening sockets of one port on every address of a host."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.sockets = _listening(host, port)
        self.port: int = self.sockets[0].getsockname()[1]
        self.door = Door.OPEN
        self._fillers: list[socket.socket] = []

    @property
    def address(self) -> str:
        """An address by which a client on this machine reaches it."""
        own: str = self.sockets[0].getsockname()[0]
        return EVERY.get(own, own)

    def accept(self, listener: socket.socket) -> Iterator[socket.socket]:
        """Give the connections that wait at a socket."""
        while self.door is Door.OPEN:
            try:
                connection, _ = listener.accept()
            except OSError:  # none is left, or the client has gone
                return
            yield connection

    def open(self) -> None:
        """Take connections."""
        if self.door is Door.OPEN:
            return
        if self.door is Door.HELD:
            self._empty()
        for sock in self.sockets:
            sock.listen(BACKLOG)
        self.door = Door.OPEN

    def hold(self) -> list[socket.socket]:
        """Let clients wait for an answer; give the connections that were there before."""
        if self.door is Door.HELD:
            return []
        earlier = []
        for sock in self.sockets:
            sock.listen(0)
            while not self._fill(sock):
                with contextlib.suppress(BlockingIOError):
                    earlier.append(sock.accept()[0])
        self.door = Door.HELD
        return earlier

    def shut(self) -> None:
        """Refuse whoever connects."""
        for sock in self.sockets:
            with contextlib.suppress(OSError):  # shut already
                sock.shutdown(socket.SHUT_RD)
        self._close_fillers()
        self.door = Door.SHUT

    def close(self) -> None:
        """Give the port back."""
        for sock in self.sockets:
            sock.close()
        self._close_fillers()

    def _fill(self, listener: socket.socket) -> bool:
        """Take the one place in a queue; whether it was free."""
        host, port = listener.getsockname()[:2]
        filler = socket.socket(listener.family)
        filler.setblocking(False)
        number = filler.connect_ex((EVERY.get(host, host), port))
        if number in (0, errno.EINPROGRESS) and _is_connected(filler):
            self._fillers.append(filler)
            return True
        filler.close()
        return False

    def _empty(self) -> None:
        """Take our own connections out of the queues."""
        for sock in self.sockets:
            with contextlib.suppress(OSError):
                sock.accept()[0].close()
        self._close_fillers()

    def _close_fillers(self) -> None:
        while self._fillers:
            self._fillers.pop().close()


def _is_connected(sock: socket.socket) -> bool:
    try:
        sock.getpeername()
    except OSError:
        return False
    return True


def _listening(host: str, port: int) -> list[socket.socket]:
    """Listen on both of localhost's addresses, or on the one that was named."""
    if host != "localhost":
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return [_bound(family, host, port or _free_port(family, host))]
    for tries_left in reversed(range(TRIES)):
        first = _bound(socket.AF_INET, "127.0.0.1", port or _free_port(socket.AF_INET, "127.0.0.1"))
        try:
            return [first, _bound(socket.AF_INET6, "::1", first.getsockname()[1])]
        except OSError as error:
            if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):  # a machine without IPv6
                return [first]
            first.close()
            if port or not tries_left:
                raise
    raise AssertionError("the last try returns or raises")


def _free_port(family: int, host: str) -> int:
    """Find a port: only one that was bound by its number stays ours while the gate is shut."""
    with socket.socket(family) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def _bound(family: int, host: str, port: int) -> socket.socket:
    sock = socket.socket(family)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host, port))
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock
