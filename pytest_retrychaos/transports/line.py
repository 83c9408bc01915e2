"""One connection of the loopback server: a conversation's actions, carried out on a real socket.

Laws of this module:
1. Nothing here blocks; the server calls `read`, `advance` and `flush` where there is something to do.
2. What the client is about to see is noted before it can see it: an attempt ends no later than in the client's
   own eyes, so that no wait is measured too short.
3. A client that closes while the service is silent has timed out: its own timeout cannot be seen from here.
4. One that only writes no more (a half-close) looks the same on the wire. It still holds its socket, which the kernel
   tells, and gets an answer that is on its way; with silence it is taken to have closed.
"""

from __future__ import annotations

import errno
import socket
import ssl
import struct
from collections.abc import Callable
from enum import Enum

from pytest_retrychaos.model import SECOND
from pytest_retrychaos.transports.actions import ALL_SEEN, HEADERS_SEEN, End, Send
from pytest_retrychaos.transports.agenda import Agenda
from pytest_retrychaos.transports.authority import Authority
from pytest_retrychaos.transports.channel import os_error
from pytest_retrychaos.transports.greeting import ALERT, GREETING, handshake_failure
from pytest_retrychaos.transports.http1 import Conversation
from pytest_retrychaos.transports.seam import Exchange

CHUNK = 1 << 16
"""Bytes read at once; an answer up to this size is taken to be seen as soon as it is sent."""

AT_ONCE_NS = SECOND // 20
"""Within that time a client closes that has enough: a real connection, and a busy machine, take some milliseconds."""

LOOK_NS = SECOND // 50
"""So often one that writes no more is looked at: that it has closed its socket, too, is announced by nothing."""

_RESET = struct.pack("ii", 1, 0)


def reset(sock: socket.socket) -> None:
    """Close a connection by a TCP reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    sock.close()


class Stage(Enum):
    """How far a connection has come."""

    NEW = "new"
    SHAKING_HANDS = "shaking hands"
    TALKING = "talking"
    ENDING = "ending"
    """The server has said its last; the client has not closed yet."""
    CLOSED = "closed"


_NEW, _SHAKING_HANDS, _TALKING, _ENDING, _CLOSED = Stage
"""Looked up by name, an enum's member costs 0.1 µs on CPython 3.11, for its metaclass is asked first."""

_READ = (_TALKING, _ENDING)
"""What the client writes meanwhile is read as HTTP."""


