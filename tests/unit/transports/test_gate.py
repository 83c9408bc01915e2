"""The loopback server's listening sockets, and who is seen knocking at them."""

from __future__ import annotations

import socket
import threading

import pytest

from pytest_retrychaos.transports.gate import Door, Gate
from pytest_retrychaos.transports.knocks import Knocks


@pytest.fixture
def gate():
    """A gate on localhost."""
    found = Gate("localhost", 0)
    yield found
    found.close()


@pytest.fixture
def knocks():
    """Who is knocking."""
    found = Knocks()
    yield found
    found.close()


class Client(threading.Thread):
    """Connects once, and notes what came of it."""

    def __init__(self, port: int, timeout: float = 5) -> None:
        super().__init__()
        self._port = port
        self._timeout = timeout
        self.error: OSError | None = None
        self.start()

    def run(self) -> None:
        """Connect."""
        try:
            socket.create_connection(("127.0.0.1", self._port), self._timeout).close()
        except OSError as error:
            self.error = error


def test_an_open_gate_lets_clients_in_on_both_addresses(gate):
    """IPv4 and IPv6, one port."""
    for sock, host in zip(gate.sockets, ("127.0.0.1", "::1"), strict=True):
        with socket.create_connection((host, gate.port), 5):
            sock.setblocking(True)
            connection, _ = sock.accept()
            connection.close()


def test_a_held_gate_lets_a_client_wait_where_it_is_seen(gate, knocks):
    """It gives up in the end, and is seen no more."""
    gate.hold()
    client = Client(gate.port, timeout=0.3)
    while not (seen := knocks.at(gate.port)):
        pass
    knock, again_ms = seen.popitem()

    assert knock.family == socket.AF_INET
    assert 0 < again_ms <= 1100
    assert knocks.is_waiting(knock)
    client.join()
    assert isinstance(client.error, TimeoutError)
    assert not knocks.is_waiting(knock)
    assert knocks.at(gate.port) == {}


def test_a_client_that_waited_gets_in_when_the_gate_is_opened(gate, knocks):
    """Its SYN comes again after a second."""
    gate.hold()
    client = Client(gate.port)
    while not (seen := knocks.at(gate.port)):
        pass

    gate.open()

    client.join()
    assert client.error is None
    assert not knocks.got_in(next(iter(seen)))  # it has closed since


def test_a_shut_gate_refuses_and_keeps_its_port(gate):
    """It can be opened again."""
    gate.shut()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", gate.port), 5)

    gate.open()

    socket.create_connection(("127.0.0.1", gate.port), 5).close()


def test_clients_who_came_before_are_let_in_when_the_gate_is_held(gate):
    """What the kernel had accepted already is not left hanging."""
    with socket.create_connection(("127.0.0.1", gate.port), 5) as client:
        earlier = gate.hold()

        assert [one.getpeername() for one in earlier] == [client.getsockname()]
        for one in earlier:
            one.close()
    assert gate.door is Door.HELD


def test_a_gate_that_was_held_and_shut_and_held_again_still_holds(gate, knocks):
    """Every change works from every state."""
    for act in (gate.hold, gate.shut, gate.hold, gate.open, gate.shut, gate.shut, gate.hold, gate.hold):
        act()

    client = Client(gate.port, timeout=0.2)
    client.join()

    assert isinstance(client.error, TimeoutError)
