"""The values that pass between the floors: frozen, slotted, and free of behaviour that needs time or I/O.

A request comes in, an outcome goes out. Times are integer nanoseconds; ``*_ns`` in a name says so.
"""

from __future__ import annotations

import enum
import functools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeVar, overload
from urllib.parse import parse_qsl

from pytest_retrychaos import packing, redact
from pytest_retrychaos.frozen import quick

T = TypeVar("T")

SECOND = 1_000_000_000
"""Nanoseconds in a second."""


@functools.lru_cache(maxsize=1024)
def _lower(name: str) -> str:
    """Give one text for each name of a field, however many records keep it."""
    return name.lower()  # bytes too, which an app may give as names by mistake: who looks at its answer says so


class Headers(Mapping[str, str]):
    """HTTP header fields: case-insensitive by name, in the order they were sent, repeats kept.

    ``headers[name]`` is the first value of that name; `all` gives every one, `pairs` the fields as sent,
    `by_name` the first value of each by its name in lower case.
    """

    __slots__ = ("by_name", "pairs")

    def __init__(self, fields: Mapping[str, str] | Iterable[tuple[str, str]] = ()) -> None:
        given = fields if type(fields) is list or not hasattr(fields, "items") else fields.items()
        self.pairs: tuple[tuple[str, str], ...] = tuple(given)
        index: dict[str, str] = {}
        for name, value in self.pairs:
            index.setdefault(_lower(name), value)
        self.by_name: Mapping[str, str] = index

    def __getitem__(self, name: str) -> str:
        return self.by_name[name.lower()]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self.by_name

    @overload
    def get(self, name: str, /) -> str | None: ...
    @overload
    def get(self, name: str, /, default: str) -> str: ...
    @overload
    def get(self, name: str, /, default: T) -> str | T: ...
    def get(self, name: str, /, default: object = None) -> object:
        """Give the first value of a field, or the default."""
        return self.by_name.get(name.lower(), default)

    def __iter__(self) -> Iterator[str]:
        return iter(self.by_name)

    def __len__(self) -> int:
        return len(self.by_name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and self.pairs == other.pairs

    def __hash__(self) -> int:
        return hash(self.pairs)

    def __repr__(self) -> str:
        return redact.current().text(f"Headers({list(self.pairs)!r})")

    def all(self, name: str) -> list[str]:
        """List every value of a field, in the order sent."""
        wanted = name.lower()
        return [value for key, value in self.pairs if key.lower() == wanted]

    def having(self, name: str, value: str) -> Headers:
        """Return a copy in which the field has this one value."""
        wanted = name.lower()
        kept = [pair for pair in self.pairs if pair[0].lower() != wanted]
        return Headers([*kept, (name, value)])


NO_HEADERS = Headers()


class Answerer(Protocol):
    """What answers a request in the place of the service's routes, app and store."""

    is_awaited: bool
    """Whether its answer is there only once somebody has awaited it, in a pause of `Exchange.carrying`."""

    def answer(self, request: Request) -> Response:
        """Answer as a route's handler would; it may raise what the client gets in place of an answer."""

    def raised(self, error: Exception) -> None:
        """Note that an exception stood in place of an answer."""


@quick
@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, whole, as the service received it.

    ``host`` is the name the client called, with ``:port`` where that is not the scheme's own; ``target`` is
    path and query as sent; ``params`` holds the path parameters of the route that took it. ``answerer`` is there
    where the request brings its answer along: what a mock has registered, or a function that is called.
    """

    method: str
    host: str
    target: str
    headers: Headers = NO_HEADERS
    body: bytes = b""
    scheme: str = "http"
    params: Mapping[str, str] = field(default_factory=dict)
    answerer: Answerer | None = field(default=None, repr=False, compare=False)

    __repr__ = redact.written

    @property
    def path(self) -> str:
        """The path without the query, as sent."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> dict[str, str]:
        """The query's fields, decoded; of a repeated name the last value."""
        return dict(parse_qsl(self.target.partition("?")[2], keep_blank_values=True))

    @property
    def content(self) -> bytes:
        """The body out of its packing (``Content-Encoding``: gzip, deflate, aws-chunked); as it is in any other."""
        return packing.said(self.body, self.headers.by_name)

    def with_body(self, body: bytes) -> Request:
        """Return it with the body that came after its head."""
        return Request(self.method, self.host, self.target, self.headers, body, self.scheme, self.params, self.answerer)

    def with_params(self, params: Mapping[str, str]) -> Request:
        """Return it with the path parameters of the route that takes it."""
        return Request(self.method, self.host, self.target, self.headers, self.body, self.scheme, params, self.answerer)

    def json(self) -> Any:  # Any: JSON has no narrower type that users could work with
        """Decode the body as JSON, out of its packing; `ValueError` where it is none."""
        return json.loads(self.content)


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP answer. ``Content-Length``, ``Date`` and ``Connection`` are the transport's to add."""

    status: int
    headers: Headers = NO_HEADERS
    body: bytes = b""

    __repr__ = redact.written

    @classmethod
    def json(cls, value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
        """Make an answer that carries a JSON value."""
        fields = [("Content-Type", "application/json"), *(headers or {}).items()]
        return cls(status, Headers(fields), json.dumps(value).encode())

    @classmethod
    def text(cls, content: str | bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
        """Make an answer that carries a text as it is, in UTF-8: ``text/plain`` where no header says otherwise."""
        fields = list((headers or {}).items())
        if not any(name.lower() == "content-type" for name, _ in fields):
            fields.insert(0, ("Content-Type", "text/plain; charset=utf-8"))
        return cls(status, Headers(fields), content.encode() if isinstance(content, str) else content)


class Wire(enum.Enum):
    """What a transport makes of an attempt, seen from the client."""

    ANSWER = "answer"
    SILENCE = "silence"
    RESET = "reset"
    EOF = "eof"
    TRUNCATED = "truncated"
    GARBAGE = "garbage"
    REFUSED = "refused"
    NO_NAME = "no name"
    NO_HANDSHAKE = "no handshake"
    NO_TLS = "no TLS"


class Outcome(NamedTuple):
    """What happens to one attempt on the wire: the transport renders it and decides nothing.

    ``delay_ns`` passes before the first byte; the body arrives in pieces over ``spread_ns``.
    """

    wire: Wire
    response: Response | None = None
    delay_ns: int = 0
    spread_ns: int = 0


@quick
@dataclass(frozen=True, slots=True)
class Effect:
    """One row of the ledger: something the service did that lasts.

    ``number`` counts from 1 in commit order; ``at_ns`` is virtual time since the run began;
    ``operation`` is the name of the operation whose attempt committed it.
    """

    number: int
    attempt: int
    method: str
    host: str
    target: str
    key: str | None
    body: bytes
    at_ns: int
    operation: str = ""

    __repr__ = redact.written

    @property
    def at(self) -> float:
        """Seconds since the run began."""
        return self.at_ns / SECOND


def host_name(host: str) -> str:
    """Give a host without its port and brackets, in lower case."""
    name, colon, port = host.rpartition(":")
    is_address = host.count(":") > 1 and not host.startswith("[")
    return (name if colon and port.isdigit() and not is_address else host).strip("[]").lower()
