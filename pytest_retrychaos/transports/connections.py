"""The simulated connections of a run: how they come to be, fail, and are found by their sockets."""

from __future__ import annotations

import errno
import os
import socket
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from pytest_retrychaos.model import Wire
from pytest_retrychaos.transports.channel import Channel, Clock, os_error
from pytest_retrychaos.transports.greeting import handshake_failure
from pytest_retrychaos.transports.names import Names, addresses, is_address, is_loopback
from pytest_retrychaos.transports.proxies import way_out_text
from pytest_retrychaos.transports.seam import Exchange, Unsent
from pytest_retrychaos.transports.signals import DeadEnd, Signal
from pytest_retrychaos.transports.sockets import REAL

KERNEL_CONNECT_S = 127.0
"""How long Linux tries to connect before ETIMEDOUT (tcp_syn_retries = 6, RFC 6298 back-off from 1 s)."""


class Rules(NamedTuple):
    """Whose connections a run simulates, and what becomes of those that it cannot."""

    silence: Callable[[str], BaseException]
    """Makes the error for a client that waits for a host without any timeout and meets silence."""
    checks_host: Callable[[str], None]
    """Raises for a host that the test did not name."""
    is_mine: Callable[[], bool]
    """Whether the running thread is simulated."""
    is_interrupted: Callable[[], bool]
    """Whether a signal's handler runs in a thread that waits for its turn."""
    blocks: Callable[[], None]
    """Is told where a blocking connection is opened."""
    is_real: Callable[[object], bool] = is_loopback
    """Whether a host is to be left to the real network."""


