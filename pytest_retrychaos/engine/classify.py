"""What an answer or an exception tells the client: was it carried out, and may it be sent again?

Laws of this module:
1. Every status has one kind, by one table (see `Kind`).
2. An exception is judged from outside to inside: by the status that it carries, or the row of its type in
   `known_errors`; a wrapper is judged by what it holds. What nobody knows is ``None``, never a guess.
3. No client is imported: types are known by name, so a trace read from JSON is judged as the live exception was.
4. Where doubt remains, it is *ambiguous*: to call a request unsent that was sent is what charges twice.
"""

from __future__ import annotations

import enum
import errno
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from pytest_retrychaos.engine import hints, known_errors
from pytest_retrychaos.engine.answers import Answer, answer_in_error, attribute
from pytest_retrychaos.engine.retry_after import header_fields

TYPE_CHECKING = False  # importing typing would cost more than this module
if TYPE_CHECKING:
    from types import FrameType, TracebackType


class Kind(enum.Enum):
    """What an attempt's end tells about the request."""

    __hash__ = object.__hash__  # an Enum's own is written in Python, and kinds are looked up for every failure

    SUCCESS = "success"
    """1xx to 3xx, 304 included: nothing to retry."""
    NOT_SENT = "not sent"
    """Refused, no such name, connect timeout, TLS handshake: the request never left."""
    TURNED_AWAY = "turned away"
    """425, 429, 503; any other 4xx but 408 and 409 with ``Retry-After``, a spent rate limit, a provider's
    throttling code or a should-retry hint: the server says that it did nothing."""
    REFUSED = "refused"
    """The other 4xx but 408 and 409: nothing was done, and nothing will be."""
    AMBIGUOUS = "ambiguous"
    """Timeout, reset, end of file, damaged answer, 408, 409, 5xx but 503: it may have been carried out."""

    @property
    def is_transient(self) -> bool:
        """Whether another attempt may succeed."""
        return self in (Kind.NOT_SENT, Kind.TURNED_AWAY, Kind.AMBIGUOUS)

    @property
    def did_nothing(self) -> bool:
        """Whether the request certainly had no effect, so that any request may be sent again."""
        return self in (Kind.NOT_SENT, Kind.TURNED_AWAY, Kind.REFUSED)


TURNED_AWAY_STATUSES = frozenset({425, 429, 503})
AMBIGUOUS_4XX = frozenset({408, 409})

_UNREACHABLE = frozenset(
    {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN, errno.ENETRESET, errno.ETIMEDOUT}
)
CONNECTING_NAMES = frozenset(name for _, name in known_errors.CONNECTING)
_DEEPEST = 100
"""How many exceptions of a chain are looked at."""


def classify_status(
    status: int,
    headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    *,
    body: bytes = b"",
) -> Kind:
    """Tell what an answer says. ``headers`` are a mapping or pairs, names in any case.

    A ``Retry-After`` counts by being there, whatever it says: the server expects the client back. A status
    outside 100 to 599 is taken for a 5xx (RFC 9110, 15).
    """
    if 100 <= status < 400:
        return Kind.SUCCESS
    if status in TURNED_AWAY_STATUSES:
        return Kind.TURNED_AWAY
    if not 400 <= status < 500 or status in AMBIGUOUS_4XX:
        return Kind.AMBIGUOUS
    fields = lower_fields(headers)
    is_invited = "retry-after" in fields or "retry-after-ms" in fields or hints.should_retry(fields) is True
    if is_invited or hints.is_spent(fields) or hints.is_throttled(fields, body):
        return Kind.TURNED_AWAY
    return Kind.REFUSED


def classify_answer(answer: Answer) -> Kind:
    """Tell what an answer found in a Python object says."""
    kind = classify_status(answer.status, answer.headers)
    if kind is Kind.REFUSED and any(hints.names_throttling(code) for code in answer.codes):
        return Kind.TURNED_AWAY
    return kind


