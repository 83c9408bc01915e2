"""The short way through a policy that has nobody to ask comes to what the long way comes to."""

from __future__ import annotations

import logging
import time
import weakref
from random import Random

import pytest

from pytest_retrychaos.engine import Backoff, Retry, computed, exponential, fixed
from tests.unit.engine.drives import Clock, Script, answer, async_twin, run_call, run_decorated


def fresh(make):
    """Make the ends of a script anew: notes and tracebacks stay with an exception."""
    return [make_one() if callable(make_one) else make_one for make_one in make]


def reset():
    """What most failures are: text."""
    return ConnectionError("reset")


def numbered():
    """What the operating system raises."""
    return ConnectionResetError(104, "Connection reset by peer")


def refused():
    """One that was never sent."""
    return ConnectionRefusedError(111, "Connection refused")


def caused():
    """One that holds another."""
    error = ConnectionError("gave up")
    error.__cause__ = TimeoutError("silence")
    return error


def wrong():
    """One that is never retried."""
    return ValueError("no number")


def busy():
    """An answer that is returned."""
    return answer(503, retry_after="1")


def run_async(retry, script):
    """Run a coroutine function that never suspends."""
    retry, work = async_twin(retry, script)
    try:
        retry.call_async(work).send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it was suspended")


def story(drive, retry, clock, ends, moves):
    """Tell all that can be seen of an operation: what it came to with its notes, the waits, the time and the draws."""
    script = Script(*fresh(ends))

    def work():
        clock.now += moves
        return script()

    clock.slept.clear()
    clock.now = 100.0
    try:
        result = drive(retry, work)
        told = (getattr(result, "status_code", result),)
    except Exception as error:
        beside = error.__context__
        told = (repr(error), getattr(error, "__notes__", []), repr(beside), repr(error.__cause__))
    return (*told, script.calls, list(clock.slept), clock.now, retry.random.random())


@pytest.mark.parametrize("drive", [run_call, run_decorated, run_async])
@pytest.mark.parametrize(
    ("ends", "options", "moves"),
    [
        ([reset, reset, 1], {}, 0),
        ([reset, numbered, caused, reset, refused, 1], {}, 0),
        ([reset] * 5, {"attempts": 5}, 0),
        ([reset, reset, wrong], {}, 0),
        ([reset, reset, refused], {"attempts": 3}, 0),
        ([reset, busy, reset, 1], {}, 0),
        ([reset, refused, busy, busy], {"attempts": 4}, 0),
        ([reset] * 14, {"attempts": 14}, 0),
        ([reset, reset, 1], {"on": ConnectionError}, 0),
        ([reset, wrong], {"on": (ConnectionError, TimeoutError)}, 0),
        ([reset] * 6, {"timeout": 4, "attempts": 9}, 0.5),
        ([reset] * 6, {"timeout": 4, "attempts": 9, "backoff": fixed(1)}, 0.25),
        ([reset] * 6, {"timeout": 60, "attempts": 6}, 0.5),
        ([reset] * 4, {"backoff": exponential(1, jitter="decorrelated"), "attempts": 4}, 0),
        ([reset] * 4, {"backoff": computed(lambda n: n, cap=9), "attempts": 4}, 0),
        ([reset] * 4, {"backoff": exponential(1, jitter="equal"), "attempts": 4}, 0),
        ([reset] * 4, {"backoff": fixed(0), "attempts": 4}, 0),
    ],
)
def test_the_short_way_comes_to_what_the_long_way_comes_to(monkeypatch, drive, ends, options, moves):
    """Outcome, notes, context, waits and draws, of a policy with a hook that does nothing and of one without."""
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    given = {"attempts": 10, "sleep": clock.sleep, "wall_clock": lambda: 0.0, **options}

    short, long = (
        story(drive, Retry(**given, random=Random(7), **hook), clock, ends, moves)
        for hook in ({}, {"before_attempt": lambda _: None})
    )

    assert short == long


@pytest.mark.parametrize("drive", [run_call, run_async])
def test_a_wait_that_ends_past_the_timeout_ends_the_operation(monkeypatch, drive):
    """The sleep took longer than it was asked to."""
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)

    def oversleep(seconds):
        clock.sleep(seconds + 5 * (len(clock.slept) == 3))

    retry = Retry(attempts=9, backoff=fixed(1), timeout=7, sleep=oversleep)

    with pytest.raises(ConnectionError) as caught:
        drive(retry, Script(*fresh([reset] * 9)))

    assert caught.value.__notes__ == [
        "attempt 1: ConnectionError: reset; then waited 1 s",
        "attempt 2: ConnectionError: reset; then waited 1 s",
        "attempt 3: ConnectionError: reset; then waited 1 s",
        "attempt 4 was the last: the next attempt would have started past the timeout",
    ]


def caught(error):
    """Give an error as a driver catches it."""
    try:
        raise error
    except Exception as raised:
        return raised


