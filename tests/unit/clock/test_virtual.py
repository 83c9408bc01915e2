"""The clock's state: time that moves by waits alone, and the watch on loops that poll it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pytest_retrychaos.clock import Clock, ClockPolled, VirtualClock

SECOND = 1_000_000_000


def poll(clock: VirtualClock, times: int) -> None:
    for _ in range(times):
        clock.readings += 1
        if clock.readings >= clock.watch_at:
            clock.polled("loop.py:7 spin")


def test_time_begins_at_a_fixed_date() -> None:
    """A run begins at nought, and its wall clock at the first second of 2030."""
    clock = VirtualClock()
    assert clock.now_ns == 0
    assert clock.wall_ns == 1_893_456_000 * SECOND


def test_a_wait_moves_time_to_its_deadline() -> None:
    """Waiting until a moment makes it that moment, on all clocks."""
    clock = VirtualClock(monotonic_start_ns=7 * SECOND)
    clock.wait_until(3 * SECOND)
    assert (clock.now_ns, clock.monotonic_ns) == (3 * SECOND, 10 * SECOND)


def test_time_never_goes_back() -> None:
    """A deadline that has passed moves nothing."""
    clock = VirtualClock()
    clock.advance(5)
    clock.wait_until(3)
    assert clock.now_ns == 5


def test_ten_thousand_readings_move_nothing() -> None:
    """Work that looks at the clock now and then sees time stand still."""
    clock = VirtualClock()
    poll(clock, 9_999)
    assert (clock.now_ns, clock.notes) == (0, [])


def test_a_loop_that_polls_is_moved_on_and_named_once() -> None:
    """From the ten thousandth reading on, time moves a millisecond in a thousand readings."""
    clock = VirtualClock()
    poll(clock, 13_000)
    assert clock.now_ns == 4_000_000
    assert clock.notes == [
        "loop.py:7 spin polls the clock without waiting: time was moved for it; sleep between two looks"
    ]


def test_a_wait_begins_the_watch_anew() -> None:
    """A loop that waits between its looks is never taken for a busy one."""
    clock = VirtualClock()
    poll(clock, 9_000)
    clock.advance(SECOND)
    poll(clock, 9_000)
    assert (clock.now_ns, clock.notes) == (SECOND, [])


def test_traffic_begins_the_watch_anew() -> None:
    """A loop that sends requests between its looks is never taken for a busy one."""
    clock = VirtualClock()
    poll(clock, 9_000)
    clock.note_traffic()
    poll(clock, 9_000)
    assert clock.now_ns == 0


def test_waits_of_nothing_do_not_hide_a_busy_loop() -> None:
    """Sleeping for no time at all between two looks is polling still."""
    clock = VirtualClock()
    for _ in range(6_000):
        poll(clock, 1)
        clock.wait_until(clock.now_ns)
    assert clock.now_ns > 0


def test_an_hour_of_polling_is_overshot_by_a_twentieth_at_most() -> None:
    """Steps grow with what has been spun away, so a long busy-wait ends soon and not much too late."""
    clock = VirtualClock()
    readings = 0
    while clock.now_ns < 3600 * SECOND:
        poll(clock, 1)
        readings += 1
    assert clock.now_ns < 3600 * SECOND * 1.05
    assert readings < 300_000


def test_a_day_of_polling_is_ended() -> None:
    """A loop that no time ends is stopped by an error that names it."""
    clock = VirtualClock()
    with pytest.raises(ClockPolled) as caught:
        poll(clock, 1_000_000)
    assert str(caught.value) == (
        "loop.py:7 spin polls the clock without waiting, and 24 h of virtual time have not ended it. What it "
        "waits for does not come by time: end the loop by a limit, or wait with a timeout."
    )


def test_swallowing_everything_does_not_swallow_that() -> None:
    """A retry loop that catches every exception lets the news through."""
    assert not issubclass(ClockPolled, Exception)


def test_the_users_clock_shows_and_moves_time() -> None:
    """``chaos.clock`` has the moment, the seconds gone, and a way to move on."""
    clock = Clock(VirtualClock())
    clock.advance(1.5)
    assert clock.now == datetime(2030, 1, 1, 0, 0, 1, 500_000, UTC)
    assert clock.elapsed == 1.5
    assert repr(clock) == "<Clock 2030-01-01T00:00:01.500000+00:00, 1.5 s since the run began>"


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
def test_moving_on_by_no_duration_is_refused(seconds: float) -> None:
    """The value and the rule are named."""
    with pytest.raises(ValueError, match="give") as caught:
        Clock(VirtualClock()).advance(seconds)
    assert str(caught.value) == (
        f"clock.advance({seconds!r}): time moves forward, by a finite number of seconds: give 0 or more"
    )


@pytest.mark.parametrize("seconds", ["1", None, True])
def test_moving_on_by_no_number_is_refused(seconds: object) -> None:
    """The value and the rule are named."""
    with pytest.raises(TypeError) as caught:
        Clock(VirtualClock()).advance(seconds)  # type: ignore[arg-type]  # that is the point
    assert str(caught.value) == f"clock.advance({seconds!r}): seconds must be an int or a float"
