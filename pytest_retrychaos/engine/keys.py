"""Idempotency keys: one per operation, so that the service can tell a retry from a new request."""

from __future__ import annotations

import os


def new_key() -> str:
    """Make a key that was never used: a UUID of version 4 (RFC 9562, 5.4), from the system's randomness.

    Written by hand, since importing `uuid` takes longer than the rest of the engine.
    """
    bits = int.from_bytes(os.urandom(16))
    bits = bits & ~(0xF << 76) | 0x4 << 76  # version
    bits = bits & ~(0x3 << 62) | 0x2 << 62  # variant
    digits = f"{bits:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
