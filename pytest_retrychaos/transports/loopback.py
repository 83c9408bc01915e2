"""A real server on loopback: the same script, service and record, on real sockets and in real time.

Laws of this module:
1. One thread owns every connection. It holds `lock` while it acts, and so does whoever looks at the record.
2. What has happened is taken in the order in which it did, as the kernel reports it edge by edge: a client that gave
   up and tries again is not taken for two.
3. Handlers run in that thread. Who looks at the record meanwhile waits for them, and never for ever: see `_give_up`.
4. A step that strikes while a client connects is seen by the kernel's list of who is knocking: see `doorkeeper`.
"""

from __future__ import annotations

import contextlib
import ctypes
import heapq
import math
import os
import select
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Protocol

from pytest_retrychaos.clock.errors import Refused, Stuck
from pytest_retrychaos.clock.report import handler_stuck
from pytest_retrychaos.clock.watchdog import WATCHDOG
from pytest_retrychaos.model import SECOND
from pytest_retrychaos.record import Runaway
from pytest_retrychaos.transports.authority import Authority
from pytest_retrychaos.transports.doorkeeper import Doorkeeper, Knocked
from pytest_retrychaos.transports.gate import Door, Gate
from pytest_retrychaos.transports.line import Line, Stage, reset

PATIENCE_S = 5.0
"""Seconds that the thread gets to end."""
GRACE_S = 1.0
"""Seconds that it gets where a handler was broken off."""

_CLOSED = Stage.CLOSED
_READABLE, _WRITABLE = select.EPOLLIN, select.EPOLLOUT
_ENDS = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
_READS = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET
"""Edge by edge: a socket that was reported waits behind those that have something new."""


class Clock(Protocol):
    """The part of the clock that a server needs. Nanoseconds since the run began."""

    notes: list[str]

    @property
    def now_ns(self) -> int: ...


