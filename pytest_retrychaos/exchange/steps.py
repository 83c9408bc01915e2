"""Which step is next, where it strikes before a request is sent; and the outage that lasts."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import NamedTuple

from pytest_retrychaos.exchange.board import ActiveScript, Board, strikes_at_connecting
from pytest_retrychaos.faults import Kind, Progress, Step
from pytest_retrychaos.model import Request, host_name
from pytest_retrychaos.record import Recorder


class Outage(NamedTuple):
    """A ``down`` step that was taken and lasts."""

    until_ns: int
    step: Step
    script: int
    """The number of the script that it stands in."""


class Steps:
    """The steps of all scripts of a run, as attempts meet them."""

    def __init__(self, board: Board, recorder: Recorder, now: Callable[[], int]) -> None:
        self._board = board
        self._recorder = recorder
        self._now = now
        self._outage: Outage | None = None

    @property
    def outage(self) -> Outage | None:
        """The outage that every attempt meets just now: one step, so that the next one waits for its end."""
        if self._outage is not None and self._now() >= self._outage.until_ns:
            self._outage = None
        return self._outage

    def note_taken(self, step: Step, script: int) -> None:
        """Let an outage begin with the step that begins it."""
        if step.kind is Kind.DOWN:
            self._outage = Outage(self._now() + (step.duration_ns or 0), step, script)

    def deciding_on(self, head: Request) -> ActiveScript | None:
        """Give the script that decides on a request."""
        return self._board.for_request(host_name(head.host), head.method, head.path) if self._board.scripts else None

    def take_at_connecting(self, host: str, kinds: Collection[Kind]) -> tuple[Step, int] | None:
        """Take the next step for a host, if it is of these kinds and strikes before a request is sent."""
        progress, script = self._at_connecting(host)
        if progress is None or self.outage is not None:
            return None
        step = progress.peek()
        if step.kind not in kinds or not strikes_at_connecting(step):
            return None
        progress.take()
        self.note_taken(step, script)
        return step, script

    def next_at_connecting(self, host: str) -> Step | None:
        """Give the next step for a host, if there is a script for it."""
        progress, _ = self._at_connecting(host)
        return None if progress is None else progress.peek()

    def _at_connecting(self, host: str) -> tuple[Progress | None, int]:
        """Give how far its script has come for the request that is about to be sent, as far as that is known."""
        active = self._board.for_host(host_name(host)) if self._board.scripts else None
        if active is None:
            return None, 0
        if active.per == "service":
            return active.progress, active.number
        sheets = self._recorder.sheets
        last = sheets[-1] if sheets else None
        is_retry = last is not None and last.failed and last.scope is not None and self._recorder.is_in_scope
        known = active.known(id(last.operation)) if last is not None and is_retry else None
        return known or active.progress, active.number
