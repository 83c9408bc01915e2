"""`Retry` at work: calls, decorated functions, blocks."""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import pickle
import random
import threading
import time
import weakref
from unittest.mock import AsyncMock, Mock

import pytest
import requests

from pytest_retrychaos.engine import CircuitBreaker, Retry, exponential, fixed
from pytest_retrychaos.engine.values import value
from tests.unit.engine.drives import Script, answer


def test_a_success_is_returned_at_once(policy, clock, drive):
    """No wait, no second call."""
    script = Script("paid")
    assert drive(policy(), script) == "paid"
    assert (script.calls, clock.slept) == (1, [])


def test_transient_exceptions_are_retried_until_success(policy, clock, drive):
    """A timeout and a refused connection, then the result."""
    script = Script(TimeoutError("late"), ConnectionRefusedError(111, "refused"), "paid")
    assert drive(policy(), script) == "paid"
    assert clock.slept == [1.0, 1.0]


def test_the_last_exception_is_raised_itself_with_the_earlier_ones_as_notes(policy, drive):
    """The caller can catch what it knows and read what came before."""
    last = ConnectionResetError(104, "reset")
    with pytest.raises(ConnectionResetError) as caught:
        drive(policy(), Script(TimeoutError("late"), requests.ReadTimeout("slow"), last))
    assert caught.value is last
    assert last.__notes__ == [
        "attempt 1: TimeoutError: late; then waited 1 s",
        "attempt 2: ReadTimeout: slow; then waited 1 s",
        "attempt 3 was the last: no attempts were left",
    ]
    assert last.__context__ is None


@pytest.mark.parametrize("error", [ValueError("x"), KeyError("id"), FileNotFoundError(2, "gone")])
def test_other_exceptions_are_not_retried_and_gain_no_notes(policy, drive, error):
    """What is no failure of the network goes through as it is."""
    script = Script(error)
    with pytest.raises(type(error)) as caught:
        drive(policy(), script)
    assert (script.calls, getattr(caught.value, "__notes__", [])) == (1, [])


def test_code_that_broke_while_handling_a_timeout_is_not_retried(policy, drive):
    """A KeyError is a bug, though a timeout is its context; told `from` the timeout, it is the timeout's."""
    broken, told = KeyError("id"), RuntimeError("payment failed")
    broken.__context__ = TimeoutError("late")
    told.__cause__ = TimeoutError("late")
    script = Script(told, broken)
    with pytest.raises(KeyError):
        drive(policy(), script)
    assert script.calls == 2


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1), GeneratorExit()])
def test_what_ends_a_program_goes_through(policy, drive, error):
    """It is no Exception, and never swallowed."""
    script = Script(error)
    with pytest.raises(type(error)):
        drive(policy(), script)
    assert script.calls == 1


def test_an_interrupt_during_the_wait_goes_through(policy, drive):
    """Nobody is kept in a backoff."""

    def interrupted(seconds):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        drive(policy(sleep=interrupted), Script(TimeoutError("late"), "paid"))


def test_one_attempt_means_no_retry(policy, drive):
    """attempts=1 calls once, and adds no tale of it."""
    script = Script(TimeoutError("late"))
    with pytest.raises(TimeoutError) as caught:
        drive(policy(attempts=1), script)
    assert (script.calls, getattr(caught.value, "__notes__", [])) == (1, [])


def test_transient_answers_are_retried_and_the_last_is_returned(policy, clock):
    """A response that is no success is not an exception, so it is handed back."""
    last = answer(503)
    script = Script(answer(500), TimeoutError("late"), last)
    assert policy().call(script) is last
    assert clock.slept == [1.0, 1.0]


@pytest.mark.parametrize("status", [200, 302, 400, 404, 422, 501, 505])
def test_other_answers_are_returned_at_once(policy, status):
    """Successes, refusals, and what will never be implemented."""
    script = Script(answer(status))
    assert policy().call(script).status_code == status


