"""How a herd arrived, as a histogram in SVG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from pytest_retrychaos.laws.words import counted, grouped
from pytest_retrychaos.report.document import HerdBars
from pytest_retrychaos.report.svg import LEFT, RIGHT, Axis, seconds, svg, text

COLUMNS: Final = 100
"""Columns of a histogram at most; windows are drawn together where there are more."""
TALLEST: Final = 90


def draw_herd(herd: HerdBars) -> str:
    """Draw how a herd arrived: a column for each window, what failed hatched and at the top."""
    each = -(-len(herd.counts) // COLUMNS) or 1
    counts = [sum(herd.counts[at : at + each]) for at in range(0, len(herd.counts), each)]
    failed = [sum(herd.failed[at : at + each]) for at in range(0, len(herd.failed), each)]
    capacity = None if herd.capacity_milli is None else herd.capacity_milli * each / 1000
    highest = max([1, *counts, *([] if capacity is None else [min(capacity, 4 * max([1, *counts]))])])
    axis = Axis(herd.window_ns * each * max(len(counts), 1))
    foot = TALLEST + 18
    step = (RIGHT - LEFT) / max(len(counts), 1)
    answered_path: list[str] = []
    failed_path: list[str] = []
    for number, (count, wrong) in enumerate(zip(counts, failed, strict=True)):
        x, width = LEFT + round(number * step), max(1, round(step) - 1)
        good, bad = _height(count - wrong, highest), _height(wrong, highest)
        if good:
            answered_path.append(f"M{x} {foot}v-{good}h{width}v{good}z")
        if bad:
            failed_path.append(f"M{x} {foot - good}v-{bad}h{width}v{bad}z")
    parts = [
        f'<path class="{kind}" d="{"".join(pieces)}"/>'
        for kind, pieces in (("h o", answered_path), ("h f", failed_path))
        if pieces
    ]
    parts += [
        text(0, foot, "0"),
        text(0, foot - _height(max(counts or [0]), highest) + 4, grouped(max(counts or [0]))),
    ]
    parts += _limits(herd, capacity, highest, axis, foot)
    parts.append(axis.draw(foot))
    return svg(foot + 20, _herd_said(herd, counts, axis), parts)


def _limits(herd: HerdBars, capacity: float | None, highest: float, axis: Axis, foot: int) -> Iterator[str]:
    if capacity is not None and capacity <= highest:
        y = foot - round(capacity * TALLEST / highest)
        yield f'<path class="w" d="M{LEFT} {y}H{RIGHT}"/>{text(RIGHT, y - 3, f"capacity {capacity:.6g}", "r")}'
    if herd.cause_ended_ns is not None:
        x = axis.x(max(0, herd.cause_ended_ns - herd.began_ns))
        yield f'<path class="e" d="M{x} 14V{foot}"/>{text(min(x + 3, RIGHT - 90), 12, "faults over")}'


def _height(count: int, highest: float) -> int:
    return max(1, round(count * TALLEST / highest)) if count else 0


def _herd_said(herd: HerdBars, counts: Sequence[int], axis: Axis) -> str:
    total, wrong = sum(herd.counts), sum(herd.failed)
    return (
        f"arrivals of a herd of {grouped(herd.copies)} over {seconds(axis.last_ns)}: {counted(total, 'attempt')}, "
        f"{grouped(wrong)} failed, {grouped(max(counts or [0]))} in the fullest column"
    )
