"""Real sockets on loopback, used by threads on virtual time: they wait by the scheduler, in every method."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import select
import socket
import socketserver
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from pytest_retrychaos.clock import VirtualClock, install
from pytest_retrychaos.clock.waits import running

SECOND = 1_000_000_000

ECHO = """
import socket, sys, time
delay = float(sys.argv[1])
with socket.create_server(("127.0.0.1", 0)) as server:
    print(server.getsockname()[1], flush=True)
    while True:
        connection, _ = server.accept()
        with connection:
            while data := connection.recv(1000):
                time.sleep(delay)
                connection.sendall(data)
"""


@contextlib.contextmanager
def echo(delay: float = 0.0) -> Iterator[int]:
    """Run a server in another process that sends back what it gets after so many real seconds; gives its port."""
    with subprocess.Popen([sys.executable, "-c", ECHO, str(delay)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


@pytest.fixture
def patient() -> Iterator[VirtualClock]:
    """A clock on which a wait for something outside would take ten minutes: the suite's timeout notices."""
    virtual = VirtualClock()
    with install(virtual, patience=600):
        yield virtual


@pytest.fixture
def pair(patient: VirtualClock) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two ends of a TCP connection within the test, the client's first."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        accepted, _ = server.accept()
        with accepted:
            yield client, accepted


@contextlib.contextmanager
def later(act: Callable[[], object], seconds: float = 5) -> Iterator[None]:
    """Have a thread do something in so many virtual seconds, and join it at the end."""
    thread = threading.Thread(target=lambda: (time.sleep(seconds), act()))
    thread.start()
    yield
    thread.join()


RECEIVERS: dict[str, Callable[[socket.socket], bytes]] = {
    "recv": lambda sock: sock.recv(100),
    "recv with flags": lambda sock: sock.recv(100, socket.MSG_PEEK),
    "recv_into": lambda sock: (lambda buffer: bytes(buffer[: sock.recv_into(buffer)]))(bytearray(9)),
    "recv_into by name": lambda sock: (lambda buffer: bytes(buffer[: sock.recv_into(buffer, nbytes=3)]))(bytearray(9)),
    "recvfrom": lambda sock: sock.recvfrom(100)[0],
    "recvfrom_into": lambda sock: (lambda buffer: bytes(buffer[: sock.recvfrom_into(buffer)[0]]))(bytearray(9)),
    "recvmsg": lambda sock: sock.recvmsg(100)[0],
    "recvmsg_into": lambda sock: (lambda buffer: bytes(buffer[: sock.recvmsg_into([buffer])[0]]))(bytearray(9)),
    "a file": lambda sock: sock.makefile("rb").read(3),
}


@pytest.mark.parametrize("receive", RECEIVERS.values(), ids=list(RECEIVERS))
@pytest.mark.parametrize("timeout", [None, 60.0])
def test_receiving_lets_the_sender_run(
    receive: Callable[[socket.socket], bytes],
    timeout: float | None,
    pair: tuple[socket.socket, socket.socket],
    patient: VirtualClock,
) -> None:
    """Whatever method waits: the other thread sends five virtual seconds later."""
    client, server = pair
    client.settimeout(timeout)
    with later(lambda: server.sendall(b"abc")):
        assert receive(client) == b"abc"
    assert patient.now_ns == 5 * SECOND


def test_a_receive_times_out_in_virtual_time(pair: tuple[socket.socket, socket.socket], patient: VirtualClock) -> None:
    """At once in real time, where only a thread of the test could send: nothing came."""
    client, _ = pair
    client.settimeout(3600)
    with pytest.raises(TimeoutError, match="timed out"):
        client.recv(1)
    assert patient.now_ns == 3600 * SECOND
    assert client.gettimeout() == 3600


def test_receiving_no_bytes_waits_for_none(pair: tuple[socket.socket, socket.socket], patient: VirtualClock) -> None:
    """It gives nothing at once, as the system does."""
    pair[0].settimeout(5)
    assert pair[0].recv(0) == b""
    assert pair[0].recv_into(bytearray()) == 0


def test_arguments_are_checked_as_ever(pair: tuple[socket.socket, socket.socket]) -> None:
    """The errors are the real ones."""
    client, _ = pair
    with pytest.raises(ValueError, match="negative buffersize in recv"):
        client.recv(-1)
    with pytest.raises(TypeError, match="a bytes-like object is required, not 'str'"):
        client.sendall("text")  # type: ignore[arg-type]  # the mistake
    with pytest.raises(TypeError):
        client.recv()  # type: ignore[call-arg]  # the mistake
    with pytest.raises(TypeError):
        client.recv_into(bytearray(1), bogus=1)  # type: ignore[call-arg]  # the mistake


