"""The circuit breaker against a plain model: calls in any turn, a clock that jumps, threads, and tasks."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
import time

import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from pytest_retrychaos import Chaos
from pytest_retrychaos.engine import CircuitBreaker, CircuitOpen, State
from tests.property.breaker_model import Model

ENDS = st.sampled_from([True, True, False, None])
"""Failed, succeeded, told nothing."""

ERRORS = {True: TimeoutError("late"), None: KeyError("a mistake of the caller's own")}


class BreakerMachine(RuleBasedStateMachine):
    """Calls begin and end in any turn, and the clock moves as it likes."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.calls = 0
        self.breaker = CircuitBreaker(threshold=3, cooldown=10, probe_timeout=7, clock=lambda: self.now)
        self.model = Model(3, 10.0, 7.0)

    running = Bundle("running")

    @rule(target=running)
    def begin(self):
        """A call passes where the model lets it pass."""
        self.calls += 1
        try:
            period = self.breaker.begin()
        except CircuitOpen as refusal:
            period, retry_in = 0, refusal.retry_in
        else:
            retry_in = 0.0
        assert self.model.begin(self.calls, self.now) is (period > 0)
        assert retry_in == (0.0 if period else self.model.retry_in(self.now))
        return self.calls, period

    @rule(call=consumes(running), failed=ENDS)
    def end(self, call, failed):
        """A call ends, late or not."""
        number, period = call
        if failed is False:
            self.breaker.end_with_result(period, "fine")
        else:
            self.breaker.end_with_error(period, ERRORS[failed])
        self.model.end(number, failed, self.now)

    blocks = Bundle("blocks")

    @rule(target=blocks)
    def enter(self):
        """A ``with`` block begins, in a context of its own as in another task."""
        self.calls += 1
        context = contextvars.copy_context()
        try:
            context.run(self.breaker.__enter__)
        except CircuitOpen:
            context = None
        assert self.model.begin(self.calls, self.now) is (context is not None)
        return self.calls, context

    @rule(block=consumes(blocks), failed=ENDS)
    def leave(self, block, failed):
        """It ends, late or not."""
        number, context = block
        if context is not None:
            error = None if failed is False else ERRORS[failed]
            context.run(self.breaker.__exit__, None if error is None else type(error), error, None)
        self.model.end(number, failed, self.now)

    @rule(failed=ENDS)
    def call(self, failed):
        """A whole call, which nothing comes between."""
        self.calls += 1
        passes = self.model.begin(self.calls, self.now)
        try:
            self.breaker.call(_ending, failed)
        except CircuitOpen:
            assert not passes
        except (TimeoutError, KeyError):
            assert passes
        else:
            assert passes
        if passes:
            self.model.end(self.calls, failed, self.now)

    @rule(seconds=st.integers(0, 12))
    def wait(self, seconds):
        """Time passes."""
        self.now += seconds

    @rule(seconds=st.sampled_from([1, 9, 500]))
    def jump_back(self, seconds):
        """A clock that goes back."""
        self.now -= seconds

    @rule()
    def trip(self):
        """By hand."""
        self.breaker.trip()
        self.model.trip(self.now)

    @rule()
    def reset(self):
        """By hand."""
        self.breaker.reset()
        self.model.close()

    @invariant()
    def both_are_in_one_state(self):
        """What can be looked at is the same at every moment."""
        assert self.breaker.state.value == self.model.state
        assert self.breaker.failures == self.model.row
        assert self.breaker.retry_in == self.model.retry_in(self.now)


def _ending(failed):
    if failed is not False:
        raise ERRORS[failed]
    return "fine"


TestBreakerMachine = BreakerMachine.TestCase
TestBreakerMachine.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)


CALLS = st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=60)
"""Calls one after the other: how many tenths of a second after the last one, and whether it failed."""


