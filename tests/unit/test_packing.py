"""Bodies out of their packing."""

from __future__ import annotations

import gzip
import zlib

import pytest

from pytest_retrychaos.packing import unpacked

TEXT = b'{"amount": 5000}' * 100
CHUNKS = b"4;chunk-signature=ab\r\nfour\r\n3;chunk-signature=cd\r\ntwo\r\n0;chunk-signature=ef\r\n\r\n"


def packed(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)  # a moment in it would be in the name of the test


def bare(content: bytes) -> bytes:
    deflating = zlib.compressobj(wbits=-15)
    return deflating.compress(content) + deflating.flush()


@pytest.mark.parametrize(
    ("encoding", "content", "said"),
    [
        ("", TEXT, TEXT),
        ("identity", TEXT, TEXT),
        ("gzip", packed(TEXT), TEXT),
        ("X-GZIP", packed(TEXT), TEXT),
        ("deflate", zlib.compress(TEXT), TEXT),
        ("deflate", bare(TEXT), TEXT),
        ("deflate, gzip", packed(zlib.compress(TEXT)), TEXT),
        ("aws-chunked", CHUNKS, b"fourtwo"),
        ("aws-chunked", b"4\r\nfour\r\n0\r\nx-amz-checksum-crc32:AAAA\r\n\r\n", b"four"),
        ("gzip,aws-chunked", b"%x\r\n" % len(packed(TEXT)) + packed(TEXT) + b"\r\n0\r\n\r\n", TEXT),
        ("aws-chunked", b"no chunks", b"no chunks"),
        ("gzip", packed(TEXT[:7]) + packed(TEXT[7:]), TEXT),
        ("gzip", packed(TEXT) + bytes(5), TEXT),
        ("gzip", packed(TEXT) + b"more", None),
        ("gzip", packed(TEXT) + packed(TEXT)[:-9], None),
        ("gzip", b"not gzip", None),
        ("gzip", packed(TEXT)[:-9], None),
        ("gzip", b"", None),
        ("br", TEXT, None),
        ("br", b"", b""),
    ],
    ids=lambda one: one if isinstance(one, str) else f"{len(one or b'')} bytes",
)
def test_a_body_is_unpacked_as_its_encoding_says(encoding: str, content: bytes, said: bytes | None) -> None:
    """The last encoding named is taken off first (RFC 9110, 8.4); `None` where it cannot be done."""
    assert unpacked(content, encoding) == said


def test_of_a_cut_body_is_given_what_can_be_read() -> None:
    """Up to so many bytes."""
    whole = packed(bytes(range(256)) * 100)

    assert unpacked(whole[:-9], "gzip", 1 << 20) == bytes(range(256)) * 100
    assert unpacked(whole, "gzip", 10) == bytes(range(10))
    assert unpacked(whole + whole[:-9], "gzip", 1 << 20) == bytes(range(256)) * 200
    assert unpacked(packed(b"four") + whole, "gzip", 10) == b"four" + bytes(range(6))
