"""The simulated network: every host but loopback is the fake service.

``socket.socket`` is patched in place, method by method, so that classes, instances and names that existed
before follow; only the installing thread's new connections are simulated. Each simulated socket has a
`Channel`; it holds no descriptor, and ``fileno()`` answers one of two shared pipe ends, so that a client's
``poll`` sees it as readable or not.
"""

from __future__ import annotations

import _socket
import errno
import os
import socket
import ssl
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from pytest_retrychaos.clock.imports import Imports
from pytest_retrychaos.model import Wire
from pytest_retrychaos.transports import tls
from pytest_retrychaos.transports.channel import Channel, Clock, os_error
from pytest_retrychaos.transports.greeting import handshake_failure
from pytest_retrychaos.transports.loops import LIBRARIES
from pytest_retrychaos.transports.names import Names, addresses, is_address, is_loopback
from pytest_retrychaos.transports.proxies import HiddenProxies
from pytest_retrychaos.transports.seam import Exchange, Unsent
from pytest_retrychaos.transports.signals import DeadEnd, Signal
from pytest_retrychaos.transports.sockets import REAL, SIMULATED, hang_up, real_now

KERNEL_CONNECT_S = 127.0
"""How long Linux tries to connect before ETIMEDOUT (tcp_syn_retries = 6, RFC 6298 back-off from 1 s)."""


_INSTALLED: list[Network] = []
"""The one that is installed in this process, if any."""


def _leave_behind() -> None:
    for network in _INSTALLED:
        network.leave_behind()


os.register_at_fork(after_in_child=_leave_behind)


