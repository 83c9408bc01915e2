"""One attempt while it happens: filled in by the transport and the exchange, frozen into an `Attempt`."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Final, Protocol

from pytest_retrychaos.model import NO_HEADERS, SECOND, Headers, Response
from pytest_retrychaos.record import sameness
from pytest_retrychaos.record.lineages import SOLE, Lineage
from pytest_retrychaos.trace import NO_BODY, WHOLE, Attempt, Body

OWN_FAILURES: Final = frozenset({408, 425, 429})
"""The service's own 4xx that are failures and no answers."""

REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
"""Statuses that send a client elsewhere (RFC 9110, 15.4), where ``Location`` says so."""

Identity = tuple[str, str, str]
"""Method, host, and path with query: what makes two requests the same but for their content."""

Kind = tuple[int | None, str, str]
"""Scope, method, and path with query: what the attempts of one operation share, whichever host they go to."""


_NOT_SENT: Final[Kind] = (None, "", "")


class Home(Protocol):
    """What an attempt knows of its operation."""

    @property
    def has_succeeded(self) -> bool:
        """Whether the client has got a success from any of its attempts."""

    @property
    def begun_by(self) -> Lineage:
        """The lineage of its first attempt."""


class Sheet:
    """An attempt under way; it is the transport's `Ticket`."""

    # fmt: off
    __slots__ = (
        "_answer", "_frozen", "_kept_body", "_now", "_on_end", "_on_redirect", "_wall", "alike", "announced",
        "arrived_ns", "began_ns", "call", "cancelled_ns", "committed", "content", "credentials", "cut", "due_ns",
        "effects", "ended_as", "ended_ns", "error", "fault", "full_body", "headers", "headers_ns", "host", "identity",
        "index", "is_damaged", "is_guarded", "is_read", "joined", "key", "key_carrier", "key_conflict", "kind",
        "last_byte_ns", "lineage", "method", "operation", "outer_call", "own_answer", "payload", "reached",
        "relation", "replayed", "response", "scheme", "scope", "script", "sent_body", "site", "status", "target",
        "timeout_ns", "volatile", "wall_ns", "was_silent", "went_well",
    )
    # fmt: on

    def __init__(
        self,
        index: int,
        now: Callable[[], int],
        wall: Callable[[], int],
        on_redirect: Callable[[Sheet], None] = lambda _: None,
        on_end: Callable[[Sheet], None] = lambda _: None,
        lineage: Lineage = SOLE,
    ) -> None:
        self._now = now
        self._wall = wall
        self._on_redirect = on_redirect
        self._on_end = on_end
        self.index = index
        self.began_ns = now()
        self.operation: Home | None = None
        """The `OperationSheet` it belongs to, once joined."""
        self.identity: Identity | None = None
        """``None`` where nothing was sent."""
        self.kind: Kind = _NOT_SENT
        self.joined = ""
        self.lineage = lineage
        self.ended_as = 0
        """When it ended, in the order of what happened."""
        self.cancelled_ns: int | None = None
        """When the test had asked who sends it to end, if that was before it began."""
        self.site: int | None = None
        self.call: int | None = None
        """From which call of the test function it came."""
        self.outer_call: int | None = None
        """In which of them its task was begun, where that is the client's own, as for connecting."""
        self.scope: int | None = None
        self.scheme = "http"
        self.host = ""
        self.method: str | None = None
        self.target: str | None = None
        self.headers: Headers = NO_HEADERS
        self.full_body = b""
        """Kept while a later attempt may be compared with it."""
        self.content: bytes | str = b""
        self.alike: bytes | str = b""
        """By which others with the same body are found, whatever number of attempt it holds."""
        """What its body is known by: itself without key and volatile values, or the digest of a long one."""
        self.sent_body = b""
        self._kept_body: Body | None = None
        self._answer: tuple[Response, tuple[str, ...], Body] | None = None
        """What the kept form of the answer's body was made of, and that."""
        self._frozen: tuple[tuple[object, ...], Attempt] | None = None
        """What the last record was made of, and that."""
        self.announced: int | None = None
        self.key: str | None = None
        self.key_carrier: str | None = None
        self.credentials: str | None = None
        self.volatile: tuple[str, ...] = ()
        self.relation = "first"
        self.is_read = False
        self.is_guarded = False
        self.fault: str | None = None
        self.script: int | None = None
        self.status: int | None = None
        self.response: Response | None = None
        self.own_answer = False
        self.reached = False
        self.committed = False
        self.effects = 0
        self.replayed = False
        self.key_conflict: str | None = None
        self.arrived_ns: int | None = None
        self.headers_ns: int | None = None
        self.last_byte_ns: int | None = None
        self.ended_ns: int | None = None
        self.error: str | None = None
        self.cut = False
        self.went_well = False
        """It has ended, and the client got a complete answer that is no failure."""
        self.is_damaged = False
        """What was sent as an answer is none: cut off, or not HTTP."""
        self.timeout_ns: int | None = None
        self.was_silent = False
        self.wall_ns: int | None = None
        self.due_ns: int | None = None
        """When a postponed request will be carried out."""
        self.payload: object = None
        """What the exchange keeps of it meanwhile."""

    # the exchange's side

    def take_body(self, body: bytes, said: bytes, announced: int | None) -> None:
        """Take the body, as far as it arrived, and what it says, once key and volatile values are known."""
        self.sent_body, self.full_body = body, said
        self.announced = announced
        self._kept_body = None
        self.content = sameness.content(said, self.leave_out)
        self.alike = sameness.alike(self.headers, said, self.content)
        if len(said) > WHOLE or len(body) > WHOLE:
            self.alike = self.content = self.kept_body.sha256
            self.sent_body = b""

    @property
    def kept_body(self) -> Body:
        """The body as the trace keeps it; its digest is taken when somebody asks."""
        if self._kept_body is None:
            assert isinstance(self.content, bytes), "of a long body it is taken at once"
            self._kept_body = sameness.keep(self.sent_body, self.content, self.announced)
        return self._kept_body

    # the transport's side

    def waits(self, timeout: float | None) -> None:
        """Note the client's own timeout (seconds) for the wait that begins."""
        self.timeout_ns = None if timeout is None else round(timeout * SECOND)

    def saw_headers(self) -> None:
        """Note that the answer's headers were handed over; a failed answer has ended with that."""
        if self.headers_ns is not None or self.ended_ns is not None:
            return
        if self.is_damaged and self.status is None:
            self.error = "garbage: the answer was not HTTP"
            self._end()
            return
        self.headers_ns = self._now()
        self.wall_ns = self._wall()
        if self.has_failing_status:
            self._end()
        if self.status in REDIRECTS:
            self._on_redirect(self)

    def saw_all(self) -> None:
        """Note that the last byte was handed over."""
        if self.last_byte_ns is None:
            self.last_byte_ns = self._now()
            self._end(self.last_byte_ns)

    def saw_error(self, error: BaseException, *, timeout: float | None = None, silent: bool = False) -> None:
        """Note the error that the client got, the first if there are several."""
        if self.error is None:
            self.error = f"{type(error).__name__}: {error}"
        self.waits(timeout)
        self.was_silent = self.was_silent or silent
        self._end()

    def was_told(self, error: Exception) -> None:
        """Note that the client got an exception of the answerer's own: what was never sent is taken back."""
        self.status = self.response = None
        self.saw_error(error)

    def saw_eof(self) -> None:
        """Note that the connection ended before the answer was whole."""
        if self.last_byte_ns is None and self.error is None:
            self.error = "EOF: the connection ended " + (
                "without an answer" if self.headers_ns is None else "before the answer was whole"
            )
        self._end()

    def was_closed(self, *, in_wait: bool = False) -> None:
        """Note that the client closed the connection.

        While the service is silent, that is a timeout, but for the loser of a hedge that was won. Who closes in the
        middle of the body had all that he wanted, or, if he waited for more, a limit: that is not known.
        """
        if self.last_byte_ns is not None or self.error is not None:
            return
        if self.arrived_ns is None:
            self.error = "cut: closed by the client before the request was whole"
            self.cut = True
        elif self.headers_ns is not None and not in_wait:
            self.cut = not self.is_damaged  # of a damaged answer nothing more was to come
        elif self.operation is not None and self.operation.has_succeeded:
            self.error = "cut: closed by the client, which had its answer from another attempt"
            self.cut = True
        elif self.lineage.was_cancelled_since(self.began_ns):
            self.error = "cut: closed by the client, which the test had cancelled"
            self.cut = True
        elif self.headers_ns is None:
            self.error = "timeout: closed by the client while the service was silent"
        else:
            self.error = "cut: closed by the client while it waited for the rest of the answer"
            self.cut = True
        self._end()

    def stop(self, error: BaseException) -> None:
        """Note that the run was ended here, by no one's failure."""
        self.error = f"{type(error).__name__}: the run was ended here"
        self.cut = True
        self._end()

    def _end(self, now_ns: int | None = None) -> None:
        self.went_well = not self.failed
        if self.ended_ns is None:
            self.ended_ns = self._now() if now_ns is None else now_ns
            self._on_end(self)

    # what it comes to

    @property
    def has_failing_status(self) -> bool:
        """Whether the status that was sent is no success, and no answer of the service's own."""
        status = self.status
        if status is None:
            return False
        if self.own_answer:
            return status >= 500 or status in OWN_FAILURES
        return status >= 400

    @property
    def failed(self) -> bool:
        """Whether the client got no complete success."""
        return self.error is not None or self.is_damaged or self.has_failing_status

    @property
    def has_succeeded(self) -> bool:
        """Whether the client got a success that it need not follow elsewhere, all of it or all that it wanted."""
        return self.went_well and (self.status or 500) < 400 and self.status not in REDIRECTS

    @property
    def leave_out(self) -> tuple[str, ...]:
        """The values that a digest leaves out."""
        return self.volatile if self.key is None else (self.key, *self.volatile)

    @property
    def response_headers(self) -> Headers:
        """Those of the answer that was sent, if one was."""
        return NO_HEADERS if self.response is None else self.response.headers

    @property
    def response_body(self) -> Body:
        """The answer's body as the trace keeps it."""
        response, leave_out, known = self.response, self.leave_out, self._answer
        if response is None:
            return NO_BODY
        if known is None or known[0] is not response or known[1] != leave_out:
            equal = sameness.content(response.body, leave_out)
            known = self._answer = response, leave_out, sameness.keep(response.body, equal)
        return known[2]

    def freeze(self, operation: int) -> Attempt:
        """Make the record of it; while nothing changes, the same one."""
        fields = operation, *_FIELDS(self)
        if self._frozen is None or self._frozen[0] != fields:
            self._frozen = fields, Attempt(fields[1], operation, *fields[2:])
        return self._frozen[1]


_OF_A_SHEET: Final = {"lineage": "lineage.number", "body": "kept_body", "body_relation": "relation"}
"""Fields of an `Attempt` that have another name here."""
_FIELDS: Final = attrgetter(*[_OF_A_SHEET.get(name, name) for name in Attempt.__slots__ if name != "operation"])
"""Reads all but the operation, which has a number only once a record is taken."""
