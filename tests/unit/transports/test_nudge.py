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
def test_refusals_in_a_row_cost_less_than_a_second_each(host: str) -> None:
    """Where a raw socket may be opened; elsewhere each takes until the client asks again, a second later."""
    try:
        socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP).close()
        limit = 4.0
    except PermissionError:
        limit = 20.0
    with Chaos("refuse x5", transport="loopback", listen=f"{host}:0") as chaos:
        address = (host.strip("[]"), int(chaos.url.rpartition(":")[2]))
        began = time.monotonic()
        for _ in range(5):
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(address, timeout=10)
            time.sleep(0.05)  # who comes back at once can be refused once more
        took = time.monotonic() - began
        socket.create_connection(address, timeout=10).close()

    assert took < limit
    assert [attempt.error for attempt in chaos.attempts] == [
        "ConnectionRefusedError: [Errno 111] Connection refused"
    ] * 5
