"""How single attempts ended in the client's eyes: read from fault, status, error and moments."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from pytest_retrychaos.engine import known_errors
from pytest_retrychaos.engine.classify import Kind, classify_status
from pytest_retrychaos.engine.retry_after import Asked, Unreadable, find_retry_after
from pytest_retrychaos.model import SECOND
from pytest_retrychaos.trace import Attempt

TOLERANCE_NS: Final = 1_000_000
"""Times are compared with a tolerance of 1 ms."""

NOT_SENT: Final = frozenset({"refuse", "dns", "connect-timeout", "tls"})
LOST: Final = frozenset({"timeout", "reset", "eof", "stale", "truncate", "garbage"})
DAMAGED: Final = frozenset({"truncate", "garbage"})

ANSWER: Final = "answer"
STATUS: Final = "status"
RAISED: Final = "raised"
CUT: Final = "cut"
IN_FLIGHT: Final = "in flight"

ASKING: Final = frozenset({413, 429, 503})
"""Statuses whose Retry-After is to be obeyed (RFC 9110, 15.5.14 and 15.6.4; RFC 6585, 4)."""

REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
SAME_REQUEST: Final = frozenset({307, 308})
"""Redirects that the same request follows, method and body kept (RFC 9110, 15.4.8 and 15.4.9)."""
IDEMPOTENT: Final = frozenset({"PUT", "DELETE"})
_NETWORKS: Final = frozenset(
    name.rpartition(".")[2] for name in known_errors.NOT_SENT | known_errors.AMBIGUOUS | known_errors.WRAPPERS
)
"""Names of errors that tell of the network, whoever raises them."""
_NETWORKS_WORDS: Final = re.compile(
    r"time_?d?_?out|connect|reset|pipe|network|transport|unavailable|eof\b|closed", re.IGNORECASE
)

LOGIN: Final = frozenset({401, 403, 407})

UNSUPPORTED: Final = 415
"""Says that how the content is packed, or what it is called, is not known (RFC 9110, 15.5.16)."""
CONTENT_FIELDS: Final = ("content-encoding", "content-type")
"""What may be otherwise after that."""


class Ended(NamedTuple):
    """How one attempt ended in the client's eyes."""

    attempt: Attempt
    how: str
    """``answer`` (no failure), ``status`` (a failed answer), ``raised`` (an error of the answering function's own),
    ``cut`` by the client, ``in flight``, or the fault's word: refuse, dns, connect-timeout, tls, timeout, reset, eof,
    stale, truncate, garbage."""
    kind: Kind
    at_ns: int | None
    """When; a failed answer has ended when its headers were handed over."""

    @property
    def what(self) -> str:
        """The failure in a word: its status, or the fault."""
        return str(self.attempt.status) if self.how == STATUS else self.how

    @property
    def is_success(self) -> bool:
        """Whether the client got a complete success that is no redirect."""
        status = self.attempt.status
        return self.how == ANSWER and (status is None or (status < 400 and status not in REDIRECTS))

    @property
    def is_transient(self) -> bool:
        """Whether it was a failure that may pass: not sent, turned away or ambiguous."""
        return self.how not in (ANSWER, CUT, IN_FLIGHT) and self.kind is not Kind.REFUSED


class Endings:
    """Tells how attempts ended; remembers what it has read of steps and answers."""

    __slots__ = ("_classified", "_words")

    def __init__(self) -> None:
        self._words: dict[str, str] = {}
        self._classified: dict[object, Kind] = {}

    def of(self, attempt: Attempt) -> Ended:
        how = self._how(attempt)
        if how == STATUS:
            return Ended(attempt, how, self._status_kind(attempt), _known_ns(attempt))
        if how == ANSWER:
            status = attempt.status
            kind = Kind.SUCCESS if status is None or status < 400 else self._status_kind(attempt)
            return Ended(attempt, how, kind, attempt.ended_ns)
        if how == RAISED:
            return Ended(attempt, how, Kind.REFUSED, attempt.ended_ns)
        return Ended(attempt, how, Kind.NOT_SENT if how in NOT_SENT else Kind.AMBIGUOUS, attempt.ended_ns)

    def _how(self, attempt: Attempt) -> str:
        if attempt.ended_ns is None:
            return IN_FLIGHT
        if not attempt.failed:
            return ANSWER
        if attempt.cut:
            return CUT
        word = self._word(attempt.fault)
        if not attempt.was_sent:
            return word if word in NOT_SENT else "refuse"
        status = attempt.status
        if status is not None and (attempt.headers_ns is not None or word.isdigit() or word == "down"):
            if status >= 400:
                return STATUS
            return word if word in DAMAGED else _by_error(attempt.error, otherwise="truncate")
        if word in LOST:
            return word
        if attempt.own_answer and status is None and not _is_networks(attempt.error or ""):
            return RAISED
        return _by_error(attempt.error, otherwise="timeout" if word in ("slow", "drip") else "eof")

    def _word(self, fault: str | None) -> str:
        """The first word of a step, without its value: ``slow=3s before-commit`` → ``slow``."""
        if fault is None:
            return ""
        word = self._words.get(fault)
        if word is None:
            word = self._words[fault] = fault.split(maxsplit=1)[0].partition("=")[0] if fault.strip() else ""
        return word

    def _status_kind(self, attempt: Attempt) -> Kind:
        key = (attempt.status, attempt.response_headers.pairs, attempt.response_body.start)
        kind = self._classified.get(key)
        if kind is None:
            kind = classify_status(
                attempt.status or 0,
                attempt.response_headers,
                body=attempt.response_body.start,
            )
            self._classified[key] = kind
        return kind


def path_of(attempt: Attempt) -> str:
    """The path of a request, without its query."""
    return (attempt.target or "").partition("?")[0]


def request_of(attempt: Attempt) -> str:
    """One attempt's request in words."""
    return f"{attempt.method} {path_of(attempt)}" if attempt.was_sent else f"the connection to {attempt.host}"


def met(what: str) -> str:
    """What an attempt met, in words: ``status 503``, ``a fault (reset)``."""
    return f"status {what}" if what.isdigit() else f"a fault ({what})"


def is_unsafe(attempt: Attempt) -> bool:
    """Whether repeating the request may do its work twice: no read, PUT, DELETE or guarded write."""
    return attempt.was_sent and not (attempt.is_read or attempt.is_guarded or attempt.method in IDEMPOTENT)


def asked_by(end: Ended) -> Asked | Unreadable | None:
    """Read how long a failed answer asked the client to wait."""
    attempt = end.attempt
    if end.how != STATUS or not _asks(attempt):
        return None
    return find_retry_after(attempt.response_headers.pairs, now=(attempt.wall_ns or 0) / SECOND)


def _known_ns(attempt: Attempt) -> int | None:
    if attempt.headers_ns is None or attempt.ended_ns is None:
        return attempt.ended_ns
    return min(attempt.headers_ns, attempt.ended_ns)


def _asks(attempt: Attempt) -> bool:
    headers = attempt.response_headers
    return "retry-after" in headers or "retry-after-ms" in headers


def _is_networks(error: str) -> bool:
    """Whether an error, its type's name first, tells of the network: a function may raise what its own client met."""
    name = error.partition(":")[0]
    return name in _NETWORKS or _NETWORKS_WORDS.search(name) is not None


def _by_error(error: str | None, *, otherwise: str) -> str:
    text = (error or "").lower()
    if "timeout" in text or "timed out" in text:
        return "timeout"
    if "reset" in text or "broken pipe" in text or "brokenpipe" in text:
        return "reset"
    return otherwise