class Network:
    """The patched ``socket`` and ``ssl`` modules, while installed."""

    def __init__(
        self,
        exchange: Exchange,
        clock: Clock,
        *,
        silence: Callable[[str], BaseException],
        checks_host: Callable[[str], None] = lambda _: None,
        is_real: Callable[[object], bool] = is_loopback,
        is_mine: Callable[[], bool] = lambda: True,
        blocks: Callable[[], None] = lambda: None,
    ) -> None:
        self._exchange = exchange
        self._clock = clock
        self._silence = silence
        self._checks_host = checks_host
        self._is_real = is_real
        self._names = Names()
        self._channels: dict[int, tuple[Channel | DeadEnd, weakref.ref[socket.socket]]] = {}
        self._imports = Imports(dict.fromkeys(LIBRARIES, self._library_came))
        self._undo: list[tuple[object, str, object, bool]] = []
        self._is_mine = is_mine
        self._blocks = blocks
        """Is told where a blocking connection is opened."""
        self._process = os.getpid()
        self._proxies = HiddenProxies()
        self.pipe_ends: tuple[int, ...] = ()
        """The shared descriptors: never readable, its writing end, always readable, its writing end."""

    # while it lasts

    def install(self) -> None:
        """Patch; `remove` undoes it exactly."""
        _INSTALLED.append(self)
        never, never_end = os.pipe()
        always, always_end = os.pipe()
        os.write(always_end, b"x")
        self.pipe_ends = (never, never_end, always, always_end)
        self._proxies.hide()
        self._clock.why_stuck = self._silent_peer
        for name, replacement in self._methods():
            self._patch(socket.socket, name, replacement)
        # socket.getaddrinfo, however code got hold of it, calls _socket's by name.
        self._patch(_socket, "getaddrinfo", self._lookup("getaddrinfo", _socket.getaddrinfo))
        for name in ("gethostbyname", "gethostbyname_ex"):
            self._patch(socket, name, self._lookup(name, getattr(socket, name)))
        self._patch(ssl.SSLContext, "wrap_socket", self._wrap_socket())
        self._patch(ssl.SSLSocket, "_real_connect", self._connect_secure())
        self._patch(ssl.SSLContext, "wrap_bio", self._wrap_bio())
        for name in LIBRARIES:
            if name in sys.modules:
                self._library_came(sys.modules[name])
        self._imports.on()

    def _library_came(self, module: ModuleType) -> None:
        """Patch a library around sockets, which may be loaded in the middle of a run."""
        self._patch(*LIBRARIES[module.__name__](module, self._addresses))

    def remove(self) -> None:
        """Close every simulated connection and put everything back."""
        for channel, reference in list(self._channels.values()):
            sock = reference()
            if sock is not None and not channel.is_closed:
                hang_up(sock, channel)
            channel.close()
        self._imports.off()
        if self in _INSTALLED:
            _INSTALLED.remove(self)
        while self._undo:
            owner, name, value, was_own = self._undo.pop()
            if was_own:
                setattr(owner, name, value)
            else:
                delattr(owner, name)
        self._proxies.restore()
        for descriptor in self.pipe_ends:
            os.close(descriptor)
        self.pipe_ends = ()

    def leave_behind(self) -> None:
        """Let nothing of it work in a child that was forked: what that one did would be seen by nobody."""
        for channel, reference in list(self._channels.values()):
            sock = reference()
            if sock is not None and not channel.is_closed:
                hang_up(sock, channel, is_shared=True)
        self._channels.clear()

    def _silent_peer(self) -> BaseException | None:
        """Find the request that is never answered and on which no deadline lies: an event loop's."""
        return next((error for one in self.channels() if (error := one.meet_silence()) is not None), None)

    def close_idle(self) -> None:
        """Close the idle connections to hosts whose next step strikes at connecting."""
        for channel in self.channels():
            if self._exchange.wants_idle_closed(channel.host):
                channel.drop_idle()

    def channels(self) -> Iterator[Channel | DeadEnd]:
        """Iterate over the open simulated connections, oldest first."""
        return iter([channel for channel, _ in self._channels.values() if not channel.is_closed])

    def _patch(self, owner: object, name: str, value: object) -> None:
        was_own = name in vars(owner)
        self._undo.append((owner, name, vars(owner).get(name), was_own))
        setattr(owner, name, value)

    # connecting

    def _is_ours(self, sock: socket.socket, host: object) -> bool:
        if sock.family not in (socket.AF_INET, socket.AF_INET6) or self._is_real(host):
            return False
        self._refuse_others(host)
        return True

    def _refuse_others(self, host: object) -> None:
        """Let no older thread's request out: it would be neither simulated nor on virtual time."""
        if os.getpid() != self._process:
            raise self._exchange.refuse(
                f"a process that was forked during the test called {host}: what it does is not seen here, and its "
                "time is real. Use transport='loopback', a real server for any process, or call from the test itself"
            )
        if not self._is_mine():
            raise self._exchange.refuse(
                f"the thread {threading.current_thread().name!r}, which was there before chaos began, called {host}: "
                "only the test's own thread and those that it starts are simulated. Do the work there, or let that "
                "one call loopback"
            )

    def _open(self, sock: socket.socket, address: tuple[Any, ...]) -> None:
        """Connect a socket of the client's to the service, or fail as the script says."""
        host, port = self._names.host(str(address[0])), int(address[1])
        if sock.type != socket.SOCK_STREAM:
            raise self._exchange.refuse(
                f"a datagram to {host}:{port} cannot be simulated and must not leave this machine: "
                "send it to loopback, or switch it off in this test"
            )
        self._checks_host(host)
        if host == address[0] and not is_address(host):
            self._resolve(host)
        timeout = REAL["gettimeout"](sock)
        if timeout != 0:
            self._blocks()
        unsent = self._exchange.connecting(host, port, timeout)
        if unsent is not None:
            raise self._failed_connect(sock, unsent, timeout, host)
        channel = Channel(self._exchange, self._clock, host, (str(address[0]), port), timeout, self._silence)
        if timeout == 0:
            channel.signal = Signal(sock)
        else:
            _give_descriptor_away(sock)
        self.adopt(sock, channel)

    def _resolve(self, host: str) -> None:
        """Look a name up, which fails if the script says so."""
        unsent = self._exchange.resolving(host)
        if unsent is not None:
            error = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            self._exchange.not_sent(unsent.ticket, error, None)
            raise error

    def _failed_connect(self, sock: socket.socket, unsent: Unsent, timeout: float | None, host: str) -> OSError:
        error: OSError
        if timeout == 0:
            self._fail_later(sock, unsent, host)
            return os_error(errno.EINPROGRESS)
        if unsent.wire is Wire.NO_HANDSHAKE:
            patience = KERNEL_CONNECT_S if timeout is None else timeout
            self._clock.wait_until(self._clock.now_ns + round(patience * 1e9))
            error = os_error(errno.ETIMEDOUT) if timeout is None else TimeoutError("timed out")
        else:
            error = os_error(errno.ECONNREFUSED)
        try:
            self._exchange.not_sent(unsent.ticket, error, timeout)
        except BaseException:  # the run is ended here; create_connection closes on an OSError only
            sock.close()
            raise
        return error

    def _fail_later(self, sock: socket.socket, unsent: Unsent, host: str) -> None:
        """Let a client that does not block learn of the failure by waiting for its socket."""
        is_silent = unsent.wire is Wire.NO_HANDSHAKE
        end = DeadEnd(self._exchange, unsent, sock, host, errno.ETIMEDOUT if is_silent else errno.ECONNREFUSED)
        self.adopt(sock, end)
        if is_silent:
            self._clock.alarm(self._clock.now_ns + round(KERNEL_CONNECT_S * 1e9), end.settle)
        else:
            end.settle()

    def adopt(self, sock: socket.socket, channel: Channel | DeadEnd) -> None:
        """Let a socket object stand for the client's end of a channel."""
        number = id(sock)
        channels = self._channels
        channels[number] = (channel, weakref.ref(sock, lambda _: channels.pop(number, None)))

    def channel(self, sock: object) -> Channel | None:
        """Give the channel of a simulated socket."""
        found = self._channels.get(id(sock))
        return found[0] if found is not None and isinstance(found[0], Channel) else None

    # what takes the place of socket's own

    def _methods(self) -> Iterator[tuple[str, object]]:
        channels = self._channels
        real = real_now()

        def connect(sock: socket.socket, address: Any) -> None:  # Any: an address of whatever family
            if not isinstance(address, tuple) or not self._is_ours(sock, address[0]):
                real["connect"](sock, address)
                return
            self._open(sock, address)

        def connect_ex(sock: socket.socket, address: Any) -> int:  # Any: as above
            if not isinstance(address, tuple) or not self._is_ours(sock, address[0]):
                return real["connect_ex"](sock, address)  # type: ignore[no-any-return]  # the real one's
            try:
                self._open(sock, address)
            except OSError as error:
                return error.errno or errno.EAGAIN
            return 0

        yield "connect", connect
        yield "connect_ex", connect_ex
        for name, simulated in SIMULATED.items():
            if name in real:
                yield name, _choose(name, channels, simulated, real[name])

        def fileno(sock: socket.socket) -> int:
            found = channels.get(id(sock))
            if found is None:
                return real["fileno"](sock)  # type: ignore[no-any-return]  # the real one's
            if found[0].is_closed:
                return -1
            if found[0].timeout == 0:
                return self._own_descriptor(sock, found[0])
            return self.pipe_ends[2] if found[0].is_readable else self.pipe_ends[0]

        def close(sock: socket.socket, *arguments: Any) -> None:  # Any: a class with the method of the same name
            found = channels.get(id(sock))
            if found is not None:
                found[0].close()
            real["_real_close"](sock, *arguments)

        yield "_real_close", close
        yield "fileno", fileno
        yield "timeout", property(lambda sock: sock.gettimeout())
        yield "sendto", self._sendto()
        if "dup" in real:
            yield "dup", self._no_descriptor("dup", "duplicated")

    def _own_descriptor(self, sock: socket.socket, channel: Channel | DeadEnd) -> int:
        """Give the descriptor of a socket that does not block, which an event loop is about to wait on."""
        if isinstance(channel, Channel) and channel.signal is None:
            channel.signal = Signal(sock)
            channel.show()
        return REAL["fileno"](sock)  # type: ignore[no-any-return]  # the real one's

    def _sendto(self) -> object:
        real = real_now()["sendto"]

        def sendto(sock: socket.socket, data: bytes, *arguments: Any) -> int:  # Any: sendto(data[, flags], address)
            address = arguments[-1] if arguments else None
            found = self._channels.get(id(sock))
            if found is not None:
                return found[0].send(data)
            if isinstance(address, tuple) and self._is_ours(sock, address[0]):
                self._open(sock, address)
            return real(sock, data, *arguments)  # type: ignore[no-any-return]  # the real one's

        return sendto

    def _no_descriptor(self, name: str, done: str) -> object:
        def refuse(sock: socket.socket, *arguments: Any) -> Any:  # Any: the real one's
            if id(sock) in self._channels:
                raise self._exchange.refuse(
                    f"a simulated connection cannot be {done}: it has no descriptor of its own; "
                    "point this client at a real server on loopback"
                )
            return REAL[name](sock, *arguments)

        return refuse

    def _lookup(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def lookup(host: Any, *arguments: Any, **named: Any) -> Any:  # Any: the real one's signature
            if self._is_real(host):
                return real(host, *arguments, **named)
            text = host.decode("ascii") if isinstance(host, bytes) else str(host)
            address = self._look_up(text)
            if name == "gethostbyname":
                return address
            if name == "gethostbyname_ex":
                return text, [], [address]
            return addresses(address, *arguments, **named)

        return lookup

    def _look_up(self, host: str) -> str:
        self._refuse_others(host)
        self._checks_host(host)
        self._resolve(host)
        return self._names.address(host)

    def _addresses(self, host: object, *arguments: Any, **named: Any) -> list[Any] | None:  # Any: as getaddrinfo's
        """Answer for an event loop, which would ask a thread; ``None`` where the real network is meant."""
        if self._is_real(host) or not self._is_mine():
            return None
        text = host.decode("ascii") if isinstance(host, bytes) else str(host)
        return addresses(self._look_up(text), *arguments, **named)

    # TLS

    def _wrap_socket(self) -> object:
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
            channel = self.channel(sock)
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
            self._secure(channel)
            self.adopt(secure, channel)
            del self._channels[id(sock)]
            return secure

        return wrap_socket

    def _wrap_bio(self) -> object:
        real = ssl.SSLContext.wrap_bio

        def wrap_bio(
            context: ssl.SSLContext, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, *arguments: Any, **named: Any
        ) -> ssl.SSLObject:  # Any: the real one's signature
            made = real(context, incoming, outgoing, *arguments, **named)
            if self._is_mine() and not made.server_side:
                engine: Any = made  # Any: a private attribute is replaced
                engine._sslobj = tls.Undecided(engine._sslobj, incoming, outgoing)
            return made

        return wrap_bio

    def _secure(self, channel: Channel) -> None:
        unsent = self._exchange.securing(channel.host)
        if unsent is not None:
            error = handshake_failure()
            self._exchange.not_sent(unsent.ticket, error, channel.timeout)
            channel.close()
            raise error

    def _connect_secure(self) -> object:
        real = ssl.SSLSocket._real_connect  # type: ignore[attr-defined]  # private: where a wrapped socket connects

        def connect(secure: Any, address: Any, connect_ex: bool) -> int | None:  # Any: an SSLSocket not connected yet
            if not isinstance(address, tuple) or not self._is_ours(secure, address[0]):
                return real(secure, address, connect_ex)  # type: ignore[no-any-return]  # the real one's
            self._open(secure, address)
            channel = self.channel(secure)
            assert channel is not None
            self._secure(channel)
            channel.conversation.scheme = "https"
            secure._sslobj = tls.PlainText(channel, secure.context, secure.server_hostname)
            secure._connected = True
            return 0 if connect_ex else None

        return connect


def _give_descriptor_away(sock: socket.socket) -> None:
    """Let a socket go on without its descriptor: a client that blocks needs none."""
    descriptor = REAL["detach"](sock)
    if descriptor >= 0:
        os.close(descriptor)
    sock._closed = False  # type: ignore[attr-defined]  # private: socket.socket's own flag


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
