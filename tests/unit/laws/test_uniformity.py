"""The test of even numbers: gaps by hand, and its bound."""

from __future__ import annotations

import math

import pytest

from pytest_retrychaos.laws.uniformity import Gap, largest_gap, largest_right


def exactly(*values):
    return [(value, 0.0) for value in values]


@pytest.mark.parametrize(
    ("values", "gap"),
    [
        ((0.5,), Gap(0.5, 0.5, 1.0)),
        ((1.0, 1.0), Gap(1.0, 1.0, 0.0)),
        ((0.0, 0.0), Gap(1.0, 0.0, 1.0)),
        ((0.5, 0.75), Gap(0.5, 0.5, 0.0)),
        ((0.25, 0.75), Gap(0.25, 0.25, 0.5)),
        ((-1.0, 0.5), Gap(0.5, 0.0, 0.5)),
        ((2.0, 0.5), Gap(0.5, 0.5, 0.0)),
        ((), Gap(0.0, 0.0, 0.0)),
    ],
)
def test_gap_is_the_largest_between_a_sample_and_even(values, gap):
    """On either side of each number; what lies outside counts as at the end."""
    assert largest_gap(exactly(*values)) == gap


def test_gap_gives_each_number_the_benefit_of_its_slack():
    """A number known to a tenth may lie a tenth to either side."""
    assert largest_gap([(0.5, 0.1), (0.7, 0.1)]).size == pytest.approx(0.4)


def test_largest_right_gap_shrinks_with_the_root_of_the_sample():
    """2 exp(-2 n t**2) = 1e-4: four times the sample, half the gap."""
    assert largest_right(50) == pytest.approx(0.31469, abs=1e-5)
    assert largest_right(200) == pytest.approx(largest_right(50) / 2)
    assert 2 * math.exp(-2 * 50 * largest_right(50) ** 2) == pytest.approx(1e-4)
