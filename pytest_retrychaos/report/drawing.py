"""Timelines as SVG, for `report.page`.

Laws of this module:
1. Nothing is told by colour alone: what failed is hatched, what came twice is drawn twice, states are lettered.
2. A drawing is small: all bars of one kind are one path, and whatever is shared stands once in the page's style.
3. Times keep their order: what one operation did at one moment is drawn side by side. Only where many operations
   share a lane do bars stand upon each other.
4. A picture is for the eye; the table that stands beside it says the same in words.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import Final

from pytest_retrychaos.laws.words import counted
from pytest_retrychaos.report.document import Bar, BreakerSpan, Timeline, Wait
from pytest_retrychaos.report.svg import DIGIT, LEFT, RIGHT, Axis, numbers, seconds, svg, text

LANE: Final = 31
MOST_LANES: Final = 12
"""Operations that have a lane of their own; those that come later share the last one."""
BAR: Final = 12
BAR_TOP: Final = 15
"""Of a lane: over its bars stand their numbers, and where the server's wish is over."""
NARROWEST: Final = 6
"""An answer that takes no virtual time is still seen."""
BAND: Final = 16


def draw_timeline(timeline: Timeline, marked: Iterable[int] = ()) -> str:
    """Draw one test's run; ``marked`` are attempts that a finding points at."""
    axis = Axis(_last(timeline))
    top = 4
    parts: list[str] = []
    for circuit in dict.fromkeys(span.circuit for span in timeline.breaker):
        parts.append(_band([span for span in timeline.breaker if span.circuit == circuit], axis, top))
        top += BAND + 6
    lanes = min(len(timeline.operations), MOST_LANES)
    places = _places(timeline.attempts, axis)
    parts += _waits(timeline, axis, places, top)
    parts += _attempts(timeline.attempts, places, top, set(marked))
    parts += _lane_names(timeline, lanes, top)
    top += LANE * max(lanes, 1) + 3
    parts.append(axis.draw(top + 20, line=top + 8))
    parts.append(_effects(timeline, axis, top))
    top += 20
    return svg(top + 20, _said(timeline), parts)


def _said(timeline: Timeline) -> str:
    twice = sum(effect.is_duplicate for effect in timeline.effects)
    said = f"{counted(len(timeline.attempts), 'attempt')} in {seconds(timeline.finished_ns)}, "
    said += counted(len(timeline.effects), "effect")
    return f"{said}, {counted(twice, 'duplicate')}" if twice else said