class Connections:
    """Opens connections to the fake service, and knows which socket stands for which."""

    def __init__(self, exchange: Exchange, clock: Clock, rules: Rules) -> None:
        self.exchange = exchange
        self.rules = rules
        self._clock = clock
        self._names = Names()
        self._process = os.getpid()
        self.by_socket: dict[int, tuple[Channel | DeadEnd, weakref.ref[socket.socket]]] = {}
        """By a socket's identity: what it stands for."""

    def is_ours(self, sock: socket.socket, host: object) -> bool:
        """Whether a connection to a host is simulated; raises where an older thread makes it."""
        if sock.family not in (socket.AF_INET, socket.AF_INET6) or self.rules.is_real(host):
            return False
        self.refuse_others(host)
        return True

    def refuse_proxies(self, address: Any) -> None:  # Any: an address of whatever family
        """Let no real connection be made to a proxy that was put into the environment meanwhile."""
        is_place = isinstance(address, tuple) and len(address) > 1 and isinstance(address[1], int)
        if is_place and self.rules.is_mine():
            text = way_out_text(str(address[0]), address[1])
            if text is not None:
                raise self.exchange.refuse(text)

    def refuse_others(self, host: object) -> None:
        """Let no request out that would be neither simulated nor on virtual time: an older thread's, a handler's."""
        if os.getpid() != self._process:
            raise self.exchange.refuse(
                f"a process that was forked during the test called {host}: what it does is not seen here, and its "
                "time is real. Use transport='loopback', a real server for any process, or call from the test itself"
            )
        if self.rules.is_interrupted():
            raise self.exchange.refuse(
                f"a signal's handler called {host} while another thread had the turn: what it does there cannot be "
                "simulated. Let it set a flag or an Event, and send from the thread itself"
            )
        if not self.rules.is_mine():
            raise self.exchange.refuse(
                f"the thread {threading.current_thread().name!r}, which was there before chaos began, called {host}: "
                "only the test's own thread and those that it starts are simulated. Do the work there, or let that "
                "one call loopback"
            )

    def open(self, sock: socket.socket, address: tuple[Any, ...]) -> None:
        """Connect a socket of the client's to the service, or fail as the script says."""
        if self._clock.asides:
            self._clock.share()
        host, port = self._names.host(str(address[0])), int(address[1])
        if sock.type != socket.SOCK_STREAM:
            raise self.exchange.refuse(
                f"a datagram to {host}:{port} cannot be simulated and must not leave this machine: "
                "send it to loopback, or switch it off in this test"
            )
        self.rules.checks_host(host)
        if host == address[0]:
            self._resolve(host)
        timeout = REAL["gettimeout"](sock)
        if timeout != 0:
            self.rules.blocks()
        unsent = self.exchange.connecting(host, port, timeout)
        if unsent is not None:
            raise self._failed_connect(sock, unsent, timeout, host)
        channel = Channel(self.exchange, self._clock, host, (str(address[0]), port), timeout, self.rules.silence)
        if timeout == 0:
            channel.signal = self._signal(sock)
        else:
            _give_descriptor_away(sock)
        self.adopt(sock, channel)

    def _resolve(self, host: str) -> None:
        """Look a name up, which fails if the script says so; an address is none."""
        unsent = None if is_address(host.strip("[]")) else self.exchange.resolving(host)
        if unsent is not None:
            error = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            self.exchange.not_sent(unsent.ticket, error, None)
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
            self.exchange.not_sent(unsent.ticket, error, timeout)
        except BaseException:  # the run is ended here; create_connection closes on an OSError only
            sock.close()
            raise
        return error

    def _fail_later(self, sock: socket.socket, unsent: Unsent, host: str) -> None:
        """Let a client that does not block learn of the failure by waiting for its socket."""
        is_silent = unsent.wire is Wire.NO_HANDSHAKE
        number = errno.ETIMEDOUT if is_silent else errno.ECONNREFUSED
        try:
            end = DeadEnd(self.exchange, unsent, sock, host, number)
        except OSError as error:
            raise self._out_of_descriptors(error) from error
        self.adopt(sock, end)
        if is_silent:
            self._clock.alarm(self._clock.now_ns + round(KERNEL_CONNECT_S * 1e9), end.settle)
        else:
            end.settle()

    def _signal(self, sock: socket.socket) -> Signal:
        try:
            return Signal(sock)
        except OSError as error:
            raise self._out_of_descriptors(error) from error

    def _out_of_descriptors(self, error: OSError) -> BaseException:
        """Tell what would look like a failing service: the client's own code may swallow an `OSError`."""
        if error.errno not in (errno.EMFILE, errno.ENFILE):
            return error
        open_ones = sum(1 for _ in self.channels())
        return self.exchange.refuse(
            f"{open_ones} connections are open at once, and this process may open no more files: one that does not "
            "block takes two. Let the clients share a pool that holds fewer, or raise the limit (ulimit -n)"
        )

    def adopt(self, sock: socket.socket, channel: Channel | DeadEnd) -> None:
        """Let a socket object stand for the client's end of a channel."""
        number = id(sock)
        channels = self.by_socket
        channels[number] = (channel, weakref.ref(sock, lambda _: channels.pop(number, None)))

    def channel(self, sock: object) -> Channel | None:
        """Give the channel of a simulated socket."""
        found = self.by_socket.get(id(sock))
        return found[0] if found is not None and isinstance(found[0], Channel) else None

    def channels(self) -> Iterator[Channel | DeadEnd]:
        """Iterate over the open simulated connections, oldest first."""
        known = list(self.by_socket.values())  # at once: the collector may take a socket out meanwhile
        return iter([channel for channel, _ in known if not channel.is_closed])

    def meets_silence(self) -> bool:
        """Whether a request is never answered."""
        return any(one.is_silent for one in self.channels())

    def silent_peer(self, by_ns: int | None) -> BaseException | None:
        """Find the request that is never answered and on which no deadline lies: an event loop's.

        ``by_ns`` is the moment by which it has to have met silence: a deadline may lie on a later one.
        """
        silent = [one for one in self.channels() if isinstance(one, Channel) and one.is_silent]
        if by_ns is not None:
            since = [one.silent_since_ns for one in silent if one.silent_since_ns is not None]
            self._clock.silent_since_ns = min(since, default=None)
            silent = [one for one in silent if one.silent_since_ns is not None and one.silent_since_ns <= by_ns]
        return silent[0].meet_silence() if silent else None

    def own_descriptor(self, sock: socket.socket, channel: Channel | DeadEnd) -> int:
        """Give the descriptor of a socket that does not block, which an event loop is about to wait on."""
        if isinstance(channel, Channel) and channel.signal is None:
            channel.signal = self._signal(sock)
            channel.show()
        return REAL["fileno"](sock)  # type: ignore[no-any-return]  # the real one's

    def secure(self, channel: Channel) -> None:
        """Make the TLS handshake, which fails if the script says so."""
        unsent = self.exchange.securing(channel.host)
        if unsent is not None:
            error = handshake_failure()
            self.exchange.not_sent(unsent.ticket, error, channel.timeout)
            channel.close()
            raise error

    def look_up(self, host: str) -> str:
        """Give a host's address; raises what a failing look-up does."""
        self.refuse_others(host)
        self.rules.checks_host(host)
        self._resolve(host)
        return self._names.address(host)

    def addresses(self, host: object, *arguments: Any, **named: Any) -> list[Any] | None:  # Any: as getaddrinfo's
        """Answer for an event loop, which would ask a thread or a resolver in C; ``None`` for the real network."""
        if self.rules.is_real(host):
            return None
        text = host.decode("ascii") if isinstance(host, bytes) else str(host)
        return addresses(self.look_up(text), *arguments, **named)


def _give_descriptor_away(sock: socket.socket) -> None:
    """Let a socket go on without its descriptor: a client that blocks needs none."""
    descriptor = REAL["detach"](sock)
    if descriptor >= 0:
        os.close(descriptor)
    sock._closed = False  # type: ignore[attr-defined]  # private: socket.socket's own flag
