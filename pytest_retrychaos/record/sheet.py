"""One attempt while it happens: filled in by the transport and the exchange, frozen into an `Attempt`."""

from __future__ import annotations

from collections.abc import Callable

from pytest_retrychaos.model import NO_HEADERS, SECOND, Headers, Response
from pytest_retrychaos.record.sameness import keep
from pytest_retrychaos.trace import NO_BODY, WHOLE, Attempt, Body

OWN_FAILURES = frozenset({408, 425, 429})
"""The service's own 4xx that are failures and no answers."""


class Sheet:
    """An attempt under way; it is the transport's `Ticket`."""

    # fmt: off
    __slots__ = (
        "_now", "_wall", "after", "announced", "arrived_ns", "began_ns", "committed", "credentials",
        "cut", "due_ns", "effects", "ended_ns", "error", "fault", "full_body", "headers", "headers_ns",
        "host", "index", "is_damaged", "is_guarded", "is_read", "joined", "kept_body", "key",
        "key_carrier", "last_byte_ns", "lineage", "method", "operation", "own_answer", "payload",
        "reached", "relation", "replayed", "response", "scheme", "scope", "script", "site", "status",
        "target", "timeout_ns", "volatile", "wall_ns", "was_silent",
    )
    # fmt: on

    def __init__(self, index: int, now: Callable[[], int], wall: Callable[[], int]) -> None:
        self._now = now
        self._wall = wall
        self.index = index
        self.began_ns = now()
        self.operation: object = None
        """The `OperationSheet` it belongs to, once joined."""
        self.joined = ""
        self.lineage = 0
        self.site: int | None = None
        self.scope: int | None = None
        self.scheme = "http"
        self.host = ""
        self.method: str | None = None
        self.target: str | None = None
        self.headers: Headers = NO_HEADERS
        self.full_body = b""
        """Kept while a later attempt may be compared with it."""
        self.kept_body: Body = NO_BODY
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
        self.arrived_ns: int | None = None
        self.headers_ns: int | None = None
        self.last_byte_ns: int | None = None
        self.ended_ns: int | None = None
        self.error: str | None = None
        self.cut = False
        self.is_damaged = False
        """What was sent as an answer is none: cut off, or not HTTP."""
        self.timeout_ns: int | None = None
        self.was_silent = False
        self.wall_ns: int | None = None
        self.due_ns: int | None = None
        """When a postponed request will be carried out."""
        self.payload: object = None
        """What the exchange keeps of it meanwhile."""
        self.after: Callable[[Sheet], None] | None = None
        """Called once, when the answer's headers have reached the client."""

    # the transport's side

    def waits(self, timeout: float | None) -> None:
        if self.headers_ns is None:
            self.timeout_ns = None if timeout is None else round(timeout * SECOND)

    def saw_headers(self) -> None:
        if self.headers_ns is not None:
            return
        self.headers_ns = self._now()
        self.wall_ns = self._wall()
        if self.has_failing_status:
            self._end()
        if self.after is not None:
            self.after(self)

    def saw_all(self) -> None:
        if self.last_byte_ns is None:
            self.last_byte_ns = self._now()
            self._end()
            if self.kept_body.size > WHOLE and self.has_succeeded:
                self.full_body = b""  # nothing will be compared with it but its digest

    def saw_error(self, error: BaseException, *, timeout: float | None = None, silent: bool = False) -> None:
        if self.error is None:
            self.error = f"{type(error).__name__}: {error}"
        self.waits(timeout)
        self.was_silent = self.was_silent or silent
        self._end()

    def saw_eof(self) -> None:
        if self.last_byte_ns is None and self.error is None:
            self.error = "EOF: the connection ended " + (
                "without an answer" if self.headers_ns is None else "before the answer was whole"
            )
        self._end()

    def was_closed(self) -> None:
        if self.last_byte_ns is not None or self.error is not None:
            return
        if self.headers_ns is None:
            self.error = "closed by the client while it waited"
        else:
            self.cut = True
        self._end()

    def _end(self) -> None:
        if self.ended_ns is None:
            self.ended_ns = self._now()

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
        """Whether the client got a complete success."""
        return self.ended_ns is not None and not self.failed and (self.status or 500) < 400

    def freeze(self, operation: int) -> Attempt:
        """Make the record of it."""
        response = self.response
        return Attempt(
            index=self.index, operation=operation, joined=self.joined, lineage=self.lineage, site=self.site,
            scope=self.scope, scheme=self.scheme, host=self.host, method=self.method, target=self.target,
            headers=self.headers, body=self.kept_body, key=self.key, key_carrier=self.key_carrier,
            credentials=self.credentials, volatile=self.volatile, body_relation=self.relation,
            is_read=self.is_read, is_guarded=self.is_guarded, fault=self.fault, script=self.script,
            status=self.status, response_headers=NO_HEADERS if response is None else response.headers,
            response_body=NO_BODY if response is None else keep(response.body),
            own_answer=self.own_answer, reached=self.reached, committed=self.committed, effects=self.effects,
            replayed=self.replayed, began_ns=self.began_ns, arrived_ns=self.arrived_ns,
            headers_ns=self.headers_ns, last_byte_ns=self.last_byte_ns, ended_ns=self.ended_ns,
            error=self.error, failed=self.failed, cut=self.cut, timeout_ns=self.timeout_ns,
            was_silent=self.was_silent, wall_ns=self.wall_ns,
        )  # fmt: skip
