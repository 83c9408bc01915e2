"""What event loops and their libraries do around `socket`, for the simulated network.

To look up a name they ask a thread, or a resolver in C: both are spared. Trio keeps methods of sockets.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator
from typing import Any

Lookup = Callable[..., list[Any] | None]  # Any: the entries of getaddrinfo


def loop_patches(lookup: Lookup) -> Iterator[tuple[object, str, object]]:
    """List what has to be replaced in the libraries that are loaded: owner, name, replacement."""
    base = sys.modules.get("asyncio.base_events")
    if base is not None:
        yield base.BaseEventLoop, "getaddrinfo", _getaddrinfo(base.BaseEventLoop.getaddrinfo, lookup)
    trio = sys.modules.get("trio._socket")
    if trio is not None:
        yield trio._SocketType, "_nonblocking_helper", _nonblocking_helper(trio._SocketType._nonblocking_helper)
    aiohttp = sys.modules.get("aiohttp.resolver")
    if aiohttp is not None:
        yield aiohttp.AsyncResolver, "resolve", _resolve(aiohttp.AsyncResolver.resolve, lookup)


def _getaddrinfo(real: Callable[..., Any], lookup: Lookup) -> Callable[..., Any]:  # Any: a loop's method
    async def getaddrinfo(loop: Any, host: Any, port: Any, **named: Any) -> Any:  # Any: as the caller gives it
        found = lookup(host, port, **named)
        return await real(loop, host, port, **named) if found is None else found

    return getaddrinfo


def _nonblocking_helper(real: Callable[..., Any]) -> Callable[..., Any]:  # Any: a method of trio's sockets
    """Let trio look the methods of `socket.socket` up anew: it has kept those that it found when it was loaded."""

    async def nonblocking_helper(
        sock: Any, wait: Any, method: Callable[..., Any], *args: Any, **named: Any
    ) -> Any:  # Any: as trio gives it
        return await real(sock, wait, getattr(socket.socket, method.__name__, method), *args, **named)

    return nonblocking_helper


def _resolve(real: Callable[..., Any], lookup: Lookup) -> Callable[..., Any]:  # Any: a method of aiohttp's
    async def resolve(
        resolver: Any, host: str, port: int = 0, family: int = socket.AF_INET
    ) -> Any:  # Any: aiohttp's own types
        found = lookup(host, port, family, socket.SOCK_STREAM)
        if found is None:
            return await real(resolver, host, port, family)
        return [
            {"hostname": host, "host": place[0], "port": port, "family": kind, "proto": proto, "flags": 0}
            for kind, _, proto, _, place in found
        ]

    return resolve
