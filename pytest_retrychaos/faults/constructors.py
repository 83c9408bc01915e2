"""The faults as Python: ``[status(503, retry_after=2), reset(after_commit=True), ok()]``.

Each call makes one `Step`. ``step * 3`` repeats it, ``step.forever()`` repeats it for ever. All raise
`ScriptError` on bad arguments. Durations are seconds, or a text such as ``"300ms"``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pytest_retrychaos.faults.durations import duration_ns
from pytest_retrychaos.faults.fields import RetryAfter, read_header
from pytest_retrychaos.faults.fields import retry_after as read_retry_after
from pytest_retrychaos.faults.step import Step
from pytest_retrychaos.faults.vocabulary import Kind


def ok() -> Step:
    """Let the service answer."""
    return Step(Kind.OK)


def status(
    code: int,
    *,
    retry_after: float | str | RetryAfter | None = None,
    body: str | None = None,
    header: str | Iterable[str] | Mapping[str, str] | None = None,
    after_commit: bool = False,
) -> Step:
    """Answer with a status: 200-299 carry the service's own answer, 300-599 only what is given here.

    ``retry_after`` is seconds, ``"date+2s"`` or ``"date-60s"`` for a date that far from now, or any text to
    send as it is. ``header`` is ``"Name: value"``, several of them, or a mapping; ``{now+5s}`` in a value
    stands for an epoch time. ``after_commit`` (5xx, 408, 409): the service took effect first.
    """
    return Step(
        Kind.STATUS,
        status=code,
        retry_after=None if retry_after is None else read_retry_after(retry_after),
        body=body,
        headers=_headers(header),
        after_commit=after_commit,
    )


def timeout(*, after_commit: bool = False) -> Step:
    """Stay silent until the client's own read timeout."""
    return Step(Kind.TIMEOUT, after_commit=after_commit)


def reset(*, after_commit: bool = False) -> Step:
    """Reset the connection while the client waits for the answer."""
    return Step(Kind.RESET, after_commit=after_commit)


def eof(*, after_commit: bool = False) -> Step:
    """Close the connection with no answer."""
    return Step(Kind.EOF, after_commit=after_commit)


def refuse() -> Step:
    """Refuse the connection."""
    return Step(Kind.REFUSE)


def dns() -> Step:
    """Fail to resolve the name."""
    return Step(Kind.DNS)


def connect_timeout() -> Step:
    """Let the TCP handshake go unanswered."""
    return Step(Kind.CONNECT_TIMEOUT)


def tls() -> Step:
    """Fail the TLS handshake."""
    return Step(Kind.TLS)


def stale(*, after_commit: bool = False) -> Step:
    """Drop a kept-alive connection once the request was written to it."""
    return Step(Kind.STALE, after_commit=after_commit)


def truncate() -> Step:
    """Promise more in the headers than arrives."""
    return Step(Kind.TRUNCATE)


def garbage() -> Step:
    """Answer with bytes that are not HTTP."""
    return Step(Kind.GARBAGE)


def slow(seconds: float | str, *, before_commit: bool = False) -> Step:
    """Start the answer late; the service takes effect at once, or with ``before_commit`` only then."""
    return Step(Kind.SLOW, duration_ns=duration_ns(seconds), before_commit=before_commit)


def drip(seconds: float | str) -> Step:
    """Send the body in pieces over that time."""
    return Step(Kind.DRIP, duration_ns=duration_ns(seconds))


def duplicate() -> Step:
    """Deliver the request twice."""
    return Step(Kind.DUPLICATE)


def down(seconds: float | str, *, status: int | None = None) -> Step:
    """Refuse every attempt for that time, from the one that meets it on; with ``status`` answer that."""
    return Step(Kind.DOWN, duration_ns=duration_ns(seconds), status=status)


def _headers(given: str | Iterable[str] | Mapping[str, str] | None) -> tuple[tuple[str, str], ...]:
    if given is None:
        return ()
    if isinstance(given, Mapping):
        return tuple(given.items())
    fields = [given] if isinstance(given, str) or not isinstance(given, Iterable) else given
    return tuple(read_header(field) for field in fields)
