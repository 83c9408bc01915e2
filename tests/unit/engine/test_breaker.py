"""`CircuitBreaker` at work: calls, decorated functions, blocks, threads and tasks."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import copy
import functools
import logging
import pickle
import sys
import threading
import time

import pytest
import requests
import trio

from pytest_retrychaos.engine import BreakerPolicy, CircuitBreaker, CircuitOpen, Event, Retry, State, Transition


@pytest.fixture
def make(clock):
    """Make breakers that open at 2 failures for 10 seconds of the test's clock."""

    def breaker(**options):
        given = {} if "failure_rate" in options else {"threshold": 2}
        return CircuitBreaker(**{**given, "cooldown": 10, "clock": clock, **options})

    return breaker


def late():
    """Time out."""
    raise TimeoutError("late")


async def late_async():
    """Time out, some time later."""
    await trio.lowlevel.checkpoint() if _in_trio() else await asyncio.sleep(0)
    raise TimeoutError("late")


def _in_trio():
    with contextlib.suppress(RuntimeError):
        return bool(trio.lowlevel.current_task())
    return False


def _block(breaker, fn):
    with breaker:
        return fn()


async def _block_async(breaker, fn):
    async with breaker:
        return fn()


async def _coroutine(fn):
    return fn()


DRIVES = {
    "call": lambda breaker, fn: breaker.call(fn),
    "decorator": lambda breaker, fn: breaker(fn)(),
    "with": _block,
    "call_async": lambda breaker, fn: asyncio.run(breaker.call_async(_coroutine, fn)),
    "decorated coroutine": lambda breaker, fn: asyncio.run(breaker(_coroutine)(fn)),
    "async with": lambda breaker, fn: asyncio.run(_block_async(breaker, fn)),
    "on trio": lambda breaker, fn: trio.run(breaker.call_async, _coroutine, fn),
    "async with on trio": lambda breaker, fn: trio.run(_block_async, breaker, fn),
}


@pytest.fixture(params=DRIVES)
def drive(request):
    """Every way to call through a breaker."""
    return DRIVES[request.param]


def fail(breaker, times):
    """Let calls time out."""
    for _ in range(times):
        with contextlib.suppress(TimeoutError):
            breaker.call(late)


def test_it_passes_results_and_errors_through(make, drive):
    """A breaker adds nothing to a call."""
    breaker = make()
    assert drive(breaker, lambda: "paid") == ("paid")
    with pytest.raises(TimeoutError, match="late"):
        drive(breaker, late)
    assert breaker.failures == 1


def test_it_opens_at_the_threshold_and_then_calls_nothing(make, drive, clock):
    """The error says when to come back."""
    breaker = make(name="payments")
    calls = []

    def failing():
        calls.append(1)
        late()

    for _ in range(2):
        with pytest.raises(TimeoutError):
            drive(breaker, failing)
    clock.now += 3
    with pytest.raises(CircuitOpen, match=r'^the circuit "payments" is open: come back in 7 s$') as caught:
        drive(breaker, failing)
    assert (caught.value.name, caught.value.retry_in) == ("payments", 7.0)
    assert len(calls) == 2
    assert (breaker.state, breaker.retry_in) == (State.OPEN, 7.0)


def test_after_the_cooldown_a_probe_closes_it(make, drive, clock):
    """A success is enough."""
    breaker = make()
    fail(breaker, 2)
    clock.now += 10
    assert (breaker.state, breaker.retry_in) == (State.OPEN, 0.0)
    assert drive(breaker, lambda: "paid") == "paid"
    assert (breaker.state, breaker.failures) == (State.CLOSED, 0)


def test_after_the_cooldown_a_probe_that_fails_opens_it_anew(make, drive, clock):
    """One failure is enough."""
    breaker = make()
    fail(breaker, 2)
    clock.now += 10
    with pytest.raises(TimeoutError):
        drive(breaker, late)
    assert (breaker.state, breaker.retry_in) == (State.OPEN, 10.0)


