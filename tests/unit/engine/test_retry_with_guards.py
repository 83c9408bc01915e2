"""`Retry` with a circuit breaker and a retry budget."""

from __future__ import annotations

import asyncio
import functools

import pytest
import requests

from pytest_retrychaos.engine import CircuitBreaker, CircuitOpen, GivingUp, Retry, RetryBudget, State, fixed
from tests.unit.engine.drives import Script


@pytest.fixture
def policy(policy):
    """Make policies that wait on the clock, one second each time, and make ten attempts."""
    return functools.partial(policy, attempts=10)


@pytest.fixture
def breaker(clock):
    """A breaker that opens at 3 failures for 30 seconds of the clock."""
    return CircuitBreaker(threshold=3, cooldown=30, clock=clock, name="payments")


def answer(status):
    """Make an answer as requests gives it."""
    response = requests.Response()
    response.status_code = status
    return response


def test_failures_below_the_threshold_are_retried(policy, breaker, drive):
    """And the success forgets them."""
    script = Script(TimeoutError("a"), TimeoutError("b"), "paid")
    assert drive(policy(breaker=breaker), script) == "paid"
    assert (script.calls, breaker.failures) == (3, 0)


def test_at_the_threshold_the_open_circuit_ends_the_loop_at_once(policy, breaker, drive, clock):
    """It says when to come back, and its cause what happened."""
    last = TimeoutError("c")
    script = Script(TimeoutError("a"), TimeoutError("b"), last, "never asked for")
    with pytest.raises(CircuitOpen, match='the circuit "payments" is open: come back in 30 s') as caught:
        drive(policy(breaker=breaker), script)
    assert caught.value.__cause__ is last
    assert last.__notes__ == [
        "attempt 1: TimeoutError: a; then waited 1 s",
        "attempt 2: TimeoutError: b; then waited 1 s",
        "attempt 3 was the last: the circuit is open",
    ]
    assert clock.slept == [1.0, 1.0]
    assert script.calls == 3


def test_while_open_an_operation_makes_no_attempt(policy, breaker, drive, clock):
    """And none of the waits that would lead to one."""
    breaker.trip()
    script = Script("paid")
    with pytest.raises(CircuitOpen) as caught:
        drive(policy(breaker=breaker), script)
    assert caught.value.__cause__ is None
    assert (script.calls, clock.slept) == (0, [])


def test_after_the_cooldown_one_probe_ends_the_outage(policy, breaker, drive, clock):
    """A success, and all pass again."""
    breaker.trip()
    clock.now += 30
    assert drive(policy(breaker=breaker), Script("paid")) == "paid"
    assert breaker.state is State.CLOSED


def test_after_the_cooldown_one_probe_that_fails_is_not_retried(policy, breaker, drive, clock):
    """The circuit is open anew."""
    breaker.trip()
    clock.now += 30
    script = Script(TimeoutError("still down"), "never asked for")
    with pytest.raises(CircuitOpen, match="come back in 30 s") as caught:
        drive(policy(breaker=breaker), script)
    assert str(caught.value.__cause__) == "still down"
    assert script.calls == 1


def test_a_circuit_that_others_opened_meanwhile_ends_the_loop_after_the_wait(policy, breaker, drive, clock):
    """It is asked before each attempt."""

    def fail():
        script()

    script = Script(TimeoutError("a"), "never asked for")
    retry = policy(breaker=breaker, before_wait=lambda _: breaker.trip())
    with pytest.raises(CircuitOpen, match="come back in 29 s") as caught:
        drive(retry, fail)
    assert str(caught.value.__cause__) == "a"
    assert (script.calls, clock.slept) == (1, [1.0])


def test_where_no_attempt_is_left_the_last_error_itself_is_raised(policy, breaker, drive):
    """The circuit opens, but no retry was stopped by it."""
    last = TimeoutError("c")
    with pytest.raises(TimeoutError) as caught:
        drive(policy(attempts=3, breaker=breaker), Script(TimeoutError("a"), TimeoutError("b"), last))
    assert caught.value is last
    assert breaker.state is State.OPEN


def test_where_the_error_is_permanent_it_is_raised_and_a_sign_of_health(policy, breaker, drive):
    """A 404 that was raised."""
    with pytest.raises(requests.HTTPError):
        drive(policy(breaker=breaker), Script(TimeoutError("a"), requests.HTTPError(response=answer(404))))
    assert breaker.failures == 0


def test_a_first_failure_that_opens_the_circuit_is_noted(policy, clock, drive):
    """Though there were no earlier ones to tell."""
    only = TimeoutError("a")
    with pytest.raises(CircuitOpen):
        drive(policy(breaker=CircuitBreaker(threshold=1, cooldown=30, clock=clock)), Script(only))
    assert only.__notes__ == ["attempt 1 was the last: the circuit is open"]


