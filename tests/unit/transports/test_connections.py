"""Which sockets stand for which connections."""

import socket
from typing import Any, cast

from pytest_retrychaos.transports.connections import Connections


class Busy:
    """A connection during whose turn somebody else drops a socket: another thread, or the collector in it."""

    def __init__(self, others: list[socket.socket]) -> None:
        self.others = others

    @property
    def is_closed(self) -> bool:
        self.others.clear()
        return False


def test_connections_are_listed_while_sockets_go() -> None:
    unneeded = cast(Any, None)
    connections = Connections(unneeded, unneeded, unneeded)
    kept = socket.socket()
    others = [socket.socket(), socket.socket()]
    busy, idle = Busy(others), Busy([])
    connections.adopt(kept, cast(Any, busy))
    for sock in others:
        connections.adopt(sock, cast(Any, idle))
        sock.close()
    del sock
    with kept:
        assert list(connections.channels()) == [busy, idle, idle]
        assert list(connections.channels()) == [busy]