def test_after_it_was_tripped_by_hand_a_probe_closes_it(make, drive, clock):
    """Though no failure was ever counted."""
    breaker = make()
    breaker.trip()
    with pytest.raises(CircuitOpen):
        drive(breaker, str)
    clock.now += 10
    drive(breaker, str)
    assert breaker.state is State.CLOSED


def test_a_success_between_failures_keeps_it_closed(make, drive):
    """They are counted in a row."""
    breaker = make()
    fail(breaker, 1)
    drive(breaker, lambda: "paid")
    fail(breaker, 1)
    assert breaker.state is State.CLOSED


def test_an_answer_that_was_returned_counts_as_if_it_was_raised(make):
    """Clients that do not raise trip it too."""
    breaker = make()
    response = requests.Response()
    response.status_code = 503
    for _ in range(2):
        assert breaker.call(lambda: response) is response
    assert breaker.state is State.OPEN


@pytest.mark.parametrize("error", [KeyboardInterrupt, asyncio.CancelledError, SystemExit, GeneratorExit])
def test_a_probe_that_is_cancelled_gives_its_place_back(make, clock, error):
    """Nothing was learned, and the next call is the probe."""
    breaker = make()
    fail(breaker, 2)
    clock.now += 10

    def cancelled():
        raise error

    with pytest.raises(error):
        breaker.call(cancelled)
    assert breaker.state is State.HALF_OPEN
    assert breaker.call(lambda: "paid") == "paid"
    assert breaker.state is State.CLOSED


def test_a_task_that_is_cancelled_while_it_probes_gives_its_place_back(make, clock):
    """On asyncio, by a timeout around it."""
    breaker = make()
    fail(breaker, 2)
    clock.now += 10

    async def probe():
        task = asyncio.create_task(breaker.call_async(asyncio.Event().wait))
        await asyncio.sleep(0)
        with pytest.raises(CircuitOpen):
            await breaker.call_async(_coroutine, str)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return await breaker.call_async(_coroutine, lambda: "paid")

    assert asyncio.run(probe()) == "paid"


def test_a_scope_that_is_cancelled_while_it_probes_gives_its_place_back(make, clock):
    """On trio, by a cancel scope."""
    breaker = make()
    fail(breaker, 2)
    clock.now += 10

    async def probe():
        with trio.CancelScope() as scope:
            scope.cancel()
            await breaker.call_async(trio.sleep_forever)
        assert scope.cancelled_caught
        return await breaker.call_async(_coroutine, lambda: "paid")

    assert trio.run(probe) == "paid"


