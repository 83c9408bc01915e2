"""What a message body says, as far as the trace has kept it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_retrychaos.packing import unpacked

if TYPE_CHECKING:
    from pytest_retrychaos.model import Headers
    from pytest_retrychaos.trace import Body


def said(body: Body, headers: Headers) -> bytes:
    """Give a body out of its packing; as it is where it has none, or one that cannot be read."""
    encoding = headers.get("content-encoding")
    plain = None if encoding is None else unpacked(body.start, encoding)
    return body.start if plain is None else plain
