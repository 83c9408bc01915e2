"""The exchange: takes each attempt through script and service, and tells the transport what becomes of it.

Laws of this module:
1. A step is taken once, by one attempt: at connecting where it strikes before sending, else when the request's
   head has arrived (with ``per="operation"`` when its body has, since only that tells the operation).
2. What cannot be simulated, and what a handler did wrong, is kept in `problems`: it cannot be swallowed.
"""

from __future__ import annotations

from collections.abc import Callable

from pytest_retrychaos import redact
from pytest_retrychaos.clock.errors import Refused
from pytest_retrychaos.exchange.board import ActiveScript, Board, strikes_at_connecting
from pytest_retrychaos.exchange.outcomes import Outcomes, T, Work
from pytest_retrychaos.exchange.steps import Steps
from pytest_retrychaos.faults import OK, Kind, Progress, Step
from pytest_retrychaos.model import Outcome, Request, Response, Wire
from pytest_retrychaos.record import Recorder, Sheet
from pytest_retrychaos.service import Service
from pytest_retrychaos.transports.seam import Ticket, Unsent

_AT_CONNECTING = {
    Kind.REFUSE: Wire.REFUSED,
    Kind.CONNECT_TIMEOUT: Wire.NO_HANDSHAKE,
    Kind.DOWN: Wire.REFUSED,
}
_BY_ADDRESS = {**_AT_CONNECTING, Kind.DNS: Wire.REFUSED}
"""Who connects while `dns` is next has the address already, and asks nobody: only so can the step strike."""


class HandlerFailed(RuntimeError):
    """A route's handler raised, or returned what is no answer: a fault of the test's service, not of the client."""


