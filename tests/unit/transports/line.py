"""A line to the service without sockets: a real exchange on a clock that the test moves."""

from __future__ import annotations

from pytest_retrychaos.clock.aside import Aside
from pytest_retrychaos.exchange import Board, Exchange
from pytest_retrychaos.model import SECOND
from pytest_retrychaos.record import Recorder, Sheet
from pytest_retrychaos.service import Service
from pytest_retrychaos.transports.actions import Action, End, Postponed, Send, Wait
from pytest_retrychaos.transports.channel import Channel
from pytest_retrychaos.transports.http1 import Conversation

WALL = 1_767_225_600  # 2026-01-01T00:00:00Z


class Silence(BaseException):
    """What a client without a timeout meets."""


class Line:
    """Everything behind a connection, and what arrived there."""

    def __init__(self, script: str | None = None, host: str = "service.test") -> None:
        self.now_ns = 0
        self.asides: dict[int, Aside] = {}
        self.sleeper = self.move_to = self.wait_until
        self.host = host
        self.board = Board()
        self.service = Service(now=lambda: self.now_ns, wall=self.wall_ns)
        self.recorder = Recorder(lambda: self.now_ns, self.wall_ns)
        self.exchange = Exchange(self.board, self.service, self.recorder, lambda: self.now_ns, self.wall_ns)
        if script is not None:
            self.board.set(script)

    def wall_ns(self) -> int:
        return WALL * SECOND + self.now_ns

    def wait_until(self, deadline_ns: int) -> None:
        """Let virtual time pass: the clock that a channel needs."""
        self.now_ns = max(self.now_ns, deadline_ns)

    def aside(self, until_ns: int | None) -> Aside:
        """Let what is done meanwhile sleep aside from a moment on."""
        return Aside(self, until_ns)  # type: ignore[arg-type]  # the part of a clock that it needs

    def wait_for(self, _key: int, deadline_ns: int | None, _waits_for: str) -> bool:
        """The same for who has a limit; one without has nobody to wait for."""
        if deadline_ns is not None:
            self.wait_until(deadline_ns)
        return deadline_ns is not None

    def conversation(self) -> Conversation:
        return Conversation(self.exchange, self.host, "http")

    def channel(self, timeout: float | None = 5) -> Channel:
        return Channel(self.exchange, self, self.host, ("198.18.0.1", 80), timeout, Silence)

    @property
    def sheets(self) -> list[Sheet]:
        return self.recorder.sheets

    @property
    def arrived(self) -> list[tuple[str | None, str, str | None, bytes]]:
        """Method, host, target and body of every attempt."""
        return [(sheet.method, sheet.host, sheet.target, sheet.kept_body.start) for sheet in self.sheets]


def shown(actions: list[Action]) -> list[object]:
    """Write actions down: status lines and bodies as bytes, waits as seconds, ends as words."""
    found: list[object] = []
    for action in actions:
        if isinstance(action, Wait):
            found.append(action.ns / SECOND)
        elif isinstance(action, End):
            found.append(action.value)
        elif isinstance(action, Postponed):
            found.append("postponed")
        else:
            found.append(bytes(action.data).partition(b"\r\n")[0])
    return found


def sent(actions: list[Action]) -> bytes:
    """Put together all bytes that actions send."""
    return b"".join(bytes(action.data) for action in actions if isinstance(action, Send))


def head(answer: bytes) -> list[str]:
    """List the lines of an answer's header block."""
    return answer.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
