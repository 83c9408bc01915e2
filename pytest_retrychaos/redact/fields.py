"""Secrets that stand under a name in what has a structure: JSON, forms and queries, multipart, XML and HTML."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_plus

from pytest_retrychaos.redact import shapes

if TYPE_CHECKING:
    from pytest_retrychaos.redact.redaction import Redaction

_FORM: Final = re.compile(r"[\w.\-\[\]%+~*]{1,256}=[^\s]*", re.ASCII)
_QUERY: Final = re.compile(r"\?([^\s\"'<>#]+)")
_PART: Final = re.compile(
    r"name=\"?([^\"\r\n;]{1,256}+)\"?+[^\r\n]{0,512}+\r?\n(?:[^\r\n]{1,512}\r?\n){0,4}\r?\n(.*?)(?=\r?\n--|\Z)",
    re.IGNORECASE | re.DOTALL,
)
_ELEMENT: Final = re.compile(r"<(?:[\w.-]{1,64}:)?([\w.-]{1,64})(?:\s[^<>]{0,512})?>(<!\[CDATA\[)?([^<]+)")
_BY_ATTRIBUTE: Final = re.compile(
    r"\b(?:name|key)=(\\*[\"'])([^\"'<>\\]{1,128})\1"
    r"(?:\s(?:[^<>]{0,256}?\s)??(?:value|content)=(\\*[\"'])([^\"'<>\\]+)|[^<>]{0,256}>([^<]+))",
    re.ASCII | re.IGNORECASE,
)
"""A field or a ``meta`` in HTML (``<input name="token" type="hidden" value="…">``), a setting in XML
(``<param name="password">…``)."""


def in_query(hides: Redaction, text: str, found: list[str]) -> str:
    """Hide the secrets in the queries of addresses that stand in a text."""
    return _QUERY.sub(lambda match: "?" + in_pairs(hides, match[1], found), text)


def is_form(text: str) -> bool:
    """Whether a text is a form as browsers send it (``application/x-www-form-urlencoded``)."""
    return _FORM.fullmatch(text) is not None


def in_pairs(hides: Redaction, text: str, found: list[str]) -> str:
    """Hide the secrets in ``name=value&…``; what is encoded is read decoded, and what is no secret is left as it is."""
    return "&".join([_pair(hides, pair, found) for pair in text.split("&")])


def _pair(hides: Redaction, pair: str, found: list[str]) -> str:
    name, equals, value = pair.partition("=")
    if not value:
        return pair
    plain = unquote_plus(value)
    if hides.is_secret(unquote_plus(name)):
        hidden = hides.hide(plain, found)
        return pair if hidden == plain else name + equals + hidden
    if "%" in value or "+" in value:
        hidden = hides.shallow(plain, found)
        if hidden != plain:
            return name + equals + hidden.replace(" ", "+")
    return pair


def in_parts(hides: Redaction, text: str, found: list[str]) -> str:
    """Hide the secrets in the parts of a multipart form (RFC 7578)."""
    if "name=" not in text:
        return text
    return _PART.sub(lambda match: _inside(match, 2, match[1], hides, found), text)


def in_markup(hides: Redaction, text: str, found: list[str]) -> str:
    """Hide the secrets in elements of XML."""
    if "<" not in text:
        return text
    text = _ELEMENT.sub(lambda match: _inside(match, 3, match[1], hides, found), text)
    return _BY_ATTRIBUTE.sub(lambda match: _inside(match, 4 if match[4] else 5, match[2], hides, found), text)


def _inside(match: re.Match[str], group: int, name: str, hides: Redaction, found: list[str]) -> str:
    if not hides.is_secret(name):
        return match[0]
    start, end = match.start(group) - match.start(), match.end(group) - match.start()
    return match[0][:start] + hides.hide(match[group], found) + match[0][end:]


def in_json(hides: Redaction, text: str, found: list[str]) -> str | None:
    """Hide the secrets in JSON, which is written anew only where there are any; ``None`` where a text is no JSON."""
    if text.lstrip()[:1] not in ("{", "[", '"') and not text.strip().isdigit():
        return None
    try:
        value = json.loads(text)
        hidden = _json(hides, value, found)
        return text if hidden == value else json.dumps(hidden)
    except (ValueError, RecursionError):
        return None


def _json(hides: Redaction, value: Any, found: list[str]) -> Any:  # Any: JSON values
    if isinstance(value, str):
        read = hides.find(value)
        found += read.named
        return read.text
    if isinstance(value, bool) or value is None or isinstance(value, float):
        return value
    if isinstance(value, int):
        return hides.text(str(value)) if 10**12 <= value < 10**19 and shapes.is_card(str(value)) else value
    if isinstance(value, list):
        if len(value) == 2 and _names_secret(hides, value[0]):  # headers as pairs
            return [value[0], _secret_json(hides, value[1], found)]
        return [_json(hides, item, found) for item in value]
    named = any(_names_secret(hides, item) for name, item in value.items() if name.lower() in ("name", "key"))
    return {
        hides.text(name): _secret_json(hides, item, found)
        if hides.is_secret(name) or (named and name.lower() == "value")
        else _json(hides, item, found)
        for name, item in value.items()
    }


def _names_secret(hides: Redaction, name: Any) -> bool:  # Any: JSON values
    """Whether one value names another: ``{"name": "X-Api-Key", "value": …}`` (HAR, Kubernetes, Postman)."""
    return isinstance(name, str) and hides.is_secret(name)


def _secret_json(hides: Redaction, value: Any, found: list[str]) -> Any:  # Any: JSON values
    if isinstance(value, list):
        return [_secret_json(hides, item, found) for item in value]
    if isinstance(value, dict):
        return {hides.text(name): _secret_json(hides, item, found) for name, item in value.items()}
    if isinstance(value, bool) or value is None:
        return value
    return hides.hide(str(value), found)