@pytest.mark.parametrize("value", [None, "text", {"status": 503}, 503, object()])
def test_values_that_are_no_response_are_returned(policy, value):
    """Only an object with a status and headers is an answer."""
    assert policy().call(Script(value)) is value


def test_a_server_that_says_not_to_retry_is_believed(policy):
    """``x-should-retry: false`` on a 503."""
    script = Script(answer(503, x_should_retry="false"))
    assert policy().call(script).status_code == 503


def test_an_exception_that_carries_an_answer_is_judged_by_it(policy, clock):
    """`raise_for_status` and its like, with the Retry-After that came."""
    response = requests.Response()
    response.status_code = 503
    response.headers["Retry-After"] = "7"
    assert policy().call(Script(requests.HTTPError(response=response), "paid")) == "paid"
    assert clock.slept == [7.0]


@pytest.mark.parametrize(
    ("headers", "slept"),
    [
        ({"retry_after": "5"}, 5.0),
        ({"retry_after": "0"}, 1.0),
        ({"retry_after_ms": "2500"}, 2.5),
        ({"retry_after": "Thu, 01 Jan 1970 00:00:30 GMT"}, 30.0),
        ({"retry_after": "-5"}, 1.0),
        ({"retry_after": "nan"}, 1.0),
        ({"retry_after": "Wed, 31 Dec 1969 23:59:59 GMT"}, 1.0),
    ],
)
def test_retry_after_is_obeyed(policy, clock, headers, slept):
    """At least as long as asked; what cannot be read does no harm."""
    policy().call(Script(answer(503, **headers), "paid"))
    assert clock.slept == [slept]


def test_a_retry_after_that_cannot_be_kept_ends_it_at_once(policy, clock):
    """No wait is begun that would end past the timeout."""
    assert policy(timeout=10).call(Script(answer(429, retry_after="60"))).status_code == 429
    assert clock.slept == []


def test_the_attempt_in_flight_counts_towards_the_timeout(policy, clock, drive):
    """Two attempts of 4 s and two waits of 1 s fill 10 s."""

    def slow():
        clock.now += 4
        calls.append(clock.now)
        raise TimeoutError("late")

    calls = []
    with pytest.raises(TimeoutError) as caught:
        drive(policy(attempts=9, timeout=10), slow)
    assert calls == [104.0, 109.0]
    assert caught.value.__notes__[-1] == (
        "attempt 2 was the last: the next attempt would have started past the timeout"
    )


def test_no_attempt_starts_when_the_wait_took_too_long(policy, clock, drive):
    """A machine that slept longer than told wakes past the timeout."""

    def oversleep(seconds):
        clock.now += 100

    script = Script(TimeoutError("late"), "paid")
    with pytest.raises(TimeoutError):
        drive(policy(timeout=10, sleep=oversleep), script)
    assert script.calls == 1


def test_a_clock_that_jumps_back_does_no_harm(policy, clock, drive):
    """Elapsed time is never negative."""

    def backwards():
        clock.now -= 50
        return script()

    script = Script(TimeoutError("late"), "paid")
    assert drive(policy(timeout=10), backwards) == "paid"


def test_on_types_retries_those_exceptions_only(policy, drive):
    """A type, or a tuple of them, takes the place of the default."""
    assert drive(policy(on=LookupError), Script(KeyError("id"), "found")) == "found"
    assert drive(policy(on=(LookupError, ValueError)), Script(ValueError("x"), "found")) == "found"
    with pytest.raises(TimeoutError):
        drive(policy(on=LookupError), Script(TimeoutError("late")))


def test_on_types_returns_every_result(policy):
    """Results are judged by the default or by a function."""
    assert policy(on=LookupError).call(Script(answer(503))).status_code == 503


def test_on_a_function_judges_exceptions_and_results(policy):
    """It is given what the attempt ended in."""

    def unfinished(outcome):
        return outcome == "pending" or isinstance(outcome, KeyError)

    assert policy(on=unfinished).call(Script("pending", KeyError("id"), "done")) == "done"


