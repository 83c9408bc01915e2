"""The segment that makes a client ask again, and what it is worth."""

from __future__ import annotations

import socket
import time

import pytest

from pytest_retrychaos import Chaos
from pytest_retrychaos.transports.nudge import segment


def test_a_segment_is_written_as_the_rfc_says() -> None:
    """Ports, sequence, acknowledgment, length and flags, no window, and the checksum over addresses and all."""
    written = segment(socket.inet_aton("127.0.0.1"), 40_000, socket.inet_aton("127.0.0.1"), 8080)

    assert written.hex() == "1f909c40" + "00000001" + "00000001" + "5010" + "0000" + "f5ff" + "0000"


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_a_refusal_does_not_take_until_the_client_asks_again(host: str) -> None:
    """Which it does a second later. A raw socket is needed for it; where none may be opened, each waits for that."""
    try:
        socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP).close()
        limit = 1.0
    except PermissionError:
        limit = 4.0
    took = []
    with Chaos("refuse x5", transport="loopback", listen=f"{host}:0") as chaos:
        address = (host.strip("[]"), int(chaos.url.rpartition(":")[2]))
        for _ in range(5):
            began = time.monotonic()
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(address, timeout=10)
            took.append(time.monotonic() - began)
            time.sleep(0.05)  # who comes back at once can be refused once more
        socket.create_connection(address, timeout=10).close()

    assert min(took) < limit  # one at least: on a busy machine others wait for the processor
    assert [attempt.error for attempt in chaos.attempts] == [
        "ConnectionRefusedError: [Errno 111] Connection refused"
    ] * 5
