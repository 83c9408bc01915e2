"""Steps that strike while a client connects, made real: `refuse`, `connect-timeout`, and `down` without a status.

Laws of this module:
1. While such a step is next, no SYN is answered, and the first client that knocks takes it; one at a time.
2. A client that is refused is refused by the kernel, when it sends its SYN again: about a second after the first
   (RFC 6298, 2.1), or at once where it can be nudged. Nobody listens at that moment; until then nobody is answered.
3. A client that gets no handshake waits until it gives up: whenever its SYN comes again, none is answered. In between
   others are let in; who knocked meanwhile asks again about a second later, or at once where it can be nudged.
4. A client that gets in all the same, since the machine was too busy, is reset before anything is read from it.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import sys
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from pytest_retrychaos.model import SECOND, Wire
from pytest_retrychaos.transports.channel import os_error
from pytest_retrychaos.transports.gate import Door, Gate
from pytest_retrychaos.transports.knocks import Knock, Knocks
from pytest_retrychaos.transports.nudge import Nudge
from pytest_retrychaos.transports.seam import Exchange, Unsent

_OPEN = Door.OPEN
SELDOM_S, OFTEN_S = 0.01, 0.002
"""Between two looks: at any time, and where somebody may come back at once who has just given up."""
SHUT_EARLY_MS = 30
"""Before a SYN that is to be refused comes again, the gate is shut by so much: two looks and a turn of the
interpreter's lock."""
HOLD_EARLY_MS = 500
"""Before one that is not to be answered, it is held by so much: a busy machine may look late, by 200 ms and more."""
SHUT_AT_MOST_NS = 2 * SECOND
NUDGED_NS = SECOND // 10
"""So long the gate is shut for a client that was nudged: it asks again after two ticks, of 10 ms at most."""
SPIN_S = 0.0001
SWITCH_S = 0.0001
"""A thread that wakes up beside a busy one gets its turn after that long, instead of 5 ms."""


class Knocked(Exchange, Protocol):
    """An exchange that is asked before anybody has connected."""

    problems: list[BaseException]

    def strikes_handshake(self, host: str) -> bool:
        """Tell whether the next step strikes before there is a connection."""


class Doorkeeper:
    """Holds the gate, and lets the script's steps strike whoever knocks."""

    def __init__(
        self, gate: Gate, exchange: Knocked, now: Callable[[], int], host: str, note: Callable[[str], None]
    ) -> None:
        self._gate = gate
        self._exchange = exchange
        self._now = now
        self._host = host
        self._note = note
        self._knocks: Knocks | None = None
        self._nudge = Nudge()
        self._struck: Knock | None = None
        self._unsent: Unsent | None = None
        self._comes_again = False
        self._late: set[int] = set()  # ports of clients that got in

    def close(self) -> None:
        """Look no more."""
        self._nudge.close()
        if self._knocks is not None:
            self._knocks.close()

    @property
    def knocks(self) -> Knocks:
        """Who knocks, and who holds the other end of a connection."""
        if self._knocks is None:
            self._knocks = Knocks()
        return self._knocks

    @property
    def is_busy(self) -> bool:
        """Whether there is something to look for."""
        return self._struck is not None or self._gate.door is not _OPEN

    @property
    def patience_s(self) -> float:
        """Seconds to the next look."""
        return OFTEN_S if self._comes_again else SELDOM_S

    def turns_away(self, sock: socket.socket) -> bool:
        """Whether a client should never have got in."""
        if not self._late:
            return False
        try:
            port: int = sock.getpeername()[1]
        except OSError:
            return False
        is_late = port in self._late
        self._late.discard(port)
        return is_late

    def stand_ready(self) -> list[socket.socket]:
        """Hold the gate if the next step is to strike there; give the connections made before."""
        return self._gate.hold() if self._exchange.strikes_handshake(self._host) else []

    def look(self) -> None:
        """See who knocks and who has given up, and open, hold or shut the gate."""
        waiting = self.knocks.at(self._gate.port)
        if self._struck is not None and self._has_ended(self._struck, waiting, self.knocks):
            waiting = self.knocks.at(self._gate.port)
        if self._struck is None and waiting and self._exchange.strikes_handshake(self._host):
            self._strike(min(waiting, key=lambda knock: knock.port))
            self._hurry(waiting)
        self._comes_again = self._is_held_for(waiting)
        if self._comes_again or self._exchange.strikes_handshake(self._host):
            self._gate.hold()
        elif self._gate.door is not _OPEN:
            self._gate.open()
            for knock in waiting:
                if knock != self._struck and self._nudge.can_reach(knock):
                    self._nudge.send(knock)

    def _is_held_for(self, waiting: dict[Knock, int]) -> bool:
        if self._struck is None or self._unsent is None:
            return False
        return self._unsent.wire is Wire.REFUSED or waiting.get(self._struck, 0) <= HOLD_EARLY_MS

    def _strike(self, knock: Knock) -> None:
        outcome = self._exchange.connecting(self._host, self._gate.port, None)
        if outcome is not None:
            self._struck, self._unsent = knock, outcome

    def _hurry(self, waiting: dict[Knock, int]) -> None:
        """Refuse who is to be refused now, not in a second, where that can be done."""
        knock = self._struck
        is_refused = self._unsent is not None and self._unsent.wire is Wire.REFUSED
        if knock is not None and is_refused and self._nudge.can_reach(knock):
            self._refuse(knock, waiting, self.knocks, NUDGED_NS, lambda: self._nudge.send(knock))

    def _has_ended(self, knock: Knock, waiting: dict[Knock, int], knocks: Knocks) -> bool:
        if knock not in waiting and knocks.got_in(knock):
            self._late.add(knock.port)
            self._note("the machine was too busy to keep a client from connecting: it was reset instead")
            self._settle(os_error(errno.ECONNRESET))
        elif knock not in waiting:
            self._settle(TimeoutError("timed out"))
        elif self._unsent is not None and self._unsent.wire is Wire.REFUSED and waiting[knock] <= SHUT_EARLY_MS:
            self._refuse(knock, waiting, knocks, SHUT_AT_MOST_NS)
        return self._struck is None

    def _refuse(
        self,
        knock: Knock,
        waiting: dict[Knock, int],
        knocks: Knocks,
        at_most_ns: int,
        nudge: Callable[[], None] | None = None,
    ) -> None:
        """Let nobody listen until the client has been refused; a nudge may be in vain, and it waits on."""
        goes_on = self._exchange.strikes_handshake(self._host)
        with _quick_turns():
            self._gate.shut()
            if nudge is not None:
                nudge()
            ends_at = self._now() + at_most_ns
            while (waits := knocks.is_waiting(knock)) and self._now() < ends_at:
                time.sleep(SPIN_S)  # noqa: TID251 - for real: while it lasts, whoever connects is refused too
            if goes_on or (waits and nudge is not None):
                self._gate.hold()
            else:
                self._gate.open()
        if waits and nudge is not None:
            return
        self._settle(os_error(errno.ECONNREFUSED))
        left = knocks.at(self._gate.port)
        if any(other not in left for other in waiting if other != knock):
            self._note("two clients connected at once, and a step that was meant for one refused both")

    def _settle(self, error: OSError) -> None:
        unsent, self._struck, self._unsent = self._unsent, None, None
        assert unsent is not None
        self._exchange.not_sent(unsent.ticket, error, None)


@contextlib.contextmanager
def _quick_turns() -> Iterator[None]:
    """Get a turn soon where the client is a thread of this process: what it does next must not be refused."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_S)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)
