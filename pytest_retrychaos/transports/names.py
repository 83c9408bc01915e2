"""Hosts and their addresses on the simulated network."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any


def is_loopback(host: object) -> bool:
    """Whether a host is this machine itself, which stays real."""
    if host is None:
        return True
    name = (host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)).strip("[]").lower()
    if name in {"", "localhost"} or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def is_address(host: str) -> bool:
    """Whether a host is an IP address, which needs no looking up."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


class Names:
    """Addresses for simulated hosts, one each, from the range set aside for benchmarks (RFC 2544)."""

    def __init__(self) -> None:
        self._by_name: dict[str, str] = {}
        self._by_address: dict[str, str] = {}

    def address(self, host: str) -> str:
        """Give a host's address; an IP address is its own."""
        try:
            return str(ipaddress.ip_address(host.strip("[]").partition("%")[0]))
        except ValueError:
            pass
        known = self._by_name.get(host)
        if known is None:
            known = str(ipaddress.ip_address("198.18.0.1") + len(self._by_name))
            self._by_name[host] = known
            self._by_address[known] = host
        return known

    def host(self, address: str) -> str:
        """Give the name that was looked up to get an address, or the address."""
        return self._by_address.get(address, address)


def addresses(
    address: str,
    port: object = None,
    family: int = 0,
    type: int = 0,  # noqa: A002 - getaddrinfo's own name
    proto: int = 0,
    flags: int = 0,
) -> list[tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[Any, ...]]]:
    """Answer as ``socket.getaddrinfo`` does for a host of one address."""
    number = _port(port)
    six = ":" in address
    if family == socket.AF_INET6 and not six:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    if family == socket.AF_INET and six:
        raise socket.gaierror(socket.EAI_ADDRFAMILY, "Address family for hostname not supported")
    kind = socket.AF_INET6 if six else socket.AF_INET
    place: tuple[Any, ...] = (address, number, 0, 0) if six else (address, number)
    choices = [(socket.SOCK_STREAM, 6), (socket.SOCK_DGRAM, 17)]
    return [(kind, chosen, protocol, "", place) for chosen, protocol in choices if type in (0, chosen)]


def _port(port: object) -> int:
    """Read a port as ``getaddrinfo`` does: a number, its text, or the name of a service."""
    if port is None or isinstance(port, int):
        return port or 0
    text = port.decode() if isinstance(port, bytes) else str(port)
    if text.isdigit() or not text:
        return int(text or 0)
    try:
        return socket.getservbyname(text)
    except OSError:
        raise socket.gaierror(socket.EAI_SERVICE, "Servname not supported for ai_socktype") from None
