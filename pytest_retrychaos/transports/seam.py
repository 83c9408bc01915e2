"""What a transport and the exchange above it say to each other.

A transport knows bytes and exceptions and nothing of faults. It asks an `Exchange` what becomes of a
connection or a request, renders the `Outcome`, and tells the attempt's `Ticket` what the client has seen.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import NamedTuple, Protocol

from pytest_retrychaos.model import Outcome, Request, Wire


class Ticket(Protocol):
    """One attempt under way: the transport reports to it what reaches the client, and when."""

    def saw_headers(self) -> None:
        """Note that the answer's headers were handed to the client."""

    def saw_all(self) -> None:
        """Note that the last byte was handed to the client."""

    def saw_error(self, error: BaseException, *, timeout: float | None = None, silent: bool = False) -> None:
        """Note the error that the client got; ``silent``: it met silence with no deadline."""

    def saw_eof(self) -> None:
        """Note that the connection ended before the answer was whole."""

    def was_told(self, error: Exception) -> None:
        """Note that the client got an exception of the answerer's own, and no answer."""

    def waits(self, timeout: float | None) -> None:
        """Note the client's own timeout for the wait that begins."""

    def was_closed(self, *, in_wait: bool = False) -> None:
        """Note that the client closed the connection before it had the whole answer.

        ``in_wait``: while it waited for more of the answer's body, having read all that had come.
        """


class Unsent(NamedTuple):
    """What keeps a request from being sent, and the attempt that it is."""

    wire: Wire
    ticket: Ticket


class Exchange(Protocol):
    """Who decides what happens to each attempt."""

    keeps_alive: bool
    """Whether a connection is left open after an answer."""

    def resolving(self, host: str) -> Unsent | None:
        """Decide on looking up a name; ``None`` lets it succeed."""

    def connecting(self, host: str, port: int, timeout: float | None) -> Unsent | None:
        """Decide on connecting; ``None`` lets it succeed."""

    def securing(self, host: str) -> Unsent | None:
        """Decide on the TLS handshake; ``None`` lets it succeed."""

    def not_sent(self, ticket: Ticket, error: BaseException, timeout: float | None) -> None:
        """Note the error by which the client learnt that a look-up, connection or handshake failed."""

    def arriving(self, head: Request, *, reused: bool) -> Ticket:
        """Take an attempt whose head has arrived; ``reused`` tells that its connection has served before."""

    def arrived(self, ticket: Ticket, body: bytes) -> Outcome | None:
        """Carry out a request that has arrived whole; ``None`` where the answer is not decided yet."""

    def carrying(self, ticket: Ticket, body: bytes) -> Generator[None, None, Outcome | None]:
        """Do as `arrived`, and pause each time before the request's own answerer is asked, its key being taken."""

    def awaited(self, ticket: Ticket) -> int:
        """Tell when (virtual ns) a postponed answer will be decided."""

    def decided(self, ticket: Ticket) -> Outcome:
        """Give the postponed answer; called when its time has come."""

    def cut_short(self, ticket: Ticket, body: bytes, announced: int | None) -> None:
        """Note a request of which only a part has arrived; the rest may come yet."""

    def malformed(
        self, head: Request, status: int, begun: Ticket | None = None, body: bytes = b"", announced: int | None = None
    ) -> Ticket:
        """Take a request that is refused as a real server would: 400, 414, 431.

        ``begun``: the attempt that its head had begun, where the head was right and the body is not. ``body``: what
        came of it.
        """

    def wants_idle_closed(self, host: str) -> bool:
        """Tell whether idle connections to a host are to be closed, so that a coming step can strike."""

    def found_closed(self, head: Request) -> Ticket:
        """Take a request written to a connection that had been closed while idle."""

    def refuse(self, text: str) -> BaseException:
        """Make (and keep, so that it cannot be swallowed) the error for what cannot be simulated."""

    def wall_ns(self) -> int:
        """Read the wall clock (epoch nanoseconds)."""
