"""What event loops and their libraries do around `socket`, for the simulated network.

To look up a name they ask a thread, or a resolver in C: both are spared. Trio keeps methods of sockets, aiohttp
wakes in the order of addresses.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from pytest_retrychaos.clock.order import InOrder
from pytest_retrychaos.clock.workers import is_mine, running_loop

Lookup = Callable[..., list[Any] | None]  # Any: the entries of getaddrinfo


Patch = tuple[object, str, object]
"""Owner, name, replacement."""


def _of_asyncio(module: Any, lookup: Lookup) -> Patch:  # Any: a module
    loop = module.BaseEventLoop
    return loop, "getaddrinfo", _getaddrinfo(loop.getaddrinfo, lookup)


def _of_trio(module: Any, _: Lookup) -> Patch:  # Any: a module
    sock = module._SocketType
    return sock, "_nonblocking_helper", _nonblocking_helper(sock._nonblocking_helper)


def _of_aiohttp(module: Any, lookup: Lookup) -> Patch:  # Any: a module
    resolver = module.AsyncResolver
    return resolver, "resolve", _resolve(resolver.resolve, lookup)


def _of_connector(module: Any, _: Lookup) -> Patch:  # Any: a module
    connector = module.TCPConnector
    return connector, "_resolve_host_with_throttle", _throttled(connector._resolve_host_with_throttle)


LIBRARIES: dict[str, Callable[[Any, Lookup], Patch]] = {
    "asyncio.base_events": _of_asyncio,
    "trio._socket": _of_trio,
    "aiohttp.resolver": _of_aiohttp,
    "aiohttp.connector": _of_connector,
}
"""By module: what has to be replaced in it, whenever it is loaded."""


def is_closing(loop: Any, number: int) -> bool:  # Any: as below
    """Whether a loop has been told to close a connection, which it does some turns later; TLS takes a turn more."""
    transport = loop._transports.get(number) if hasattr(loop, "_transports") else None
    if transport is None:
        return False
    secure = getattr(transport.get_protocol(), "_app_transport", None)
    return bool(transport.is_closing() or (secure is not None and secure.is_closing()))


def let_go(loop: Any, number: int) -> None:  # Any: an asyncio loop, of which a private attribute is read
    """Let a loop that was left with an open connection know at once that it has ended.

    By itself it would look after the first steps of the next task that it runs, which would take the connection
    for a live one.
    """
    transport = loop._transports.get(number) if hasattr(loop, "_transports") else None
    if transport is None or loop.is_closed():
        return
    if loop.is_running() and running_loop() is not loop:
        loop.call_soon_threadsafe(transport.abort)
    else:
        transport.abort()


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


def _throttled(real: Callable[..., Any]) -> Callable[..., Any]:  # Any: a method of aiohttp's
    """Let those who wait for one look-up go on in the order in which they came: aiohttp keeps them in a set."""

    def throttled(connector: Any, key: Any, host: str, port: int, _: Any, traces: Any) -> Any:  # Any: aiohttp's own
        waiting: InOrder[Any] = InOrder()  # Any: futures
        connector._throttle_dns_futures[key] = waiting
        return real(connector, key, host, port, waiting, traces)

    return throttled


def _resolve(real: Callable[..., Any], lookup: Lookup) -> Callable[..., Any]:  # Any: a method of aiohttp's
    async def resolve(
        resolver: Any, host: str, port: int = 0, family: int = socket.AF_INET
    ) -> Any:  # Any: aiohttp's own types
        found = lookup(host, port, family, socket.SOCK_STREAM)
        if found is None and is_mine():  # loopback: no name server is asked
            found = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)
        if found is None:
            return await real(resolver, host, port, family)
        return [
            {"hostname": host, "host": place[0], "port": port, "family": kind, "proto": proto, "flags": 0}
            for kind, _, proto, _, place in found
        ]

    return resolve
