"""What all drawings of a page share: the axis of time, texts, and a style that is not told by colour alone."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Final

from pytest_retrychaos.laws.words import grouped
from pytest_retrychaos.model import SECOND

WIDTH: Final = 840
LEFT: Final = 66
"""Where the axis begins; what rows are called stands before it."""
RIGHT: Final = WIDTH - 14
DIGIT: Final = 7
"""What a digit of an attempt's number takes."""

DEFS: Final = (
    '<svg width="0" height="0" aria-hidden="true" focusable="false" class="defs"><defs>'
    '<pattern id="hatch" width="4" height="4" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<path d="M0 0h4v4h-4z" class="under"/><path d="M1 0v4" class="stripe"/></pattern>'
    '<pattern id="dots" width="5" height="5" patternUnits="userSpaceOnUse">'
    '<path d="M1 1h2v2h-2z" class="dot"/></pattern>'
    "</defs></svg>"
)
"""What all drawings share; it stands once in the page."""


class Axis:
    """Where a moment stands."""

    def __init__(self, last_ns: int) -> None:
        self.last_ns = max(last_ns, 1)

    def x(self, moment_ns: int) -> int:
        """Give the place of a moment; what is later than the axis is at its end."""
        return LEFT + min(moment_ns, self.last_ns) * (RIGHT - LEFT) // self.last_ns

    def draw(self, top: int, line: int | None = None) -> str:
        """Draw the axis with its ticks, and a line beside it."""
        ticks = _ticks(self.last_ns)
        path = "".join([f"M{self.x(tick)} {top}v4" for tick in ticks])
        path += "" if line is None else f"M{LEFT} {line}H{RIGHT}"
        texts = [text(self.x(tick), top + 15, seconds(tick)) for tick in ticks]
        return f'<path class="x" d="M{LEFT} {top}H{RIGHT}{path}"/><g class="m">{"".join(texts)}</g>'


def svg(height: int, label: str, parts: Iterable[str]) -> str:
    """Put a picture together; ``label`` says what is seen."""
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(label)}">{"".join(parts)}</svg>'


def text(x: int, y: int, words: str, kind: str = "") -> str:
    """Write a text at its place."""
    role = f' class="{kind}"' if kind else ""
    return f'<text x="{x}" y="{y}"{role}>{escape(words)}</text>'


def numbers(y: int, placed: Iterable[tuple[int, int]], kind: str) -> str:
    """Write numbers at their places, as one text: SVG takes a place for each of its characters."""
    digits = [(x + DIGIT * at, digit) for x, number in placed for at, digit in enumerate(str(number))]
    role = f' class="{kind}"' if kind else ""
    return (
        f'<text y="{y}" x="{" ".join([str(x) for x, _ in digits])}"{role}>{"".join([one for _, one in digits])}</text>'
    )


def _ticks(last_ns: int) -> list[int]:
    """Choose three to six moments that are easy to read."""
    step = next(unit * 10**power for power in range(30) for unit in (1, 2, 5) if last_ns // (unit * 10**power) <= 4)
    return list(range(0, last_ns + 1, step))


def seconds(nanoseconds: int) -> str:
    """Write a moment or a duration with its unit."""
    value = nanoseconds / SECOND
    if value and value < 0.001:
        return f"{value * 1e6:.4g} µs"
    if value and value < 1:
        return f"{value * 1e3:.4g} ms"
    return f"{value:.4g} s" if value < 10_000 else f"{grouped(round(value))} s"
