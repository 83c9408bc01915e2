"""Counts of a sliding window."""

from __future__ import annotations

from pytest_retrychaos.engine.window import Window


def test_a_call_counts_for_the_whole_window_less_a_tenth():
    """Counted in tenths, the oldest tenth goes as a whole."""
    window = Window(10)
    assert window.add(True, 0.9) == (1, 1)
    assert window.add(False, 9.9) == (2, 1)
    assert window.add(False, 10.0) == (2, 0)


def test_a_long_silence_empties_it():
    """Whatever it held."""
    window = Window(10)
    for now in range(10):
        window.add(True, float(now))
    assert window.add(False, 1e9) == (1, 0)


def test_time_that_goes_back_a_little_counts_with_the_latest():
    """Nothing is lost, and nothing kept too long."""
    window = Window(10)
    window.add(True, 20.0)
    assert window.add(True, 18.0) == (2, 2)
    assert window.add(False, 29.0) == (3, 2)
    assert window.add(False, 30.0) == (2, 0)


def test_time_that_goes_back_by_a_window_begins_anew():
    """Or old failures would count until the clock has caught up."""
    window = Window(10)
    window.add(True, 1000.0)
    assert window.add(False, 5.0) == (1, 0)


def test_it_keeps_ten_counts_whatever_goes_through():
    """A busy service fills no memory."""
    window = Window(10)
    for now in range(100_000):
        window.add(True, now / 100)
    assert len(window._slices) == 10
