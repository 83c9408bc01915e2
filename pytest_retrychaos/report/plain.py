"""Texts of unknown origin, made safe to show: nothing in them is carried out, and nothing breaks a layout."""

from __future__ import annotations

import re
from typing import Final

_UNSEEN: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff\ufff9-\ufffb]"
)
"""Control characters, what turns the direction of a text or is not seen, and halves of surrogate pairs."""
_MARKUP: Final = re.compile(r"[^\w\s.,:;/'%=+()?\"-]|_")


def visible(text: str, most: int | None = None) -> str:
    """Write what would not be seen, or would move other text, as an escape; cut the text to so many characters."""
    if most is not None and len(text) > most:
        text = f"{text[: most - 1]}…"
    return _UNSEEN.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def markdown(text: str, most: int | None = None) -> str:
    """Write a text so that Markdown and HTML show it as it is, in a table, too."""
    return _MARKUP.sub(lambda found: f"&#{ord(found[0])};", visible(text, most))
