"""Frozen values with some of their fields changed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from pytest_retrychaos.trace.changing import changed


@dataclass(frozen=True, slots=True)
class Point:
    """Two fields, one with a default."""

    x: int
    y: int = 0


def test_a_changed_value_is_what_replace_makes_and_the_first_stays() -> None:
    """Every other field is kept."""
    point = Point(1, 2)

    assert changed(point, y=3) == replace(point, y=3) == Point(1, 3)
    assert point == Point(1, 2)


def test_a_value_that_stays_as_it_was_is_the_same_object() -> None:
    """Nothing is copied for nothing."""
    point = Point(1, 2)

    assert changed(point, x=1, y=2) is point


def test_a_field_that_is_none_is_refused() -> None:
    """A misspelt name changes nothing silently."""
    with pytest.raises(AttributeError, match="z"):
        changed(Point(1), z=3)