class Exchange:
    """Script, service and record of one run, put together."""

    def __init__(
        self,
        board: Board,
        service: Service,
        recorder: Recorder,
        now: Callable[[], int],
        wall: Callable[[], int],
        traffic: Callable[[], None] = lambda: None,
    ) -> None:
        self.board = board
        self.service = service
        self.recorder = recorder
        self.problems: list[BaseException] = []
        self.landed: Callable[[int], None] = lambda _: None
        """Is told the index of each attempt that has arrived whole."""
        self.keeps_alive = True
        """Whether a connection is left open after an answer."""
        self.reused: set[int] = set()
        """Attempts that came on a connection which had served before."""
        self._now = now
        self.wall_ns = wall
        """Reads the wall clock."""
        self._traffic = traffic
        self._outcomes = Outcomes(service, now, wall, self.refuse, self._handler_failed)
        self._steps = Steps(board, recorder, now)

    # before a request is sent

    def resolving(self, host: str) -> Unsent | None:
        """Take a ``dns`` step, if it is next."""
        return self._strike(host, {Kind.DNS: Wire.NO_NAME})

    def connecting(self, host: str, port: int, timeout: float | None) -> Unsent | None:  # noqa: ARG002 - the seam's
        """Take a step that strikes at connecting, if it is next; an outage refuses as long as it lasts."""
        self._traffic()
        outage = self._steps.outage
        if outage is not None and strikes_at_connecting(outage.step):
            return Unsent(Wire.REFUSED, self._begin_unsent(host, outage.step, outage.script))
        return self._strike(host, _BY_ADDRESS)

    def securing(self, host: str) -> Unsent | None:
        """Take a ``tls`` step, if it is next."""
        return self._strike(host, {Kind.TLS: Wire.NO_TLS}, scheme="https")

    def not_sent(self, ticket: Ticket, error: BaseException, timeout: float | None) -> None:
        """Note how the client learnt of a step taken before sending."""
        sheet = _sheet(ticket)
        sheet.saw_error(error, timeout=timeout)
        self.recorder.not_sent(sheet)

    def wants_idle_closed(self, host: str) -> bool:
        """Tell whether the next step for a host can strike only a new connection."""
        step = self._next_at_connecting(host)
        return step is not None and strikes_at_connecting(step)

    def strikes_handshake(self, host: str) -> bool:
        """Tell whether the next step for a host strikes before there is a connection to it."""
        step = self._next_at_connecting(host)
        return step is not None and step.kind in _AT_CONNECTING and strikes_at_connecting(step)

    def _next_at_connecting(self, host: str) -> Step | None:
        if not self.board.scripts:
            return None
        outage = self._steps.outage
        return self._steps.next_at_connecting(host) if outage is None else outage.step

    def _strike(self, host: str, kinds: dict[Kind, Wire], scheme: str = "http") -> Unsent | None:
        taken = self._steps.take_at_connecting(host, kinds)
        if taken is None:
            return None
        step, script = taken
        return Unsent(kinds[step.kind], self._begin_unsent(host, step, script, scheme))

    def _begin_unsent(self, host: str, step: Step, script: int, scheme: str = "http") -> Sheet:
        sheet = self.recorder.begin(f"[{host}]" if ":" in host else host, scheme)  # as a request names it
        sheet.fault, sheet.script = str(step), script
        return sheet

    # a request

    def arriving(self, head: Request, *, reused: bool) -> Sheet:
        """Take an attempt whose head has arrived, and the step that it meets."""
        self._traffic()
        if self._outcomes.postponed:
            self.settle()
        sheet = self.recorder.begin_request(head)
        sheet.reached = True
        if reused:
            self.reused.add(sheet.index)
        active = self._steps.deciding_on(head)
        sheet.payload = arrival = _Arrival(head, active, reused)
        if self._steps.outage is not None or active is None or active.per == "service":
            self._meet(sheet, arrival, None if active is None else active.progress)
        return sheet

    def _meet(self, sheet: Sheet, arrival: _Arrival, progress: Progress | None) -> None:
        """Let an attempt take the step that is next for it."""
        arrival.step = OK
        outage = self._steps.outage
        if outage is not None:
            arrival.step, sheet.script = outage.step, outage.script
            sheet.reached = not strikes_at_connecting(outage.step)  # else it finds its connection closed
        elif progress is not None and arrival.active is not None:
            step = progress.peek()
            if step.kind is Kind.STALE and not arrival.reused:
                return  # it waits for a request on a connection that has served before
            if step.kind is Kind.TLS and arrival.head.scheme == "http":
                self.cut_short(sheet, b"", None)
                raise self.refuse(
                    f"`tls` cannot strike {arrival.head.method} {_address(arrival.head)}: "
                    "there is no handshake. Use https:// in this test"
                )
            if strikes_at_connecting(step):
                sheet.reached = False  # finds its connection closed; the step waits for the next one
                return
            index, arrival.step = progress.take()
            if index is not None:
                sheet.script = arrival.active.number
            self._steps.note_taken(step, arrival.active.number)
        if arrival.step is not OK or sheet.script is not None:
            sheet.fault = str(arrival.step)

    def arrived(self, ticket: Ticket, body: bytes) -> Outcome | None:
        """Carry out a request that has arrived whole."""
        return _without_pause(self.carrying(ticket, body))

    def carrying(self, ticket: Ticket, body: bytes) -> Work[Outcome | None]:
        """Do as `arrived`, and pause each time before the request's own answerer is asked, its key being taken.

        Closed in a pause, it lets the key go, and nothing has taken effect.
        """
        sheet = _sheet(ticket)
        arrival = sheet.payload
        assert isinstance(arrival, _Arrival)
        sheet.payload = None
        sheet.arrived_ns = self._now()
        arrival.head = request = arrival.head.with_body(body) if body else arrival.head
        self._note_request(sheet, request)
        self.recorder.complete(sheet, body)
        self.landed(sheet.index)
        if arrival.step is None:
            assert arrival.active is not None
            self._meet(sheet, arrival, arrival.active.of(id(sheet.operation)))
        if not sheet.reached:
            return Outcome(Wire.EOF)
        outcome = yield from self._outcomes.of(sheet, request, arrival.step or OK)
        return None if outcome is None else self._late(outcome)

    def _late(self, outcome: Outcome) -> Outcome:
        """Add the round trip that every answer takes."""
        latency_ns = self.service.latency_ns
        return outcome._replace(delay_ns=outcome.delay_ns + latency_ns) if latency_ns else outcome

    def _note_request(self, sheet: Sheet, request: Request) -> None:
        traits = self.service.answering.traits(request)
        sheet.key_carrier, sheet.key = traits.carrier, traits.key
        sheet.is_read, sheet.is_guarded = traits.is_read, traits.is_guarded

    # postponed requests

    def awaited(self, ticket: Ticket) -> int:
        """Tell when a postponed request is carried out."""
        due = _sheet(ticket).due_ns
        assert due is not None
        return due

    def decided(self, ticket: Ticket) -> Outcome:
        """Give the answer of a postponed request whose time has come."""
        self.settle()
        response = _sheet(ticket).response
        assert response is not None
        return self._late(Outcome(Wire.ANSWER, response))

    def settle(self, *, all_of_them: bool = False) -> None:
        """Carry out the postponed requests whose time has come, or all, since none is forgotten."""
        self._outcomes.postponed.settle(all_of_them=all_of_them)

    # what is not as it should be

    def cut_short(self, ticket: Ticket, body: bytes, announced: int | None) -> None:
        """Note a request of which only a part has arrived, or that nobody read; the rest may come yet."""
        sheet = _sheet(ticket)
        arrival = sheet.payload
        if isinstance(arrival, _Arrival):
            self._note_request(sheet, arrival.head.with_body(body))
        self.recorder.complete(sheet, body, announced)

    def malformed(
        self, head: Request, status: int, begun: Ticket | None = None, body: bytes = b"", announced: int | None = None
    ) -> Sheet:
        """Take a request that cannot be understood, from its head or from its body on."""
        self._traffic()
        sheet = self.recorder.begin_request(head) if begun is None else _sheet(begun)
        sheet.reached = True
        sheet.own_answer = True
        sheet.status = status
        sheet.response = Response(status)
        self.cut_short(sheet, body, announced)
        return sheet

    def found_closed(self, head: Request) -> Sheet:
        """Take a request written to a connection that had been closed while idle."""
        self._traffic()
        sheet = self.recorder.begin_request(head)
        sheet.payload = _Arrival(head, None, True)
        return sheet

    def refuse(self, text: str) -> BaseException:
        """Make, and keep, the error for what cannot be simulated."""
        error = Refused(text)
        self.problems.append(error)
        return error

    def _handler_failed(self, sheet: Sheet, error: BaseException) -> None:
        problem = HandlerFailed(
            redact.current().text(
                f"the handler for {sheet.method} {sheet.target} failed, not the client: {type(error).__name__}: {error}"
            )
        )
        problem.__cause__ = error
        self.problems.append(problem)


class _Arrival:
    """What is known of a request between its head and its body."""

    __slots__ = ("active", "head", "reused", "step")

    def __init__(self, head: Request, active: ActiveScript | None, reused: bool) -> None:
        self.head = head
        self.active = active
        self.reused = reused
        self.step: Step | None = None


def _without_pause(work: Work[T]) -> T:
    while True:
        try:
            next(work)
        except StopIteration as done:
            result: T = done.value
            return result


def _sheet(ticket: Ticket) -> Sheet:
    """Give what a ticket is here: every one was made by this exchange."""
    assert isinstance(ticket, Sheet)
    return ticket


def _address(request: Request) -> str:
    return redact.current().text(f"http://{request.host}{request.target}")
