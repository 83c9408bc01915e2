"""What each method of a socket does where the socket stands for a simulated connection.

Signatures are those of ``socket.socket``, whose methods these replace.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from typing import Any

from pytest_retrychaos.transports.channel import Channel, os_error

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
        "timeout",
        "_real_close",
        "dup",
    )
}
"""The methods as they were before anything was patched."""


def _receive_into(channel: Channel, buffer: Any, limit: int = 0, flags: int = 0) -> int:  # Any: a buffer
    view = memoryview(buffer).cast("B")
    content = channel.receive(limit or len(view), peek=bool(flags & socket.MSG_PEEK))
    view[: len(content)] = content
    return len(content)


def _set_timeout(channel: Channel, timeout: float | None) -> None:
    if timeout is not None:
        timeout = float(timeout)
        if timeout < 0:
            raise ValueError("Timeout value out of range")
    channel.timeout = timeout


def _shutdown(channel: Channel, how: int) -> None:
    if channel.is_closed:
        raise os_error(errno.ENOTCONN)


def _send_all(channel: Channel, data: Any, flags: int = 0) -> None:  # Any: a buffer
    channel.send(data)


SIMULATED: dict[str, Callable[..., Any]] = {
    "recv": lambda channel, limit, flags=0: channel.receive(limit, peek=bool(flags & socket.MSG_PEEK)),
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
    "getsockopt": lambda channel, level, option, size=0: bytes(size) if size else 0,
    "shutdown": _shutdown,
    "detach": lambda channel: -1,
    "_real_close": lambda channel, *arguments: channel.close(),
}
