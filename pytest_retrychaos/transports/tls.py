"""TLS towards the simulated service: the client's own ``ssl.SSLSocket`` or ``SSLObject``, with plain text beneath.

The one place that knows how these are built. The handshake always succeeds unless the script says
otherwise; no certificate is checked, since there is none.
"""

from __future__ import annotations

import ssl
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from pytest_retrychaos.transports.channel import Channel
from pytest_retrychaos.transports.greeting import GO_ON_IN_PLAIN
from pytest_retrychaos.transports.trust import read

A = TypeVar("A")
R = TypeVar("R")

HIDES_RESETS = sys.version_info < (3, 12, 4)
"""Whether ``ssl`` takes a reset for an unexpected end: since 3.10, mended by gh-115627 and not backported to 3.11."""


class _Facts:
    """What a TLS engine says of a connection on which nothing is encrypted."""

    session: object = None
    session_reused = False
    server_side = False

    def __init__(self, context: ssl.SSLContext, server_hostname: str | None, host: str) -> None:
        self.context = context
        self.server_hostname = server_hostname
        self._host = host

    def pending(self) -> int:
        return 0

    def do_handshake(self) -> None:
        """Do nothing: it took place when the socket was wrapped."""

    def shutdown(self) -> None:
        """Do nothing: closing the connection is enough."""

    def getpeercert(self, binary_form: bool = False) -> dict[str, object] | bytes:
        if binary_form:
            return b""
        name = self.server_hostname or self._host
        kind = "IP Address" if name.replace(".", "").isdigit() or ":" in name else "DNS"
        return {
            "subject": ((("commonName", name),),),
            "subjectAltName": ((kind, name),),
            "notBefore": "Jan  1 00:00:00 2020 GMT",
            "notAfter": "Jan  1 00:00:00 2120 GMT",
        }

    def version(self) -> str:
        return "TLSv1.3"

    def cipher(self) -> tuple[str, str, int]:
        return ("TLS_AES_256_GCM_SHA384", "TLSv1.3", 256)

    def shared_ciphers(self) -> None:
        return None

    def compression(self) -> None:
        return None

    def selected_alpn_protocol(self) -> None:
        """Name no protocol, so that a client that could speak HTTP/2 speaks HTTP/1.1."""

    def selected_npn_protocol(self) -> None:
        return None

    def get_channel_binding(self, kind: str) -> None:
        return None

    def verify_client_post_handshake(self) -> None:
        return None

    def get_verified_chain(self) -> list[object]:
        return []

    def get_unverified_chain(self) -> list[object]:
        return []


class PlainText(_Facts):
    """Stands where an ``ssl.SSLSocket`` keeps its TLS engine, and passes bytes through."""

    def __init__(self, channel: Channel, context: ssl.SSLContext, server_hostname: str | None) -> None:
        super().__init__(context, server_hostname, channel.host)
        self._channel = channel

    def read(self, limit: int, buffer: Any = None) -> bytes | int:  # Any: whatever has the buffer protocol
        content = self._as_tls(
            self._channel.receive, limit if buffer is None else min(limit, len(buffer)) or len(buffer)
        )
        if buffer is None:
            return content
        buffer[: len(content)] = content
        return len(content)

    def write(self, data: bytes) -> int:
        return self._as_tls(self._channel.send, data)

    @staticmethod
    def _as_tls(act: Callable[[A], R], argument: A) -> R:
        """Carry out a call on the channel; its connection errors come as TLS gives them."""
        try:
            return act(argument)
        except (ConnectionResetError, BrokenPipeError):
            if not HIDES_RESETS:
                raise
        raise unexpected_eof()


class Undecided:
    """Stands where an ``ssl.SSLObject`` keeps its TLS engine: the real one, until the peer asks for plain text."""

    def __init__(self, engine: Any, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> None:  # Any: private type
        self._engine = engine
        self._incoming = incoming
        self._outgoing = outgoing

    def __getattr__(self, name: str) -> Any:  # Any: whatever the engine has
        return getattr(self._engine, name)

    @property
    def context(self) -> ssl.SSLContext:
        return self._engine.context  # type: ignore[no-any-return]  # as annotated

    @context.setter
    def context(self, context: ssl.SSLContext) -> None:
        self._engine.context = context

    def do_handshake(self) -> None:
        """Greet, and see what the peer says to it."""
        if isinstance(self._engine, _Buffered):
            return
        said = self._incoming.read()
        if said.startswith(GO_ON_IN_PLAIN):
            self._incoming.write(said[len(GO_ON_IN_PLAIN) :])
            self._engine = _Buffered(self._engine, self._incoming, self._outgoing)
            return
        if said:  # a certificate, of a real peer
            self._incoming.write(said)
            read(self._engine.context)
        self._engine.do_handshake()


class _Buffered(_Facts):
    """Passes bytes from buffer to buffer."""

    def __init__(self, engine: Any, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> None:  # Any: private type
        super().__init__(engine.context, engine.server_hostname, engine.server_hostname or "")
        self._incoming = incoming
        self._outgoing = outgoing

    def read(self, limit: int, buffer: Any = None) -> bytes | int:  # Any: whatever has the buffer protocol
        content = self._incoming.read(limit if buffer is None else min(limit, len(buffer)) or len(buffer))
        if not content and limit:
            if self._incoming.eof:
                raise unexpected_eof()
            raise ssl.SSLWantReadError(
                int(ssl.SSLErrorNumber.SSL_ERROR_WANT_READ), "The operation did not complete (read) (_ssl.c:2580)"
            )
        if buffer is None:
            return content
        buffer[: len(content)] = content
        return len(content)

    def write(self, data: bytes) -> int:
        return self._outgoing.write(data)


def unexpected_eof() -> ssl.SSLEOFError:
    """Make the error of a peer that ends the connection without saying so in TLS."""
    return ssl.SSLEOFError(int(ssl.SSLErrorNumber.SSL_ERROR_EOF), "EOF occurred in violation of protocol (_ssl.c:2580)")


def secure_twin(
    channel: Channel,
    context: ssl.SSLContext,
    server_hostname: str | None,
    *,
    suppress_ragged_eofs: bool,
) -> ssl.SSLSocket:
    """Build the ``SSLSocket`` that takes the place of a connected plain socket."""
    if context.check_hostname and not server_hostname:
        raise ValueError("check_hostname requires server_hostname")
    kind = getattr(context, "sslsocket_class", None) or ssl.SSLSocket
    secure: Any = kind.__new__(kind)  # Any: its slots are filled as SSLSocket._create does
    secure._context = context
    secure._session = None
    secure._closed = False
    secure._io_refs = 0
    secure.server_side = False
    secure.server_hostname = server_hostname
    secure.do_handshake_on_connect = True
    secure.suppress_ragged_eofs = suppress_ragged_eofs
    secure._connected = True
    secure._sslobj = PlainText(channel, context, server_hostname)
    channel.timed_out_text = "The read operation timed out"
    channel.conversation.scheme = "https"
    return secure  # type: ignore[no-any-return]  # built above as an SSLSocket
