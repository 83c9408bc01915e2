"""Whether two requests are the same one, for the purpose of telling a retry from a new request.

Laws of this module:
1. It compares values and decides nothing else; no time, no state.
2. *Volatile* is what may differ on every sending of one request: known by name, from the tables of
   `pytest_retrychaos.volatile`.
3. A changed page cursor makes another request of a body that would else be a part of the one before.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import parse_qsl, unquote_plus

from pytest_retrychaos.model import Headers
from pytest_retrychaos.service.payload import FORM, JSON, MULTIPART, XML, fields_of, media_type, read_json
from pytest_retrychaos.trace import NO_BODY, WHOLE, Body
from pytest_retrychaos.trace.tokens import replaced
from pytest_retrychaos.volatile import (
    CREDENTIALS,
    ELEMENTS,
    NAMES,
    SHORTEST,
    is_volatile,
    volatile_in,
    without_numbers,
    without_volatile,
)

SAME: Final = "same"
"""To the byte."""
VOLATILE: Final = "volatile"
"""The same but for volatile fields or spelling."""
REST: Final = "rest"
"""What is left of a stream that had been read before: its end, or nothing."""
PART: Final = "part"
"""Fields or parts are missing, all others are equal."""
DIFFERENT: Final = "different"

CURSORS: Final = frozenset(
    {"after", "before", "startingafter", "endingbefore"}  # GraphQL connections; Stripe
    | {"pagetoken", "nextpagetoken"}  # Google AIP-158
    | {"nexttoken", "startingtoken", "marker", "exclusivestartkey", "continuationtoken"}  # AWS
    | {"cursor", "startcursor", "nextcursor"}  # Slack, Square, Notion
    | {"page", "pagenumber", "offset", "skip", "start", "startat"}  # de facto; Jira
    | {"from", "searchafter", "scrollid", "pit"}  # Elasticsearch
    | {"continuation", "skiptoken"}  # Cosmos DB; OData
)
"""Fields that say which page is meant, in lower case, without ``_`` and ``-``."""

_CREDENTIALS: Final = frozenset(CREDENTIALS)
_NAMES: Final = frozenset(name.encode() for name in NAMES)
"""The names of volatile fields as JSON writes them between quotes, unless it escapes a letter."""
_ELEMENT: Final = re.compile(rb"(<((?:[\w.-]+:)?[\w.-]+)(?:\s[^<>]*)?>)([^<]+)(?=</)")
"""An element of XML that holds text alone: its tag, its name, its text."""
_BOUNDARY: Final = re.compile(r'boundary="?([^";,]+)"?', re.IGNORECASE)


def boundary(headers: Mapping[str, str]) -> str | None:
    """Give the multipart boundary, which most clients draw at random."""
    found = _BOUNDARY.search(headers.get("content-type", ""))
    return found[1] if found else None


def credentials(headers: Headers) -> str | None:
    """Give what the request says of who is calling; a scheme is no secret and is left out."""
    if _CREDENTIALS.isdisjoint(headers.by_name):
        return None
    found = [(name, headers[name]) for name in CREDENTIALS if name in headers]
    return "\n".join(
        value.partition(" ")[2] or value if name.endswith("authorization") else value for name, value in found
    )


def volatile_values(headers: Headers, target: str, body: bytes) -> tuple[str, ...]:
    """List the volatile values of query and body as they are spelled there; those of headers go by header name."""
    query = target.partition("?")[2]
    found = _spelled(query) if query else []
    if body:
        kind = media_type(headers.by_name)
        if kind == MULTIPART:
            edge = boundary(headers)
            found += [edge] if edge else []
        elif kind == FORM and len(body) <= WHOLE:
            found += _spelled(body.decode("latin-1"))
        elif kind == JSON and len(body) <= WHOLE and _may_be_named(body):
            found += [_text(value) for value in volatile_in(fields_of(kind, body))]
        elif kind == XML and len(body) <= WHOLE:
            found += [text.decode("utf-8", "replace") for _, name, text in _ELEMENT.findall(body) if _is_element(name)]
    return tuple(dict.fromkeys(value for value in found if len(value) >= SHORTEST)) if found else ()


def keep(body: bytes, equal: bytes, announced: int | None = None) -> Body:
    """Make the trace's form of a body; its digest is that of what is equal in two sendings, as `content` gives it."""
    if not body:
        return NO_BODY if announced is None else Body(0, "", b"", announced)
    start = body if len(body) <= WHOLE else body[:1024]
    return Body(len(body), hashlib.sha256(equal).hexdigest(), start, announced)


