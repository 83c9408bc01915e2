"""Who is at the other end of a real socket: a thread on virtual time, or somebody outside.

Between two threads of the test the kernel delivers at once, so that a look tells all. Only what comes from
outside needs real time.
"""

from __future__ import annotations

import _socket
from collections.abc import Callable
from typing import Any

_OWN = vars(_socket.socket)
_PEER: Callable[[Any], Any] = _OWN["getpeername"]  # Any: a socket and its address
_LOCAL: Callable[[Any], Any] = _OWN["getsockname"]  # Any: as above
_OPTION: Callable[..., int] = _OWN["getsockopt"]
_SET_OPTION: Callable[..., None] = _OWN["setsockopt"]
_INET = (_socket.AF_INET, _socket.AF_INET6)

Address = tuple[str, Any]  # Any: a port or a path


def _address(sock: Any, name: Any) -> Address | None:  # Any: a socket and what names one end of it
    if sock.family in _INET:
        return "port", name[1]
    return ("path", name) if name else None


class Peers:
    """The ends that threads on virtual time hold."""

    def __init__(self) -> None:
        self._served: dict[int, Address] = {}
        """By the identity of a listening socket: where it listens."""
        self._dialled: set[Address] = set()
        """The near ends of connections that were opened here."""
        self._asking: set[int] = set()
        """By identity: datagram sockets on which something was sent."""

    def serve(self, sock: Any) -> None:  # Any: a socket of whatever class
        """Note that a thread on virtual time listens here."""
        address = _address(sock, _LOCAL(sock))
        if address is not None:
            self._served[id(sock)] = address  # in place of one that was dropped unclosed, and had this identity

    def dial(self, sock: Any) -> None:  # Any: as above
        """Note that a thread on virtual time connects from here."""
        if sock.family in _INET:
            self._dialled.add(("port", _LOCAL(sock)[1]))

    def ask(self, sock: Any) -> None:  # Any: as above
        """Note that something was sent: on a datagram socket an answer may come from anywhere."""
        if sock.type == _socket.SOCK_DGRAM:
            self._asking.add(id(sock))

    def forget(self, sock: Any) -> None:  # Any: as above
        """Take back what was noted of a socket that is being closed."""
        self._served.pop(id(sock), None)
        self._asking.discard(id(sock))

    def is_outside(self, sock: Any) -> bool:  # Any: as above
        """Whether what a socket receives comes from outside."""
        try:
            peer = _address(sock, _PEER(sock))
        except OSError:
            return id(sock) in self._asking  # a datagram socket hears everyone
        if peer is None:  # one of a pair
            return False
        return peer not in self._dialled and peer not in self._served.values()

    def is_request(self, sock: Any) -> bool:  # Any: as above
        """Whether what is sent on a socket goes outside and may be answered."""
        if sock.type != _socket.SOCK_STREAM or not self.is_outside(sock):
            return False
        return _address(sock, _LOCAL(sock)) not in self._served.values()


def is_listening(sock: Any) -> bool:  # Any: a socket of whatever class
    """Whether connections are accepted on it."""
    return _OPTION(sock, _socket.SOL_SOCKET, _socket.SO_ACCEPTCONN) != 0


def deliver_at_once(sock: Any) -> None:  # Any: as above
    """Keep the kernel from holding small pieces back for 40 ms (Nagle's algorithm and delayed ACKs)."""
    if sock.family in _INET and sock.type == _socket.SOCK_STREAM:
        _SET_OPTION(sock, _socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)


def borrow(number: int) -> Any:  # Any: a socket
    """Make a socket over a descriptor, to ask about it; `OSError` where that is no socket. ``detach`` it after use."""
    default = _socket.getdefaulttimeout()
    _socket.setdefaulttimeout(None)  # else the descriptor itself would be made non-blocking
    try:
        return _socket.socket(fileno=number)
    finally:
        _socket.setdefaulttimeout(default)
