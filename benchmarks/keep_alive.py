"""Requests a second of the loopback server for one client that keeps its connection, beside pytest-httpserver.

The least server, a thread that answers whatever comes by the same bytes, tells what client, sockets and the waking of
threads leave to a server at most; the least service, in the same thread, what they leave to one that reads a request.
"""

from __future__ import annotations

import http.client
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack

from least_service import LeastService

from pytest_retrychaos import Chaos, Response
from pytest_retrychaos.clock.cpython import real_twin

NOW = real_twin(time.perf_counter)
ROUNDS, REQUESTS = 11, 1500
BODY = b'{"eur": 0.9}'
CANNED = b"HTTP/1.1 200 OK\r\nDate: Thu, 26 Nov 2026 12:00:00 GMT\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)


def raw(host: str, port: int) -> float:
    """Ask over a bare socket; where the server closes it, over the next one. Gives requests a second."""
    request = f"GET /rates HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode()
    sock = _connected(host, port)
    began = NOW()
    for _ in range(REQUESTS):
        sock.sendall(request)
        answer = sock.recv(65_536)
        while not answer.endswith(BODY):
            answer += sock.recv(65_536)
        if b"onnection: close" in answer or answer.startswith(b"HTTP/1.0"):
            sock.close()
            sock = _connected(host, port)
    spent = NOW() - began
    sock.close()
    return REQUESTS / spent


def _connected(host: str, port: int) -> socket.socket:
    sock = socket.create_connection((host, port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def by_http_client(host: str, port: int) -> float:
    """Ask by the standard library's client, which connects anew by itself. Gives requests a second."""
    connection = http.client.HTTPConnection(host, port)
    began = NOW()
    for _ in range(REQUESTS):
        connection.request("GET", "/rates")
        connection.getresponse().read()
    spent = NOW() - began
    connection.close()
    return REQUESTS / spent


def from_outside(host: str, port: int) -> float:
    """Ask over a bare socket from another process. Gives requests a second."""
    done = subprocess.run([sys.executable, __file__, host, str(port)], check=True, capture_output=True, text=True)
    return float(done.stdout)


CLIENTS = {"bare socket": raw, "http.client": by_http_client, "bare socket, another process": from_outside}


def _ours(client: Callable[[str, int], float]) -> float:
    with Chaos(transport="loopback") as chaos:
        chaos.service.route("GET", "/rates", lambda _: Response(200, body=BODY))
        return client("127.0.0.1", int(chaos.url.rpartition(":")[2]))


def _theirs(client: Callable[[str, int], float]) -> float:
    from pytest_httpserver import HTTPServer

    with ExitStack() as stack:
        server = stack.enter_context(HTTPServer())
        server.expect_request("/rates").respond_with_data(BODY)
        return client(server.host, server.port)


def _least(client: Callable[[str, int], float], serve: Callable[[socket.socket], None]) -> float:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_answer_all, args=(listener, serve), daemon=True)
        thread.start()
        spent = client("127.0.0.1", listener.getsockname()[1])
        thread.join()
        return spent


def _answer_all(listener: socket.socket, serve: Callable[[socket.socket], None]) -> None:
    """Answer everything on one connection until it ends."""
    sock, _ = listener.accept()
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with sock:
        serve(sock)


def _by_canned_bytes(sock: socket.socket) -> None:
    while sock.recv(65_536):
        sock.sendall(CANNED)


def _by_least_service(sock: socket.socket) -> None:
    service = LeastService(CANNED)
    while request := sock.recv(65_536):
        service.sendall(request)
        sock.sendall(service.recv(65_536))
    service.close()


RIVALS: dict[str, Callable[[Callable[[str, int], float]], float]] = {
    "pytest-retrychaos": _ours,
    "pytest-httpserver": _theirs,
    "the least server": lambda client: _least(client, _by_canned_bytes),
    "the least service": lambda client: _least(client, _by_least_service),
}


def keep_alive() -> list[str]:
    """Requests a second, each recorded and answered by a route; medians of the rounds, and of their ratios."""
    lines = [f"| client | {' | '.join(RIVALS)} |", "|---|---|---|---|---|"]
    for name, client in CLIENTS.items():
        rounds = [{rival: measure(client) for rival, measure in RIVALS.items()} for _ in range(ROUNDS)]
        cells = []
        for rival in RIVALS:
            rate = statistics.median(one[rival] for one in rounds)
            times = statistics.median(one[rival] / one["pytest-httpserver"] for one in rounds)
            cells.append(f"{rate:.0f}" if rival == "pytest-httpserver" else f"{rate:.0f}, {times:.1f} times")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


if __name__ == "__main__":
    print(raw(sys.argv[1], int(sys.argv[2])))