@pytest.mark.parametrize("verdict", [None, 0, -1, float("nan"), float("inf"), "yes"])
def test_a_judge_without_a_clear_answer_is_refused(policy, verdict):
    """None could be a forgotten return, 0 could be meant as no, and nobody waits for ever."""
    with pytest.raises(
        TypeError, match=rf"returned {verdict!r}: it has to return True \(retry\), False, or, to retry,"
    ):
        policy(on=lambda _: verdict).call(Script("done"))


def test_arguments_and_result_pass_through(policy):
    """Nothing is added to the call."""

    def work(a, *, b):
        """Work."""
        return a, b

    assert policy().call(work, 1, b=2) == (1, 2)
    decorated = policy()(work)
    assert decorated(1, b=2) == (1, 2)
    assert (decorated.__name__, decorated.__doc__) == ("work", "Work.")


def test_attempts_know_their_number_and_the_time_that_is_left(policy, clock):
    """For the client's own timeout."""
    seen = []
    for attempt in policy(timeout=10):
        with attempt:
            seen.append((attempt.number, attempt.remaining))
            clock.now += 2
            if attempt.number < 3:
                raise TimeoutError("late")
    assert seen == [(1, 10.0), (2, 7.0), (3, 4.0)]
    assert attempt.remaining == 2.0


def test_remaining_is_none_without_a_timeout(policy):
    """There is nothing to count down."""
    for attempt in policy():
        with attempt:
            assert attempt.remaining is None


def test_an_attempt_that_is_not_entered_is_refused(policy):
    """Without `with`, the loop would never end."""
    with pytest.raises(RuntimeError, match="the attempt was not entered, so nobody can tell how it ended"):
        for _ in policy():
            pass


def test_an_attempt_is_entered_once(policy):
    """Its outcome is one."""
    for attempt in policy():
        with attempt:
            pass
        with pytest.raises(RuntimeError, match="the attempt was entered before"):
            attempt.__enter__()


def test_a_policy_keeps_no_state(policy):
    """Each operation has all its attempts."""
    retry = policy(attempts=2)
    for _ in range(3):
        assert retry.call(Script(TimeoutError("late"), "paid")) == "paid"


def test_the_same_seed_gives_the_same_waits(policy, clock):
    """Chance is a parameter."""

    def waits(seed):
        clock.slept.clear()
        retry = policy(attempts=5, backoff=exponential(1), random=random.Random(seed))
        with pytest.raises(TimeoutError):
            retry.call(Script(*[TimeoutError("late")] * 5))
        return list(clock.slept)

    assert waits(7) == waits(7) != waits(8)
    assert all(0 <= wait <= 2**number for number, wait in enumerate(waits(7)))


def test_the_standard_clock_and_sleep_are_looked_up_at_the_call(monkeypatch):
    """What stands in for them meanwhile is used."""
    slept = []
    monkeypatch.setattr(time, "sleep", slept.append)
    assert Retry(backoff=fixed(3)).call(Script(TimeoutError("late"), "paid")) == "paid"
    assert slept == [3.0]


def test_the_module_random_is_the_default_chance(monkeypatch):
    """Seeding it makes the waits repeat."""
    slept = []
    monkeypatch.setattr(time, "sleep", slept.append)
    for _ in range(2):
        random.seed(5)
        Retry().call(Script(TimeoutError("late"), TimeoutError("late"), "paid"))
    assert slept[:2] == slept[2:]


def test_nothing_is_kept_after_a_success(policy, drive):
    """A failure's frames hold requests and connections: they go at once, without the collector."""

    class Late(TimeoutError):
        def __init__(self):
            kept.append(weakref.ref(self))

    def work():
        if not kept:
            raise Late
        return "paid"

    kept = []
    gc.collect()
    gc.disable()
    try:
        assert drive(policy(), work) == "paid"
        assert kept[0]() is None
    finally:
        gc.enable()