@given(CALLS, st.sampled_from([0.25, 0.5, 1.0]), st.integers(1, 6))
def test_by_rate_a_circuit_opens_when_a_plain_count_says_so(calls, rate, least):
    """The share of failures among the calls of the last ten seconds, told in tenths of these."""
    now = [1000.0]
    breaker = CircuitBreaker(
        failure_rate=rate, window=10, minimum_calls=least, cooldown=1e9, clock=lambda: now[0], on=TimeoutError
    )
    ended: list[tuple[int, bool]] = []
    for pause, failed in calls:
        now[0] += pause / 10
        ended.append((int(now[0]), failed))
        recent = [one for second, one in ended if second > int(now[0]) - 10]
        opens = failed and len(recent) >= least and sum(recent) / len(recent) >= rate
        with contextlib.suppress(TimeoutError):
            breaker.call(_ending, failed)
        assert breaker.state is (State.OPEN if opens else State.CLOSED)
        if opens:
            return


WORK = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 9), ENDS), min_size=1, max_size=5)
"""What one thread or task does, call by call: pause, duration, end."""
WORKERS = st.lists(WORK, min_size=2, max_size=5)
FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class Log:
    """What happened on virtual time, in the one order in which it happened."""

    def __init__(self) -> None:
        self.breaker = CircuitBreaker(threshold=2, cooldown=5, probe_timeout=4)
        self.events: list[tuple[str, object, object, float]] = []

    def note(self, what, call, failed=None):
        """Take it down."""
        self.events.append((what, call, failed, time.monotonic()))

    def assert_like_the_model(self):
        """Go through it again, with the model."""
        model = Model(2, 5.0, 4.0)
        for what, call, failed, now in self.events:
            if what == "ended":
                model.end(call, failed, now)
            else:
                assert model.begin(call, now) is (what == "began")
        assert self.breaker.state.value == model.state


@FEW
@given(WORKERS)
def test_threads_meet_the_breaker_of_the_model(workers):
    """Whoever sleeps lets the others on; between, nothing comes in."""
    with Chaos():
        log = Log()
        threads = [threading.Thread(target=_work, args=(log, calls)) for calls in workers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    log.assert_like_the_model()


def _work(log, calls):
    for pause, duration, failed in calls:
        time.sleep(pause)
        with contextlib.suppress(TimeoutError, KeyError):
            _call(log, object(), duration, failed)


def _call(log, call, duration, failed):
    def service():
        log.note("began", call)
        time.sleep(duration)
        log.note("ended", call, failed)
        return _ending(failed)

    try:
        log.breaker.call(service)
    except CircuitOpen:
        log.note("refused", call)


@FEW
@given(WORKERS)
def test_asyncio_tasks_meet_the_breaker_of_the_model(workers):
    """A call that tells nothing is cancelled by a timeout."""

    async def work(log, calls):
        for pause, duration, failed in calls:
            await asyncio.sleep(pause)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(duration if failed is None else None):
                    await _call_async(log, object(), failed, duration, asyncio.sleep)

    async def main(log):
        async with asyncio.TaskGroup() as group:
            for calls in workers:
                group.create_task(work(log, calls))

    with Chaos():
        log = Log()
        asyncio.run(main(log))
    log.assert_like_the_model()


@FEW
@given(WORKERS)
def test_trio_tasks_meet_the_breaker_of_the_model(workers):
    """A call that tells nothing is cancelled by its scope."""

    async def work(log, calls):
        for pause, duration, failed in calls:
            await trio.sleep(pause)
            with contextlib.suppress(TimeoutError), trio.CancelScope() as scope:
                if failed is None:
                    scope.deadline = trio.current_time() + duration
                await _call_async(log, object(), failed, duration, trio.sleep)

    async def main(log):
        async with trio.open_nursery() as nursery:
            for calls in workers:
                nursery.start_soon(work, log, calls)

    with Chaos():
        log = Log()
        trio.run(main, log)
    log.assert_like_the_model()


async def _call_async(log, call, failed, duration, sleep):
    async def service():
        log.note("began", call)
        try:
            await sleep(1e6 if failed is None else duration)
        finally:
            log.note("ended", call, failed)
        return _ending(failed)

    try:
        await log.breaker.call_async(service)
    except CircuitOpen:
        log.note("refused", call)


def test_the_model_can_tell_a_wrong_breaker():
    """A breaker that lets a second probe pass is caught by the comparison."""
    model = Model(1, 5.0, 4.0)
    assert model.begin("a", 0.0)
    model.end("a", True, 0.0)
    assert not model.begin("b", 4.0)
    assert model.begin("c", 5.0)
    assert not model.begin("d", 6.0)
    assert State.HALF_OPEN.value == model.state