def test_an_answer_that_was_returned_goes_along_with_the_error(policy, breaker):
    """The last response is not lost."""
    last = answer(503)
    with pytest.raises(CircuitOpen) as caught:
        policy(breaker=breaker).call(Script(answer(503), answer(502), last))
    assert caught.value.result is last
    assert caught.value.__notes__ == [
        "attempt 1: answered 503; then waited 1 s",
        "attempt 2: answered 502; then waited 1 s",
        "attempt 3 was the last: the circuit is open",
    ]


@pytest.mark.parametrize("on", [None, Exception, lambda outcome: isinstance(outcome, Exception)])
def test_the_error_of_an_open_circuit_is_never_retried(policy, clock, on):
    """Not even by a policy around a breaker, on whatever."""
    inner = CircuitBreaker(threshold=1, cooldown=30, clock=clock)
    inner.trip()
    script = Script("never asked for")
    with pytest.raises(CircuitOpen):
        policy(on=on).call(inner(script))
    assert (script.calls, clock.slept) == (0, [])


def test_an_open_circuit_raised_from_a_timeout_is_not_taken_for_a_timeout(policy, breaker, clock):
    """Its cause is history."""
    script = Script(*[TimeoutError("late")] * 3)
    with pytest.raises(CircuitOpen):
        policy(attempts=2).call(policy(breaker=breaker)(script))
    assert (script.calls, len(clock.slept)) == (3, 2)


@pytest.mark.parametrize("error", [KeyboardInterrupt, asyncio.CancelledError])
def test_a_probe_that_is_cancelled_gives_its_place_back(policy, breaker, clock, error):
    """The next operation is the probe."""
    breaker.trip()
    clock.now += 30
    with pytest.raises(error):
        policy(breaker=breaker).call(Script(error()))
    assert policy(breaker=breaker).call(Script("paid")) == "paid"
    assert breaker.state is State.CLOSED


def test_a_retry_inside_a_probe_is_its_failure(policy, breaker, clock):
    """One guarded function calls another: nothing is sent again, and the cooldown begins anew."""
    script = Script(*[ConnectionError("down")] * 4)
    breaker.trip()
    clock.now += 30
    guarded = policy(breaker=breaker)
    with pytest.raises(CircuitOpen) as refused:
        guarded.call(guarded(script))
    assert (script.calls, breaker.state, refused.value.retry_in) == (1, State.OPEN, 30)
    assert repr(refused.value.__cause__) == "ConnectionError('down')"


def test_a_retry_inside_a_probe_gives_up_for_the_breaker(policy, breaker, clock):
    """So does the probe around it."""
    told = []
    breaker.trip()
    clock.now += 30
    guarded = policy(breaker=breaker, giving_up=told.append)
    with pytest.raises(CircuitOpen):
        guarded.call(guarded(Script(ConnectionError("down"))))
    assert [one.reason for one in told] == ["breaker", "breaker"]


def test_an_error_made_of_a_cancellation_is_no_failure_of_the_service(breaker, clock):
    """Clients turn cancellations into errors of their own."""

    async def turns_it_over():
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError as error:
            raise ConnectionError("closed") from error

    async def main():
        task = asyncio.create_task(breaker.call_async(turns_it_over))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(ConnectionError):
            await task

    asyncio.run(main())
    assert breaker.failures == 0


def test_a_hook_that_raises_gives_the_probe_back(policy, breaker, clock):
    """The attempt never began."""

    def broken(_):
        raise RuntimeError("no hook today")

    breaker.trip()
    clock.now += 30
    with pytest.raises(RuntimeError):
        policy(breaker=breaker, before_attempt=broken).call(str)
    assert policy(breaker=breaker).call(Script("paid")) == "paid"


def test_a_function_that_returns_a_coroutine_gives_the_probe_back(policy, breaker, clock):
    """It is refused, and nothing was asked of the service."""
    breaker.trip()
    clock.now += 30
    with pytest.raises(TypeError, match="returned a coroutine"):
        policy(breaker=breaker).call(lambda: asyncio.sleep(0))
    assert policy(breaker=breaker).call(Script("paid")) == "paid"
    assert breaker.state is State.CLOSED


def test_a_loop_that_is_left_before_the_block_gives_the_probe_back(policy, breaker, clock):
    """The request could not even be made; in async code, too."""

    def fail():
        for _ in policy(breaker=breaker):
            raise ValueError("no amount")

    async def leave():
        async for _ in policy(breaker=breaker):
            break

    breaker.trip()
    clock.now += 30
    with pytest.raises(ValueError, match="no amount"):
        fail()
    assert breaker.retry_in == 0
    asyncio.run(leave())
    assert breaker.retry_in == 0
    assert policy(breaker=breaker).call(Script("paid")) == "paid"


def test_hooks_and_notes_tell_why_it_ended(policy, breaker):
    """By the word that `Stop` uses."""
    told = []
    with pytest.raises(CircuitOpen):
        policy(breaker=breaker, giving_up=told.append).call(Script(*[TimeoutError("late")] * 3))
    assert [(type(one), one.number, one.reason) for one in told] == [(GivingUp, 3, "breaker")]


