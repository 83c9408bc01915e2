"""Where the simulated network begins and ends: old sockets, loopback, datagrams, addresses."""

from __future__ import annotations

import http.client
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import create_connection, getaddrinfo
from socket import socket as early_socket

import httpx
import pytest
import requests

from pytest_retrychaos import Chaos
from pytest_retrychaos.clock.errors import Refused

SESSION = requests.Session()
"""A session that a module holds for good, as much code does."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"real")

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def loopback():
    """The address of a real server, started before any chaos."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    SESSION.close()
    server.shutdown()
    server.server_close()
    thread.join(5)


@pytest.fixture
def old_socket():
    """A socket that was made before chaos began."""
    with socket.socket() as made:
        made.settimeout(5)
        yield made


def request_on(connection: socket.socket) -> bytes:
    connection.sendall(b"GET /payments HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\n\r\n")
    return connection.recv(65536)


def test_the_class_imported_before_the_test_is_simulated(chaos):
    """``from socket import socket`` names the same class, which is patched in place."""
    with early_socket() as connection:
        connection.settimeout(5)
        connection.connect(("api.example.com", 80))
        assert request_on(connection).startswith(b"HTTP/1.1 200 OK")


def test_create_connection_imported_before_the_test_is_simulated(chaos):
    """It looks names up in its own module, where they are replaced."""
    with create_connection(("api.example.com", 80), timeout=5) as connection:
        assert request_on(connection).startswith(b"HTTP/1.1 200 OK")


def test_a_socket_made_before_chaos_is_simulated(old_socket, chaos):
    """What counts is when it connects."""
    old_socket.connect(("198.18.0.200", 80))

    assert request_on(old_socket).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize(
    ("port", "number"), [("https", 443), (b"https", 443), ("8080", 8080), (b"8080", 8080), (None, 0)]
)
def test_a_port_is_read_as_ever(chaos, port, number):
    """By its number, as text or bytes, and by its name."""
    [(*_, address)] = socket.getaddrinfo("api.test", port, type=socket.SOCK_STREAM)
    assert address[1] == number


def test_a_lookup_that_makes_no_sense_fails_as_ever(chaos):
    """A service that nobody knows, and an address of another family."""
    with pytest.raises(socket.gaierror) as unknown:
        socket.getaddrinfo("api.test", "no-such-service")
    assert unknown.value.errno == socket.EAI_SERVICE
    with pytest.raises(socket.gaierror) as other:
        socket.getaddrinfo("2001:db8::1", 80, socket.AF_INET)
    assert other.value.errno == socket.EAI_ADDRFAMILY


def test_a_lookup_imported_before_the_test_is_simulated(chaos):
    """A held ``getaddrinfo`` asks no real resolver."""
    found = getaddrinfo("name.invalid", 80, type=socket.SOCK_STREAM)

    assert [place for *_, place in found] == [("198.18.0.1", 80)]


class TestOneSessionInTwoTestsAndForReal:
    """A module's session carries nothing from one test into the next, nor into reality."""

    def test_first(self, chaos):
        """Leave a connection to a simulated host in the pool."""
        chaos.script("ok, 503")
        assert SESSION.get("http://api.example.com/payments", timeout=5).status_code == 200
        assert SESSION.get("http://api.example.com/payments", timeout=5).status_code == 503

    def test_second(self, chaos):
        """The same host is reached anew: the old connection is closed, and the session finds that out."""
        assert SESSION.get("http://api.example.com/payments", timeout=5).status_code == 200
        assert len(chaos.attempts) == 1

    def test_afterwards_it_is_real(self, loopback):
        """Outside of chaos it speaks to a real server."""
        assert SESSION.get(loopback, timeout=5).text == "real"
        SESSION.close()


@pytest.mark.parametrize("kind", [requests.Session, httpx.Client])
def test_one_pool_in_two_runs_and_for_real(loopback, kind):
    """The same within one test: what a run leaves in a pool looks like a connection that its peer has closed."""
    with kind() as session:
        for _ in range(2):
            with Chaos() as chaos:
                assert session.get("http://api.example.com/payments", timeout=5).status_code == 200
                assert session.get("https://api.example.com/payments", timeout=5).status_code == 200
                assert len(chaos.attempts) == 2
        assert session.get(loopback, timeout=5).text == "real"


def test_a_connection_object_in_two_runs():
    """`http.client` does not look before it writes: it meets what a peer that has closed gives it."""
    connection = http.client.HTTPConnection("api.example.com", timeout=5)
    with Chaos():
        connection.request("GET", "/payments")
        connection.getresponse().read()
    with Chaos() as chaos:
        with pytest.raises(BrokenPipeError):
            connection.request("GET", "/payments")
        connection.close()
        connection.request("GET", "/payments")
        assert connection.getresponse().status == 200
        assert len(chaos.attempts) == 1
    connection.close()


def test_a_loopback_server_is_real_during_chaos(loopback, chaos):
    """Its requests are no attempts, and the script does not strike them."""
    chaos.script("503, ok")

    assert requests.get(loopback, timeout=5).text == "real"
    assert httpx.get(loopback).text == "real"

    assert chaos.attempts == ()
    assert requests.get("http://api.example.com/payments", timeout=5).status_code == 503


def test_a_datagram_to_another_machine_is_refused_by_name(chaos):
    """Statsd and DNS packets must not leave a test."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        with pytest.raises(Refused, match=r"a datagram to 192\.0\.2\.1:8125 cannot be simulated"):
            sender.sendto(b"count:1|c", ("192.0.2.1", 8125))
        with pytest.raises(Refused, match=r"a datagram to .* must not leave this machine"):
            sender.connect(("192.0.2.1", 8125))
    chaos._run.exchange.problems.clear()


def test_a_datagram_to_loopback_is_real(chaos):
    """It arrives."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        receiver.bind(("127.0.0.1", 0))
        sender.sendto(b"count:1|c", receiver.getsockname())
        assert receiver.recv(100) == b"count:1|c"


def test_a_socket_pair_is_real(chaos):
    """What never leaves the process is left alone."""
    left, right = socket.socketpair()
    with left, right:
        left.sendall(b"hello")
        assert right.recv(5) == b"hello"


@pytest.mark.parametrize("address", ["192.0.2.7", "[2001:db8::7]"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_address_in_place_of_a_name_is_simulated(chaos, scheme, address):
    """IPv4 and IPv6 literals are hosts like any other."""
    assert requests.get(f"{scheme}://{address}/payments", timeout=5).status_code == 200
    assert httpx.get(f"{scheme}://{address}/payments").status_code == 200

    assert [attempt.host for attempt in chaos.attempts] == [address, address]


def test_a_port_of_its_own_is_part_of_the_host(chaos):
    """A service on another port is another host to the trace."""
    assert requests.get("http://api.example.com:8080/payments", timeout=5).status_code == 200

    assert chaos.attempts[0].host == "api.example.com:8080"
