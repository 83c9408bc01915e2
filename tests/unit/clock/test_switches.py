"""The moments at which more than one could go on."""

from __future__ import annotations

from pytest_retrychaos.clock.switches import Switches


def test_the_second_goes_first_at_the_moments_that_were_named() -> None:
    """Counted from 1, where there are two at least."""
    switches = Switches((2, 3))

    orders = [list(switches.ordered(ready)) for ready in ("ab", "a", "abc", "ab", "ab")]

    assert orders == [["a", "b"], ["a"], ["b", "a", "c"], ["b", "a"], ["a", "b"]]
    assert switches.met == 4


def test_a_moment_that_never_came_is_known() -> None:
    """Then the run was another than was asked for."""
    switches = Switches((2,))

    assert not switches.have_struck
    assert not switches.second_first()
    assert switches.second_first()
    assert switches.have_struck
    assert Switches().have_struck