@pytest.mark.parametrize("timeout", [None, 60.0])
def test_sending_more_than_fits_lets_the_receiver_run(
    timeout: float | None, pair: tuple[socket.socket, socket.socket]
) -> None:
    """Neither end waits while it has the turn."""
    client, server = pair
    client.settimeout(timeout)
    content = b"x" * 30_000_000
    got: list[int] = []

    def receive() -> None:
        total = 0
        while total < len(content):
            total += len(server.recv(1_000_000))
        got.append(total)

    with later(receive):
        client.sendall(content)
    assert got == [len(content)]


def test_a_send_that_nobody_takes_times_out(pair: tuple[socket.socket, socket.socket], patient: VirtualClock) -> None:
    """In virtual time."""
    client, _ = pair
    client.settimeout(20)
    with pytest.raises(TimeoutError):
        client.sendall(b"x" * 30_000_000)
    assert patient.now_ns == 20 * SECOND


def test_accepting_lets_the_client_run(patient: VirtualClock) -> None:
    """With and without a limit."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        with later(lambda: socket.create_connection(server.getsockname(), timeout=1).close()):
            server.accept()[0].close()
        server.settimeout(30)
        with pytest.raises(TimeoutError):
            server.accept()
    assert patient.now_ns == 35 * SECOND


def test_a_server_that_was_dropped_unclosed_hides_no_other(patient: VirtualClock) -> None:
    """The next one may have its identity: who connects to that is a client of the test as well."""
    dropped = socket.create_server(("127.0.0.1", 0))
    with pytest.warns(ResourceWarning):
        del dropped
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        assert not running().outside.peers.is_outside(client)


def test_connecting_reports_what_the_system_does(clock: VirtualClock) -> None:
    """A port where nobody listens refuses, by both methods."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        free = server.getsockname()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(free, timeout=5)
    with socket.socket() as sock:
        assert sock.connect_ex(free) == 111
        sock.settimeout(5)
        assert sock.connect_ex(free) == 111
    assert clock.now_ns == 0


def test_a_full_queue_makes_a_client_wait(clock: VirtualClock, tmp_path: Path) -> None:
    """Where a UNIX socket's server is slow to accept."""
    path = str(tmp_path / "server")
    done: list[int] = []

    def connect() -> None:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(60)
            sock.connect(path)
            done.append(sock.recv(1)[0])

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen(0)
        threads = [threading.Thread(target=connect) for _ in range(4)]
        for thread in threads:
            thread.start()
        for _ in threads:
            time.sleep(2)
            accepted, _ = server.accept()
            accepted.sendall(b"!")
            accepted.close()
        for thread in threads:
            thread.join()
    assert done == [33] * 4
    assert 8 * SECOND <= clock.now_ns < 9 * SECOND


def test_an_answer_from_another_process_is_waited_for(patient: VirtualClock) -> None:
    """The client's limit of a second does not pass at once."""
    with echo(delay=0.05) as port, socket.create_connection(("127.0.0.1", port), timeout=1) as sock:
        ticks: list[int] = []
        with later(lambda: ticks.append(patient.now_ns), seconds=0.5):
            sock.sendall(b"abc")
            assert sock.recv(100) == b"abc"
            assert ticks == []


def test_an_answer_that_never_comes_times_out_in_virtual_time(clock: VirtualClock) -> None:
    """After a bounded real time: a database that hangs costs no minute."""
    with echo(delay=600) as port, socket.create_connection(("127.0.0.1", port), timeout=60) as sock:
        sock.sendall(b"abc")
        with pytest.raises(TimeoutError):
            sock.recv(100)
    assert clock.now_ns == 60 * SECOND


def test_time_does_not_jump_over_an_answer_in_flight(patient: VirtualClock) -> None:
    """Though the one who sent does something else meanwhile; once it has come, time jumps."""
    with echo(delay=0.02) as port, socket.create_connection(("127.0.0.1", port)) as sock:
        sock.setblocking(False)
        sock.sendall(b"abc")
        time.sleep(3600)
        assert sock.recv(100) == b"abc"


