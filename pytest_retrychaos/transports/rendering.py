"""Answers as HTTP/1.1 writes them: values in, bytes out."""

from __future__ import annotations

import functools
import http
import re
from collections.abc import Iterator

from pytest_retrychaos.model import SECOND, Request, Response
from pytest_retrychaos.transports.actions import Action, Moment, Send, Wait
from pytest_retrychaos.transports.seam import Ticket

DRIPS = 10
"""Pieces in which a dripping body arrives."""

NO_BODY_STATUSES = frozenset({204, 304})

GARBAGE = b"\x00\x8f\xff this is not HTTP \x07\x1b\r\n\r\n\x9c\xe2"
"""What `garbage` sends: no status line."""


_NOTHING, _HEADERS, _ALL = Moment.NOTHING, Moment.HEADERS, Moment.ALL


def pieces(block: bytes, body: bytes, spread_ns: int, ticket: Ticket, *, whole: bool) -> list[Action]:
    """Send an answer: its header block, then its body at once, or in pieces over a time."""
    last = _ALL if whole else _NOTHING
    if not body:
        came = _HEADERS if block.endswith(b"\r\n\r\n") else _NOTHING
        seen = Send(block, ticket, came | last)
        return [Wait(spread_ns), seen] if spread_ns else [seen]
    head = Send(block, ticket, _HEADERS)
    if not spread_ns:
        return [head, Send(body, ticket, last)]
    return [head, *_drips(body, spread_ns, ticket, last)]


def _drips(body: bytes, spread_ns: int, ticket: Ticket, last: Moment) -> Iterator[Action]:
    count = min(DRIPS, len(body))
    for number in range(count):
        start, stop = len(body) * number // count, len(body) * (number + 1) // count
        yield Wait(spread_ns * (number + 1) // count - spread_ns * number // count)
        yield Send(body[start:stop], ticket, last if number == count - 1 else _NOTHING)


_RENAMED = {413: "Content Too Large", 414: "URI Too Long", 416: "Range Not Satisfiable", 422: "Unprocessable Content"}
"""What RFC 9110 calls statuses that older Pythons still call otherwise: a wire is the same on all of them."""


@functools.lru_cache(maxsize=128)
def _status_line(status: int) -> str:
    try:
        reason = _RENAMED.get(status) or http.HTTPStatus(status).phrase
    except ValueError:
        reason = "Unknown"
    return f"HTTP/1.1 {status} {reason}\r\n"


@functools.lru_cache(maxsize=8)
def http_date(epoch_s: int) -> str:
    """Write a moment as an IMF-fixdate (RFC 9110, 5.6.7)."""
    from email.utils import formatdate

    return formatdate(epoch_s, usegmt=True)


def render(response: Response, head: Request, *, wall_ns: int, close: bool) -> tuple[bytes, bytes]:
    """Write an answer: its header block, and the body as it goes over the wire.

    ``Date`` is always there, and ``Content-Length`` unless the answer is chunked or can have no body.
    """
    headers, body = response.headers, response.body
    block = _status_line(response.status)
    for name, value in headers.pairs:
        block += f"{name}: {value}\r\n"
    present = headers.by_name
    if "date" not in present:
        block += f"Date: {http_date(wall_ns // SECOND)}\r\n"
    if response.status in NO_BODY_STATUSES:
        body = b""
    elif "transfer-encoding" in present and "chunked" in present["transfer-encoding"].lower():
        body = _chunks(body)
    elif "content-length" not in present:
        block += f"Content-Length: {len(body)}\r\n"
    if close and "connection" not in present:
        block += "Connection: close\r\n"
    if head.method == "HEAD":
        body = b""
    return f"{block}\r\n".encode("latin-1"), body


def can_have_body(response: Response, head: Request) -> bool:
    """Tell whether a body may follow an answer's header block (RFC 9112, 6.3)."""
    return response.status not in NO_BODY_STATUSES and head.method != "HEAD"


def cut(block: bytes, body: bytes, *, bodiless: bool) -> tuple[bytes, bytes]:
    """Let less arrive than an answer's head promises: half of its body.

    An empty body is announced as one byte long. Where no body can follow, the status line itself is cut.
    """
    if body:
        return block, body[: len(body) // 2]
    if not bodiless:
        return re.sub(rb"(?i)(\r\ncontent-length:\s*)0+\r\n", rb"\g<1>1\r\n", block), b""
    return block[: len(b"HTTP/1.1 2")], b""


def _chunks(body: bytes, size: int = 65_536) -> bytes:
    parts = []
    for start in range(0, len(body), size):
        piece = body[start : start + size]
        parts += [b"%x\r\n" % len(piece), piece, b"\r\n"]
    return b"".join([*parts, b"0\r\n\r\n"])
