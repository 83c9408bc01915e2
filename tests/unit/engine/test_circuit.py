"""The circuit breaker as a machine: what passes, what is refused, and what changes it."""

from __future__ import annotations

import itertools

import pytest

from pytest_retrychaos.engine.breaker_policy import BreakerPolicy
from pytest_retrychaos.engine.circuit import TRANSITIONS, Circuit, Event, State, Transition

OPENED = Transition(State.CLOSED, Event.THRESHOLD_REACHED, State.OPEN)


def circuit(**options):
    """Make a circuit that opens at 3 failures for 10 seconds."""
    given = {} if "failure_rate" in options else {"threshold": 3}
    return Circuit(BreakerPolicy(**{"cooldown": 10, **given, **options}))


def fail(machine, times, now=100.0):
    """Let calls fail, one after the other; tell the last event."""
    event = None
    for _ in range(times):
        period, _ = machine.admit(now)
        event = machine.end(period, True, now)
    return event


def half_open(**options):
    """Make a circuit whose probe is out since 110; tell both."""
    machine = circuit(**options)
    fail(machine, 3)
    period, _ = machine.admit(110.0)
    return machine, period


def test_it_opens_at_the_threshold_and_not_before():
    """Two failures are not three."""
    machine = circuit()
    assert fail(machine, 2) is None
    assert (machine.state, machine.failures) == (State.CLOSED, 2)
    assert fail(machine, 1) == OPENED
    assert (machine.state, machine.failures) == (State.OPEN, 3)


def test_a_success_forgets_the_failures():
    """They are counted in a row."""
    machine = circuit()
    fail(machine, 2)
    machine.end(machine.period, False, 100.0)
    assert machine.failures == 0
    assert fail(machine, 2) is None


def test_what_tells_nothing_leaves_the_failures_counted():
    """A cancelled call between two failures is no success."""
    machine = circuit()
    fail(machine, 2)
    assert machine.end(machine.period, None, 100.0) is None
    assert machine.failures == 2


def test_nothing_passes_while_open():
    """Until the cooldown is over, to the second."""
    machine = circuit()
    fail(machine, 3)
    assert machine.admit(109.5) == (0, None)
    assert machine.retry_in(109.5) == 0.5
    period, event = machine.admit(110.0)
    assert event == Transition(State.OPEN, Event.COOLED_DOWN, State.HALF_OPEN)
    assert period == machine.period


def test_one_probe_passes_at_a_time():
    """Whoever comes while it is out is refused, and told the longest that it may take."""
    machine, _ = half_open()
    assert machine.admit(112.0) == (0, None)
    assert machine.retry_in(112.0) == 8.0


def test_a_probe_that_succeeds_closes():
    """And the failures are forgotten."""
    machine, period = half_open()
    assert machine.end(period, False, 111.0) == Transition(State.HALF_OPEN, Event.PROBE_SUCCEEDED, State.CLOSED)
    assert (machine.failures, machine.retry_in(111.0)) == (0, 0.0)
    assert fail(machine, 2) is None


def test_a_probe_that_fails_opens_for_another_cooldown():
    """Counted from its end."""
    machine, period = half_open()
    assert machine.end(period, True, 115.0) == Transition(State.HALF_OPEN, Event.PROBE_FAILED, State.OPEN)
    assert machine.retry_in(115.0) == 10.0
    assert machine.admit(124.9) == (0, None)


def test_a_probe_that_is_withdrawn_leaves_its_place_at_once():
    """The next call is the probe."""
    machine, period = half_open()
    assert machine.end(period, None, 111.0) == Transition(State.HALF_OPEN, Event.PROBE_WITHDRAWN, State.HALF_OPEN)
    assert machine.retry_in(111.0) == 0.0
    second, event = machine.admit(111.0)
    assert second > period
    assert event is None


def test_a_probe_that_is_overdue_leaves_its_place():
    """After the time that a probe may take, and its late end tells nothing."""
    machine, first = half_open(probe_timeout=4)
    assert machine.admit(113.9) == (0, None)
    second, event = machine.admit(114.0)
    assert event == Transition(State.HALF_OPEN, Event.PROBE_OVERDUE, State.HALF_OPEN)
    assert machine.end(first, False, 115.0) is None
    assert machine.state is State.HALF_OPEN
    assert machine.end(second, False, 115.0).after is State.CLOSED