class Hello(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        time.sleep(2)
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[None]:
    """Serve from a thread of the test."""
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("kind", [http.server.HTTPServer, http.server.ThreadingHTTPServer])
def test_a_server_and_clients_in_threads_of_the_test(kind: type[http.server.HTTPServer], patient: VirtualClock) -> None:
    """Each request takes the two virtual seconds for which the server thinks, and nothing in real time."""
    server = kind(("127.0.0.1", 0), Hello)
    url = f"http://127.0.0.1:{server.server_port}/"
    with serving(server):
        for _ in range(10):
            with urllib.request.urlopen(url, timeout=5) as answer:
                assert answer.read() == b"hello"
        assert patient.now_ns == 20 * SECOND
        with pytest.raises(TimeoutError):
            urllib.request.urlopen(url, timeout=1)
        time.sleep(5)  # what nobody waits for any more is answered, too, and its thread ends


def test_a_child_calls_a_server_in_a_thread_of_the_test(clock: VirtualClock) -> None:
    """As a command-line tool under test does."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hello)
    code = f"import urllib.request as u; print(u.urlopen('http://127.0.0.1:{server.server_port}/').read())"
    with serving(server):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "b'hello'\n"


@pytest.fixture(scope="module")
def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's and a client's."""
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("localhost").configure_cert(server)
    authority.configure_trust(client)
    return server, client


@pytest.mark.parametrize("timeout", [None, 60.0])
def test_tls_between_threads_of_the_test(
    timeout: float | None, contexts: tuple[ssl.SSLContext, ssl.SSLContext], patient: VirtualClock
) -> None:
    """Handshake, reads, writes that do not fit, and the end all let the other run."""
    content = b"x" * 20_000_000
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            raw, _ = listening.accept()
            time.sleep(1)
            with contexts[0].wrap_socket(raw, server_side=True) as secure:
                time.sleep(1)
                secure.sendall(content)
                secure.unwrap()

        with later(serve, seconds=1):
            raw = socket.create_connection(listening.getsockname(), timeout=timeout)
            with contexts[1].wrap_socket(raw, server_hostname="localhost") as secure:
                total = 0
                while piece := secure.recv(100_000):
                    total += len(piece)
                assert secure.gettimeout() == timeout
                secure.unwrap()
    assert total == len(content)
    assert patient.now_ns == 3 * SECOND


def test_a_tls_read_times_out_in_virtual_time(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], patient: VirtualClock
) -> None:
    """With the words of the real one."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            raw, _ = listening.accept()
            with contexts[0].wrap_socket(raw, server_side=True):
                time.sleep(100)

        with later(serve, seconds=0):
            raw = socket.create_connection(listening.getsockname(), timeout=30)
            with contexts[1].wrap_socket(raw, server_hostname="localhost") as secure:
                with pytest.raises(TimeoutError, match="The read operation timed out"):
                    secure.read(1)
                assert patient.now_ns == 30 * SECOND


def test_a_real_socket_goes_on_after_the_clock_has_gone() -> None:
    """A thread that waited on virtual time is given what comes in real time."""
    near, far = socket.socketpair()
    got: list[bytes] = []
    with near, far:
        thread = threading.Thread(target=lambda: got.append(near.recv(10)))
        with install(VirtualClock()):
            thread.start()
        far.sendall(b"late")
        thread.join()
    assert got == [b"late"]


def test_a_datagram_is_waited_for(patient: VirtualClock) -> None:
    """Between two threads, by ``sendto`` in both of its forms."""
    with (
        socket.socket(type=socket.SOCK_DGRAM) as near,
        socket.socket(type=socket.SOCK_DGRAM) as far,
    ):
        near.bind(("127.0.0.1", 0))
        far.bind(("127.0.0.1", 0))
        with later(lambda: (far.sendto(b"one", near.getsockname()), far.sendto(b"two", 0, near.getsockname()))):
            assert near.recvfrom(10) == (b"one", far.getsockname())
            assert near.recv(10) == b"two"
    assert patient.now_ns == 5 * SECOND


def test_polling_a_server_of_the_test_costs_no_real_time(patient: VirtualClock) -> None:
    """A loop that looks every half second lets hours pass at once."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        for _ in range(100):
            assert select.select([server], [], [], 30) == ([], [], [])
    assert patient.now_ns == 3000 * SECOND


def test_http_client_keeps_a_connection(patient: VirtualClock) -> None:
    """Its file and its socket are one."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hello)
    server.daemon_threads = True
    with serving(server):
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
        for _ in range(3):
            connection.request("GET", "/")
            assert connection.getresponse().read() == b"hello"
        connection.close()
    assert 6 * SECOND <= patient.now_ns < 7 * SECOND
