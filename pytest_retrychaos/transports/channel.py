"""The client's end of a simulated connection, for code that blocks and for event loops.

It carries out a conversation's actions on virtual time: what the client's socket would have done is returned
or raised here, with the error that a real network gives.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import NoReturn, Protocol

from pytest_retrychaos.clock.aside import Aside
from pytest_retrychaos.transports import greeting
from pytest_retrychaos.transports.actions import ALL_SEEN, HEADERS_SEEN, Action, End, Send, Wait
from pytest_retrychaos.transports.agenda import Agenda
from pytest_retrychaos.transports.http1 import Conversation
from pytest_retrychaos.transports.seam import Exchange
from pytest_retrychaos.transports.signals import Signal


class Waiting(Protocol):
    """The part of the clock that a wait needs. Nanoseconds since the run began."""

    @property
    def now_ns(self) -> int: ...

    def wait_until(self, deadline_ns: int) -> None: ...


class Clock(Waiting, Protocol):
    """The part of the clock that a network needs."""

    alarm: Callable[[int, Callable[[], None]], None]
    """Has something done when a moment comes."""
    wake: Callable[[int], None]
    """Announces a key that another thread waits for."""

    def wait_for(self, key: int, deadline_ns: int | None, waits_for: str) -> bool | None:
        """Wait for a key or a moment; False where neither ever comes, ``None`` where virtual time has ended."""

    why_stuck: Callable[[int | None], BaseException | None]
    """Asked when nobody can go on, or an event loop has met silence by a moment and goes on by other things."""
    silent_since_ns: int | None
    asides: dict[int, Aside]

    def aside(self, until_ns: int | None) -> Aside:
        """Let what is done meanwhile sleep aside from a moment on."""

    def share(self) -> None:
        """Let others see the time that it is for this thread."""

    def note_silence(self) -> None:
        """Note that an event loop meets silence."""

    meets_silence: Callable[[], bool]
    """Asked before, as often as that may be."""


_EOF, _RESET = End.EOF, End.RESET


def os_error(number: int) -> OSError:
    """Make the error that the system call would have raised."""
    return OSError(number, os.strerror(number))


class Channel:
    """One simulated connection as its client sees it."""

    __slots__ = ("_agenda", "_announced", "_clock", "_exchange", "_has_ended", "_is_deaf", "_queue", "_readers",
                 "_reset", "_silence", "_slept_ns", "_took_ns", "address", "conversation", "host", "is_closed", "port",
                 "signal", "silent_since_ns", "timed_out_text", "timeout")  # fmt: skip

    def __init__(
        self,
        exchange: Exchange,
        clock: Clock,
        host: str,
        address: tuple[str, int],
        timeout: float | None,
        silence: Callable[[str], BaseException],
    ) -> None:
        self._exchange = exchange
        self._clock = clock
        self._silence = silence
        self.host = host
        self.address = address
        self.port = address[1]
        self.timeout = timeout
        self.conversation = Conversation(exchange, host, "http")
        self.is_closed = False
        self.signal: Signal | None = None
        """Shows an event loop that something can be read; only a client that does not block needs it."""
        self.silent_since_ns: int | None = None
        """Since when an event loop has waited for an answer that never comes."""
        self.timed_out_text = "timed out"
        self._agenda = Agenda(self.conversation, exchange, lambda: clock.now_ns)
        self._queue = self._agenda.items
        self._reset = False
        self._has_ended = False
        self._is_deaf = False
        self._readers = 0
        self._slept_ns = 0  # by the service, while it took what was written last: the client waited for that, too
        self._took_ns: int | None = None  # when the client read the latest piece of an answer that goes on
        self._announced: int | None = None  # for which moment the clock was asked to call `show`

    # writing

    def send(self, data: bytes | bytearray | memoryview) -> int:
        """Take all bytes that the client writes; the server reads them at once."""
        if self.is_closed:
            raise os_error(errno.EBADF)
        if self._reset or self._has_ended:
            raise os_error(errno.EPIPE)
        content = bytes(data)
        if content:
            self._took_ns = None
            self._serve(content)
            self.show()
        return len(content)

    def _serve(self, content: bytes) -> None:
        """Let the service take what was written; what it sleeps over it the client waits for, as long as it would."""
        clock = self._clock
        if clock.asides:  # one of its handlers sends it, and others see the time
            clock.share()
        before = clock.now_ns
        with clock.aside(None if self.timeout is None else before + round(self.timeout * 1e9)) as aside:
            actions = self._answer(content)
        if aside.ns:
            actions.insert(0, Wait(aside.ns))
        self._agenda.add(actions)
        self._slept_ns = clock.now_ns - before

    def _answer(self, content: bytes) -> list[Action]:
        """Hand what the client wrote to the server; a TLS greeting is answered by plain text or refused."""
        if content[0] != greeting.GREETING or self.conversation.served or not self.conversation.is_idle:
            return self.conversation.receive(content)
        unsent = self._exchange.securing(self.host)
        if unsent is None:
            self.conversation.scheme = "https"
            return [Send(greeting.GO_ON_IN_PLAIN)]
        self._exchange.not_sent(unsent.ticket, greeting.handshake_failure(), self.timeout or None)
        return [Send(greeting.ALERT), End.EOF]

    def show(self) -> None:
        """Show whether something can be read, now and when that changes by time alone; wake a thread that reads."""
        if self.is_closed:
            return
        if self._readers:
            self._clock.wake(id(self))
        if self.signal is None:
            return
        self.signal.set(on=self.is_readable)
        if not self.is_silent or self.conversation.is_reading:
            self.silent_since_ns = None
        elif self.silent_since_ns is None:
            self.silent_since_ns = self._clock.now_ns
            self._clock.note_silence()
        due = self._agenda.ripen()
        if due is not None and due != self._announced:
            self._announced = due
            self._clock.alarm(due, self.show)

    # reading

    @property
    def is_readable(self) -> bool:
        """Whether a read would return at once."""
        return self._agenda.ripen() is None and (self._reset or bool(self._queue))

    def receive(self, limit: int, *, peek: bool = False) -> bytes:
        """Return up to ``limit`` bytes, ``b""`` at the end, or raise what a real socket would."""
        if limit < 0:
            raise ValueError("negative buffersize in recv")
        if self.is_closed:
            raise os_error(errno.EBADF)
        if limit == 0:
            return b""
        if self.conversation.ticket is not None and self.timeout != 0:
            self.conversation.ticket.waits(self.timeout)
        try:
            return self._receive(limit, peek=peek)
        finally:
            self.show()

    def _receive(self, limit: int, *, peek: bool) -> bytes:
        self._await_something()
        if self._is_deaf and not self.is_readable:
            return b""
        head = self._queue[0]
        if head is _EOF:
            if not peek:
                self._report_eof()
            return b""
        if head is _RESET:
            self._queue.clear()
            self._queue.append(End.EOF)
            self._reset = True
            error = os_error(errno.ECONNRESET)
            self._report(error)
            self.conversation.ticket = None
            raise error
        return self._take(limit, peek=peek)

    def _take(self, limit: int, *, peek: bool) -> bytes:
        parts, came = [], []
        for piece in self._queue:
            if not limit or not isinstance(piece, Send):
                break
            parts.append(piece.data[:limit])
            came.append(piece)
            limit -= len(parts[-1])
        if not peek:
            for piece, part in zip(came, parts, strict=True):
                self._hand_over(piece, len(part))
        return b"".join(parts)

    def _hand_over(self, piece: Send, size: int) -> None:
        """Take the first piece, or that much of it, from what waits."""
        self._queue.popleft()
        if size < len(piece.data):
            rest = memoryview(piece.data)[size:]
            self._queue.appendleft(Send(rest, piece.ticket, piece.moment))
            return
        if piece.ticket is None:
            return
        if piece.moment in HEADERS_SEEN:
            piece.ticket.saw_headers()
        if piece.moment in ALL_SEEN:
            piece.ticket.saw_all()
            if self.conversation.ticket is piece.ticket:
                self.conversation.ticket = None
        else:
            self._took_ns = self._clock.now_ns

    def _await_something(self) -> None:
        """Wait on virtual time until the head of the queue is bytes or an end.

        Another thread may bring that about: by what it writes, or by shutting the connection down.
        """
        timeout = self.timeout
        until = None if timeout is None else self._clock.now_ns + round(timeout * 1e9)
        if self._slept_ns and timeout != 0:
            until, self._slept_ns = None if until is None else until - self._slept_ns, 0
            if until is not None and until < self._clock.now_ns:
                self._time_out(until)
        while not self._is_deaf and ((due := self._agenda.ripen()) is not None or not self._queue):
            if timeout == 0:
                raise os_error(errno.EAGAIN)
            if until is not None and until <= self._clock.now_ns:
                self._time_out(until)
            goes_on = self._block(min((one for one in (due, until) if one is not None), default=None))
            if not goes_on and until is not None:
                self._time_out(until)
            elif goes_on is None:
                raise SystemExit("the run has ended, and with it a thread that would have waited for ever")
            elif not goes_on:
                raise self._met_silence()

    def _block(self, until: int | None) -> bool | None:
        if self.conversation.ticket is not None:
            self.conversation.ticket.waits(self.timeout)
        self._readers += 1
        try:
            return self._clock.wait_for(id(self), until, f"an answer from {self.host}")
        finally:
            self._readers -= 1

    def _met_silence(self) -> BaseException:
        error = self._silence(self.host)
        self._report(error, silent=True)
        return error

    def _time_out(self, until: int) -> NoReturn:
        self._clock.wait_until(until)
        error = TimeoutError(self.timed_out_text)
        self._report(error)
        raise error

    def _report(self, error: BaseException, *, silent: bool = False) -> None:
        self.conversation.client_gave_up()
        if self.conversation.ticket is not None:
            self.conversation.ticket.saw_error(error, timeout=self.timeout, silent=silent)

    def _report_eof(self) -> None:
        if self.conversation.ticket is not None:
            self.conversation.ticket.saw_eof()
            self.conversation.ticket = None

    @property
    def is_silent(self) -> bool:
        """Whether an answer is outstanding of which nothing is to come."""
        return not (self.is_closed or self._queue) and self.conversation.ticket is not None

    def meet_silence(self) -> BaseException | None:
        """Make the error for a client that waits for an answer that never comes, if this one does."""
        return self._met_silence() if self.is_silent else None

    # closing

    def take_in(self) -> None:
        """Note at once that the client has closed the connection, where its event loop has yet to do so."""
        if self.conversation.ticket is not None and self.signal is not None and self.signal.is_closing:
            self._note_closed()

    def _note_closed(self) -> None:
        self.conversation.client_closed()
        if self.conversation.ticket is not None:
            self.conversation.ticket.was_closed(in_wait=self._is_awaiting_more)
            self.conversation.ticket = None

    @property
    def _is_awaiting_more(self) -> bool:
        """Whether an event loop has waited for the rest of an answer, as far as is known.

        Who has enough closes as soon as a piece comes. A client that blocks gets an error where its wait has a limit.
        """
        if self.timeout != 0 or self._took_ns is None or self.is_readable:
            return False
        return self._took_ns < self._clock.now_ns

    def shut_down(self, *, reading: bool, writing: bool) -> None:
        """End one direction, or both; `OSError` where the connection is gone.

        The server learns at once that nothing more will be written; what it answers can still be read.
        """
        if self.is_closed:
            raise os_error(errno.EBADF)
        if self._reset:
            raise os_error(errno.ENOTCONN)
        if writing and not self._has_ended:
            self._has_ended = True
            self._agenda.add(self.conversation.client_ended())
            self.show()
        self._is_deaf = self._is_deaf or reading

    def drop_idle(self) -> None:
        """Let the server close the connection, if no request is under way on it."""
        if self.conversation.drop():
            self._queue.append(End.EOF)
            self.show()

    def option(self, level: int, name: int) -> int:  # noqa: ARG002 - as getsockopt takes them
        """Answer ``getsockopt``: nothing is set."""
        return 0

    def close(self) -> None:
        """Close the client's end."""
        if self.is_closed:
            return
        self.is_closed = True
        self._note_closed()
        self._queue.clear()
        if self.signal is not None:
            self.signal.close()
