"""The functions of `time` on virtual time: every way to hold them, and bad arguments as ever."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from time import monotonic, perf_counter, sleep

import pytest

from pytest_retrychaos.clock import VirtualClock
from pytest_retrychaos.clock.functions import real

SECOND = 1_000_000_000
Sleep = Callable[[float], None]


def by_default(seconds: float, sleep: Sleep = time.sleep) -> None:
    sleep(seconds)


def by_closure() -> Sleep:
    held = time.sleep
    return lambda seconds: held(seconds)


class Holder:
    sleep = staticmethod(time.sleep)


HELD: dict[str, Sleep] = {
    "module": lambda seconds: time.sleep(seconds),
    "from-import": lambda seconds: sleep(seconds),
    "default argument": by_default,
    "partial": functools.partial(time.sleep),
    "closure": by_closure(),
    "class attribute": Holder.sleep,
    "bare reference": time.sleep,
}


@pytest.mark.parametrize("form", HELD)
def test_sleep_is_virtual_however_it_is_held(form: str, clock: VirtualClock) -> None:
    """A sleep of an hour, for which no test would wait, moves the clock by an hour."""
    HELD[form](3600)
    assert clock.now_ns == 3600 * SECOND


def test_every_clock_moves_by_what_was_slept(clock: VirtualClock) -> None:
    """Monotonic, performance and wall clocks, in seconds and nanoseconds, agree."""
    names = ["monotonic", "perf_counter", "time"]
    before = [getattr(time, f"{name}_ns")() for name in names]
    sleep(2.5)
    assert [getattr(time, f"{name}_ns")() - was for name, was in zip(names, before, strict=True)] == [2_500_000_000] * 3


def test_imported_readers_follow(clock: VirtualClock) -> None:
    """Names imported before the clock was installed read virtual time."""
    assert monotonic() == perf_counter() == clock.monotonic_ns / SECOND


def test_the_monotonic_clock_begins_at_the_real_one(clock: VirtualClock) -> None:
    """Older deadlines keep their meaning: it begins at a whole second just after the real reading."""
    assert clock.monotonic_start_ns % SECOND == 0
    assert abs(clock.monotonic_start_ns - real("monotonic_ns")()) < 60 * SECOND


def test_the_wall_clock_in_all_its_forms(clock: VirtualClock) -> None:
    """Whatever tells the date tells 2030, moved by what was slept."""
    time.sleep(90)
    assert time.time() == 1_893_456_090
    assert time.gmtime()[:6] == (2030, 1, 1, 0, 1, 30)
    assert time.localtime() == time.localtime(1_893_456_090)
    assert time.strftime("%Y") == datetime.fromtimestamp(1_893_456_090).strftime("%Y")
    assert time.ctime() == time.ctime(None) == time.ctime(1_893_456_090)
    assert time.asctime() == time.asctime(time.localtime(1_893_456_090))
    assert datetime.now(UTC) == datetime(2030, 1, 1, 0, 1, 30, tzinfo=UTC)
    assert date.today() == datetime.fromtimestamp(1_893_456_090).date()


def test_clocks_by_number(clock: VirtualClock) -> None:
    """``clock_gettime`` knows the realtime and the monotonic clock; a processor's clock stays real."""
    time.sleep(1)
    assert time.clock_gettime(time.CLOCK_REALTIME) == 1_893_456_001
    assert time.clock_gettime_ns(time.CLOCK_MONOTONIC) == clock.monotonic_ns
    assert time.clock_gettime(time.CLOCK_MONOTONIC) == clock.monotonic_ns / SECOND
    assert time.clock_gettime(time.CLOCK_PROCESS_CPUTIME_ID) > 0


def test_sleeping_for_no_time_is_allowed(clock: VirtualClock) -> None:
    """Giving up the turn moves nothing."""
    time.sleep(0)
    time.sleep(-0.0)
    assert clock.now_ns == 0


