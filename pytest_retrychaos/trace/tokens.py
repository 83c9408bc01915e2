"""Replace whole words in text or bytes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import AnyStr, Final

_BARE: Final = re.compile(rb'"(?:[^"\\]|\\.)*"?|\[hidden:[0-9a-f]+\]|\b[CJKV]\d+\b', re.DOTALL)
"""A text of JSON, or a number or mark of ours outside of any."""


def replaced(text: AnyStr, names: Mapping[AnyStr, AnyStr]) -> AnyStr:
    """Replace each value that ``names`` knows, longest first, where it stands as a word of its own.

    Beside it stands no letter or digit: ``100`` is not found in ``1000``. What was put in is not replaced again.
    """
    present = [value for value in names if value in text]
    if not present:
        return text
    present.sort(key=lambda value: (-len(value), value))
    return _replaced(text, present, names)


def still_json(content: bytes, changed: bytes) -> bytes:
    """Quote what was put in where it stands bare in JSON, in place of a number: it can still be read."""
    if changed == content or not content.lstrip().startswith((b"{", b"[")):
        return changed
    return _BARE.sub(lambda found: found[0] if found[0].startswith(b'"') else b'"' + found[0] + b'"', changed)


def _replaced(text: AnyStr, values: list[AnyStr], names: Mapping[AnyStr, AnyStr]) -> AnyStr:
    if not values:
        return text
    value, others = values[0], values[1:]
    return names[value].join([_replaced(piece, others, names) for piece in _split(text, value)])


def _split(text: AnyStr, value: AnyStr) -> list[AnyStr]:
    """Cut a text at each place where the value stands as a word."""
    pieces: list[AnyStr] = []
    start = search = 0
    while (found := text.find(value, search)) >= 0:
        end = found + len(value)
        if text[max(found - 1, 0) : found].isalnum() or text[end : end + 1].isalnum():
            search = found + 1
            continue
        pieces.append(text[start:found])
        start = search = end
    pieces.append(text[start:])
    return pieces
