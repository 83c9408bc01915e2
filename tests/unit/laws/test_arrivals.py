"""The figures of a herd, from traces made by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_retrychaos.laws.arrivals import arrivals
from pytest_retrychaos.model import SECOND
from pytest_retrychaos.trace import HerdRecord

RECORD = HerdRecord(2, 0, 60 * SECOND, 0, SECOND, None)


def herd_of(run, *copies, **changes):
    """Make a trace of copies, each a list of (moment, fault); ``changes`` are of the herd's record."""
    one = run()
    for copy in copies:
        one.open("pay").new()
        for at, fault in copy:
            one.now = round(at * SECOND)
            one.send(fault, key="k", lasts=0)
            if fault == "429":  # the service's own
                one.attempts[-1] = replace(one.attempts[-1], fault=None, own_answer=True)
        one.close()
    trace = one.trace()
    scopes = tuple(replace(scope, herd=0) for scope in trace.scopes)
    return replace(trace, scopes=scopes, herds=(replace(RECORD, **changes),))


def test_arrivals_are_counted_in_windows(run):
    """Each attempt in the window in which it began, failures beside."""
    found = arrivals(herd_of(run, [(0, "503"), (2.9, "ok")], [(0, "refuse"), (1, "503"), (3, "ok")]), 0)

    assert found.counts == (2, 1, 1, 1)
    assert found.failed == (2, 1, 0, 0)
    assert (found.window, found.peak, found.operations, found.attempts) == (1.0, 2, 2, 5)
    assert (found.attempts_per_operation, found.most_attempts, found.retry_ratio) == (2.5, 3, 1.5)


def test_arrivals_of_others_are_left_out(run):
    """Only scopes of this herd count."""
    trace = herd_of(run, [(0, "503")], [(0, "ok")])
    trace = replace(trace, scopes=(trace.scopes[0], replace(trace.scopes[1], herd=None)))

    assert arrivals(trace, 0).counts == (1,)


def test_peak_is_a_multiple_of_the_capacity_of_a_window(run):
    """Three in a second where one in two seconds is taken."""
    found = arrivals(herd_of(run, [(0, "ok")], [(0, "429")], [(0.5, "429")], limit=1, limit_ns=2 * SECOND), 0)

    assert (found.capacity, found.peak_over_capacity) == (0.5, 6.0)


def test_arrivals_without_a_limit_have_no_capacity(run):
    """What cannot be told is None."""
    found = arrivals(herd_of(run, [(0, "503")], cause_ended_ns=1), 0)

    assert (found.capacity, found.peak_over_capacity, found.outlived_by, found.outlived_its_cause) == (None,) * 4


@pytest.mark.parametrize(
    ("copies", "seconds"),
    [
        ([[(0, "503"), (5, "503"), (7, "ok")]], 3.0),
        ([[(0, "503"), (7, "ok")]], 0.0),
        ([[(0, "503"), (7, "503")]], None),
        ([[(0, "ok")]], 0.0),
    ],
    ids=["later", "at once", "never", "nothing failed"],
)
def test_recovery_is_the_time_until_nothing_failed_any_more(run, copies, seconds):
    """From the end of the cause, at 2 s, to the last failure; None where no success followed."""
    assert arrivals(herd_of(run, *copies, cause_ended_ns=2 * SECOND), 0).time_to_recovery == seconds


def test_outage_outlives_its_cause_while_failures_over_capacity_go_on(run):
    """The cause ended at 1 s; the windows at 1 s and 3 s are over the capacity of one."""
    spike = [[(0, "503"), (1, "429"), (3, "429"), (4, "ok")], [(0, "503"), (1, "ok"), (3, "ok"), (9, "ok")]]
    found = arrivals(herd_of(run, *spike, cause_ended_ns=SECOND, limit=1, limit_ns=SECOND), 0)

    assert (found.over_until, found.outlived_by, found.outlived_its_cause) == (4.0, 3.0, True)
    assert found.peak_after_cause == 2


def test_outage_ends_with_its_cause_where_all_is_answered(run):
    """More than the capacity came, and the burst took them."""
    late = [[(0, "503"), (2, "ok")], [(0, "503"), (2, "ok")]]
    found = arrivals(herd_of(run, *late, cause_ended_ns=SECOND, limit=1, limit_ns=SECOND), 0)

    assert (found.outlived_by, found.outlived_its_cause) == (0.0, False)


def test_window_in_which_the_cause_struck_is_not_counted_as_after_it(run):
    """All came at one moment, and that was the cause."""
    found = arrivals(herd_of(run, [(0, "ok")], [(0, "429"), (2, "ok")], cause_ended_ns=0, limit=1, limit_ns=SECOND), 0)

    assert (found.peak_after_cause, found.outlived_by) == (1, 0.0)


def test_windows_are_made_longer_where_there_would_be_too_many(run):
    """A client that comes back in a month asks for no list of nanoseconds."""
    found = arrivals(herd_of(run, [(0, "503"), (1000, "ok")], window_ns=10**6), 0)

    assert (len(found.counts), found.window, sum(found.counts)) == (90_910, 0.011, 2)


def test_window_that_began_before_the_cause_had_ended_is_not_counted_as_after_it(run):
    """Two arrive while the service is still down, though it strikes nobody; one arrives afterwards."""
    found = arrivals(herd_of(run, [(0, "503"), (1, "ok")], [(1, "ok")], [(3, "ok")], cause_ended_ns=5 * SECOND // 2), 0)

    assert found.peak_after_cause == 1


def test_redirect_that_is_followed_is_no_arrival(run):
    """It is a leg of the one that led there."""
    trace = herd_of(run, [(0, "ok"), (1, "ok")])
    legs = (trace.attempts[0], replace(trace.attempts[1], joined="leg"))

    assert arrivals(replace(trace, attempts=legs), 0).counts == (1,)