def test_long_tales_are_cut(policy):
    """Of many attempts the latest ten are told, and a long message is shortened."""
    last = TimeoutError("late")
    with pytest.raises(TimeoutError):
        policy(attempts=15).call(Script(*[TimeoutError("x" * 500)] * 14, last))
    assert last.__notes__[0] == "(4 earlier attempts are left out)"
    assert len(last.__notes__) == 12
    assert max(map(len, last.__notes__)) < 260


def test_an_exception_whose_text_cannot_be_made_is_still_retried(policy):
    """Telling must not break the work."""

    class Mute(TimeoutError):
        def __str__(self):
            raise RuntimeError("no text")

    last = TimeoutError("late")
    with pytest.raises(TimeoutError):
        policy(attempts=2).call(Script(Mute(), last))
    assert last.__notes__[0] == "attempt 1: Mute: (its text cannot be made); then waited 1 s"


def test_an_exception_that_cannot_be_pickled_or_noted_is_raised_itself(policy, drive):
    """Whatever it holds, it is the caller's."""

    class Awkward(TimeoutError):
        def __init__(self):
            super().__init__("late")
            self.lock = threading.Lock()

        def add_note(self, note):
            raise RuntimeError(f"no notes: {note}")

    last = Awkward()
    with pytest.raises(Awkward) as caught:
        drive(policy(attempts=2), Script(Awkward(), last))
    assert caught.value is last


async def coroutine_function():
    """Async work."""


def generator_function():
    """Lazy work."""
    yield 1


class AsyncCallable:
    """An object whose call is async."""

    async def __call__(self):
        """Async work."""


@pytest.mark.parametrize(
    "fn",
    [coroutine_function, functools.partial(coroutine_function), AsyncCallable(), lambda: coroutine_function()],
)
def test_a_coroutine_is_refused_with_the_way_out(fn):
    """A blocking call would only make the coroutine."""
    with pytest.raises(TypeError, match=r"coroutine.*blocking retry.*: await retry\.call_async\(fn, \.\.\.\), or "):
        Retry().call(fn)


def test_a_generator_function_is_refused_with_the_way_out():
    """It fails while it is iterated."""
    with pytest.raises(TypeError, match=r"generator_function\(\) is a generator function: .*let it return a list"):
        Retry()(generator_function)


def test_a_mock_is_called_as_any_function():
    """Tests of code that retries hand it mocks, which have every attribute: a partial's too."""
    retry = Retry(backoff=fixed(0))
    assert retry.call(Mock(side_effect=[TimeoutError("late"), "paid"])) == "paid"
    assert asyncio.run(retry.call_async(AsyncMock(side_effect=[TimeoutError("late"), "paid"]))) == "paid"
    assert CircuitBreaker().call(Mock(return_value="paid")) == "paid"


def test_what_cannot_be_called_is_refused():
    """A value in place of a function is a common slip."""
    with pytest.raises(TypeError, match="fn=3: it has to be callable; pass the function, not what it returned"):
        Retry().call(3)


