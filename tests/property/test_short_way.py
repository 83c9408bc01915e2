"""The short way and `Run` agree: same waits, draws, notes and errors, whatever the policy and the failures."""

from __future__ import annotations

import functools
import time
from abc import ABCMeta
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_retrychaos import engine
from pytest_retrychaos.engine import Retry, computed, delays, exponential, fibonacci, fixed, linear
from pytest_retrychaos.engine.failures import failure_of_error
from pytest_retrychaos.engine.history import line_of, told
from pytest_retrychaos.engine.shortcut import mute_code
from tests.unit.engine.drives import Clock, answer

ENGINE = str(Path(engine.__file__).parent)


class Flaky(Exception):
    """Somebody's own, which no table knows."""


class Reset(ConnectionResetError):
    """A relative of one that is known."""


class Worded(ConnectionError):
    """One that says more than it was given."""

    def __str__(self):
        return f"worse than {self.args}"


class Asking(ABCMeta):
    """Decides by the exception itself."""

    def __instancecheck__(cls, one):
        return isinstance(one, ConnectionError) and one.args == ("reset",)

    def __subclasscheck__(cls, kind):
        return issubclass(kind, ConnectionError)


class Asked(Exception, metaclass=Asking):
    """A type that looks at exceptions."""


def _with(error, **what):
    for name, one in what.items():
        setattr(error, name, one)
    return error


def _answered():
    return _with(ConnectionError("reset"), response=answer(503, retry_after="1"))


ERRORS = {
    "reset": lambda: ConnectionError("reset"),
    "reset otherwise": lambda: ConnectionError("by peer"),
    "numbered": lambda: Reset(104, "Connection reset by peer"),
    "refused": lambda: ConnectionRefusedError(111, "Connection refused"),
    "late": TimeoutError,
    "flaky": lambda: Flaky(7, "times"),
    "wrong": lambda: ValueError("no number"),
    "worded": lambda: Worded("before"),
    "unreachable": lambda: OSError(113, "No route to host"),
    "of a file": lambda: ConnectionResetError(104, "reset", "service.sock"),
    "holding": lambda: ConnectionError(TimeoutError("inside")),
    "answered": _answered,
    "noted": lambda: _with(ConnectionError("reset"), __notes__=["seen before"]),
    "caused": lambda: _with(ConnectionError("reset"), __cause__=_answered()),
    "of a context": lambda: _with(ConnectionError("reset"), __context__=_answered()),
    "hiding one": lambda: _with(TimeoutError("late"), __context__=KeyError("x"), __suppress_context__=True),
    "hiding none": lambda: _with(TimeoutError("late"), __suppress_context__=True),
    "group": lambda: ExceptionGroup("tasks", [TimeoutError("late")]),
}
RESULTS = {"paid": lambda: "paid", "nothing": lambda: None, "busy": lambda: answer(503, retry_after="2")}


def _named(module, step, *, is_async=False):
    """Make a function ``create_connection`` of a module: it connects where that is `socket`."""
    space = {"__name__": module, "step": step}
    exec(f"{'async ' * is_async}def create_connection():\n    return step()\n", space)
    return space["create_connection"]


def _raise(error):
    raise error


def _deeper(error):
    _raise(error)


def _connecting(error):
    _named("socket", lambda: _raise(error))()


def _replaced(error):
    """Raise it with the traceback of another one, which was raised while connecting."""
    try:
        _connecting(ConnectionError("x"))
    except ConnectionError as other:
        found = other.__traceback__
    raise error.with_traceback(found)


def _stripped(error):
    try:
        _deeper(error)
    except type(error):
        error.__traceback__ = None
        raise


def _from_none(error):
    raise error from None


PLACES = {
    "here": _raise,
    "deeper": _deeper,
    "connecting": _connecting,
    "under such a name": lambda error: _named("tests.own", lambda: _raise(error))(),
    "with another traceback": _replaced,
    "without its traceback": _stripped,
    "from None": _from_none,
}


class Work:
    """What is retried: it ends as it was told, call by call, while time passes, and is refused from then on.

    A refusal shows what the failures before it came to: where one may have been carried out the error says so.
    """

    def __init__(self, ends, clock, moves):
        self._ends, self._clock, self._moves = list(ends), clock, moves
        self._last = None
        self.calls = 0

    def step(self):
        """End in the next way; ``again`` raises the exception that was raised last."""
        self.calls += 1
        self._clock.now += self._moves
        name, place, again = self._ends.pop(0) if self._ends else ("refused", "here", False)
        if name in RESULTS:
            return RESULTS[name]()
        self._last = self._last if again and self._last else ERRORS[name]()
        return PLACES[place](self._last)

    async def awaited(self):
        """Do the same in a coroutine."""
        return self.step()


class Called:
    """Something that is called, and then perhaps awaited."""

    def __init__(self, work, *, is_async=False):
        self._work, self._is_async = work, is_async

    def __call__(self):
        return self._work.awaited() if self._is_async else self._work.step()


def _plain(work):
    def charge():
        return work.step()

    return charge


def _with_default(work):
    def charge(amount=5):
        return work.step()

    return charge


def _plain_async(work):
    async def charge():
        return work.step()

    return charge


