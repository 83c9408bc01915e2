"""What each method of a socket does where the socket stands for a simulated connection.

Signatures are those of ``socket.socket``, whose methods these replace.
"""

from __future__ import annotations

import errno
import functools
import os
import socket
from collections.abc import Callable
from typing import Any

from pytest_retrychaos.transports.channel import Channel, os_error
from pytest_retrychaos.transports.signals import DeadEnd

PEEK = int(socket.MSG_PEEK)

LOCAL = ("10.255.255.1", 49152)
"""What a simulated socket calls its own address."""

REAL: dict[str, Any] = {  # Any: methods of many signatures
    name: getattr(socket.socket, name)
    for name in (
        "connect",
        "connect_ex",
        "recv",
        "recv_into",
        "recvfrom",
        "recvfrom_into",
        "recvmsg",
        "send",
        "sendall",
        "sendto",
        "sendmsg",
        "settimeout",
        "gettimeout",
        "setblocking",
        "getblocking",
        "getpeername",
        "getsockname",
        "fileno",
        "detach",
        "shutdown",
        "setsockopt",
        "getsockopt",
        "_real_close",
        "dup",
    )
}
"""The methods as they were before anything was patched."""


def real_now() -> dict[str, Any]:  # Any: as above
    """Give the methods that real sockets have now: under virtual time they wait by it."""
    return {name: getattr(socket.socket, name) for name in REAL}


def _receive_into(channel: Channel, buffer: Any, limit: int = 0, flags: int = 0) -> int:  # Any: a buffer
    view = memoryview(buffer)
    if view.format != "B" or view.ndim != 1:
        view = view.cast("B")
    content = channel.receive(limit or len(view), peek=bool(flags & PEEK))
    view[: len(content)] = content
    return len(content)


def _set_timeout(channel: Channel, timeout: float | None) -> None:
    if timeout is not None:
        timeout = float(timeout)
        if timeout < 0:
            raise ValueError("Timeout value out of range")
    channel.timeout = timeout


def _shutdown(channel: Channel, how: int) -> None:
    if how not in (socket.SHUT_RD, socket.SHUT_WR, socket.SHUT_RDWR):
        raise os_error(errno.EINVAL)
    channel.shut_down(reading=how != socket.SHUT_WR, writing=how != socket.SHUT_RD)


def _send_all(channel: Channel, data: Any, flags: int = 0) -> None:  # Any: a buffer
    channel.send(data)


SIMULATED: dict[str, Callable[..., Any]] = {
    "recv": lambda channel, limit, flags=0: channel.receive(limit, peek=bool(flags & PEEK)),
    "recv_into": _receive_into,
    "recvfrom": lambda channel, limit, flags=0: (channel.receive(limit), channel.address),
    "recvfrom_into": lambda channel, buffer, limit=0, flags=0: (
        _receive_into(channel, buffer, limit),
        channel.address,
    ),
    "recvmsg": lambda channel, limit, ancillary=0, flags=0: (channel.receive(limit), [], 0, channel.address),
    "send": lambda channel, data, flags=0: channel.send(data),
    "sendall": _send_all,
    "sendmsg": lambda channel, buffers, ancillary=(), flags=0, address=None: channel.send(b"".join(buffers)),
    "settimeout": _set_timeout,
    "gettimeout": lambda channel: channel.timeout,
    "setblocking": lambda channel, flag: _set_timeout(channel, None if flag else 0.0),
    "getblocking": lambda channel: channel.timeout != 0,
    "getpeername": lambda channel: channel.address,
    "getsockname": lambda channel: LOCAL,
    "setsockopt": lambda channel, *arguments: None,
    "getsockopt": lambda channel, level, option, size=0: bytes(size) if size else channel.option(level, option),
    "shutdown": _shutdown,
    "detach": lambda channel: -1,
}


@functools.cache
def _hung_up_descriptor() -> int:
    """Open, once in a process, a descriptor whose other end is closed: always readable, with nothing to read."""
    reader, writer = os.pipe()
    os.close(writer)
    return reader


@functools.cache
def _hung_up_kind(kind: type[socket.socket]) -> type[socket.socket]:
    def fileno(sock: socket.socket) -> int:
        return -1 if sock._closed else _hung_up_descriptor()  # type: ignore[attr-defined]  # private: its own flag

    def broken(sock: socket.socket, *arguments: Any, **named: Any) -> Any:  # Any: as send or sendall
        raise os_error(errno.EPIPE)

    def receive_into(sock: socket.socket, *arguments: Any, **named: Any) -> int:  # Any: as recv_into
        return 0

    namespace: dict[str, Any] = {  # Any: a class body
        "__slots__": (),
        "__module__": kind.__module__,
        "fileno": fileno,
        "send": broken,
        "sendall": broken,
        "recv": lambda sock, *arguments: b"",
        "recv_into": receive_into,
        "settimeout": lambda sock, timeout: None,
    }
    return type(kind.__name__, (kind,), namespace)


def hang_up(sock: socket.socket, channel: Channel | DeadEnd, *, is_shared: bool = False) -> None:
    """Let a socket that outlives the run look like one whose peer has closed: a pool finds that out and connects anew.

    One without a descriptor of its own gets none, so there is nothing that its owner would have to close.
    ``is_shared``: another process goes on with the same descriptor.
    """
    if is_shared and channel.signal is not None:
        os.dup2(_hung_up_descriptor(), channel.signal.number, inheritable=False)
    elif channel.signal is not None:
        channel.signal.hang_up()
    elif REAL["fileno"](sock) < 0:
        sock.__class__ = _hung_up_kind(type(sock))  # type: ignore[arg-type]  # a class is hashable, whatever its objects are
