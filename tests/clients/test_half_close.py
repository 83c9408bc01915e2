"""Clients of the loopback server that shut their writing half down once the request is sent, as netcat does."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from pytest_retrychaos import Chaos
from pytest_retrychaos.trace import Attempt

REQUEST = b"POST /payments HTTP/1.1\r\nHost: service.test\r\nContent-Length: 2\r\n\r\n{}"


def connected(chaos: Chaos) -> socket.socket:
    """Send a request, and say that nothing more will come."""
    host, _, port = chaos.url.rpartition("/")[2].rpartition(":")
    sock = socket.create_connection((host.strip("[]"), int(port)), timeout=10)
    sock.sendall(REQUEST)
    sock.shutdown(socket.SHUT_WR)
    return sock


def pieces(sock: socket.socket) -> Iterator[bytes]:
    """Read until the end."""
    while piece := sock.recv(65536):
        yield piece


def first_ended(chaos: Chaos) -> Attempt:
    """Wait until the first attempt has ended."""
    while not chaos.attempts or chaos.attempts[0].ended is None:
        time.sleep(0.01)
    return chaos.attempts[0]


@pytest.mark.parametrize("script", ["ok", "slow=200ms", "slow=200ms before-commit", "drip=200ms"])
@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_a_client_that_writes_no_more_gets_its_answer(script: str, host: str) -> None:
    """However late; then the server closes, too."""
    with Chaos(script, transport="loopback", listen=f"{host}:0") as chaos, connected(chaos) as sock:
        answer = b"".join(pieces(sock))

        assert answer.startswith(b"HTTP/1.1 201 Created\r\n")
        assert answer.endswith(b"}")
        assert chaos.attempts[0].error is None
        assert len(chaos.ledger) == 1


def test_a_large_answer_arrives_whole() -> None:
    """Though it does not fit into what the kernel holds."""
    with Chaos(transport="loopback") as chaos:
        chaos.service.route("POST", "/payments", lambda _: (201, "x" * 20_000_000))
        with connected(chaos) as sock:
            time.sleep(0.1)  # for real: meanwhile the kernel has taken what it can hold, and the server waits
            assert sum(map(len, pieces(sock))) > 20_000_000

        assert chaos.attempts[0].error is None


def test_a_client_that_then_closes_has_given_up() -> None:
    """Nothing on the wire tells it; the kernel does."""
    with Chaos("slow=20s", transport="loopback") as chaos:
        with connected(chaos):
            time.sleep(0.1)  # for real: as long as it reads, it has not given up
            before = chaos.attempts[0].ended
        attempt = first_ended(chaos)

        assert before is None
        assert attempt.error == "timeout: closed by the client while the service was silent"
        assert attempt.ended < 20


def test_silence_is_taken_for_a_client_that_gave_up() -> None:
    """No answer is on its way: whether it would read one makes no difference to it."""
    with Chaos("timeout", transport="loopback") as chaos, connected(chaos):
        assert first_ended(chaos).error == "timeout: closed by the client while the service was silent"
