"""The simulated network: every host but loopback is the fake service.

``socket.socket`` is patched in place, method by method, so that classes, instances and names that existed
before follow; only new connections of threads on virtual time are simulated. Each simulated socket stands for
a `Channel`. One that blocks holds no descriptor, and ``fileno()`` answers one of two shared pipe ends, so that a
client's ``poll`` sees it as readable or not; one that does not block has a `Signal`.
"""

from __future__ import annotations

import _socket
import os
import socket
import ssl
import sys
from types import ModuleType

from pytest_retrychaos.clock.imports import Imports
from pytest_retrychaos.transports.channel import Clock
from pytest_retrychaos.transports.connections import Connections, Rules
from pytest_retrychaos.transports.loops import LIBRARIES
from pytest_retrychaos.transports.proxies import HiddenProxies
from pytest_retrychaos.transports.seam import Exchange
from pytest_retrychaos.transports.sockets import hang_up
from pytest_retrychaos.transports.standins import (
    connect_secure_of,
    lookup_of,
    socket_methods,
    wrap_bio_of,
    wrap_socket_of,
)
from pytest_retrychaos.transports.trust import reading_methods

_INSTALLED: list[Network] = []
"""The one that is installed in this process, if any."""


def _leave_behind() -> None:
    for network in _INSTALLED:
        network.leave_behind()


os.register_at_fork(after_in_child=_leave_behind)


class Network:
    """The patched ``socket`` and ``ssl`` modules, while installed."""

    def __init__(self, exchange: Exchange, clock: Clock, rules: Rules) -> None:
        self._exchange = exchange
        self._clock = clock
        self._connections = Connections(exchange, clock, rules)
        self._imports = Imports(dict.fromkeys(LIBRARIES, self._library_came))
        self._undo: list[tuple[object, str, object, bool]] = []
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
        self._clock.why_stuck = self._connections.silent_peer
        self._clock.meets_silence = self._connections.meets_silence
        for name, replacement in socket_methods(self._connections, self.pipe_ends):
            self._patch(socket.socket, name, replacement)
        # socket.getaddrinfo, however code got hold of it, calls _socket's by name.
        self._patch(_socket, "getaddrinfo", lookup_of(self._connections, "getaddrinfo", _socket.getaddrinfo))
        for name in ("gethostbyname", "gethostbyname_ex"):
            self._patch(socket, name, lookup_of(self._connections, name, getattr(socket, name)))
        self._patch(ssl.SSLContext, "wrap_socket", wrap_socket_of(self._connections))
        self._patch(ssl.SSLSocket, "_real_connect", connect_secure_of(self._connections))
        self._patch(ssl.SSLContext, "wrap_bio", wrap_bio_of(self._connections))
        for name, replacement in reading_methods(self._connections.rules.is_mine):
            self._patch(ssl.SSLContext, name, replacement)
        for name in LIBRARIES:
            if name in sys.modules:
                self._library_came(sys.modules[name])
        self._imports.on()

    def _library_came(self, module: ModuleType) -> None:
        """Patch a library around sockets, which may be loaded in the middle of a run."""
        self._patch(*LIBRARIES[module.__name__](module, self._connections.addresses))

    def remove(self) -> None:
        """Close every simulated connection and put everything back."""
        for channel, reference in list(self._connections.by_socket.values()):
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
        for channel, reference in list(self._connections.by_socket.values()):
            sock = reference()
            if sock is not None and not channel.is_closed:
                hang_up(sock, channel, is_shared=True)
        self._connections.by_socket.clear()

    def close_idle(self) -> None:
        """Close the idle connections to hosts whose next step strikes at connecting."""
        for channel in self._connections.channels():
            if self._exchange.wants_idle_closed(channel.host):
                channel.drop_idle()

    def take_in(self) -> None:
        """Take in what clients have done that their event loops have yet to carry out: before the record is read."""
        for channel in self._connections.channels():
            channel.take_in()

    def _patch(self, owner: object, name: str, value: object) -> None:
        was_own = name in vars(owner)
        self._undo.append((owner, name, vars(owner).get(name), was_own))
        setattr(owner, name, value)
