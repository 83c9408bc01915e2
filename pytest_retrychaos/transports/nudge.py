"""Let a client ask again at once that waits for its connection: one TCP segment, where the system allows to send it.

An acknowledgment of nothing that the client sent makes Linux repeat the first SYN after two ticks instead of a
second (``tcp_rcv_synsent_state_process``, net/ipv4/tcp_input.c). It takes a raw socket, and so CAP_NET_RAW, which
root has in most containers. Elsewhere nothing is sent, and the client asks again in its own time.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from typing import Final

from pytest_retrychaos.transports.knocks import Knock

ACK: Final = 0x10
_SEGMENT: Final = struct.Struct("!HHIIBBHHH")
_CHECKSUM_AT: Final = 16
"""Offset in a segment (RFC 9293, 3.1)."""
_IPV6_CHECKSUM: Final = 7
"""``IPV6_CHECKSUM`` (ipv6(7)): the kernel fills it in; for IPv4 nobody does."""


class Nudge:
    """Sends the segments."""

    def __init__(self) -> None:
        self._sockets: dict[int, socket.socket | None] = {}

    def close(self) -> None:
        """Send no more."""
        for sock in self._sockets.values():
            if sock is not None:
                sock.close()
        self._sockets.clear()

    def can_reach(self, knock: Knock) -> bool:
        """Whether this process may send one to a client."""
        if knock.family not in self._sockets:
            self._sockets[knock.family] = _raw(knock.family)
        return self._sockets[knock.family] is not None

    def send(self, knock: Knock) -> None:
        """Send one to a client that can be reached; one that is lost does no harm."""
        sock = self._sockets[knock.family]
        assert sock is not None
        size = 4 if knock.family == socket.AF_INET else 16
        client, server = knock.place[4 : 4 + size], knock.place[20 : 20 + size]
        (port,) = struct.unpack_from("!H", knock.place, 2)
        with contextlib.suppress(OSError):
            sock.sendto(segment(client, knock.port, server, port), (socket.inet_ntop(knock.family, client), 0))


def segment(client: bytes, client_port: int, server: bytes, port: int) -> bytes:
    """Write what goes from the server to the client, addresses as the kernel writes them."""
    bare = _SEGMENT.pack(port, client_port, 1, 1, 5 << 4, ACK, 0, 0, 0)
    pseudo = server + client + struct.pack("!HH", socket.IPPROTO_TCP, len(bare))
    total = sum(struct.unpack(f"!{len(pseudo + bare) // 2}H", pseudo + bare))
    total = (total & 0xFFFF) + (total >> 16)
    checksum = ~(total + (total >> 16)) & 0xFFFF
    return bare[:_CHECKSUM_AT] + struct.pack("!H", checksum) + bare[_CHECKSUM_AT + 2 :]


def _raw(family: int) -> socket.socket | None:
    try:
        sock = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_TCP)
    except OSError:
        return None
    sock.setblocking(False)
    with contextlib.suppress(OSError):  # nothing that arrives is read
        sock.shutdown(socket.SHUT_RD)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_CHECKSUM, _CHECKSUM_AT)
    return sock
