"""Pytest and Hypothesis go on in real time."""

from __future__ import annotations

import _pytest.timing
import hypothesis.core
import hypothesis.internal.conjecture.data
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import DeadlineExceeded

from pytest_retrychaos.clock import VirtualClock, install
from pytest_retrychaos.clock.functions import real
from pytest_retrychaos.clock.outsiders import real_time

quiet = settings(database=None, max_examples=3, suppress_health_check=list(HealthCheck))


def test_pytest_measures_real_durations(clock: VirtualClock) -> None:
    """An hour of virtual sleep is no hour in pytest's own durations."""
    import time

    began = _pytest.timing.Instant()
    time.sleep(3600)
    assert began.elapsed().seconds < 3600
    assert abs(began.time - real("time")()) < 3600


def test_the_names_are_as_before_afterwards() -> None:
    """What pytest and Hypothesis hold is put back."""
    before = (_pytest.timing.perf_counter, _pytest.timing.time, hypothesis.core.time)
    with install(VirtualClock()):
        assert hypothesis.core.time is real_time()
        assert _pytest.timing.time is real("time")
    assert (_pytest.timing.perf_counter, _pytest.timing.time, hypothesis.core.time) == before


def test_a_deadline_is_not_missed_by_virtual_sleep(clock: VirtualClock) -> None:
    """A test that sleeps an hour of virtual time keeps a deadline of real time."""
    import time

    @settings(quiet, deadline=2000)
    @given(st.integers())
    def body(_number: int) -> None:
        time.sleep(3600)

    body()


def test_a_deadline_is_missed_by_real_time(clock: VirtualClock) -> None:
    """Hypothesis still sees what really takes long."""

    @settings(quiet, deadline=10, phases=[Phase.generate], max_examples=1)
    @given(st.integers())
    def body(_number: int) -> None:
        real("sleep")(0.05)

    with pytest.raises((DeadlineExceeded, ExceptionGroup)):
        body()


def test_a_clock_installed_inside_an_example_keeps_the_deadline() -> None:
    """The clock may come and go within the measured body."""
    import time

    @settings(quiet, deadline=2000)
    @given(st.integers())
    def body(_number: int) -> None:
        with install(VirtualClock()):
            time.sleep(3600)

    body()
