"""A real server on loopback that makes faults for real: threads, sockets, TLS, real time.

It speaks as much HTTP/1.1 as the clients of the parity tests need, and nothing of the package under test.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

REFUSED = "refuse"
"""A fault of the address, not of a connection: nobody listens until it is used up."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server answers when nothing goes wrong."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


@dataclass(slots=True)
class Plan:
    """The faults to come: one a request, then plain answers; ``always`` repeats the last."""

    faults: deque[str]
    always: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, *, reused: bool) -> str:
        """Give the next fault; ``stale`` waits for a request on a connection that has served before."""
        with self.lock:
            if not self.faults or (self.faults[0] == "stale" and not reused):
                return "ok"
            return self.faults[0] if self.always else self.faults.popleft()


class LoopbackServer:
    """One listening address; a thread for it and one for each connection."""

    def __init__(self, answer: Answer, plan: Plan, context: ssl.SSLContext | None = None) -> None:
        self._answer = answer
        self._plan = plan
        self._context = context
        self._done = threading.Event()
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []
        self.requests = 0
        self._refusing = bool(plan.faults) and plan.faults[0] == REFUSED
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"{'https' if context else 'http'}://127.0.0.1:{self.port}"
        if not self._refusing:
            self._listen()

    @property
    def is_listening(self) -> bool:
        """Whether a connection is accepted."""
        return not self._refusing

    def stop_refusing(self) -> None:
        """Begin to listen, unless refusing is to last."""
        if self._refusing and not self._plan.always:
            self._plan.faults.popleft()
            self._refusing = False
            self._listen()

    def close(self) -> None:
        """End every connection and every thread."""
        self._done.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        for thread in self._threads:
            thread.join(5)

    def _listen(self) -> None:
        self._listener.listen()
        self._start(self._accept)

    def _start(self, target: object, *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while not self._done.is_set():
                connection, _ = self._listener.accept()
                self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            if self._context is not None:
                connection = self._context.wrap_socket(connection, server_side=True)
            self._open.append(connection)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with connection.makefile("rb") as reader:
                self._converse(connection, reader)
        # A plain close: what is beneath TLS, too, ends without a farewell, as a server that crashes ends.
        connection.close()

    def _converse(self, connection: socket.socket, reader: BinaryIO) -> None:
        served = 0
        while not self._done.is_set() and (head := _read_request(reader, connection)) is not None:
            self.requests += 1
            if not self._respond(connection, head, self._plan.take(reused=served > 0)):
                return
            served += 1

    def _respond(self, connection: socket.socket, head: dict[str, str], fault: str) -> bool:
        """Make the fault; whether the connection lives on."""
        name, _, value = fault.partition("=")
        if name == "timeout":
            connection.recv(1)  # until the client, or `close`, has had enough
            return False
        if name in ("eof", "stale"):
            return False
        if name == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        if name == "garbage":
            connection.sendall(b"\x00\x8f\xff this is not HTTP \x07\x1b\r\n\r\n\x9c\xe2")
            return False
        if name == "slow":
            self._done.wait(float(value))
        answer = Answer(int(name)) if name.isdigit() else self._answer
        return self._send(connection, head, answer, name, float(value or 0))

    def _send(self, connection: socket.socket, head: dict[str, str], answer: Answer, name: str, over: float) -> bool:
        is_bodiless = answer.status in (204, 304)
        announced, body = len(answer.body), answer.body
        if name == "truncate":
            announced = announced or 1
            body = body[: len(body) // 2]
        close = head.get("connection", "").lower() == "close"
        lines = [f"HTTP/1.1 {answer.status} X", *(f"{key}: {text}" for key, text in answer.headers)]
        lines += [] if is_bodiless else [f"Content-Length: {announced}"]
        lines += ["Connection: close"] if close else []
        block = ("\r\n".join(lines) + "\r\n\r\n").encode()
        connection.sendall(block[:10] if is_bodiless and name == "truncate" else block)
        if name == "drip":
            for number in range(10):
                self._done.wait(over / 10)
                connection.sendall(body[len(body) * number // 10 : len(body) * (number + 1) // 10])
        else:
            connection.sendall(body)
        return not close and name != "truncate"


def _read_request(reader: BinaryIO, connection: socket.socket) -> dict[str, str] | None:
    """Read one request, its body thrown away; its headers in lower case, or ``None`` at the end."""
    head = {"": reader.readline().decode("latin-1").strip()}
    if not head[""]:
        return None
    while line := reader.readline().decode("latin-1").strip():
        name, _, value = line.partition(":")
        head[name.lower()] = value.strip()
    if head.get("expect") == "100-continue":
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    if "chunked" in head.get("transfer-encoding", ""):
        while size := int(reader.readline().split(b";")[0] or b"0", 16):
            reader.read(size + 2)
        while reader.readline().strip():
            pass  # trailers
    else:
        reader.read(int(head.get("content-length", 0)))
    return head


class Connects:
    """Counts the connections that clients try to open to a server, and ends its refusing after the first."""

    def __init__(self, server: LoopbackServer) -> None:
        self.refused = 0
        self._server = server

    @contextlib.contextmanager
    def counted(self) -> Iterator[None]:
        """Watch ``socket.connect`` meanwhile."""
        real = socket.socket.connect

        def connect(sock: socket.socket, address: object) -> None:
            if address != ("127.0.0.1", self._server.port) or self._server.is_listening:
                return real(sock, address)
            self.refused += 1
            try:
                return real(sock, address)
            finally:
                self._server.stop_refusing()

        socket.socket.connect = connect
        try:
            yield
        finally:
            del socket.socket.connect
