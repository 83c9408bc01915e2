"""Replace whole words in text or bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import AnyStr


def replaced(text: AnyStr, names: Mapping[AnyStr, AnyStr]) -> AnyStr:
    """Replace each value that ``names`` knows, longest first, where it stands as a word of its own.

    Beside it stands no letter or digit: ``100`` is not found in ``1000``. What was put in is not replaced again.
    """
    present = [value for value in names if value in text]
    if not present:
        return text
    present.sort(key=lambda value: (-len(value), value))
    return _replaced(text, present, names)


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