def classify_exception(error: BaseException) -> Kind | None:
    """Tell what a live exception says about the request; ``None`` where nothing is known about it.

    Knows requests, urllib3, httpx, http.client, urllib, socket, ssl, botocore, stripe, google-api-core, aiohttp
    and Python's own, and whatever carries an HTTP status. Beside types it looks at tracebacks: what failed while
    connecting was not sent.
    """
    return classify_bare(error) if is_bare(error) else classify_chain(with_answers(error))


def classify_chain(chain: Sequence[tuple[BaseException, Answer | None]]) -> Kind | None:
    """Tell what `classify_exception` tells, of what `with_answers` has found."""
    inside: Kind | None = None
    for one, answer in chain:
        if answer is not None and answer.status >= 400:
            return classify_answer(answer)
        row = _row_of(type(one))  # type: ignore[arg-type]  # mypy takes a class's hash for its instances'
        if row in known_errors.NOT_OF_THE_SERVICE:
            return None
        if row in known_errors.NOT_SENT:
            return Kind.NOT_SENT
        if row in known_errors.AMBIGUOUS or _is_unreachable(one):
            return Kind.NOT_SENT if _was_connecting(one) else Kind.AMBIGUOUS
        if row is not None:
            inside = Kind.AMBIGUOUS
    return inside


def with_answers(error: BaseException) -> list[tuple[BaseException, Answer | None]]:
    """List an exception and those inside it, as `exception_chain` does, each with the answer that it carries itself."""
    return [(one, answer_in_error(one)) for one in exception_chain(error)]


def is_not_of_the_service(error: BaseException) -> bool:
    """Tell whether the outermost type that is known is a mistake of the caller's or the error of an open circuit."""
    rows = (_row_of(type(one)) for one in exception_chain(error))  # type: ignore[arg-type]  # as above
    return next((row for row in rows if row is not None), None) in known_errors.NOT_OF_THE_SERVICE


def classify_bare(error: BaseException) -> Kind | None:
    """Tell what `classify_exception` tells, of an exception that `is_bare`."""
    row = _row_of(type(error))  # type: ignore[arg-type]  # mypy takes a class's hash for its instances'
    if row in known_errors.NOT_SENT:
        return Kind.NOT_SENT
    if row is None and not _is_unreachable(error):
        return None
    return Kind.NOT_SENT if runs_through_connect(error.__traceback__) else Kind.AMBIGUOUS


def kinds_of(kind: type[BaseException]) -> tuple[Kind | None, Kind | None] | None:
    """Tell what an exception of a type says that holds nothing but its text: where it was raised while connecting, and
    elsewhere. ``None`` where more than that is to be looked at.
    """
    row = _row_of(kind)  # type: ignore[arg-type]  # as above
    if row is None:
        return None if issubclass(kind, OSError) else (None, None)  # an OSError's number tells
    if row in known_errors.NOT_OF_THE_SERVICE:
        return None, None
    if row in known_errors.NOT_SENT:
        return Kind.NOT_SENT, Kind.NOT_SENT
    return Kind.NOT_SENT if row in known_errors.AMBIGUOUS else Kind.AMBIGUOUS, Kind.AMBIGUOUS


def classify_names(chain: Sequence[tuple[str, ...]]) -> Kind | None:
    """Tell what an exception says by names alone; ``None`` where nothing is known about it.

    For each exception of a chain, outermost first, one tuple: the ``module.QualifiedName`` of its type, then of
    its bases, nearest first. What only a live exception shows, its status and traceback, is not seen here.
    """
    inside: Kind | None = None
    for names in chain:
        row = _row(names)
        if row in known_errors.NOT_OF_THE_SERVICE:
            return None
        if row in known_errors.NOT_SENT:
            return Kind.NOT_SENT
        if row in known_errors.AMBIGUOUS:
            return Kind.AMBIGUOUS
        if row is not None:
            inside = Kind.AMBIGUOUS
    return inside