def test_a_plain_failure_takes_the_short_way():
    """It is noted as its type and what that was given, never as the exception, which would hold its frames."""
    retry, earlier = Retry(backoff=fixed(1)), []

    assert retry.short_way(caught(reset()), earlier, 0.0, None) == 1

    assert [noted[1:] for noted in earlier] == [(ConnectionError, ("reset",), 1.0)]


@pytest.mark.parametrize(
    ("make", "options"),
    [
        (caused, {}),
        (wrong, {}),
        (reset, {"on": TimeoutError}),
        (reset, {"attempts": 1}),
        (reset, {"timeout": 0.05}),
        (reset, {"backoff": computed(lambda n: n, cap=9)}),
        (reset, {"backoff": exponential(1, jitter="decorrelated")}),
    ],
)
def test_what_is_left_to_the_long_way_has_drawn_and_noted_nothing(make, options):
    """The long way draws for itself."""
    retry = Retry(random=Random(7), **options)
    earlier = []

    assert retry.short_way(caught(make()), earlier, time.monotonic(), None) is None

    assert earlier == []
    assert retry.random.random() == Random(7).random()


@pytest.mark.parametrize("options", [{"on": lambda _: True}, {"before_wait": lambda _: None}, {"clock": lambda: 0.0}])
def test_a_policy_that_has_somebody_to_ask_has_no_short_way(options):
    """A judge, a hook, a clock."""
    assert Retry(**options).short_way is None


def test_a_coroutine_that_connects_is_seen_behind_the_function_that_made_it():
    """That has returned, and has no frame in the traceback that could be passed over."""

    async def pause(seconds):
        """Not at all."""

    space = {"__name__": "socket", "step": Script(reset(), refused())}
    exec("async def create_connection():\n    return step()\n", space)

    with pytest.raises(ConnectionRefusedError) as raised:
        Retry(attempts=2, sleep=pause).call_async(lambda: space["create_connection"]()).send(None)

    assert raised.value.__context__ is None  # nothing was sent, so nothing may have been carried out


def test_what_connects_is_seen_below_a_function_that_hides_its_own_frame():
    """Then the frame that connects is the one below the driver's."""
    space = {"__name__": "socket", "step": Script(reset(), refused())}
    exec("def create_connection():\n    return step()\n", space)

    def charge():
        try:
            return space["create_connection"]()
        except ConnectionError as error:
            error.__traceback__ = error.__traceback__.tb_next
            raise

    with pytest.raises(ConnectionRefusedError) as raised:
        Retry(attempts=2, sleep=lambda _: None).call(charge)

    assert raised.value.__context__ is None  # nothing was sent, so nothing may have been carried out


def test_a_failure_that_lost_its_traceback_is_judged_without_it():
    """Another thread raises the same exception, and clears it."""
    assert Retry(backoff=fixed(1)).short_way(reset(), [], 0.0, None) == 1


def test_a_backoff_of_ones_own_that_draws_otherwise_is_asked_for_every_wait():
    """What it overrides is its delay; its bounds are still those of the curve."""

    class Patient(Backoff):
        def delay(self, retry, **_):
            return 10.0 * retry

    clock, one = Clock(), fixed(1)
    backoff = Patient(one.curve, one.cap, one.jitter)

    Retry(attempts=3, backoff=backoff, sleep=clock.sleep).call(Script(reset(), reset(), 1))

    assert clock.slept == [10.0, 20.0]


@pytest.mark.parametrize(("name", "text"), [("strerror", "[Errno 104] by proxy"), ("errno", "[Errno by proxy] reset")])
def test_what_was_changed_in_an_error_of_the_system_is_noted(name, text):
    """Its text is made of its attributes, which are writable, not of what it was given."""

    def work():
        error = ConnectionResetError(104, "reset")
        setattr(error, name, "by proxy")
        raise error

    with pytest.raises(ConnectionResetError) as raised:
        Retry(attempts=2, backoff=fixed(0)).call(work)

    assert raised.value.__notes__[0] == f"attempt 1: ConnectionResetError: {text}; then waited 0 s"


@pytest.mark.parametrize("drive", [run_call, run_decorated, run_async])
def test_a_response_that_is_retried_is_let_go_before_the_next_attempt(drive):
    """It may hold a connection, and a pool may have no other."""

    def work():
        alive.append([one() is not None for one in kept])
        if len(kept) == 3:
            return "paid"
        busy = answer(503)
        kept.append(weakref.ref(busy))
        return busy

    kept, alive = [], []
    drive(Retry(attempts=4, sleep=lambda _: None), work)

    assert alive == [[], [False], [False, False], [False, False, False]]


def test_a_program_that_reads_the_log_is_told_of_every_failure(caplog):
    """Once a policy has gone the short way, too."""
    retry = Retry(attempts=4, backoff=fixed(1), sleep=lambda _: None)
    retry.call(Script(reset(), reset(), 1))
    caplog.set_level(logging.INFO, "pytest_retrychaos.engine")

    retry.call(Script(reset(), reset(), 1))

    assert [record.getMessage() for record in caplog.records] == [
        "attempt 1: ConnectionError: reset; waiting 1 s",
        "attempt 2: ConnectionError: reset; waiting 1 s",
    ]
