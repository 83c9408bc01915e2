"""The wall clock with nested travels, and the local time zone."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import UTC, datetime

import pytest
import time_machine

from pytest_retrychaos.clock import Refused, VirtualClock, install


def test_a_nested_travel_sets_the_date_and_ends(clock: VirtualClock) -> None:
    """A travel inside the test shows its date, and afterwards it is 2030 again."""
    with time_machine.travel(datetime(1999, 12, 31, tzinfo=UTC), tick=False):
        assert datetime.now(UTC) == datetime(1999, 12, 31, tzinfo=UTC)
    assert datetime.now(UTC) == datetime(2030, 1, 1, tzinfo=UTC)


def test_a_nested_travel_that_ticks_ticks_in_virtual_time(clock: VirtualClock) -> None:
    """Its date moves by what is slept, exactly."""
    with time_machine.travel(datetime(1999, 12, 31, tzinfo=UTC)):
        assert datetime.now(UTC) == datetime(1999, 12, 31, tzinfo=UTC)
        time.sleep(60)
        assert datetime.now(UTC) == datetime(1999, 12, 31, 0, 1, tzinfo=UTC)


def test_a_nested_travel_that_is_moved_ticks_from_there(clock: VirtualClock) -> None:
    """What was slept before the move does not count, and what is slept after it does."""
    with time_machine.travel(datetime(1999, 12, 31, tzinfo=UTC)) as travel:
        assert datetime.now(UTC) == datetime(1999, 12, 31, tzinfo=UTC)
        time.sleep(60)
        travel.move_to(datetime(2000, 6, 1, tzinfo=UTC))
        assert datetime.now(UTC) == datetime(2000, 6, 1, tzinfo=UTC)
        time.sleep(60)
        assert datetime.now(UTC) == datetime(2000, 6, 1, 0, 1, tzinfo=UTC)
        travel.shift(60)
        assert datetime.now(UTC) == datetime(2000, 6, 1, 0, 2, tzinfo=UTC)


def test_time_and_time_ns_and_now_agree(clock: VirtualClock) -> None:
    """All of them show one moment, to what each can tell."""
    time.sleep(1.234567891)
    assert time.time() == time.time_ns() / 10**9 == 1_893_456_001.234567891
    assert datetime.now(UTC).timestamp() == 1_893_456_001.234567


def test_a_nested_travel_sets_time_too(clock: VirtualClock) -> None:
    """Also what reads the wall clock as seconds shows its date, and afterwards the run's."""
    with time_machine.travel(1000, tick=False):
        assert time.time() == 1000
    assert time.time() == 1_893_456_000


def test_a_travel_ended_once_too_often_does_the_next_run_no_harm() -> None:
    """Nothing is left of it in a run after the one whose own date it has ended."""
    code = """
import time, time_machine
from pytest_retrychaos.clock import VirtualClock, install
with install(VirtualClock()):
    travel = time_machine.travel(1000, tick=False)
    travel.start()
    travel.stop()
    travel.stop()
    time.time()
with install(VirtualClock()):
    print(time.time())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("1893456000.0\n", "")


def test_a_travel_half_ended_leaves_time_readable(clock: VirtualClock) -> None:
    """An interrupt may come where time-machine has taken its last date away and not put the functions back."""
    travellers = list(time_machine.traveller_stack)
    time_machine.traveller_stack.clear()
    try:
        assert time.time() < 1_893_456_000
    finally:
        time_machine.traveller_stack.extend(travellers)


def test_a_travel_left_open_stays_and_can_be_ended(picture) -> None:
    """Ending the clock takes away its own date only."""
    before = picture()
    with install(VirtualClock()):
        travel = time_machine.travel(datetime(1999, 12, 31, tzinfo=UTC), tick=False)
        travel.start()
    assert datetime.now(UTC) == datetime(1999, 12, 31, tzinfo=UTC)
    travel.stop()
    assert picture() == before


def test_a_travel_from_before_is_lain_over_and_comes_back() -> None:
    """A date set before the clock is hidden while it runs."""
    with time_machine.travel(datetime(1999, 12, 31, tzinfo=UTC), tick=False):
        with install(VirtualClock()):
            assert datetime.now(UTC).year == 2030
        assert datetime.now(UTC).year == 1999


def test_naive_local_times_are_of_the_zone(picture) -> None:
    """With a zone named, naive and local times are that zone's; afterwards everything is as before."""
    before = picture()
    with install(VirtualClock(), timezone="Asia/Tokyo"):
        assert datetime.now() == datetime(2030, 1, 1, 9)
        assert datetime.fromtimestamp(0) == datetime(1970, 1, 1, 9)
        assert time.localtime()[:5] == (2030, 1, 1, 9, 0)
        assert time.tzname[0] == "JST"
        assert time.ctime() == "Tue Jan  1 09:00:00 2030"
    assert picture() == before


def test_a_zone_set_before_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment's own zone is restored, with the C library's view of it."""
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        with install(VirtualClock(), timezone="UTC"):
            assert datetime.now().hour == 0
        assert os.environ["TZ"] == "America/New_York"
        assert time.tzname == ("EST", "EDT")
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("name", ["Asia/Tokio", "", "../etc/passwd"])
def test_an_unknown_zone_is_refused(name: str, picture) -> None:
    """The value and an example of a right one are named, and nothing is installed."""
    before = picture()
    with pytest.raises(ValueError, match="give") as caught:
        install(VirtualClock(), timezone=name)
    assert str(caught.value) == (
        f"timezone={name!r}: no time zone known here; give an IANA name such as 'Asia/Tokyo' or 'UTC'"
    )
    assert picture() == before


def test_a_tool_that_holds_the_clock_is_named(monkeypatch: pytest.MonkeyPatch, picture) -> None:
    """Where time-machine cannot start, its reason is passed on and nothing stays behind."""

    def start(travel: time_machine.travel) -> None:
        raise RuntimeError("time-machine cannot start when freezegun is active.")

    before = picture()
    with monkeypatch.context() as patched:
        patched.setattr(time_machine.travel, "start", start)
        with pytest.raises(Refused) as caught:
            install(VirtualClock())
    assert str(caught.value) == (
        "chaos cannot set the clock: time-machine cannot start when freezegun is active. End freeze_time before "
        "chaos begins."
    )
    assert picture() == before