def exception_chain(error: BaseException) -> list[BaseException]:
    """List an exception and those inside it, outermost first, each once.

    Inside are, in this order: its ``__cause__``, ``reason``, ``inner_exception``, ``errors``, ``kwargs["error"]`` and
    ``args`` (where urllib3, azure-core, elastic-transport, botocore and requests keep them), then its
    ``__context__``, unless there is a cause or ``from None`` hides it.
    """
    return [error] if is_bare(error) else _walk(error, _inside)


def was_made_of(error: BaseException, kind: type[BaseException]) -> list[BaseException]:
    """List exceptions of a type that an exception is, holds, or was raised in place of, also where ``from None`` hides
    them from readers."""
    everything = _walk(error, lambda one: (*_held(one), one.__context__))
    return [one for one in everything if isinstance(one, kind)]


def is_bare(error: BaseException) -> bool:
    """Tell whether an exception holds nothing but its text: most failures of the network are Python's own such."""
    if type(error).__module__ != "builtins" or error.__cause__ or error.__context__ or error.__dict__:
        return False
    for one in error.args:  # noqa: SIM110 - all() would cost as much as all the rest
        if isinstance(one, BaseException):
            return False
    return True


def answer_in_chain(error: BaseException) -> Answer | None:
    """Find the outermost answer that an exception or those inside it carry."""
    if is_bare(error):
        return None
    return next((found for one in exception_chain(error) if (found := answer_in_error(one))), None)


def lower_fields(headers: object) -> dict[str, str]:
    """Map header names in lower case to the first value of each."""
    fields: dict[str, str] = {}
    for name, value in header_fields(headers):
        fields.setdefault(name.lower(), value)
    return fields


def _walk(error: BaseException, inside: Callable[[BaseException], Iterable[object]]) -> list[BaseException]:
    found: dict[int, BaseException] = {}
    waiting: list[object] = [error]
    while waiting and len(found) < _DEEPEST:
        one = waiting.pop()
        if isinstance(one, BaseException) and id(one) not in found:
            found[id(one)] = one
            waiting.extend(reversed(list(inside(one))))
    return list(found.values())


def _held(error: BaseException) -> Iterator[object]:
    yield error.__cause__
    yield attribute(error, "reason")
    yield attribute(error, "inner_exception")  # of azure-core, which raises outside of the `except`
    errors = attribute(error, "errors")  # of elastic-transport, the latest first
    if isinstance(errors, tuple):
        yield from errors
    kwargs = attribute(error, "kwargs")  # of botocore
    if isinstance(kwargs, Mapping):
        yield kwargs.get("error")
    yield from error.args


def _inside(error: BaseException) -> Iterator[object]:
    yield from _held(error)
    if not error.__suppress_context__:
        yield error.__context__


@functools.lru_cache(maxsize=512)
def _row_of(kind: type[BaseException]) -> str | None:
    """Give the row of a live exception's type: a retry loop asks for the same few over and over."""
    return _row(tuple(f"{one.__module__}.{one.__qualname__}" for one in kind.__mro__))


def _row(names: tuple[str, ...]) -> str | None:
    return next((name for name in names if name in known_errors.ALL), None)


def _is_unreachable(error: BaseException) -> bool:
    return isinstance(error, OSError) and error.errno in _UNREACHABLE


def _was_connecting(error: BaseException) -> bool:
    """Tell whether a traceback of what it holds runs through a function that connects.

    A ``__context__`` is not looked at: it may be the failure of an earlier attempt.
    """
    return any(runs_through_connect(one.__traceback__) for one in _walk(error, _held))


def runs_through_connect(step: TracebackType | None) -> bool:
    """Tell whether what failed was connecting, by its traceback."""
    names = CONNECTING_NAMES
    while step is not None:
        if step.tb_frame.f_code.co_name in names and connects(step.tb_frame):  # the name spares most the second look
            return True
        step = step.tb_next
    return False


def connects(frame: FrameType) -> bool:
    return (frame.f_globals.get("__name__"), frame.f_code.co_name) in known_errors.CONNECTING