class Two:
    def __index__(self) -> int:
        return 2


@pytest.mark.parametrize("seconds", [2, 2.0, Two()])
def test_durations_that_the_real_sleep_takes(seconds: float, clock: VirtualClock) -> None:
    """Floats, integers and what counts as an integer are slept exactly."""
    time.sleep(seconds)
    assert clock.now_ns == 2 * SECOND


def test_true_is_one_second(clock: VirtualClock) -> None:
    """A bool is an int to the real sleep, so it is here."""
    time.sleep(True)
    assert clock.now_ns == SECOND


def test_centuries_can_be_slept(clock: VirtualClock) -> None:
    """The longest sleep that the real function takes does not reach the real function."""
    time.sleep(9.2e9)
    assert clock.now_ns == 9_200_000_000 * SECOND


class Broken:
    def __index__(self) -> int:
        raise LookupError("no index")

    def __repr__(self) -> str:
        return "Broken()"


BAD = [
    (-1,),
    (-1e-10,),
    (float("nan"),),
    (float("inf"),),
    (1e30,),
    (2**70,),
    ("x",),
    (None,),
    (Decimal("0.5"),),
    (Fraction(1, 2),),
    (Broken(),),
    (),
    (1, 2),
]


@pytest.mark.parametrize("args", BAD, ids=repr)
def test_bad_sleeps_raise_what_the_real_one_raises(args: tuple[object, ...], clock: VirtualClock) -> None:
    """Type and text of the error are the real function's, and no time passes."""
    with pytest.raises(Exception) as expected:  # noqa: PT011 (compared with the real one below)
        real("sleep")(*args)
    with pytest.raises(type(expected.value)) as caught:
        time.sleep(*args)  # type: ignore[arg-type]  # that is the point
    assert str(caught.value) == str(expected.value)
    assert clock.now_ns == 0


def outcome(function: Callable[..., object], args: tuple[object, ...]) -> object:
    try:
        function(*args)
    except Exception as error:
        return type(error), str(error)
    return "taken"


@pytest.mark.parametrize("name", ["sleep", "clock_gettime", "clock_gettime_ns", "ctime", "asctime"])
@pytest.mark.parametrize("args", [(), ("x",), ([],), (1, 2), (-7, None)], ids=repr)
def test_other_bad_arguments_raise_what_they_always_raise(
    name: str, args: tuple[object, ...], clock: VirtualClock
) -> None:
    """Whatever the real function refuses is refused in the same words."""
    assert outcome(getattr(time, name), args) == outcome(real(name), args)


@pytest.mark.parametrize("name", ["monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "time"])
def test_readers_take_no_argument(name: str, clock: VirtualClock) -> None:
    """The interpreter checks that, in its own words."""
    with pytest.raises(TypeError) as expected:
        real(name)(1)
    with pytest.raises(TypeError) as caught:
        getattr(time, name)(1)
    assert str(caught.value) == str(expected.value)


@pytest.mark.parametrize("read", [time.monotonic, time.perf_counter_ns, time.time, datetime.now])
def test_a_busy_wait_ends_and_is_named(read: Callable[[], object], clock: VirtualClock) -> None:
    """Whichever clock a loop polls, its time comes, and the note tells the place."""
    end = clock.now_ns + SECOND
    while clock.now_ns < end:
        read()
    assert len(clock.notes) == 1
    place, _, rest = clock.notes[0].partition(" polls")
    assert place.endswith(" test_a_busy_wait_ends_and_is_named")
    assert "test_functions.py:" in place
    assert rest == " the clock without waiting: time was moved for it; sleep between two looks"


def test_a_busy_wait_with_empty_sleeps_ends(clock: VirtualClock) -> None:
    """``sleep(0)`` between two looks is polling still."""
    end = time.monotonic() + 5
    while time.monotonic() < end:
        time.sleep(0)
    assert clock.now_ns < 5.3 * SECOND