SHAPES = {
    "function": _plain,
    "with a default": _with_default,
    "method": lambda work: work.step,
    "object": Called,
    "partial": lambda work: functools.partial(_plain(work)),
    "in C": lambda work: iter(work.step, object()).__next__,
    "connecting": lambda work: _named("socket", work.step),
    "under such a name": lambda work: _named("tests.own", work.step),
}
ASYNC_SHAPES = {
    "function": _plain_async,
    "method": lambda work: work.awaited,
    "object": lambda work: Called(work, is_async=True),
    "partial": lambda work: functools.partial(_plain_async(work)),
    "connecting": lambda work: _named("socket", work.step, is_async=True),
    "returning what connects": lambda work: lambda: _named("socket", work.step, is_async=True)(),
}

BACKOFFS = st.one_of(
    st.builds(exponential, st.floats(0.01, 2), jitter=st.sampled_from(["none", "full", "equal", "proportional"])),
    st.builds(exponential, st.floats(0.01, 2), cap=st.just(9), jitter=st.just("decorrelated")),
    st.builds(fixed, st.floats(0, 3), jitter=st.sampled_from(["none", "full", "proportional"])),
    st.builds(linear, st.floats(0.01, 2)),
    st.builds(fibonacci, st.floats(0.01, 2), jitter=st.just("equal")),
    st.builds(delays, st.lists(st.floats(0, 5), min_size=1, max_size=4)),
    st.just(computed(lambda retry: retry / 4, cap=2)),
)
ON = st.sampled_from(
    [
        None,
        None,
        ConnectionError,
        (ConnectionError, TimeoutError),
        OSError,
        Exception,
        ValueError,
        Asked,
        ExceptionGroup,
    ]
)
POLICIES = st.fixed_dictionaries(
    {
        "attempts": st.integers(1, 13),
        "backoff": BACKOFFS,
        "timeout": st.none() | st.floats(0.1, 30),
        "on": ON,
        "respect_retry_after": st.booleans(),
    }
)
PLAIN = ["reset", "reset otherwise", "numbered", "refused", "late"]
NAMES = st.sampled_from([*PLAIN, *PLAIN, *ERRORS, *RESULTS])
ENDS = st.lists(st.tuples(NAMES, st.sampled_from(list(PLACES)), st.booleans()), max_size=14)


def _awaited(coroutine):
    """Run a coroutine that never suspends."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it was suspended")


def _frames(error):
    """Name the frames of a traceback that are not the engine's."""
    step, names = error.__traceback__, []
    while step is not None:
        code = step.tb_frame.f_code
        if not code.co_filename.startswith(ENGINE):
            names.append(code.co_name)
        step = step.tb_next
    return names


def _chain(error):
    """Tell an exception, what it holds and what stands beside it."""
    found = []
    while error is not None:
        found.append((repr(error), getattr(error, "__notes__", []), error.__suppress_context__, repr(error.__cause__)))
        error = error.__context__
    return found


def _stories(patch, options, ends, make, moves, *, is_async, **hook):
    """Tell all that can be seen of two operations of one policy, one after the other."""
    clock, random, stories = Clock(), Random(7), []

    async def pause(seconds):
        clock.sleep(seconds)

    patch.setattr(time, "monotonic", clock)
    sleep = pause if is_async else clock.sleep
    retry = Retry(**options, sleep=sleep, wall_clock=lambda: 0.0, random=random, **hook)
    for _ in range(2):
        work = Work(ends, clock, moves)
        try:
            result = _awaited(retry.call_async(make(work))) if is_async else retry.call(make(work))
            end = getattr(result, "status_code", result)
        except Exception as error:
            end = _chain(error), _frames(error)
        stories.append((end, work.calls, list(clock.slept), clock.now, random.random()))
    return stories


@pytest.mark.parametrize("is_async", [False, True], ids=["blocking", "async"])
@settings(max_examples=300)
@given(st.data())
def test_both_ways_come_to_the_same(is_async, data):
    """A hook that does nothing sends every failure to `Run`."""
    options, ends, moves = data.draw(POLICIES), data.draw(ENDS), data.draw(st.sampled_from([0, 0.01, 1]))
    shapes = ASYNC_SHAPES if is_async else SHAPES
    make = shapes[data.draw(st.sampled_from(list(shapes)))]

    with pytest.MonkeyPatch.context() as patch:
        short, long = (
            _stories(patch, options, ends, make, moves, is_async=is_async, **hook)
            for hook in ({}, {"before_attempt": lambda _: None})
        )

    assert short == long


@settings(max_examples=300)
@given(st.sampled_from(list(ERRORS)), st.sampled_from(list(PLACES)), st.sampled_from(list(SHAPES)), ON)
def test_short_way_judges_each_failure_alike(name, place, shape, on):
    """Kind and all: after one that may have been carried out, a later refusal is no comfort."""
    retry, noted = Retry(on=on), []
    fn = SHAPES[shape](Work([(name, place, False)], Clock(), 0))

    with pytest.raises(type(ERRORS[name]())) as caught:
        fn()
    seconds = retry.short_way(caught.value, noted, 0.0, mute_code(fn))

    noted_as = [(failure, line_of((1, (kind, args), wait))) for failure, kind, args, wait in noted]
    judged = failure_of_error(caught.value, on), f"attempt 1: {told(caught.value)}"
    assert noted_as == ([] if seconds is None else [judged])
