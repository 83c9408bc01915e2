"""Timelines and histograms as SVG."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from pytest_retrychaos.report.document import Timeline
from pytest_retrychaos.report.drawing import MOST_LANES, draw_timeline
from pytest_retrychaos.report.histogram import draw_herd
from pytest_retrychaos.report.svg import LEFT, RIGHT
from tests.unit.report.documents import CHARGED, SECOND


def bars(timeline: Timeline) -> list[tuple[int, int, int]]:
    """List the bars of a drawing: where each begins, its height in the picture, how wide it is; from left to right."""
    paths = [
        one.get("d", "") for one in ElementTree.fromstring(draw_timeline(timeline)) if one.get("class") in ("o", "f")
    ]
    found = [tuple(map(int, one)) for path in paths for one in re.findall(r"M(\d+) (\d+)h(\d+)", path)]
    return sorted((x, y, width) for x, y, width in found)


def test_a_timeline_says_what_it_shows() -> None:
    """To whom cannot see it."""
    root = ElementTree.fromstring(draw_timeline(CHARGED))

    assert root.get("role") == "img"
    assert root.get("aria-label") == "3 attempts in 4 s, 2 effects, 1 duplicate"


def test_bars_stand_where_they_were_in_time() -> None:
    """The axis reaches to what the policy allowed at most, if that is not much later."""
    width = RIGHT - LEFT

    assert [x for x, _, _ in bars(CHARGED)] == [LEFT, LEFT + width // 5, LEFT + 3 * width // 5]
    assert [w for _, _, w in bars(CHARGED)] == [6, 6, width // 5]


def test_each_part_is_drawn_by_a_shape_of_its_own() -> None:
    """Failed and answered, wait, bounds, Retry-After, effect, duplicate, finding, breaker: none by colour alone."""
    drawn = draw_timeline(CHARGED, [3])

    assert sorted(set(re.findall(r'<path class="(\w+)"', drawn))) == sorted(["kc", "ko", *"wefoancdx"])
    assert ">again</text>" in drawn
    assert ">closed</text>" in drawn


@pytest.mark.parametrize("count", [1, 20, 400])
def test_what_happened_at_one_moment_is_drawn_side_by_side(count: int) -> None:
    """As many as there are, without leaving the picture and in their order."""
    attempts = tuple(replace(CHARGED.attempts[0], index=number + 1, began_ns=0, ended_ns=0) for number in range(count))

    found = bars(replace(CHARGED, attempts=attempts, waits=(), finished_ns=SECOND))

    assert len({x for x, _, _ in found}) == count
    assert all(x >= LEFT and x + width <= RIGHT for x, _, width in found)
    assert all(x + width <= after for (x, _, width), (after, _, _) in itertools.pairwise(found))


def test_many_bars_at_the_end_stay_inside() -> None:
    """They are drawn before the edge."""
    last = [replace(CHARGED.attempts[0], index=number + 2, began_ns=SECOND, ended_ns=SECOND) for number in range(30)]

    found = bars(replace(CHARGED, attempts=(CHARGED.attempts[0], *last), waits=(), finished_ns=SECOND))

    assert max(x + width for x, _, width in found) == RIGHT


def test_operations_have_lanes_up_to_a_number() -> None:
    """Those that come later share the last one."""
    attempts = tuple(replace(CHARGED.attempts[0], index=number + 1, operation=number) for number in range(40))

    drawn = replace(CHARGED, operations=("x",) * 40, attempts=attempts, waits=(), effects=(), breaker=())

    assert len({y for _, y, _ in bars(drawn)}) == MOST_LANES
    assert f">op {MOST_LANES}–40</text>" in draw_timeline(drawn)


@pytest.mark.parametrize("finished_ns", [0, 1, 10**18])
def test_any_length_of_time_has_few_ticks(finished_ns: int) -> None:
    """Of no time at all, of a nanosecond, of thirty years."""
    attempt = replace(CHARGED.attempts[2], began_ns=0, ended_ns=finished_ns)

    timeline = Timeline(("x",), (attempt,), (), (), (), (), finished_ns, 0)

    assert 1 <= draw_timeline(timeline).count("v4") <= 6


def test_a_herd_is_a_histogram_with_its_capacity() -> None:
    """Windows are drawn together where there are more than columns."""
    (herd,) = CHARGED.herds

    drawn = draw_herd(herd)
    many = draw_herd(replace(herd, counts=(3,) * 1000, failed=(1,) * 1000))

    assert 'aria-label="arrivals of a herd of 3 over 3 s: 3 attempts, 2 failed, 2 in the fullest column"' in drawn
    assert ">capacity 1.5</text>" in drawn
    assert ">faults over</text>" in drawn
    assert many.count("z") == 2 * 100
    assert ElementTree.fromstring(draw_herd(replace(herd, counts=(), failed=()))).tag.endswith("svg")
