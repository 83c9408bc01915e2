"""Connections that programs on this machine are opening and that nobody has answered yet, and who holds an end.

A server never hears of a SYN that it refuses or leaves unanswered. The kernel tells: it lists the sockets in
state SYN_SENT over sock_diag(7), to anyone, for the network namespace that client and server share.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

NETLINK_SOCK_DIAG: Final = 4
SOCK_DIAG_BY_FAMILY: Final = 20
ESTABLISHED: Final = 1
SYN_SENT: Final = 2
_ANY_STATE: Final = 0xFFFFFFFF
_REQUEST, _DUMP, _MULTI = 0x1, 0x300, 0x2
_ERROR, _DONE = 2, 3
_HEADER: Final = struct.Struct("=IHHII")
_QUERY: Final = struct.Struct("=BBBBI")
_PORTS: Final = struct.Struct("!HH")
_EXPIRES: Final = struct.Struct("=I")
"""``idiag_expires``, behind four bytes of state and 48 of the socket's name."""
_INODE: Final = struct.Struct("=I")
"""``idiag_inode``, the last of it: 0 where no program holds the socket any more."""
_NO_INTERFACE_NO_COOKIE: Final = struct.pack("=III", 0, 0xFFFFFFFF, 0xFFFFFFFF)


@dataclass(frozen=True, slots=True)
class Knock:
    """A client's socket that waits for its connection."""

    family: int
    port: int
    """The client's."""
    place: bytes
    """Ports and addresses, as the kernel writes them."""


class Knocks:
    """Asks the kernel who is knocking."""

    def __init__(self) -> None:
        self._netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG)
        self._netlink.settimeout(1)

    def close(self) -> None:
        """Ask no more."""
        self._netlink.close()

    def at(self, port: int) -> dict[Knock, int]:
        """List who waits for a connection to a port of this machine, and in how many ms each asks again."""
        found = {}
        for family in (socket.AF_INET, socket.AF_INET6):
            for answer in self._ask(family, 1 << SYN_SENT, b"\0" * 36, _DUMP):
                sport, dport = _PORTS.unpack_from(answer, 4)
                if dport == port and answer[1] == SYN_SENT:
                    found[Knock(family, sport, answer[4:40])] = _EXPIRES.unpack_from(answer, 52)[0]
        return found

    def is_waiting(self, knock: Knock) -> bool:
        """Whether a client still waits."""
        return self._state(knock) == SYN_SENT

    def got_in(self, knock: Knock) -> bool:
        """Whether a client has its connection."""
        return self._state(knock) == ESTABLISHED

    def is_held(self, sock: socket.socket) -> bool:
        """Whether a program of this machine still holds the other end of a connection."""
        try:
            (host, port), (own_host, own_port) = sock.getpeername()[:2], sock.getsockname()[:2]
            addresses = [socket.inet_pton(sock.family, one).ljust(16, b"\0") for one in (host, own_host)]
            place = _PORTS.pack(port, own_port) + b"".join(addresses)
            return any(_INODE.unpack_from(answer, 68)[0] for answer in self._ask(sock.family, _ANY_STATE, place, 0))
        except OSError:
            return False

    def _state(self, knock: Knock) -> int:
        return next((answer[1] for answer in self._ask(knock.family, _ANY_STATE, knock.place, 0)), 0)

    def _ask(self, family: int, states: int, place: bytes, flags: int) -> Iterator[bytes]:
        """Send one query and give each answer's ``inet_diag_msg``."""
        query = _QUERY.pack(family, socket.IPPROTO_TCP, 0, 0, states) + place + _NO_INTERFACE_NO_COOKIE
        header = _HEADER.pack(_HEADER.size + len(query), SOCK_DIAG_BY_FAMILY, _REQUEST | flags, 1, 0)
        self._netlink.send(header + query)
        while True:
            data = self._netlink.recv(1 << 16)
            offset = 0
            while offset < len(data):
                length, kind, message_flags, _, _ = _HEADER.unpack_from(data, offset)
                if kind == _DONE:
                    return
                body = data[offset + _HEADER.size : offset + length]
                if kind == _ERROR:
                    _check(body)
                    return
                yield body
                if not message_flags & _MULTI:
                    return
                offset += (length + 3) & ~3


def _check(body: bytes) -> None:
    number = -struct.unpack_from("=i", body)[0]
    if number not in (0, errno.ENOENT):
        raise OSError(number, os.strerror(number))
