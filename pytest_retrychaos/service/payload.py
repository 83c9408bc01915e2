"""Bodies as the service understands them: JSON, forms, multipart, XML, and opaque bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

JSON = "json"
FORM = "form"
MULTIPART = "multipart"
XML = "xml"
OPAQUE = "opaque"

_BRACKETS = re.compile(r"\[([^\[\]]*)\]")
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,17})\Z")


def media_type(headers: Mapping[str, str]) -> str:
    """Class a message by its ``Content-Type``: ``json``, ``form``, ``multipart``, ``xml`` or ``opaque``.

    Headers are given by their names in lower case.
    """
    name = headers.get("content-type")
    if name is None:
        return OPAQUE
    if name == "application/json":
        return JSON
    name = name.partition(";")[0].strip().lower()
    if name.endswith(("/json", "+json")) or name.startswith("application/x-amz-json"):
        return JSON
    if name == "application/x-www-form-urlencoded":
        return FORM
    if name.startswith("multipart/"):
        return MULTIPART
    return XML if name.endswith(("/xml", "+xml")) else OPAQUE


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)
_ENCODER = json.JSONEncoder(allow_nan=False)


def read_json(body: bytes) -> Any:  # Any: JSON has no narrower type
    """Decode JSON strictly; `ValueError` for anything else, ``NaN`` and endless nesting included."""
    try:
        return _DECODER.decode(body.decode())
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def fields_of(kind: str, body: bytes) -> dict[str, object]:
    """List the top-level fields of a JSON object or a form; none where the body has no such thing."""
    if kind == FORM:
        return dict(parse_qsl(body.decode("latin-1"), keep_blank_values=True))
    try:
        value = read_json(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def read_form(body: bytes, *, typed: bool = False) -> dict[str, Any]:  # Any: values nest
    """Decode a form, with brackets as nesting: ``metadata[order]=6``, ``items[0][price]=x``, ``expand[]=a``.

    ``typed`` turns whole numbers and ``true``/``false`` into values outside ``metadata``, as Stripe does.
    """
    root: dict[str, Any] = {}
    for name, text in parse_qsl(body.decode("utf-8", "surrogateescape"), keep_blank_values=True):
        head, bracket, _ = name.partition("[")
        keys = [head, *_BRACKETS.findall(name[len(head) :])] if bracket else [name]
        value = _typed(text) if typed and head != "metadata" else text
        _put(root, keys, value)
    return {key: _listed(value) for key, value in root.items()}


def _typed(text: str) -> str | int | bool:
    if text in ("true", "false"):
        return text == "true"
    return int(text) if _INTEGER.match(text) else text


def _put(node: dict[str, Any], keys: list[str], value: object) -> None:
    for key in keys[:-1]:
        below = node.get(key)
        if not isinstance(below, dict):
            below = node[key] = {}
        node = below
    last = keys[-1] or str(len(node))
    node[last] = value


def _listed(value: Any) -> Any:  # Any: values nest
    if not isinstance(value, dict):
        return value
    inner = {key: _listed(item) for key, item in value.items()}
    if inner and list(inner) == [str(index) for index in range(len(inner))]:
        return list(inner.values())
    return inner


def is_same_payload(kind: str, one: bytes, other: bytes) -> bool:
    """Tell whether two bodies say the same: the same but for key order, or the multipart boundary."""
    return one == other or _canonical(kind, one) == _canonical(kind, other)


def _canonical(kind: str, body: bytes) -> bytes:
    if kind == JSON:
        try:
            return json.dumps(read_json(body), sort_keys=True).encode()
        except ValueError:
            return body
    if kind == FORM:
        return repr(sorted(parse_qsl(body.decode("latin-1"), keep_blank_values=True))).encode()
    if kind == MULTIPART:
        boundary = body.partition(b"\r\n")[0]
        return body.replace(boundary, b"--") if boundary.startswith(b"--") else body
    return body


def write_json(value: object) -> bytes:
    """Encode JSON strictly; `ValueError` for what JSON cannot say."""
    try:
        return _ENCODER.encode(value).encode()
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def read_fields(headers: Mapping[str, str], body: bytes, *, typed: bool = False) -> Any:  # Any: JSON
    """Decode a body by its type, ``None`` where it is opaque; `ValueError` where JSON is said but not sent.

    No body is no fields. JSON is also recognised where no type is given, and where a form is
    announced: ``urllib.request`` calls every body a form.
    """
    if not body:
        return {}
    kind = media_type(headers)
    if kind == JSON:
        return read_json(body)
    if body[:1] in (b"{", b"[") and (kind == FORM or "content-type" not in headers):
        try:
            return read_json(body)
        except ValueError:
            pass
    return read_form(body, typed=typed) if kind == FORM else None


def merged(before: Any, change: Any) -> Any:  # Any: JSON
    """Apply a merge patch (RFC 7396): fields set to null go."""
    if not isinstance(change, dict):
        return change
    after = dict(before) if isinstance(before, dict) else {}
    for name, value in change.items():
        if value is None:
            after.pop(name, None)
        else:
            after[name] = merged(after.get(name), value)
    return after
