"""What a message body says, out of the packing in which it travels."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Mapping
from typing import Final

_INFLATED: Final = ("gzip", "x-gzip", "deflate")
_GZIP_OR_ZLIB, _BARE = 47, -15
"""How `zlib` is told the kinds of deflate: with a head of its own, and without, as some clients send it."""
_SMALL: Final = 1 << 16
"""Bytes of a body whose content is kept for a moment: many ask for it while one request is answered."""


def said(body: bytes, headers: Mapping[str, str]) -> bytes:
    """Give a body out of its packing, by its headers; as it is where it has none, or one that cannot be read."""
    encoding = headers.get("content-encoding")
    plain = None if encoding is None else unpacked(body, encoding)
    return body if plain is None else plain


def unpacked(content: bytes, encoding: str, most: int = 0) -> bytes | None:
    """Unpack a body by its ``Content-Encoding``; ``None`` where that cannot be done.

    ``most`` are the bytes it may come to (0: any number), of a body that may have been cut off anywhere: what can be
    read of it is given then.
    """
    return (_unpacked_lately if len(content) <= _SMALL else _unpacked)(content, encoding, most)


def _unpacked(content: bytes, encoding: str, most: int) -> bytes | None:
    for name in reversed(encoding.replace(" ", "").lower().split(",")):
        if name == "aws-chunked":
            content = _joined(content)
        elif name in _INFLATED:
            inflated = _inflated(content, most)
            if inflated is None:
                return None
            content = inflated
        elif name not in ("", "identity") and content:
            return None
    return content


_unpacked_lately = functools.lru_cache(maxsize=8)(_unpacked)


def _inflated(content: bytes, most: int) -> bytes | None:
    for kind in (_GZIP_OR_ZLIB, _BARE):
        plain = _inflated_as(kind, content, most)
        if plain is not None:
            return plain
    return None


def _inflated_as(kind: int, content: bytes, most: int) -> bytes | None:
    """Inflate one piece after the other: gzip has as many as were written after one another (RFC 1952, 2.2)."""
    pieces: list[bytes] = []
    made = 0
    while content or not pieces:
        inflating = zlib.decompressobj(kind)
        try:
            pieces.append(inflating.decompress(content, most and most - made))
        except zlib.error:
            return b"".join(pieces) if most and pieces else None
        if not (most or inflating.eof):
            return None
        made += len(pieces[-1])
        if made >= most > 0:
            break
        content = inflating.unused_data.lstrip(b"\0")  # which may fill up what follows
    return b"".join(pieces)


def _joined(content: bytes) -> bytes:
    """Join the chunks in which AWS signs uploads, as far as they are such.

    Source: Amazon S3, "Signature calculations for the Authorization header: transferring payload in chunks".
    """
    parts: list[bytes] = []
    place = 0
    while True:
        line, _, _ = content[place : place + 128].partition(b"\r\n")
        try:
            size = int(line.partition(b";")[0], 16)
        except ValueError:
            return b"".join(parts) or content
        if size <= 0:
            return b"".join(parts)
        start = place + len(line) + 2
        parts.append(content[start : start + size])
        place = start + size + 2
