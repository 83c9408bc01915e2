"""The cursor over a script."""

from __future__ import annotations

from pytest_retrychaos.faults import OK, Progress, parse, status


def taken(script, times):
    progress = Progress(parse(script))
    return progress, [(index, str(step)) for index, step in (progress.take() for _ in range(times))]


def test_steps_are_taken_in_order_each_as_often_as_it_says():
    """Behind the end every attempt is ok, of no step."""
    progress, seen = taken("503 x2, reset after-commit, ok", 6)

    assert seen == [
        *((0, "503"), (0, "503"), (1, "reset after-commit"), (2, "ok"), (None, "ok"), (None, "ok")),
    ]
    assert progress.fired == [2, 1, 1]
    assert progress.is_finished


def test_peek_takes_nothing():
    """The step that comes next stays next."""
    progress = Progress(parse("503 x2"))

    assert progress.peek() == progress.peek() == status(503)
    assert progress.fired == [0]
    assert not progress.is_finished


def test_peek_behind_the_end_is_a_plain_ok():
    """The service answers."""
    progress, _ = taken("503", 1)

    assert progress.peek() is OK


def test_a_step_for_ever_never_finishes():
    """`*` has no last time."""
    progress, seen = taken("503, reset *", 4)

    assert seen == [(0, "503"), (1, "reset"), (1, "reset"), (1, "reset")]
    assert progress.fired == [1, 3]
    assert not progress.is_finished


def test_an_outage_is_one_step():
    """It is taken once; its window is the caller's."""
    _, seen = taken("down=30s:503, ok", 2)

    assert seen == [(0, "down=30s:503"), (1, "ok")]