@pytest.mark.parametrize("failed", [True, False, None])
def test_a_result_from_before_the_circuit_opened_changes_nothing(failed):
    """Neither while it is open, nor half open, nor closed again."""
    machine = circuit()
    early, _ = machine.admit(100.0)
    fail(machine, 3)
    assert machine.end(early, failed, 101.0) is None
    probe, _ = machine.admit(110.0)
    assert machine.end(early, failed, 111.0) is None
    assert machine.state is State.HALF_OPEN
    machine.end(probe, False, 112.0)
    fail(machine, 2)
    assert machine.end(early, failed, 113.0) is None
    assert (machine.state, machine.failures) == (State.CLOSED, 2)


def test_a_clock_that_jumps_back_makes_nobody_wait_longer_than_a_cooldown():
    """Whatever the clock does, a call passes a cooldown later."""
    machine = circuit()
    fail(machine, 3, now=1e6)
    assert machine.retry_in(5.0) == 10.0
    assert machine.admit(5.0) == (0, None)
    assert machine.admit(15.0)[0] > 0
    assert machine.admit(-50.0) == (0, None)
    assert machine.admit(-40.0)[0] > 0


def test_it_can_be_tripped_and_reset_by_hand_in_every_state():
    """Tripping counts a whole cooldown; resetting forgets every failure."""
    machine = circuit()
    assert machine.trip(50.0) == Transition(State.CLOSED, Event.TRIPPED, State.OPEN)
    assert machine.trip(55.0) == Transition(State.OPEN, Event.TRIPPED, State.OPEN)
    assert machine.retry_in(55.0) == 10.0
    machine.admit(65.0)
    assert machine.trip(66.0) == Transition(State.HALF_OPEN, Event.TRIPPED, State.OPEN)
    machine.admit(76.0)
    assert machine.reset(77.0) == Transition(State.HALF_OPEN, Event.RESET, State.CLOSED)
    fail(machine, 2)
    assert machine.reset(78.0) == Transition(State.CLOSED, Event.RESET, State.CLOSED)
    assert machine.failures == 0


def test_by_rate_it_opens_when_enough_calls_failed_of_enough():
    """Three of six is half, five calls are too few."""
    machine = circuit(failure_rate=0.5, window=60, minimum_calls=6)
    for failed in (True, False, True, False, False):
        machine.end(machine.period, failed, 100.0)
    assert machine.state is State.CLOSED
    assert machine.end(machine.period, True, 100.0) == OPENED
    assert machine.failures == 3


def test_by_rate_a_success_opens_nothing():
    """Though it makes the calls enough: the service works just now."""
    machine = circuit(failure_rate=0.5, window=60, minimum_calls=4)
    for failed in (True, True, True):
        machine.end(machine.period, failed, 100.0)
    assert machine.end(machine.period, False, 100.0) is None
    assert machine.end(machine.period, True, 100.0) == OPENED


def test_by_rate_old_failures_do_not_count():
    """The window slides."""
    machine = circuit(failure_rate=0.5, window=60, minimum_calls=4)
    for now in (0.0, 1.0, 2.0, 80.0, 81.0, 82.0):
        assert machine.end(machine.period, True, now) is None
    assert machine.end(machine.period, True, 83.0) == OPENED


def test_by_rate_a_closed_circuit_begins_with_an_empty_window():
    """What was before the outage is known already."""
    machine = circuit(failure_rate=0.5, window=60, minimum_calls=2)
    machine.end(machine.period, True, 100.0)
    machine.end(machine.period, True, 100.0)
    probe, _ = machine.admit(110.0)
    machine.end(probe, False, 110.0)
    assert machine.end(machine.period, True, 111.0) is None


def test_the_table_names_every_event_and_leads_to_every_state():
    """No event is dead, no state a trap."""
    assert set(TRANSITIONS) == set(State)
    assert set(itertools.chain.from_iterable(TRANSITIONS.values())) == set(Event)
    for row in TRANSITIONS.values():
        assert len(set(row.values())) >= 2


def test_a_rate_is_a_share_of_the_calls():
    """Two failures in five are less than half of them, three in six are half."""
    machine = circuit(failure_rate=0.5, window=60, minimum_calls=4)
    for failed in (False, False, False, True, True):
        assert machine.end(machine.period, failed, 100.0) is None
    assert machine.end(machine.period, True, 100.0) == OPENED