def content(body: bytes, leave_out: Iterable[str] = ()) -> bytes:
    """Give a body without the values given: what is equal in two sendings of one request."""
    if not leave_out:
        return body
    found = {}
    for value in leave_out:
        spelled = value.encode("utf-8", "surrogatepass")
        if len(value) >= SHORTEST and spelled in body:
            found[spelled] = b""
    return replaced(body, found) if found else body


def alike(headers: Headers, body: bytes, equal: bytes) -> bytes | str:
    """Give what a body has in common with others of its request, short volatile values left out as well.

    ``equal`` is what `content` gives: values that may stand elsewhere by chance are in it.
    """
    if len(body) > WHOLE:
        return equal
    kind = media_type(headers.by_name)
    if kind == JSON and _may_be_named(body):
        kept = without_volatile(fields_of(kind, body))
        return json.dumps(kept, sort_keys=True) if kept else equal
    if kind == FORM:
        form = _form(body)
        kept = without_volatile(form)
        return json.dumps(kept, sort_keys=True) if 0 < len(kept) < len(form) else equal
    return equal


def relate(earlier: tuple[Headers, bytes], later: tuple[Headers, bytes]) -> str:
    """Say what a later body is to an earlier one, each given with its headers."""
    old, new = earlier[1], later[1]
    if old == new:
        return SAME
    if not new:
        return REST
    kind = media_type(earlier[0].by_name)
    if kind == media_type(later[0].by_name):
        if kind == JSON:
            found = _relate_json(old, new)
        elif kind == FORM:
            found = _relate_fields(_form(old), _form(new))
        elif kind == XML:
            found = VOLATILE if _without_elements(old) == _without_elements(new) else None
        else:
            found = _relate_parts(_parts(*earlier), _parts(*later)) if kind == MULTIPART else None
        if found is not None:
            return found
    return REST if old.endswith(new) else DIFFERENT


def _may_be_named(body: bytes) -> bool:
    """Tell whether a volatile field may stand in a JSON text; most have none, and need not be decoded for it."""
    return not body.isascii() or b"\\" in body or not _NAMES.isdisjoint(body.lower().split(b'"'))


def _spelled(query: str) -> list[str]:
    """List volatile values of a query or form: as sent, and decoded where that differs."""
    found = []
    fields = query.split("&")
    names = [field.partition("=")[0] for field in fields]
    for field in fields:
        name, _, value = field.partition("=")
        if is_volatile(name, names):
            found += [value, unquote_plus(value)]
    return found


def _text(value: object) -> str:
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def _relate_json(old: bytes, new: bytes) -> str | None:
    """Compare JSON documents; ``None`` where the later one is none: it may be the end of a stream."""
    try:
        later = without_numbers(read_json(new))
    except ValueError:
        return None
    try:
        earlier = without_numbers(read_json(old))
    except ValueError:
        return DIFFERENT
    if isinstance(earlier, dict) and isinstance(later, dict):
        return _relate_fields(earlier, later) or DIFFERENT
    return VOLATILE if earlier == later else DIFFERENT


def _without_elements(body: bytes) -> bytes:
    """Leave out the text of volatile elements."""
    return _ELEMENT.sub(lambda found: found[1] if _is_element(found[2]) else found[0], body)


def _is_element(name: bytes) -> bool:
    written = name.decode("latin-1").lower()
    return written in ELEMENTS or written.rpartition(":")[2] in ELEMENTS


def _form(body: bytes) -> dict[str, list[str]]:
    """Read a form; a name may stand there more than once."""
    fields: dict[str, list[str]] = {}
    for name, value in parse_qsl(body.decode("latin-1"), keep_blank_values=True):
        fields.setdefault(name, []).append(value)
    return fields


def _relate_fields(old: Mapping[str, object], new: Mapping[str, object]) -> str | None:
    lost = any(not is_volatile(name, old) for name in old.keys() - new.keys())
    old, new = without_volatile(old), without_volatile(new)
    if not old:
        return None  # nothing but volatile fields: they are the content
    if old == new:
        return PART if lost else VOLATILE
    if not all(name in old and old[name] == value for name, value in new.items()):
        return None
    return DIFFERENT if any(_is_cursor(name) for name in old.keys() - new.keys()) else PART


def _is_cursor(name: str) -> bool:
    return name.lower().replace("_", "").replace("-", "") in CURSORS


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


def _relate_parts(old: Mapping[str, bytes], new: Mapping[str, bytes]) -> str | None:
    """Compare parts; a file that had been read to its end leaves an empty part."""
    if not old:
        return None
    if old == new:
        return VOLATILE
    if not all(name in old and old[name].endswith(content) for name, content in new.items()):
        return None
    return REST if old.keys() == new.keys() else PART
