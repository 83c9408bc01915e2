"""Requests a second of the loopback server for one client that keeps its connection, beside pytest-httpserver.

The least server, a thread that answers whatever comes by the same bytes, tells what client, sockets and the waking of
threads leave to a server at most.
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


def _least(client: Callable[[str, int], float]) -> float:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_answer_all, args=(listener,), daemon=True)
        thread.start()
        spent = client("127.0.0.1", listener.getsockname()[1])
        thread.join()
        return spent


def _answer_all(listener: socket.socket) -> None:
    """Answer everything on one connection until it ends."""
    sock, _ = listener.accept()
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with sock:
        while sock.recv(65_536):
            sock.sendall(CANNED)


def keep_alive() -> list[str]:
    """Requests a second, each recorded and answered by a route; medians of the rounds, and of their ratios."""
    lines = [
        "| client | pytest-retrychaos | pytest-httpserver | times | the least server | times |",
        "|---|---|---|---|---|---|",
    ]
    for name, client in CLIENTS.items():
        rounds = [(_ours(client), _theirs(client), _least(client)) for _ in range(ROUNDS)]
        ours, theirs, least = (statistics.median(column) for column in zip(*rounds, strict=True))
        times = statistics.median(one[0] / one[1] for one in rounds)
        at_most = statistics.median(one[2] / one[1] for one in rounds)
        lines.append(f"| {name} | {ours:.0f} | {theirs:.0f} | {times:.1f} | {least:.0f} | {at_most:.1f} |")
    return lines


if __name__ == "__main__":
    print(raw(sys.argv[1], int(sys.argv[2])))
