"""Counts over time in plain text."""

from __future__ import annotations

from pytest_retrychaos.chart import MOST_ROWS, WIDTH, chart


def test_chart_draws_answered_and_failed_with_the_capacity():
    """The longest bar is fifty characters; the capacity stands in every row."""
    assert chart([1000, 500, 100], [1000, 400, 0], 1.0, 100) == [
        "  arrivals in every 1 s: █ answered, ░ failed, │ capacity 100",
        "  +0 s  1 000  ░░░░░│░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░",
        "  +1 s    500  █████│░░░░░░░░░░░░░░░░░░░░",
        "  +2 s    100  █████│",
    ]


def test_chart_has_no_capacity_where_there_is_none():
    """Bars alone."""
    assert chart([2, 1], [0, 1], 0.5) == [
        "  arrivals in every 0.5 s: █ answered, ░ failed",
        f"    +0 s  2  {'█' * 50}",
        f"  +0.5 s  1  {'░' * 25}",
    ]


def test_chart_leaves_out_a_capacity_beyond_its_bars():
    """It is told in words, and no bar reaches it."""
    assert chart([3], [0], 1.0, 100) == [
        "  arrivals in every 1 s: █ answered, ░ failed, │ capacity 100",
        f"  +0 s  3  {'█' * 50}",
    ]


def test_chart_draws_windows_in_which_nothing_came_together():
    """A quiet hour takes one row."""
    assert chart([4, 0, 0, 0, 4], [4, 0, 0, 0, 0], 1.0)[1:] == [
        f"  +0 s  4  {'░' * 50}",
        "     …",
        f"  +4 s  4  {'█' * 50}",
    ]


def test_chart_of_many_windows_puts_several_into_a_row():
    """Its height is bounded, and the head says how long a row is."""
    lines = chart([1] * 301, [0] * 301, 1.0, 2)

    assert lines[0] == "  arrivals in every 11 s: █ answered, ░ failed, │ capacity 22"
    assert len(lines) == 1 + 28 <= 1 + MOST_ROWS
    assert lines[1].split()[2] == "11"


def test_chart_shows_the_least_of_each_kind():
    """One failure among thousands is a character, and so is one answer among failures."""
    one_wrong, one_right = chart([10_000, 10_000], [1, 9_999], 1.0)[1:]

    assert one_wrong.endswith("█" * (WIDTH - 1) + "░")
    assert one_right.endswith("█" + "░" * (WIDTH - 1))


def test_chart_of_nothing_is_its_head():
    """No client came."""
    assert chart([], [], 1.0) == ["  arrivals in every 1 s: █ answered, ░ failed"]
