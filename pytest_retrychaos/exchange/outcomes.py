"""What becomes of a request that has arrived: the service carries it out, and the client gets its answer or a fault.

Laws of this module:
1. The service takes effect exactly where the fault table says so, before the fault strikes.
2. What is put off (``slow … before-commit``) is let in at once, and carried out when its time has come.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from typing import TypeVar

from pytest_retrychaos.exchange.postponed import Postponed
from pytest_retrychaos.exchange.scripted import dressed
from pytest_retrychaos.faults import Kind, Step
from pytest_retrychaos.model import Outcome, Request, Response, Wire
from pytest_retrychaos.record import Sheet
from pytest_retrychaos.service import Answer, Reservation, Service

T = TypeVar("T")
Work = Generator[None, None, T]
"""What is done step by step, with pauses in which an answerer may be awaited."""

_OK, _ANSWER = Kind.OK, Wire.ANSWER

_LOST = {
    Kind.TIMEOUT: Wire.SILENCE,
    Kind.RESET: Wire.RESET,
    Kind.EOF: Wire.EOF,
    Kind.STALE: Wire.EOF,
}
"""Faults by which no answer arrives, and what the client sees instead."""


class Outcomes:
    """The service of one run, as the steps let clients meet it."""

    def __init__(
        self,
        service: Service,
        now: Callable[[], int],
        wall: Callable[[], int],
        refuse: Callable[[str], BaseException],
        handler_failed: Callable[[Sheet, BaseException], None],
    ) -> None:
        """``refuse`` makes the error for what cannot be simulated; ``handler_failed`` is told of the test's own."""
        self.postponed = Postponed(service, now, self._finish)
        self._service = service
        self._wall = wall
        self._refuse = refuse
        self._handler_failed = handler_failed

    def of(self, sheet: Sheet, request: Request, step: Step) -> Work[Outcome | None]:
        """Carry a request out as far as its step lets it, and give what the client gets; ``None`` where that is later.

        Pauses each time before the request's own answerer is asked. Closed in a pause, it lets the key go.
        """
        kind = step.kind
        if kind is _OK:
            return self._answered(sheet, (yield from self._handle(sheet, request)))
        if kind is Kind.SLOW and step.before_commit:
            return self._postpone(sheet, request, step)
        answer = (yield from self._handle(sheet, request)) if step.commits else None
        if kind is Kind.DUPLICATE:
            first = sheet.replayed, sheet.key_conflict
            yield from self._handle(sheet, request)
            sheet.replayed, sheet.key_conflict = first  # the client gets the first answer, not the twin's
        if kind in _LOST:
            return Outcome(_LOST[kind])
        if kind is Kind.GARBAGE:
            sheet.is_damaged = True
            return Outcome(Wire.GARBAGE)
        if kind in (Kind.STATUS, Kind.DOWN):
            response = self._scripted(step, request, answer)
            sheet.own_answer = answer is not None and (step.status or 0) < 300
        else:
            assert answer is not None
            response, sheet.own_answer = answer.response, True
        sheet.status, sheet.response = response.status, response
        if kind is Kind.TRUNCATE:
            sheet.is_damaged = True
            return Outcome(Wire.TRUNCATED, response)
        if kind is Kind.SLOW:
            return Outcome(Wire.ANSWER, response, delay_ns=step.duration_ns or 0)
        return Outcome(Wire.ANSWER, response, spread_ns=(step.duration_ns or 0) if kind is Kind.DRIP else 0)

    def _answered(self, sheet: Sheet, answer: Answer) -> Outcome:
        """Let the client have the service's own answer as it is."""
        sheet.status, sheet.response, sheet.own_answer = answer.response.status, answer.response, True
        return Outcome(_ANSWER, answer.response)

    def _handle(self, sheet: Sheet, request: Request) -> Work[Answer]:
        answer = self._service.answering.reserve(request, attempt=sheet.index)
        if isinstance(answer, Reservation):
            if request.answerer is not None:
                try:
                    yield
                except BaseException:
                    self._service.answering.release(answer)
                    raise
            answer = self._service.answering.complete(answer)
        self._note_answer(sheet, answer)
        return answer

    def _note_answer(self, sheet: Sheet, answer: Answer) -> None:
        sheet.committed = sheet.committed or answer.committed
        sheet.effects += answer.effects
        sheet.replayed = sheet.replayed or answer.replayed
        sheet.key_conflict = sheet.key_conflict or answer.key_conflict
        if answer.error is not None:
            self._handler_failed(sheet, answer.error)

    def _scripted(self, step: Step, request: Request, answer: Answer | None) -> Response:
        """Make the answer of a status step: the service's own under another status, or an error."""
        status = step.status or 0
        if status < 300 and answer is not None:
            return dressed(replace(answer.response, status=status), step, self._wall())
        return dressed(self._service.answering.error_shape(status, request) or Response(status), step, self._wall())

    def _postpone(self, sheet: Sheet, request: Request, step: Step) -> Outcome | None:
        if request.answerer is not None and request.answerer.is_awaited:
            raise self._refuse(
                f"`{step}` cannot strike {request.host}, an async function: what it does could come after its caller "
                "has given up, and nobody would await it. Use `slow` without before-commit"
            )
        result = self._service.answering.reserve(request, attempt=sheet.index)
        if isinstance(result, Answer):
            return self._finish(sheet, result)
        self.postponed.add(sheet, result, step.duration_ns or 0)
        return None

    def _finish(self, sheet: Sheet, answer: Answer) -> Outcome:
        self._note_answer(sheet, answer)
        return self._answered(sheet, answer)
