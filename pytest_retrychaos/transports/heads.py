"""The fields of requests' heads, from bytes to text."""

from __future__ import annotations

import functools

from pytest_retrychaos.model import NO_HEADERS, Headers

Field = tuple[bytes, bytes]
"""A name and a value, as they came."""


class Heads:
    """Reads the heads that come on one connection, of which each is mostly like the one before.

    A record keeps every head: what two have in common is decoded, and kept, once.
    """

    __slots__ = ("_before", "_read")

    def __init__(self) -> None:
        self._before: list[Field] = []
        self._read = NO_HEADERS

    def read(self, fields: list[Field]) -> Headers:
        """Decode a head's fields; what stood at the same place in the head before is taken from there."""
        before, known = self._before, self._read.pairs
        pairs = [
            pair if field == earlier else (_name(field[0]), field[1].decode("latin-1"))
            for field, earlier, pair in zip(fields, before, known, strict=False)
        ]
        pairs += [(_name(name), value.decode("latin-1")) for name, value in fields[len(known) :]]
        self._before, self._read = fields, Headers(pairs)
        return self._read


@functools.lru_cache(maxsize=512)
def _name(sent: bytes) -> str:
    return sent.decode("latin-1")