@pytest.mark.parametrize(
    ("options", "kind", "text"),
    [
        ({"attempts": 0}, ValueError, "attempts=0: it has to be 1 or more; attempts=1 means no retry"),
        ({"attempts": True}, TypeError, "attempts=True: it has to be a whole number, an int"),
        ({"attempts": 2.0}, TypeError, "attempts=2.0: it has to be a whole number, an int"),
        ({"timeout": 0}, ValueError, "timeout=0: it has to be above 0 seconds; None means no timeout"),
        ({"timeout": float("nan")}, ValueError, "timeout=nan: it has to be a finite number"),
        ({"timeout": "5"}, TypeError, "timeout='5': it has to be a number of seconds"),
        ({"backoff": 1}, TypeError, "backoff=1: it has to be a Backoff; write fixed(seconds)"),
        ({"respect_retry_after": 1}, TypeError, "respect_retry_after=1: it has to be True or False"),
        ({"max_retry_after": -1}, ValueError, "max_retry_after=-1: it has to be 0 or more seconds"),
        ({"on": ()}, ValueError, "on=(): it names no exception"),
        ({"on": KeyboardInterrupt}, ValueError, "KeyboardInterrupt ends a program or cancels a task"),
        ({"on": (ValueError, 3)}, TypeError, "3 is no exception type"),
        ({"on": int}, TypeError, "<class 'int'> is no exception type"),
        ({"on": "timeout"}, TypeError, "on='timeout': it has to be an exception type, a tuple of them, or"),
        ({"sleep": 1}, TypeError, "sleep=1: it has to be a function such as time.sleep"),
        ({"clock": 1}, TypeError, "clock=1: it has to be a function such as time.monotonic"),
        ({"wall_clock": 1}, TypeError, "wall_clock=1: it has to be a function such as time.time"),
        ({"new_key": "abc"}, TypeError, "new_key='abc': it has to be a function such as lambda: str(uuid.uuid4())"),
        ({"before_attempt": 1}, TypeError, "before_attempt=1: it has to be a function such as print"),
        ({"before_wait": 1}, TypeError, "before_wait=1: it has to be a function such as print"),
        ({"giving_up": [print]}, TypeError, "giving_up=[<built-in function print>]: it has to be a function such as"),
        ({"random": 1}, TypeError, "random=1: it has to be a random.Random"),
    ],
    ids=str,
)
def test_a_bad_argument_is_refused_where_the_policy_is_made(options, kind, text):
    """Errors name argument, value, rule and way out."""
    with pytest.raises(kind) as caught:
        Retry(**options)
    assert text in str(caught.value)


def test_arguments_are_given_by_keyword_only():
    """Retry(5) could mean seconds or attempts."""
    with pytest.raises(TypeError):
        Retry(5)


def test_a_policy_is_a_value_and_prints_what_was_given():
    """It equals its like, hashes, travels, and cannot be changed."""
    retry = Retry(attempts=5, timeout=30)
    assert retry == Retry(attempts=5, timeout=30) != Retry(attempts=5)
    assert hash(retry) == hash(Retry(attempts=5, timeout=30))
    assert pickle.loads(pickle.dumps(retry)) == retry
    assert repr(retry) == "Retry(attempts=5, timeout=30)"
    assert retry.__replace__(attempts=2) == Retry(attempts=2, timeout=30)
    with pytest.raises(AttributeError, match="Retry is frozen: attempts cannot be changed; make a new one"):
        retry.attempts = 3


def test_a_value_matches_and_compares_by_content():
    """What the engine's values share."""

    @value
    class Point:
        """A point."""

        x: int
        y: int = 2

    match Point(1):
        case Point(x, y):
            assert (x, y) == (1, 2)
    assert Point(1) != (1, 2)
    assert repr(Point(1, y=3)).endswith("Point(x=1, y=3)")
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'x'"):
        Point()


def test_a_value_says_what_it_takes_before_the_first_is_made():
    """Its constructor is written when it is first called; `help` and editors ask before."""

    @value
    class Point:
        """A point."""

        x: int
        y: int = 2

    assert str(inspect.signature(Point)) == "(x, y=2)"
    Point(1)
    assert str(inspect.signature(Point)) == "(x, y=2)"


@pytest.mark.parametrize("decorate", [Retry(backoff=fixed(0)), CircuitBreaker()], ids=["retry", "breaker"])
def test_it_may_stand_above_staticmethod_and_classmethod(decorate):
    """Whatever the order of the decorators, neither takes the instance for an argument."""

    class Client:
        @decorate
        @staticmethod
        def ping(host):
            return host

        @decorate
        @classmethod
        def name(cls, mark):
            return cls.__name__ + mark

        @decorate
        @staticmethod
        async def ping_later(host):
            return host

    assert (Client().ping("a"), Client.ping("a"), Client().name("!"), Client.name("!")) == (
        "a",
        "a",
        "Client!",
        "Client!",
    )
    assert asyncio.run(Client().ping_later("a")) == "a"