class Line:
    """One client's connection."""

    __slots__ = ("_agenda", "_answering", "_authority", "_exchange", "_has_ended", "_is_held", "_is_secure", "_noted",
                 "_now", "_queue", "_sent_ns", "_unsent", "booked_ns", "conversation", "due_ns", "note", "number",
                 "sock", "stage", "wants_to_write")  # fmt: skip

    def __init__(
        self,
        sock: socket.socket,
        exchange: Exchange,
        now: Callable[[], int],
        host: str,
        authority: Authority,
        *,
        is_held: Callable[[], bool],
        answering: Callable[[], None],
        note: Callable[[str], None],
    ) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self.number = sock.fileno()
        self.conversation = Conversation(exchange, host, "http")
        self.stage = _NEW
        self.due_ns: int | None = None
        """When it goes on by itself."""
        self.booked_ns: int | None = None
        """For when the server has noted to call `advance`."""
        self.wants_to_write = False
        self.note = note
        self._exchange = exchange
        self._authority = authority
        self._answering = answering
        self._now = now
        self._is_held = is_held
        self._has_ended = False  # the client writes no more, but reads
        self._agenda = Agenda(self.conversation, exchange, now, answering)
        self._queue = self._agenda.items
        self._is_secure = False
        self._unsent: bytes | memoryview = b""
        self._sent_ns = 0  # when the latest piece was sent
        self._noted: list[Send] = []  # what the client has seen once the last of `_unsent` is sent

    # reading

    def read(self, *, has_ended: bool = False) -> None:
        """Take what the client wrote; ``has_ended``: it writes no more, so that all of it is taken."""
        if self.stage is _NEW:
            self._begin()
        if self.stage is _SHAKING_HANDS:
            self._shake_hands()
        while self.stage in _READ:
            data = self._received()
            if data is None:
                return
            if not data:
                self._client_ended()
                return
            self._take(data)
            if len(data) < CHUNK and not (has_ended or self._is_secure):  # TLS may hold more than the kernel knows of
                return

    def _client_ended(self) -> None:
        """Note that the client writes no more; if it reads on, it gets the answer that is on its way."""
        is_due = bool(self._queue or self._unsent)
        if not is_due or self._is_secure or not self._is_held():
            self.client_closed()
        elif not self._has_ended:
            self._has_ended = True
            self._agenda.add(self.conversation.client_ended())
            self.advance()

    def _received(self) -> bytes | None:
        """Read; ``None`` where nothing is there, and nothing at the end."""
        try:
            return self.sock.recv(CHUNK)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        except OSError:
            return b""

    def _take(self, data: bytes) -> None:
        actions = self.conversation.receive(data)
        if self.stage is _ENDING:
            self._end_unread()
            return
        if actions:
            self._answering()
            self._agenda.add(actions)
            self.advance()

    def _end_unread(self) -> None:
        """Note that a request written to a closed connection is answered by its end."""
        ticket, self.conversation.ticket = self.conversation.ticket, None
        if ticket is not None:
            ticket.saw_eof()

    # TLS

    def _begin(self) -> None:
        try:
            first = self.sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError:
            first = b""
        if not first:
            self.close()
        elif first[0] == GREETING:
            self._begin_tls()
        else:
            self.stage = _TALKING

    def _begin_tls(self) -> None:
        self.conversation.scheme = "https"
        unsent = self._exchange.securing(self.conversation.host)
        if unsent is not None:
            self._exchange.not_sent(unsent.ticket, handshake_failure(), None)
            self._answering()
            self.conversation.drop()  # what is still written to it is no HTTP
            self.stage = _TALKING
            self._agenda.add([Send(ALERT), End.EOF])
            self.advance()
            return
        self.sock = self._authority.context.wrap_socket(self.sock, server_side=True, do_handshake_on_connect=False)
        self.stage, self._is_secure = _SHAKING_HANDS, True

    def _shake_hands(self) -> None:
        assert isinstance(self.sock, ssl.SSLSocket)
        try:
            self.sock.do_handshake()
        except ssl.SSLWantReadError:
            return
        except ssl.SSLWantWriteError:
            self.wants_to_write = True
            return
        except OSError as error:
            if "ALERT" in (getattr(error, "reason", None) or ""):
                self.note(f"a client broke the TLS handshake off ({error.reason}): give it the file chaos.ca_file")  # type: ignore[attr-defined]  # an SSLError
            self.close()
            return
        self.wants_to_write = False
        self.stage = _TALKING

    # answering

    def advance(self) -> None:
        """Do what is due."""
        self._advance()
        if self._has_ended and self.stage is not _CLOSED:
            look_ns = self._now() + LOOK_NS
            self.due_ns = look_ns if self.due_ns is None else min(self.due_ns, look_ns)

    def _advance(self) -> None:
        self.due_ns = None
        while self._queue and not self._unsent and self.stage is not _CLOSED:
            if not isinstance(self._queue[0], Send):
                self.due_ns = self._agenda.ripen()
            item = self._queue[0] if self._queue else None
            if isinstance(item, Send):
                self._send()
            elif isinstance(item, End):
                self._queue.clear()
                self._end(item)
            else:
                return

    def _send(self) -> None:
        """Send all that is due now at once."""
        self._sent_ns = self._now()
        parts = []
        while self._queue and isinstance(piece := self._queue[0], Send):
            self._queue.popleft()
            parts.append(piece.data)
            if piece.moment in HEADERS_SEEN and piece.ticket is not None:
                piece.ticket.saw_headers()
            if piece.moment in ALL_SEEN:
                self._noted.append(piece)
        if self._queue and self._queue[0] is End.EOF:  # both come at once: no request is written in between
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        self._unsent = data if len(data) <= CHUNK else memoryview(data)
        self.flush(is_small=len(data) <= CHUNK)

    def flush(self, *, is_small: bool = False) -> None:
        """Go on sending. The last byte of a long answer is held back until the others are out."""
        self.wants_to_write = False
        while self._unsent:
            is_last = is_small or len(self._unsent) == 1
            if is_last:
                self._note_whole()
            try:
                sent = self.sock.send(self._unsent if is_last else self._unsent[:-1])
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                self.wants_to_write = True
                return
            except OSError:
                self.client_closed()
                return
            self._unsent = self._unsent[sent:]

    def _note_whole(self) -> None:
        for piece in self._noted:
            assert piece.ticket is not None
            piece.ticket.saw_all()
            if self.conversation.ticket is piece.ticket:
                self.conversation.ticket = None
        self._noted.clear()

    def _end(self, end: End) -> None:
        ticket, self.conversation.ticket = self.conversation.ticket, None
        if end is End.RESET:
            if ticket is not None:
                ticket.saw_error(os_error(errno.ECONNRESET))
            self.reset()
            return
        if ticket is not None:
            ticket.saw_eof()
        self._say_last()

    def _say_last(self) -> None:
        """End the server's half; the client's is read on, so that nothing it sends turns the end into a reset."""
        if self._has_ended:
            self.close()
            return
        self.stage = _ENDING
        try:
            socket.socket.shutdown(self.sock, socket.SHUT_WR)  # SSLSocket's own would forget how to decrypt
        except OSError:
            self.client_closed()

    # closing

    def drop_idle(self) -> None:
        """Let the server close the connection, if no request is under way on it."""
        if self.stage is not _SHAKING_HANDS and self.conversation.drop():
            self._queue.append(End.EOF)  # after an answer that is still on its way
            self.advance()

    def client_closed(self) -> None:
        """Note that the client has closed the connection, and close it."""
        self.conversation.client_closed()
        if self.conversation.ticket is not None:
            self.conversation.ticket.was_closed(in_wait=self._is_awaited)
            self.conversation.ticket = None
        self.close()

    @property
    def _is_awaited(self) -> bool:
        """Whether the client has waited for the rest of an answer: who has enough closes as soon as a piece comes."""
        is_more = bool(self._queue) and not self._unsent
        return is_more and self._now() - self._sent_ns > AT_ONCE_NS

    def reset(self) -> None:
        """Break the connection off by a TCP reset."""
        reset(self.sock)
        self.close()

    def close(self) -> None:
        """Close the socket."""
        self.stage = _CLOSED
        self._queue.clear()
        self._unsent = b""
        self.due_ns, self.wants_to_write = None, False
        self.sock.close()
