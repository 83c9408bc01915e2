"""The one error of this package: what is wrong, where it stands, the rule, and the way out."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from pytest_retrychaos import redact

WINDOW = 90
"""Columns of a script that an error shows; of a longer one, what stands around the place."""
_BEFORE = 40
_SHOWN = 40


class ScriptError(ValueError):
    """Say what is wrong with a script, or with one of its steps.

    The text is a headline, the script with a caret under the place (where there is a script), and the way
    out. ``part`` names the part of a step at fault (``status``, ``after-commit``, …).
    """

    def __init__(
        self,
        headline: str,
        way_out: str = "",
        *,
        part: str = "",
        script: str | None = None,
        span: tuple[int, int] = (0, 0),
    ) -> None:
        self.headline = headline
        self.way_out = way_out
        self.part = part
        self.script = script
        self.span = span
        lines = [headline]
        if script is not None:
            lines += _pointed(script, *span)
        if way_out:
            lines.append(way_out)
        super().__init__("\n".join(lines))

    def at(self, script: str, span: tuple[int, int]) -> ScriptError:
        """Return the same error with its place; one that has a place already stays as it is."""
        if self.script is not None:
            return self
        return ScriptError(self.headline, self.way_out, part=self.part, script=script, span=span)


def _pointed(script: str, start: int, end: int) -> list[str]:
    # Hidden as a whole, as a secret may be known by its name; what is the same on both sides of the place stays so.
    hide = redact.current().text
    before, after, script = hide(script[:start]), hide(script[end:]), hide(script)
    start, end = _alike(before, script), len(script) - _alike(after[::-1], script[::-1])
    first = max(0, min(start - _BEFORE, len(script) - WINDOW)) if len(script) > WINDOW else 0
    last = min(len(script), first + WINDOW)
    cut, rest = "…" if first else "", "…" if last < len(script) else ""
    # One character for one: line ends and tabs must not move the caret.
    line = "".join(c if c.isprintable() else " " for c in script[first:last])
    carets = "^" * max(1, min(end, last) - start)
    return [f"  {cut}{line}{rest}".rstrip(), "  " + " " * (len(cut) + start - first) + carets]


def _alike(one: str, other: str) -> int:
    """Count the characters with which both begin."""
    return next(
        (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )


def shown(value: object) -> str:
    """Write a value for a headline: its repr, shortened where it is long."""
    hide = redact.current().text
    text = repr(hide(value)) if isinstance(value, str) else hide(repr(value))
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def nearest(word: str, words: Iterable[str]) -> str:
    """Return ``, did you mean '…'?`` for the nearest of some words, or nothing where none is near."""
    found = difflib.get_close_matches(word.lower().replace("_", "-"), list(words), 1)
    return f", did you mean {found[0]!r}?" if found else ""