class Loopback:
    """The server of one run."""

    def __init__(
        self, exchange: Knocked, clock: Clock, *, host: str = "localhost", port: int = 0, watchdog: float = WATCHDOG
    ) -> None:
        self._lock = threading.RLock()
        self._watchdog = watchdog
        self._gave_up = False
        self.on_progress: Callable[[], None] = lambda: None
        """Called, by the server's thread, when something has happened."""
        self._exchange = exchange
        self._clock = clock
        self._gate = Gate(host, port)
        self._authority = Authority(self._gate.host)
        self._name = _authority_part(self._gate.address, self._gate.port)
        self._doorkeeper = Doorkeeper(self._gate, exchange, self._now, self._name, clock.notes.append)
        self._poll = select.epoll()
        self._any = select.poll()  # waits for something to happen, and leaves it to whoever holds the lock
        self._any.register(self._poll.fileno(), select.POLLIN)
        self._wake_up = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._lines: dict[int, Line] = {}
        self._listeners = {sock.fileno(): sock for sock in self._gate.sockets}
        self._are_watched = False
        self._due: list[tuple[int, int]] = []  # when, and whose turn it is then
        self._is_over = False
        self._thread = threading.Thread(target=self._serve, name="retrychaos-loopback", daemon=True)

    def _now(self) -> int:
        return self._clock.now_ns

    # what the run calls

    @property
    def url(self) -> str:
        """The server's base URL, without a slash at its end. The same port speaks HTTPS."""
        return f"http://{self._name}"

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._gate.port

    @property
    def ca_file(self) -> str:
        """The file, in PEM form, of the authority that its certificate comes from."""
        with self.held():
            return self._authority.file

    @property
    def is_lost(self) -> bool:
        """Whether a handler that nothing could end still runs, and keeps the service's store to itself."""
        return self._gave_up and self._thread.is_alive()

    def start(self) -> None:
        """Begin to serve."""
        self._poll.register(self._wake_up, select.EPOLLIN)
        self._answering()
        self._watch_listeners()
        self._thread.start()

    def stop(self) -> None:
        """End every connection, and the thread; harmless when done twice."""
        if self._is_over:
            return
        try:
            with self.paused():
                self._is_over = True
        finally:
            self._is_over = True
            self._end()

    def _end(self) -> None:
        self._wake()
        if self._thread.ident is not None and not self._gave_up:
            self._thread.join(PATIENCE_S)
        for line in list(self._lines.values()):
            line.close()
        self._doorkeeper.close()
        self._gate.close()
        self._poll.close()
        os.close(self._wake_up)
        self._authority.close()

    def close_idle(self) -> None:
        """Let a coming step that strikes at connecting do so: idle connections end, and no new one is made."""
        with self.held():
            self._answering()
            self._wake()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Take in what has happened so far, and let nothing happen meanwhile."""
        with self.held():
            if not self._is_over and not self._gave_up:
                self._catch_up()
            yield

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Let nothing happen meanwhile. `Stuck`, once, where a handler keeps the thread for too long."""
        limit = 0.0 if self._gave_up else self._watchdog or -1
        is_ours = self._lock.acquire(timeout=limit)
        if not is_ours and not self._gave_up:
            raise self._give_up()
        try:
            yield
        finally:
            if is_ours:
                self._lock.release()

    def _give_up(self) -> Stuck:
        """Make the error for a handler that does not end, and try to end it: no more is answered."""
        thread = self._thread.ident or 0
        error = handler_stuck(thread, self._watchdog)
        self._gave_up = True
        self._exchange.problems.append(error)
        self._gate.close()  # what waits for this very server gets an error
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(Stuck))
        self._thread.join(GRACE_S)
        return error

    # the loop

    def _serve(self) -> None:
        with contextlib.suppress(Stuck):  # of `_give_up`
            while True:
                self._any.poll(self._patience_ms())
                with self._lock:
                    if self._is_over:
                        return
                    self._turn(self._poll.poll(0))
                self.on_progress()

    def _catch_up(self) -> None:
        """Do what the loop would do next, until nothing is left to do at once."""
        while events := [event for event in self._poll.poll(0) if event[0] != self._wake_up]:
            self._turn(events)
        self._turn([])

    def _turn(self, events: list[tuple[int, int]]) -> None:
        if self._doorkeeper.is_busy:
            self._look()
        listeners = self._attend_all(events)
        while listeners:
            new = [sock for number in listeners for sock in self._gate.accept(self._listeners[number])]
            listeners = self._attend_all(self._poll.poll(0))  # who is among them may have given up before
            for sock in new:
                self._take_on(sock)
        if self._due:
            self._call_due()
        if self._doorkeeper.is_busy:
            self._look()

    def _attend_all(self, events: list[tuple[int, int]]) -> list[int]:
        """Let connections do what they can; give the listeners at which new ones wait."""
        listeners = []
        for number, mask in events:
            line = self._lines.get(number)
            if line is not None:
                self._attend(line, mask)
            elif number in self._listeners:
                listeners.append(number)
            else:
                with contextlib.suppress(BlockingIOError):
                    os.eventfd_read(self._wake_up)
        return listeners

    def _look(self) -> None:
        """See to those who connect: before the next are let in, and after what was done meanwhile."""
        try:
            self._doorkeeper.look()
        except Runaway as ended:
            self._note_runaway(ended)
        self._watch_listeners()

    def _patience_ms(self) -> int | None:
        if not self._due and not self._doorkeeper.is_busy:
            return None
        waits = [self._doorkeeper.patience_s] if self._doorkeeper.is_busy else []
        if self._due:
            waits.append(max(0.0, (self._due[0][0] - self._now()) / SECOND))
        return math.ceil(min(waits) * 1000)

    def _wake(self) -> None:
        os.eventfd_write(self._wake_up, 1)

    # connections

    def _take_on(self, sock: socket.socket) -> None:
        if self._doorkeeper.turns_away(sock):
            reset(sock)
            return
        line = Line(
            sock,
            self._exchange,
            self._now,
            self._name,
            self._authority,
            is_held=lambda: self._doorkeeper.knocks.is_held(sock),
            answering=self._answering,
            note=self._note,
        )
        self._lines[line.number] = line
        self._poll.register(line.number, _READS)
        self._attend(line, select.EPOLLRDHUP)  # most clients have written already, and some have gone

    def _attend(self, line: Line, mask: int) -> None:
        """Let a connection do what it can, and keep the books about it; a mask of 0 is its own time."""
        wanted_to_write = line.wants_to_write
        try:
            if mask & _WRITABLE:
                line.flush()
            line.read(has_ended=mask & _ENDS != 0)
            if mask != _READABLE:
                line.advance()
        except Refused:  # the exchange keeps it
            line.reset()
        except Exception as error:  # ours: it must not be lost, nor hang the client
            self._exchange.problems.append(error)
            line.reset()
        except Runaway as ended:
            self._note_runaway(ended)
            line.reset()
        self._keep_books(line, wanted_to_write=wanted_to_write)

    def _keep_books(self, line: Line, *, wanted_to_write: bool) -> None:
        if line.stage is _CLOSED:
            self._lines.pop(line.number, None)
            return
        if line.wants_to_write != wanted_to_write:
            self._poll.modify(line.number, _READS | (select.EPOLLOUT if line.wants_to_write else 0))
        if line.due_ns is not None and line.due_ns != line.booked_ns:
            line.booked_ns = line.due_ns
            heapq.heappush(self._due, (line.due_ns, line.number))

    def _call_due(self) -> None:
        while self._due and self._due[0][0] <= self._now():
            due, number = heapq.heappop(self._due)
            line = self._lines.get(number)
            if line is not None and line.booked_ns == due:
                line.booked_ns = None
                self._attend(line, 0)

    def _note_runaway(self, ended: Runaway) -> None:
        """Say so in the record: the loop that this would end is in another process, or another thread."""
        self._note(f"{ended}; the server broke the connection off")

    def _note(self, text: str) -> None:
        if text not in self._clock.notes:
            self._clock.notes.append(text)

    # who comes in

    def _answering(self) -> None:
        """Before a client can come back: see to it that the next step can strike while it connects."""
        if not self._exchange.wants_idle_closed(self._name):
            return
        for line in list(self._lines.values()):
            line.drop_idle()
        for sock in self._doorkeeper.stand_ready():
            self._take_on(sock)
        self._watch_listeners()

    def _watch_listeners(self) -> None:
        """Look at the listening sockets only while they take connections."""
        is_open = self._gate.door is Door.OPEN
        if is_open == self._are_watched:
            return
        self._are_watched = is_open
        for number in self._listeners:
            if is_open:
                self._poll.register(number, select.EPOLLIN | select.EPOLLET)
            else:
                self._poll.unregister(number)


def _authority_part(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
