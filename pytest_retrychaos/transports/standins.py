"""What takes the place of the functions and methods of `socket` and `ssl` while the network is simulated."""

from __future__ import annotations

import errno
import socket
import ssl
import weakref
from collections.abc import Callable, Iterator
from typing import Any

from pytest_retrychaos.transports import tls
from pytest_retrychaos.transports.channel import Channel
from pytest_retrychaos.transports.connections import Connections
from pytest_retrychaos.transports.names import addresses, is_address
from pytest_retrychaos.transports.signals import DeadEnd
from pytest_retrychaos.transports.sockets import REAL, SIMULATED, real_now
from pytest_retrychaos.transports.trust import reading_later


def socket_methods(connections: Connections, ends: tuple[int, ...]) -> Iterator[tuple[str, object]]:
    """List what takes the place of the methods of ``socket.socket``.

    ``ends`` are the shared descriptors of clients that block: see `Network.pipe_ends`.
    """
    channels = connections.by_socket
    real = real_now()

    def connect(sock: socket.socket, address: Any) -> None:  # Any: an address of whatever family
        if not isinstance(address, tuple) or not connections.is_ours(sock, address[0]):
            connections.refuse_proxies(address)
            real["connect"](sock, address)
            return
        connections.open(sock, address)

    def connect_ex(sock: socket.socket, address: Any) -> int:  # Any: as above
        if not isinstance(address, tuple) or not connections.is_ours(sock, address[0]):
            connections.refuse_proxies(address)
            return real["connect_ex"](sock, address)  # type: ignore[no-any-return]  # the real one's
        try:
            connections.open(sock, address)
        except OSError as error:
            return error.errno or errno.EAGAIN
        return 0

    yield "connect", connect
    yield "connect_ex", connect_ex
    for name, simulated in SIMULATED.items():
        yield name, _choose(name, channels, simulated, real[name])

    def fileno(sock: socket.socket) -> int:
        found = channels.get(id(sock))
        if found is None:
            return real["fileno"](sock)  # type: ignore[no-any-return]  # the real one's
        if found[0].is_closed:
            return -1
        if found[0].timeout == 0:
            return connections.own_descriptor(sock, found[0])
        return ends[2] if found[0].is_readable else ends[0]

    def close(sock: socket.socket, *arguments: Any) -> None:  # Any: a class with the method of the same name
        found = channels.get(id(sock))
        if found is not None:
            found[0].close()
        real["_real_close"](sock, *arguments)

    yield "_real_close", close
    yield "fileno", fileno
    yield "timeout", property(lambda sock: sock.gettimeout())
    yield "sendto", _sendto(connections)
    yield "dup", _no_duplicate(connections)


def _sendto(connections: Connections) -> object:
    real = real_now()["sendto"]

    def sendto(sock: socket.socket, data: bytes, *arguments: Any) -> int:  # Any: sendto(data[, flags], address)
        address = arguments[-1] if arguments else None
        found = connections.by_socket.get(id(sock))
        if found is not None:
            return found[0].send(data)
        if isinstance(address, tuple) and connections.is_ours(sock, address[0]):
            connections.open(sock, address)
        return real(sock, data, *arguments)  # type: ignore[no-any-return]  # the real one's

    return sendto


def _no_duplicate(connections: Connections) -> object:
    def dup(sock: socket.socket) -> socket.socket:
        if id(sock) in connections.by_socket:
            raise connections.exchange.refuse(
                "a simulated connection cannot be duplicated: it has no descriptor of its own; "
                "point this client at a real server on loopback"
            )
        return REAL["dup"](sock)  # type: ignore[no-any-return]  # the real one's

    return dup


def lookup_of(connections: Connections, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
    """Make what takes the place of a function that looks up a name."""

    def lookup(host: Any, *arguments: Any, **named: Any) -> Any:  # Any: the real one's signature
        if connections.rules.is_real(host):
            return real(host, *arguments, **named)
        text = host.decode("ascii") if isinstance(host, bytes) else str(host)
        if name == "getaddrinfo" and not is_address(text) and _flags(*arguments, **named) & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")  # trio asks so first, of any host
        address = connections.look_up(text)
        if name == "gethostbyname":
            return address
        if name == "gethostbyname_ex":
            return text, [], [address]
        return addresses(address, *arguments, **named)

    return lookup


def _flags(port: object = None, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0) -> int:  # noqa: A002 - getaddrinfo's own
    return flags


def wrap_socket_of(connections: Connections) -> object:
    """Make what takes the place of ``SSLContext.wrap_socket``."""
    real = ssl.SSLContext.wrap_socket

    def wrap_socket(
        context: ssl.SSLContext,
        sock: socket.socket,
        server_side: bool = False,
        do_handshake_on_connect: bool = True,
        suppress_ragged_eofs: bool = True,
        server_hostname: str | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLSocket:
        channel = connections.channel(sock)
        if channel is None:
            return real(
                context,
                sock,
                server_side,
                do_handshake_on_connect,
                suppress_ragged_eofs,
                server_hostname,
                session,
            )
        secure = tls.secure_twin(channel, context, server_hostname, suppress_ragged_eofs=suppress_ragged_eofs)
        connections.secure(channel)
        connections.adopt(secure, channel)
        del connections.by_socket[id(sock)]
        return secure

    return wrap_socket


def wrap_bio_of(connections: Connections) -> object:
    """Make what takes the place of ``SSLContext.wrap_bio``."""
    real = ssl.SSLContext.wrap_bio

    def wrap_bio(
        context: ssl.SSLContext,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        if server_side or not connections.rules.is_mine():
            return real(context, incoming, outgoing, server_side, server_hostname, session)
        with reading_later():
            made: Any = real(context, incoming, outgoing, server_side, server_hostname, session)
        made._sslobj = tls.Undecided(made._sslobj, incoming, outgoing)  # Any: a private attribute is replaced
        return made  # type: ignore[no-any-return]  # an `ssl.SSLObject`

    return wrap_bio


def connect_secure_of(connections: Connections) -> object:
    """Make what takes the place of ``SSLSocket._real_connect``."""
    real = ssl.SSLSocket._real_connect  # type: ignore[attr-defined]  # private: where a wrapped socket connects

    def connect(secure: Any, address: Any, connect_ex: bool) -> int | None:  # Any: an SSLSocket not connected yet
        if not isinstance(address, tuple) or not connections.is_ours(secure, address[0]):
            return real(secure, address, connect_ex)  # type: ignore[no-any-return]  # the real one's
        connections.open(secure, address)
        channel = connections.channel(secure)
        assert channel is not None
        connections.secure(channel)
        channel.conversation.scheme = "https"
        secure._sslobj = tls.PlainText(channel, secure.context, secure.server_hostname)
        secure._connected = True
        return 0 if connect_ex else None

    return connect


def _choose(
    name: str,
    channels: dict[int, tuple[Channel | DeadEnd, weakref.ref[socket.socket]]],
    simulated: Callable[..., Any],
    real: Callable[..., Any],
) -> Callable[..., Any]:
    def method(sock: socket.socket, *arguments: Any, **named: Any) -> Any:  # Any: the real one's signature
        found = channels.get(id(sock))
        if found is None:
            return real(sock, *arguments, **named)
        return simulated(found[0], *arguments, **named)

    # A library that is loaded meanwhile may keep it, and finds what is in its place later by its name.
    method.__name__ = name
    return method