def test_one_thread_probes_and_the_others_are_refused(make, clock):
    """Twenty threads come at one moment."""
    breaker = make()
    fail(breaker, 2)
    clock.now += 10
    probing, done, ends = threading.Barrier(20), threading.Event(), []

    def probe():
        ends.append("probed")
        done.wait(10)

    def come():
        probing.wait(10)
        try:
            breaker.call(probe)
        except CircuitOpen:
            ends.append("refused")
            if ends.count("refused") == 19:
                done.set()

    threads = [threading.Thread(target=come) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(ends) == ["probed"] + ["refused"] * 19
    assert breaker.state is State.CLOSED


def test_one_failure_of_many_threads_opens_it_once(request):
    """Each event happens once, however many threads bring it about."""
    request.addfinalizer(functools.partial(sys.setswitchinterval, sys.getswitchinterval()))
    sys.setswitchinterval(1e-6)
    told = []
    breaker = CircuitBreaker(threshold=1, cooldown=1e9, listeners=[lambda _, event: told.append(event.event)])

    def come():
        for _ in range(400):
            with contextlib.suppress(TimeoutError, CircuitOpen):
                breaker.call(late)
            breaker.reset()

    threads = [threading.Thread(target=come) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told.count(Event.RESET) == 3200


def test_a_slow_success_from_before_the_outage_does_not_close_it(make, clock):
    """It tells how the service was, not how it is."""
    breaker = make()

    def slow():
        fail(breaker, 2)
        return "paid"

    assert breaker.call(slow) == "paid"
    assert breaker.state is State.OPEN
    clock.now += 10
    with breaker:
        fail_within = breaker.state
    assert fail_within is State.HALF_OPEN


def test_a_slow_failure_from_before_the_outage_does_not_count_after_it(make, clock):
    """The circuit has closed since on better evidence."""
    breaker = make()

    def slow():
        fail(breaker, 2)
        clock.now += 10
        breaker.call(str)
        late()

    with pytest.raises(TimeoutError):
        breaker.call(slow)
    assert (breaker.state, breaker.failures) == (State.CLOSED, 0)


def test_by_rate_it_opens_by_the_share_of_failures(make, drive):
    """Successes are counted too."""
    breaker = make(failure_rate=0.5, window=60, minimum_calls=4)
    for fn in (str, late, str):
        with contextlib.suppress(TimeoutError):
            drive(breaker, fn)
    assert breaker.state is State.CLOSED
    with pytest.raises(TimeoutError):
        drive(breaker, late)
    assert (breaker.state, breaker.failures) == (State.OPEN, 2)


def test_listeners_are_told_every_event_after_it_happened(make, clock):
    """In order, each with the breaker as it is then."""
    told = []
    breaker = make(listeners=[lambda breaker, event: told.append((breaker.state, event.event))])
    fail(breaker, 2)
    clock.now += 10
    breaker.call(str)
    breaker.trip()
    breaker.reset()
    assert told == [
        (State.OPEN, Event.THRESHOLD_REACHED),
        (State.HALF_OPEN, Event.COOLED_DOWN),
        (State.CLOSED, Event.PROBE_SUCCEEDED),
        (State.OPEN, Event.TRIPPED),
        (State.CLOSED, Event.RESET),
    ]


def test_a_listener_may_use_the_breaker(make):
    """No lock is held while it runs."""
    seen = []
    breaker = make(listeners=[lambda breaker, _: seen.append(breaker.retry_in)])
    fail(breaker, 2)
    assert seen == [10.0]


def test_what_comes_in_between_may_use_the_breaker():
    """A finalizer or the handler of a signal, which run at any moment: here, when the clock is read."""
    seen = []

    def interrupted():
        if not seen:
            seen.append("once")
            seen.append(breaker.retry_in)
        return 100.0

    breaker = CircuitBreaker(threshold=1, clock=interrupted)
    breaker.trip()
    assert seen == ["once", 0.0]
    assert breaker.state is State.OPEN


def test_a_listener_that_raises_is_logged_and_harms_no_call(make, clock, caplog):
    """A payment is not lost for a metric."""

    def broken(*_):
        raise RuntimeError("no metrics today")

    told = []
    breaker = make(listeners=[broken, lambda *event: told.append(event[1])])
    with caplog.at_level(logging.ERROR, "pytest_retrychaos.engine"):
        fail(breaker, 2)
        clock.now += 10
        assert breaker.call(lambda: "paid") == "paid"
    assert told[0] == Transition(State.CLOSED, Event.THRESHOLD_REACHED, State.OPEN)
    assert [record.exc_info[0] for record in caplog.records] == [RuntimeError] * 3


def test_the_logger_is_told_of_each_event(make, clock, caplog):
    """At INFO, by the breaker's name."""
    breaker = make(name="payments")
    with caplog.at_level(logging.INFO, "pytest_retrychaos.engine"):
        fail(breaker, 2)
        clock.now += 10
        breaker.call(str)
        make().trip()
    assert caplog.messages == [
        'circuit "payments": threshold reached, now open',
        'circuit "payments": cooled down, now half open',
        'circuit "payments": probe succeeded, now closed',
        "circuit: tripped, now open",
    ]


def test_a_function_that_cannot_judge_gives_the_probe_back(make, clock):
    """Its error is the caller's, and the circuit is not stuck."""
    breaker = make(on=lambda outcome: isinstance(outcome, TimeoutError) or None)
    fail(breaker, 2)
    clock.now += 10
    with pytest.raises(TypeError, match="it has to return True"):
        breaker.call(lambda: "odd")
    with pytest.raises(TypeError, match="it has to return True"):
        breaker.call(lambda: {}["odd"])
    breaker._on = None
    assert breaker.call(lambda: "paid") == "paid"


def _nested(breaker):
    return breaker.call(lambda: breaker.call(breaker(lambda: "paid")))


def _nested_in_blocks(breaker):
    with breaker, breaker:
        return breaker.call(lambda: "paid")


def _nested_in_tasks(breaker):
    async def inner():
        return await asyncio.gather(breaker.call_async(_coroutine, str), breaker.call_async(_coroutine, str))

    async def main():
        await breaker.call_async(inner)
        return "paid"

    return asyncio.run(main())


def _nested_in_a_retry(breaker):
    return Retry(breaker=breaker).call(breaker(lambda: "paid"))


@pytest.mark.parametrize("nest", [_nested, _nested_in_blocks, _nested_in_tasks, _nested_in_a_retry])
def test_a_probe_may_go_through_its_own_breaker_again(make, clock, nest):
    """Guarded functions call guarded functions, and the circuit closes all the same."""
    breaker = make()
    fail(breaker, 2)
    clock.now += 10
    assert nest(breaker) == "paid"
    assert breaker.state is State.CLOSED


def test_a_call_inside_a_probe_decides_nothing(make, clock):
    """The probe does."""
    breaker = make()
    fail(breaker, 2)
    clock.now += 10

    def probe():
        with contextlib.suppress(TimeoutError):
            breaker.call(late)
        assert breaker.state is State.HALF_OPEN
        return "paid"

    assert breaker.call(probe) == "paid"
    assert breaker.state is State.CLOSED


def test_what_was_a_probe_once_is_refused_like_all_others(make, clock):
    """It ended, and this is another outage."""
    breaker = make()
    fail(breaker, 2)
    clock.now += 10
    with pytest.raises(TimeoutError):
        breaker.call(late)
    with pytest.raises(CircuitOpen):
        breaker.call(str)


@pytest.mark.parametrize("in_a_block", [False, True])
def test_what_was_inside_a_probe_that_is_over_decides_nothing(make, clock, in_a_block):
    """It began before another probe, of another thread, closed the circuit."""
    breaker = make(threshold=1)
    breaker.trip()
    clock.now += 10

    def hangs():
        clock.now += 10
        contextvars.Context().run(breaker.call, str)
        late()

    def probe():
        with contextlib.suppress(TimeoutError), breaker if in_a_block else contextlib.nullcontext():
            breaker.call(hangs)

    breaker.call(probe)
    assert breaker.state is State.CLOSED


def test_probes_of_two_breakers_nest(make, clock):
    """Each is known, however many others are around it."""
    first, second = make(), make()
    fail(first, 2)
    fail(second, 2)
    clock.now += 10
    assert first.call(lambda: second.call(lambda: first.call(lambda: second.call(lambda: "paid")))) == "paid"
    assert (first.state, second.state) == (State.CLOSED, State.CLOSED)


def test_inside_a_probe_other_breakers_refuse_as_ever(make, clock):
    """Their probe is somebody else's."""
    first, second = make(), make()
    fail(first, 2)
    fail(second, 2)
    clock.now += 10
    second.begin()
    with pytest.raises(CircuitOpen):
        first.call(lambda: second.call(lambda: "paid"))


def test_blocks_nest_and_end_in_any_turn(make):
    """As generators do: each end belongs to its own block."""
    outer, inner = make(threshold=1), make(threshold=1)
    first, second = contextlib.ExitStack(), contextlib.ExitStack()
    first.enter_context(outer)
    second.enter_context(inner)
    first.close()
    with contextlib.suppress(TimeoutError), second:
        late()
    assert (outer.state, inner.state) == (State.CLOSED, State.OPEN)
    outer.trip()
    inner.reset()
    with inner, contextlib.suppress(TimeoutError), inner:
        late()
    assert inner.state is State.OPEN


def test_a_block_that_ends_out_of_turn_keeps_what_is_around_it(make):
    """The inner block began before the circuit changed, so its failure tells nothing."""
    outer, inner = make(threshold=1), make(threshold=1)
    first, second = contextlib.ExitStack(), contextlib.ExitStack()
    first.enter_context(outer)
    second.enter_context(inner)
    inner.reset()
    first.close()
    with contextlib.suppress(TimeoutError), second:
        late()
    assert inner.state is State.CLOSED


def test_blocks_from_before_and_after_a_change_are_told_apart(make):
    """What ends late tells nothing; what began since counts, in whatever turn they end."""
    breaker = make(threshold=2)
    before, since = contextvars.copy_context(), contextvars.copy_context()
    before.run(breaker.__enter__)
    breaker.reset()
    since.run(breaker.__enter__)
    before.run(breaker.__exit__, TimeoutError, TimeoutError("late"), None)
    assert breaker.failures == 0
    since.run(breaker.__exit__, TimeoutError, TimeoutError("late"), None)
    assert breaker.failures == 1
    with contextlib.suppress(TimeoutError), breaker:
        late()
    assert breaker.state is State.OPEN


def test_many_blocks_from_before_a_change_leave_nothing_behind(make):
    """Each that ends late tells nothing, and the first one after the last of them counts again."""
    breaker = make(threshold=1)
    contexts = [contextvars.copy_context() for _ in range(3)]
    for one in contexts:
        one.run(breaker.__enter__)
    breaker.reset()
    for one in contexts:
        one.run(breaker.__exit__, TimeoutError, TimeoutError("late"), None)
    assert breaker.state is State.CLOSED
    with contextlib.suppress(TimeoutError), breaker:
        late()
    assert breaker.state is State.OPEN


def test_a_block_left_in_another_context_still_counts(make):
    """As fixtures of an event loop may."""
    breaker = make(threshold=1)

    async def leave():
        await asyncio.create_task(_enter(breaker))
        breaker.__exit__(TimeoutError, TimeoutError("late"), None)

    asyncio.run(leave())
    assert breaker.state is State.OPEN


async def _enter(breaker):
    breaker.__enter__()


def test_a_task_does_not_end_the_block_that_it_was_begun_in(make):
    """It outlives it, and has blocks of its own; what is entered and left in two contexts still counts thereafter."""
    breaker = make(threshold=1)

    async def outlives():
        with breaker:
            breaker.reset()
            await asyncio.sleep(0)

    async def main():
        breaker.reset()
        before = contextvars.copy_context()
        before.run(breaker.__enter__)
        breaker.reset()
        with breaker:
            task = asyncio.create_task(outlives())
        before.run(breaker.__exit__, None, None, None)
        await task
        await asyncio.create_task(_enter(breaker))
        breaker.__exit__(TimeoutError, TimeoutError("late"), None)

    asyncio.run(main())
    assert breaker.state is State.OPEN


def test_arguments_and_names_pass_through(make):
    """Nothing is added to a decorated function."""

    def work(a, *, b):
        """Work."""
        return a, b

    guarded = make()(work)
    assert guarded(1, b=2) == (1, 2)
    assert (guarded.__name__, guarded.__doc__) == ("work", "Work.")


async def coroutine_function():
    """Async work."""


def generator_function():
    """Lazy work."""
    yield 1


@pytest.mark.parametrize("fn", [coroutine_function, functools.partial(coroutine_function)])
def test_a_coroutine_function_under_call_is_refused_with_the_way_out(make, fn):
    """A blocking call would only make the coroutine, and count it as a success."""
    breaker = make()
    fail(breaker, 1)
    with pytest.raises(
        TypeError, match=r"coroutine_function\(\) returned a coroutine, which has done nothing yet: await call_async"
    ):
        breaker.call(fn)
    assert breaker.failures == 1


def test_a_generator_function_is_refused_with_the_way_out(make):
    """Nothing guards it while it is iterated."""
    text = r"generator_function\(\) is a generator function: .*let it return a list"
    with pytest.raises(TypeError, match=text):
        make()(generator_function)
    with pytest.raises(TypeError, match=text):
        make().call(generator_function)


def test_a_plain_function_that_returns_a_generator_passes(make):
    """It has done its work."""
    assert list(make().call(lambda: generator_function())) == [1]


def test_a_blocking_function_under_call_async_is_refused_with_the_way_out(make):
    """There is nothing to await."""
    with pytest.raises(TypeError, match=r"str\(\) is to be awaited, but returned str: .* by call\(fn, \.\.\.\)"):
        asyncio.run(make().call_async(str))


def test_what_cannot_be_called_is_refused(make):
    """A value in place of a function is a common slip."""
    with pytest.raises(TypeError, match="fn=3: it has to be callable; pass the function, not what it returned"):
        make()(3)


def test_the_clock_is_looked_up_at_the_call(monkeypatch):
    """What stands in for it meanwhile is used."""
    breaker = CircuitBreaker(threshold=1, cooldown=10)
    monkeypatch.setattr(time, "monotonic", lambda: 5.0)
    fail(breaker, 1)
    monkeypatch.setattr(time, "monotonic", lambda: 9.0)
    assert breaker.retry_in == 6.0


@pytest.mark.parametrize(
    ("options", "kind", "text"),
    [
        ({"threshold": 0}, ValueError, "threshold=0: it has to be 1 or more"),
        ({"threshold": 2.5}, TypeError, "threshold=2.5: it has to be a whole number, an int"),
        ({"cooldown": 0}, ValueError, "cooldown=0: it has to be above 0 seconds; a circuit that is never open breaks"),
        ({"cooldown": (1, 2)}, TypeError, "cooldown=(1, 2): it has to be a number of seconds"),
        ({"cooldown": float("inf")}, ValueError, "cooldown=inf: it has to be a finite number"),
        ({"cooldown": float("nan")}, ValueError, "cooldown=nan: it has to be a finite number"),
        ({"probe_timeout": -1}, ValueError, "probe_timeout=-1: it has to be above 0 seconds"),
        ({"failure_rate": 0}, ValueError, "failure_rate=0: it has to be above 0 and at most 1; half of all is 0.5"),
        ({"failure_rate": 50}, ValueError, "failure_rate=50: it has to be above 0 and at most 1; half of all is 0.5"),
        ({"failure_rate": True}, TypeError, "failure_rate=True: it has to be a number"),
        (
            {"failure_rate": 0.5, "threshold": 5},
            ValueError,
            "threshold=5: failure_rate=0.5 was given too, and a breaker opens by one of them; leave one out",
        ),
        (
            {"window": 60},
            ValueError,
            "window=60: it belongs to a failure rate, and a threshold counts failures in a row; give failure_rate too",
        ),
        ({"minimum_calls": 9, "threshold": 3}, ValueError, "minimum_calls=9: it belongs to a failure rate"),
        ({"failure_rate": 0.5, "window": 0}, ValueError, "window=0: it has to be above 0 seconds"),
        ({"failure_rate": 0.5, "minimum_calls": 0}, ValueError, "minimum_calls=0: it has to be 1 or more"),
        ({"on": ()}, ValueError, "on=(): it names no exception, so no circuit would ever open"),
        (
            {"on": KeyboardInterrupt},
            ValueError,
            "KeyboardInterrupt ends a program or cancels a task, and tells",
        ),
        ({"on": "timeout"}, TypeError, "on='timeout': it has to be an exception type, a tuple of them, or a function"),
        ({"on": (ValueError, 3)}, TypeError, "it has to be an exception type, a tuple of them, or a function"),
        ({"name": 3}, TypeError, "name=3: it has to be a str; it stands in errors and logs"),
        ({"listeners": print}, TypeError, "it has to be a list of functions, as in listeners=[print]"),
        ({"listeners": 5}, TypeError, "listeners=5: it has to be a list of functions, as in listeners=[print]"),
        ({"listeners": [3]}, TypeError, "3 cannot be called; a listener takes breaker and transition"),
        ({"clock": 3}, TypeError, "clock=3: it has to be a function such as time.monotonic"),
    ],
    ids=str,
)
def test_a_bad_argument_is_refused_where_the_breaker_is_made(options, kind, text):
    """Errors name argument, value, rule and way out."""
    with pytest.raises(kind) as caught:
        CircuitBreaker(**options)
    assert text in str(caught.value)


def test_a_listener_that_nobody_would_await_is_refused():
    """It is called, and what it gives is let go."""
    with pytest.raises(TypeError, match="is async, which nobody awaits: write a plain function"):
        CircuitBreaker(threshold=3, cooldown=30, listeners=[asyncio.sleep])


@pytest.mark.parametrize(
    ("options", "kind", "text"),
    [
        ({"successes": 0}, ValueError, "successes=0: it has to be 1 or more"),
        ({"successes": 1.5}, TypeError, "successes=1.5: it has to be a whole number, an int"),
        (
            {"cooldown": (300, 30)},
            ValueError,
            "cooldown=(300, 30): the least comes first, then the most; write (30.0, 300.0)",
        ),
        ({"cooldown": (1, 2, 3)}, ValueError, "cooldown=(1, 2, 3): it has to be a number of seconds, or (least, most)"),
        ({"cooldown": (0, 5)}, ValueError, "cooldown=0: it has to be above 0 seconds; a circuit that is never open"),
        ({"cooldown": "5"}, TypeError, "cooldown='5': it has to be a number of seconds"),
        (
            {"per": "tenant"},
            ValueError,
            'per=\'tenant\': it has to be one of "host", "route", "client", or a function of an',
        ),
        ({"by_hand": 1}, TypeError, "by_hand=1: it has to be True or False"),
    ],
    ids=str,
)
def test_a_bad_word_about_another_breaker_is_refused_where_it_is_given(options, kind, text):
    """Errors name argument, value, rule and way out."""
    with pytest.raises(kind) as caught:
        BreakerPolicy(**options)
    assert text in str(caught.value)


def test_a_range_of_cooldowns_can_be_read():
    """A probe that hangs leaves its place after the least, unless something else is said."""
    policy = BreakerPolicy(cooldown=(10, 40))
    assert (policy.shortest, policy.longest, policy.probe_timeout) == (10.0, 40.0, 10.0)
    assert policy.__replace__(cooldown=5.0) == BreakerPolicy(cooldown=5, probe_timeout=10)


def test_what_is_left_out_is_filled_in_by_the_policy():
    """The defaults can be read."""
    assert (CircuitBreaker().threshold, CircuitBreaker().cooldown) == (5, 30.0)
    policy = CircuitBreaker(failure_rate=0.5).policy
    assert (policy.threshold, policy.window, policy.minimum_calls, policy.probe_timeout) == (None, 60.0, 20, 30.0)


def test_it_prints_what_a_failing_test_wants_to_know(make):
    """Name, state, count."""
    breaker = make(name="payments")
    fail(breaker, 2)
    assert repr(breaker) == '<CircuitBreaker "payments": open, failures: 2>'
    assert repr(CircuitBreaker()) == "<CircuitBreaker: closed, failures: 0>"


@pytest.mark.parametrize("travel", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_breaker_cannot_be_copied(make, travel):
    """A copy would not see what the others learn."""
    with pytest.raises(TypeError, match="cannot be pickled or copied: its state belongs to this process"):
        travel(make())


def test_the_error_of_an_open_circuit_can_be_pickled():
    """It comes back from worker processes, its notes with it, the response without."""
    raised = CircuitOpen("payments", 7.25)
    raised.result = lambda: "cannot be pickled"
    raised.add_note("attempt 3 was the last")
    error = pickle.loads(pickle.dumps(raised))
    assert (error.result, error.__notes__) == (None, ["attempt 3 was the last"])
    assert (error.name, error.retry_in, str(error)) == (
        "payments",
        7.25,
        'the circuit "payments" is open: come back in 7.25 s',
    )
    assert str(CircuitOpen("", 0.5)) == "the circuit is open: come back in 0.5 s"
