"""What Hypothesis draws, and how what is no failure of the code under test gets past it."""

from __future__ import annotations

import pytest
import requests
from hypothesis import Phase, settings

from pytest_retrychaos.fuzz.drawing import draw_walks, settings_for
from pytest_retrychaos.fuzz.faultlist import read_faults
from pytest_retrychaos.fuzz.history import History, Played
from pytest_retrychaos.fuzz.playing import Test
from pytest_retrychaos.fuzz.search import Found
from pytest_retrychaos.fuzz.walk import Walks

FEW = read_faults(["503", "reset"])
QUICK = settings_for(settings(max_examples=30, database=None, derandomize=True), {})


def body(chaos) -> None:
    """Read in up to three attempts."""
    for _ in range(3):
        try:
            if requests.get(f"{chaos.url}/orders", timeout=5).ok:
                return
        except requests.ConnectionError:
            pass


TEST = Test(body, body.__code__, "test", {"seed": 7, "entropy": "seeded"})


def test_an_error_that_comes_where_a_walk_went_on_before_is_told_as_it_is() -> None:
    """Hypothesis sees that less was drawn, and would say that of it."""
    runs: list[History] = []

    def play(history: History) -> Played:
        runs.append(history)
        if len(runs) > 12:
            raise ZeroDivisionError("not the client's")
        return TEST.play(history)

    with pytest.raises(ZeroDivisionError, match="not the client's"):
        draw_walks(Walks(play, FEW, Found(), keeps=False), QUICK, None, lambda: None)


def test_the_drawing_ends_where_no_history_is_left() -> None:
    """A small tree is walked whole, and no history of it is run twice."""
    found = Found()
    runs: list[History] = []

    def play(history: History) -> Played:
        runs.append(history)
        return TEST.play(history)

    draw_walks(Walks(play, read_faults(["503"]), found), settings_for(QUICK, {"max_examples": 500}), None, lambda: None)

    assert sorted(map(str, runs)) == [
        "503", "503 *", "503 x2", "503 x2, 503 *", "503 x3", "503, 503 *", "no fault",
    ]  # fmt: skip


def test_settings_that_do_not_generate_draw_nothing() -> None:
    """And without several bugs to report the first ends it."""
    drawn: list[int] = []
    draw_walks(Walks(TEST.play, FEW, Found()), settings_for(QUICK, {"phases": [Phase.reuse]}), None, lambda: None)
    assert drawn == []

    found = Found()
    once = Test(lambda chaos: requests.get(chaos.url, timeout=5), body.__code__, "test", {"seed": 7})
    one = settings_for(QUICK, {"report_multiple_bugs": False})
    draw_walks(Walks(once.play, FEW, found), one, None, lambda: drawn.append(1))

    assert (len(found.worst), found.runs) == (1, 2)