def _last(timeline: Timeline) -> int:
    """Find how far the axis goes: to the end, or to a moment that was asked for, if that is not much later."""
    ends = [timeline.finished_ns, *(one.ended_ns or one.began_ns for one in timeline.attempts)]
    ends += [wait.ended_ns for wait in timeline.waits]
    last = max(ends)
    asked = [_asked(one) for one in timeline.attempts] + [
        None if wait.most_ns is None else wait.began_ns + wait.most_ns for wait in timeline.waits
    ]
    return max([last, *(moment for moment in asked if moment is not None and moment <= last + last // 2)])


def _asked(attempt: Bar) -> int | None:
    if attempt.asked_ns is None:
        return None
    return (attempt.began_ns if attempt.ended_ns is None else attempt.ended_ns) + attempt.asked_ns


# attempts

Places = dict[int, tuple[int, int]]
"""Where each attempt's bar begins and ends."""


def _lane(operation: int) -> int:
    return min(operation, MOST_LANES - 1)


def _places(attempts: Sequence[Bar], axis: Axis) -> Places:
    """Place the bars: by time, and one behind the other where several would stand on one place; a shared lane apart."""
    lanes: dict[int, list[Bar]] = {}
    for attempt in attempts:
        lanes.setdefault(_lane(attempt.operation), []).append(attempt)
    places: Places = {}
    for lane, bars in lanes.items():
        if lane == MOST_LANES - 1 and len({bar.operation for bar in bars}) > 1:
            places |= {bar.index: _by_time(bar, axis) for bar in bars}
            continue
        room = (RIGHT - LEFT) // len(bars)
        narrowest, gap = max(1, min(NARROWEST, room - 2)), 2 if room > 2 else 0
        free = LEFT
        for bar in bars:
            begin = max(axis.x(bar.began_ns), free)
            ended = bar.began_ns if bar.ended_ns is None else bar.ended_ns
            end = max(axis.x(ended), begin + narrowest)
            places[bar.index] = begin, end
            free = end + gap
        _pull_back(bars, places, gap)
    return places


def _by_time(bar: Bar, axis: Axis) -> tuple[int, int]:
    begin = axis.x(bar.began_ns)
    return begin, max(axis.x(bar.began_ns if bar.ended_ns is None else bar.ended_ns), begin + 2)


def _pull_back(bars: list[Bar], places: Places, gap: int) -> None:
    """Move to the left what was pushed over the right edge."""
    edge = RIGHT
    for bar in reversed(bars):
        begin, end = places[bar.index]
        if end <= edge:
            return
        shift = min(end - edge, begin - LEFT)
        places[bar.index] = begin - shift, end - shift
        edge = begin - shift - gap


def _attempts(attempts: Sequence[Bar], places: Places, top: int, marked: set[int]) -> Iterator[str]:
    paths: dict[str, list[str]] = {}
    labels: dict[tuple[int, bool], list[tuple[int, int]]] = {}
    free: dict[int, int] = {}
    for attempt in attempts:
        lane = _lane(attempt.operation)
        begin, end = places[attempt.index]
        y = top + LANE * lane + BAR_TOP
        kind = "f" if attempt.failed else "o"
        paths.setdefault(kind, []).append(f"M{begin} {y + BAR // 2}h{end - begin}")
        if attempt.is_leg:
            paths.setdefault("l", []).append(f"M{begin} {y + BAR // 2}h{end - begin}")
        if attempt.index in marked:
            paths.setdefault("n", []).append(f"M{begin - 2} {y - 2}h{end - begin + 4}v{BAR + 4}h-{end - begin + 4}z")
        if begin >= free.get(lane, 0):
            labels.setdefault((y - 7, attempt.index in marked), []).append((begin, attempt.index))
            free[lane] = begin + 4 + DIGIT * len(str(attempt.index))
    for kind, pieces in paths.items():
        yield f'<path class="{kind}" d="{"".join(pieces)}"/>'
    for (y, is_marked), places_of in labels.items():
        yield numbers(y, places_of, "b" if is_marked else "")


def _lane_names(timeline: Timeline, lanes: int, top: int) -> Iterator[str]:
    if len(timeline.operations) < 2:
        yield text(0, top + BAR_TOP + 10, "attempts")
        return
    for lane in range(lanes):
        name = f"op {lane + 1}"
        if lane == MOST_LANES - 1 and len(timeline.operations) > MOST_LANES:
            name += f"–{len(timeline.operations)}"
        yield text(0, top + LANE * lane + BAR_TOP + 10, name)


# waits


def _waits(timeline: Timeline, axis: Axis, places: Places, top: int) -> Iterator[str]:
    lines: list[str] = []
    envelopes: list[str] = []
    for before, wait in _between(timeline):
        if wait.before not in places or before not in places:
            continue
        y = top + LANE * _lane(wait.operation) + BAR_TOP + BAR // 2
        begin, end = places[before][1], places[wait.before][0]
        if end > begin + 2:
            lines.append(f"M{begin} {y}H{end}")
        if wait.least_ns is not None or wait.most_ns is not None:
            envelopes.append(_envelope(wait, axis, y))
    asked = [
        f"M{axis.x(moment)} {top + LANE * _lane(one.operation) + BAR_TOP}l-4-6h8z"
        for one in timeline.attempts
        if (moment := _asked(one)) is not None
    ]
    for kind, pieces in (("w", lines), ("e", envelopes), ("a", asked)):
        if any(pieces):
            yield f'<path class="{kind}" d="{"".join(pieces)}"/>'


def _between(timeline: Timeline) -> Iterator[tuple[int, Wait]]:
    """Give each wait with the attempt before it."""
    last: dict[int, int] = {}
    waits = {wait.before: wait for wait in timeline.waits}
    for attempt in timeline.attempts:
        wait = waits.get(attempt.index)
        if wait is not None and attempt.operation in last:
            yield last[attempt.operation], wait
        last[attempt.operation] = attempt.index


def _envelope(wait: Wait, axis: Axis, y: int) -> str:
    """Draw between which moments the policy wanted the next attempt: a bracket under the wait."""
    least = axis.x(wait.began_ns + (wait.least_ns or 0))
    most = RIGHT if wait.most_ns is None else axis.x(wait.began_ns + wait.most_ns)
    if most < least + 3:
        return ""
    end = "" if wait.most_ns is None else "v-5"
    return f"M{least} {y + 5}v5H{most}{end}"


# effects and breaker


def _effects(timeline: Timeline, axis: Axis, top: int) -> str:
    y = top + 8
    once: list[str] = []
    twice: list[str] = []
    texts = [text(0, y + 4, "effects")]
    free = LEFT
    for effect in timeline.effects:
        x = max(axis.x(effect.at_ns), free)
        free = x + 9
        (twice if effect.is_duplicate else once).append(f"M{x} {y - 5}l5 5l-5 5l-5-5z")
        if effect.is_duplicate:
            twice.append(f"M{x + 4} {y - 5}l5 5l-5 5l-5-5z")
            is_last = x > RIGHT - 46
            texts.append(text(x - 8, y + 4, "again", "b r") if is_last else text(x + 14, y + 4, "again", "b"))
            free = x + 50
    paths = [f'<path class="{kind}" d="{"".join(pieces)}"/>' for kind, pieces in (("c", once), ("d", twice)) if pieces]
    return "".join([*paths, *texts])


def _band(spans: Sequence[BreakerSpan], axis: Axis, top: int) -> str:
    parts = [text(0, top + 12, "breaker")]
    for span in spans:
        begin, end = axis.x(span.began_ns), axis.x(span.ended_ns)
        width = max(end - begin, 2)
        parts.append(f'<path class="k{escape(span.state[:1])}" d="M{begin} {top}h{width}v{BAND}h-{width}z"/>')
        if width > 9 * len(span.state):
            parts.append(text(begin + 4, top + 12, span.state, "k"))
    return "".join(parts)
