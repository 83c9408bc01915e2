"""What a message body says, out of its packing."""

from __future__ import annotations

import re
import zlib
from typing import Final

MOST: Final = 1 << 20
"""Bytes that a packed body is unpacked to at most."""

_AWS_CHUNK: Final = re.compile(rb"(?:\A|\r\n)[0-9a-f]{1,8}(?:;chunk-signature=[0-9a-f]{0,64})?\r\n")


def decoded(content: bytes, encoding: str) -> bytes | None:
    """Unpack a body by its ``Content-Encoding``; ``None`` where that cannot be done."""
    names = [name for name in encoding.replace(" ", "").lower().split(",") if name not in ("", "identity")]
    for name in reversed(names):
        if name == "aws-chunked":  # Amazon S3: chunks inside the body, a secret may lie across two
            content = _AWS_CHUNK.sub(b"", content)
            continue
        if name not in ("gzip", "x-gzip", "deflate"):
            return None if content else b""
        unpacked = _inflated(content)
        if unpacked is None:
            return None
        content = unpacked
    return content


def _inflated(content: bytes) -> bytes | None:
    for window in (47, -15):  # gzip or zlib by its head, else bare deflate
        try:
            return zlib.decompressobj(window).decompress(content, MOST)
        except zlib.error:
            continue
    return None


def is_utf_8(content: bytes) -> bool:
    """Whether bytes are text in UTF-8."""
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True