def test_a_spent_budget_ends_the_operation_with_its_last_failure(policy, drive, clock):
    """Noted, and without a wait."""
    budget = RetryBudget(ratio=0.1, per_second=0, burst=1, clock=clock)
    last = TimeoutError("b")
    with pytest.raises(TimeoutError) as caught:
        drive(policy(budget=budget), Script(TimeoutError("a"), last))
    assert caught.value is last
    assert last.__notes__ == [
        "attempt 1: TimeoutError: a; then waited 1 s",
        "attempt 2 was the last: the retry budget is spent",
    ]
    alone = TimeoutError("c")
    with pytest.raises(TimeoutError):
        drive(policy(budget=budget), Script(alone))
    assert alone.__notes__ == ["attempt 1 was the last: the retry budget is spent"]


def test_each_operation_pays_its_share_into_the_budget(policy, drive, clock):
    """Successes too: they are the traffic."""
    budget = RetryBudget(ratio=0.5, per_second=0, burst=1, clock=clock)
    budget.withdraw()
    for _ in range(2):
        drive(policy(budget=budget), Script("paid"))
    assert drive(policy(budget=budget), Script(TimeoutError("a"), "paid")) == "paid"


def test_a_retry_that_is_not_made_after_its_wait_was_cut_off_costs_nothing(policy, drive, clock):
    """A cancellation while it waits, or a hook before the wait that raises."""

    class Cut(BaseException):
        pass

    def cut(_):
        raise Cut

    for given in ({"sleep": cut}, {"before_wait": cut}):
        budget = RetryBudget(ratio=0.1, per_second=0, burst=1, clock=clock)
        with pytest.raises(Cut):
            drive(policy(budget=budget, **given), Script(TimeoutError("a"), "paid"))
        assert budget.withdraw()


def test_a_spent_budget_returns_the_last_answer(policy, clock):
    """As when no attempts are left."""
    budget = RetryBudget(ratio=0.5, per_second=0, burst=1, clock=clock)
    budget.withdraw()
    assert policy(budget=budget).call(Script(answer(503))).status_code == 503


def test_policies_share_a_budget(policy, clock):
    """What one takes, the other has not."""
    budget = RetryBudget(ratio=0.1, per_second=0, burst=1, clock=clock)
    assert policy(budget=budget).call(Script(TimeoutError("a"), "paid")) == "paid"
    with pytest.raises(TimeoutError):
        policy(attempts=5, budget=budget).call(Script(TimeoutError("b")))


def test_an_open_circuit_costs_the_budget_nothing(policy, breaker, clock):
    """No retry was made."""
    budget = RetryBudget(ratio=0.1, per_second=0, burst=5, clock=clock)
    with pytest.raises(CircuitOpen):
        policy(breaker=breaker, budget=budget).call(Script(*[TimeoutError("late")] * 3))
    assert budget.balance == 3.0


def test_a_retry_that_is_not_made_after_its_wait_costs_the_budget_nothing(policy, breaker, drive, clock):
    """Others opened the circuit meanwhile, or the wait took longer than it was to."""
    budget = RetryBudget(ratio=0.1, per_second=0, burst=5, clock=clock)

    def wait(seconds):
        breaker.trip()
        clock.sleep(10 * seconds)

    with pytest.raises(CircuitOpen):
        drive(policy(breaker=breaker, budget=budget, sleep=wait), Script(TimeoutError("a")))
    assert budget.balance == 5.0
    with pytest.raises(TimeoutError):
        drive(policy(budget=budget, timeout=5, sleep=wait), Script(TimeoutError("b")))
    assert budget.balance == 5.0


def test_under_a_long_outage_the_load_grows_by_the_ratio_only(policy, clock):
    """A thousand operations, each of which alone would be tried ten times."""
    budget = RetryBudget(ratio=0.1, per_second=0, burst=10, clock=clock)
    retry = policy(budget=budget, backoff=fixed(0))
    attempts = []

    def down():
        attempts.append(1)
        raise ConnectionRefusedError

    for _ in range(1000):
        with pytest.raises(ConnectionRefusedError):
            retry.call(down)
    assert len(attempts) == 1000 + 109  # the first tenth found the budget full


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"breaker": 3}, "breaker=3: it has to be a CircuitBreaker of this engine"),
        ({"breaker": CircuitBreaker}, "it has to be a CircuitBreaker of this engine"),
        ({"budget": 0.1}, "budget=0.1: it has to be a RetryBudget of this engine"),
    ],
    ids=str,
)
def test_what_is_no_breaker_or_budget_is_refused(options, text):
    """Where the policy is made."""
    with pytest.raises(TypeError) as caught:
        Retry(**options)
    assert text in str(caught.value)
