"""Whether two requests are the same one, for the purpose of telling a retry from a new request.

Laws of this module:
1. It compares values and decides nothing else; no time, no state.
2. *Volatile* is what may differ on every sending of one request: it is known by its name, from the tables
   below, never by its look (a UUID may as well be the order's own number).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from urllib.parse import parse_qsl

from pytest_retrychaos.model import Headers
from pytest_retrychaos.service.payload import FORM, JSON, MULTIPART, fields_of, media_type
from pytest_retrychaos.trace import NO_BODY, WHOLE, Body
from pytest_retrychaos.volatile import FIELDS

SAME, VOLATILE, REST, DIFFERENT = "same", "volatile", "rest", "different"

CREDENTIALS = ("authorization", "proxy-authorization", "cookie", "x-api-key", "api-key", "x-auth-token")
"""Headers that say who is calling (RFC 9110, 11; RFC 6265; API-key headers in common use)."""

_CREDENTIALS = frozenset(CREDENTIALS)

SHORTEST = 6
"""Characters of a volatile value: a shorter one may stand elsewhere by chance."""

POSITIONS = ("content-range", "range", "upload-offset")
"""Headers that say which part is meant: where one changes, it is another request (RFC 9110, 14; tus 1.0)."""

_WORDS = re.compile(rb"[A-Za-z_][\w-]*")
_WANTED = frozenset(name.encode() for name in FIELDS)
_BOUNDARY = re.compile(r'boundary="?([^";,]+)"?', re.IGNORECASE)


def _mentions_volatile(content: bytes) -> bool:
    """Whether any volatile name stands in it at all: the cheap question before the exact one."""
    return not _WANTED.isdisjoint(_WORDS.findall(content.lower()))


def boundary(headers: Mapping[str, str]) -> str | None:
    """Give the multipart boundary, which most clients draw at random."""
    found = _BOUNDARY.search(headers.get("content-type", ""))
    return found[1] if found else None


def credentials(headers: Headers) -> str | None:
    """Give what the request says of who is calling."""
    if not headers.has_any(_CREDENTIALS):
        return None
    found = [headers[name] for name in CREDENTIALS if name in headers]
    if "authorization" in headers:  # the scheme is no secret, and says whether the request is signed
        found[0] = found[0].partition(" ")[2] or found[0]
    return "\n".join(found)


def canonical_target(target: str) -> str:
    """Give path and query without the query's volatile fields."""
    path, mark, query = target.partition("?")
    if not mark or not _mentions_volatile(query.encode()):
        return target
    kept = [part for part in query.split("&") if part.partition("=")[0].lower() not in FIELDS]
    return path + ("?" + "&".join(kept) if kept else "")


def volatile_values(headers: Headers, target: str, body: bytes) -> tuple[str, ...]:
    """List the volatile values of query and body, in order; those of headers are known by the headers' names."""
    edge = boundary(headers)
    found = [edge] if edge else []
    query = target.partition("?")[2]
    if query and _mentions_volatile(query.encode()):
        found += [value for name, value in parse_qsl(query) if name.lower() in FIELDS]
    if body and len(body) <= WHOLE and _mentions_volatile(body):
        fields = fields_of(media_type(headers), body) if not edge else {}
        found += [str(value) for name, value in fields.items() if name.lower() in FIELDS]
    return tuple(dict.fromkeys(value for value in found if len(value) >= SHORTEST))


def keep(body: bytes, leave_out: tuple[str, ...] = (), announced: int | None = None) -> Body:
    """Make the trace's form of a body."""
    if not body:
        return NO_BODY if announced is None else Body(0, "", b"", announced)
    rest = body
    for value in leave_out:
        rest = rest.replace(value.encode("utf-8", "surrogateescape"), b"")
    start = body if len(body) <= WHOLE else body[:1024]
    size = len(rest) if leave_out else len(body)
    return Body(size, hashlib.sha256(rest).hexdigest(), start, announced)


def relate(earlier: tuple[Headers, bytes], later: tuple[Headers, bytes]) -> str:
    """Say what a later body is to an earlier one: ``same``, ``volatile``, ``rest`` or ``different``."""
    old, new = earlier[1], later[1]
    if old == new:
        return SAME
    if not new or old.endswith(new):
        return REST
    kind = media_type(earlier[0])
    if kind != media_type(later[0]):
        return DIFFERENT
    if kind == MULTIPART:
        return _relate_parts(_parts(*earlier), _parts(*later))
    if kind in (JSON, FORM):
        return _relate_fields(_steady(kind, old), _steady(kind, new))
    return DIFFERENT


def _steady(kind: str, body: bytes) -> dict[str, object]:
    return {name: value for name, value in fields_of(kind, body).items() if name.lower() not in FIELDS}


def _relate_fields(old: Mapping[str, object], new: Mapping[str, object]) -> str:
    if not old:
        return DIFFERENT
    if old == new:
        return VOLATILE
    if new.items() <= old.items() if _all_plain(old) and _all_plain(new) else _is_part(new, old):
        return REST
    return DIFFERENT


def _all_plain(fields: Mapping[str, object]) -> bool:
    return all(isinstance(value, str | int | float | None) for value in fields.values())


def _is_part(new: Mapping[str, object], old: Mapping[str, object]) -> bool:
    return all(name in old and old[name] == value for name, value in new.items())


def _parts(headers: Headers, body: bytes) -> dict[str, bytes]:
    """Split a multipart body: the parts' header blocks, each with its content."""
    edge = boundary(headers)
    if not edge:
        return {}
    parts = {}
    for piece in body.split(b"--" + edge.encode("latin-1"))[1:-1]:
        block, _, content = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        parts[block.decode("latin-1")] = content.removesuffix(b"\r\n")
    return parts


def _relate_parts(old: dict[str, bytes], new: dict[str, bytes]) -> str:
    if not old:
        return DIFFERENT
    if old == new:
        return VOLATILE
    if all(name in old and old[name].endswith(content) for name, content in new.items()):
        return REST
    return DIFFERENT
