"""What a policy makes of groups, delays, hints and successes."""

from __future__ import annotations

import socket

import pytest

from pytest_retrychaos.engine import CircuitOpen, Kind, OutcomeUnknown, Retry, fixed, is_transient
from pytest_retrychaos.engine.failures import failure_of_error, failure_of_result, plain_failure
from pytest_retrychaos.engine.history import line_of, told
from tests.unit.engine.drives import Script, answer


class Answered(Exception):
    """An error that carries an answer."""

    def __init__(self, status, **headers):
        super().__init__(status)
        self.response = answer(status, **headers)


LATE, REFUSED = TimeoutError("late"), ConnectionRefusedError(111, "refused")


@pytest.mark.parametrize(
    ("members", "kind", "is_retryable"),
    [
        ([LATE], Kind.AMBIGUOUS, True),
        ([REFUSED, REFUSED], Kind.NOT_SENT, True),
        ([REFUSED, LATE], Kind.AMBIGUOUS, True),
        ([LATE, Answered(404)], Kind.REFUSED, False),
        ([LATE, KeyError("id")], None, False),
        ([ExceptionGroup("inner", [LATE, REFUSED])], Kind.AMBIGUOUS, True),
        ([ExceptionGroup("inner", [LATE, ValueError("x")])], None, False),
    ],
)
def test_a_group_is_as_its_members(members, kind, is_retryable):
    """Retried if each would be; of the kinds the gravest."""
    failure = failure_of_error(ExceptionGroup("tasks", members), None)
    assert (failure.kind, failure.is_retryable) == (kind, is_retryable)


def test_on_types_are_looked_for_in_a_group():
    """A nursery wraps what its tasks raise."""
    group = ExceptionGroup("tasks", [KeyError("id"), IndexError(0)])
    assert failure_of_error(group, LookupError).is_retryable
    assert not failure_of_error(group, KeyError).is_retryable
    assert failure_of_error(group, ExceptionGroup).is_retryable


@pytest.mark.parametrize("final", [CircuitOpen("rates", 30), OutcomeUnknown("400")])
@pytest.mark.parametrize("on", [None, Exception, lambda outcome: isinstance(outcome, Exception)])
def test_what_is_never_retried_is_not_retried_in_a_group_either(final, on):
    """A nursery wraps what an open circuit refused, and another attempt would meet it again."""
    group = ExceptionGroup("tasks", [LATE, ExceptionGroup("inner", [final])])
    assert not failure_of_error(group, on).is_retryable


def test_a_judge_is_given_the_group_itself():
    """It may look inside."""
    group = ExceptionGroup("tasks", [KeyError("id")])
    assert failure_of_error(group, lambda outcome: outcome is group).is_retryable


def test_a_group_with_a_cancellation_goes_through(policy, drive):
    """It is no Exception."""
    script = Script(BaseExceptionGroup("tasks", [LATE, KeyboardInterrupt()]))
    with pytest.raises(BaseExceptionGroup):
        drive(policy(), script)
    assert script.calls == 1


def test_of_a_group_the_longest_wait_asked_for_is_kept(policy, clock, drive):
    """Two services, two answers."""
    group = ExceptionGroup("tasks", [Answered(503, retry_after="7"), Answered(429, retry_after="3"), LATE])
    drive(policy(), Script(group, "paid"))
    assert clock.slept == [7.0]


@pytest.mark.parametrize(("delay", "slept"), [(0.25, 1.0), (1, 1.0), (5, 5.0), (2.5, 2.5)])
def test_a_delay_that_a_judge_names_is_the_least_wait(policy, clock, delay, slept):
    """It is a floor under the backoff, as Retry-After is."""
    policy(on=lambda outcome: outcome == "pending" and delay).call(Script("pending", "done"))
    assert clock.slept == [slept]


def test_a_plain_yes_asks_for_no_delay(policy, clock):
    """True is no second."""
    policy(on=lambda outcome: outcome == "pending", backoff=fixed(0.5)).call(Script("pending", "done"))
    assert clock.slept == [0.5]


def test_a_judge_cannot_come_before_the_server_asked(policy, clock):
    """The longer of both."""
    policy(on=lambda outcome: outcome != "paid" and 2).call(Script(answer(503, retry_after="9"), "paid"))
    assert clock.slept == [9.0]


def test_a_delay_past_the_timeout_ends_it_at_once(policy, clock):
    """No wait is begun that would end past it."""
    assert policy(timeout=10, on=lambda _: 30).call(Script("pending")) == "pending"
    assert clock.slept == []


def test_what_a_judge_raises_goes_through(policy, drive):
    """A broken judge is a bug of the program, and the failure is its context."""

    def judge(outcome):
        raise LookupError("no such state")

    script = Script(LATE)
    with pytest.raises(LookupError, match="no such state") as caught:
        drive(policy(on=judge), script)
    assert caught.value.__context__ is LATE
    assert script.calls == 1


@pytest.mark.parametrize(
    ("status", "headers", "is_retryable"),
    [
        (503, {}, True),
        (503, {"x_should_retry": "false"}, False),
        (500, {"stripe_should_retry": "false"}, False),
        (409, {"stripe_should_retry": "true"}, True),
        (400, {"x_should_retry": "true"}, True),
        (400, {"x_should_retry": "maybe"}, False),
        (501, {}, False),
        (501, {"x_should_retry": "true"}, True),
        (200, {"x_should_retry": "true"}, False),
    ],
)
def test_a_should_retry_hint_is_obeyed(status, headers, is_retryable):
    """The server's own word, both ways; a success stays one."""
    assert is_transient(answer(status, **headers)) is is_retryable
    if status >= 400:
        assert is_transient(Answered(status, **headers)) is is_retryable


@pytest.mark.parametrize("outcome", [None, 7, "text", KeyboardInterrupt(), ValueError("x"), object()])
def test_nothing_else_is_transient(outcome):
    """The default as a function, for judges that add to it."""
    assert not is_transient(outcome)


def test_the_headers_of_a_success_are_not_read():
    """Successes are the many; reading costs."""

    class Headers(dict):
        def items(self):
            raise AssertionError("read")

    response = answer(200)
    response.headers = Headers()
    assert failure_of_result(response, None) is None


def test_a_refusal_after_a_timeout_stands_beside_what_may_have_been_done(policy, drive):
    """The error alone would say that nothing was done."""
    last = Answered(400)
    with pytest.raises(Answered) as caught:
        drive(policy(), Script(LATE, last))
    assert caught.value is last
    assert isinstance(last.__context__, OutcomeUnknown)
    assert str(last.__context__) == "it may have been carried out before: attempt 1: TimeoutError: late"


def test_it_stands_at_the_end_of_the_chain_that_is_shown(policy):
    """A client's own causes stay what they are."""
    cause = ConnectionRefusedError(111, "refused")
    last = RuntimeError("payment failed")
    last.__cause__ = cause
    with pytest.raises(RuntimeError):
        policy(attempts=2).call(Script(TimeoutError("late"), last))
    assert last.__cause__ is cause
    assert isinstance(cause.__context__, OutcomeUnknown)


@pytest.mark.parametrize("first", [Answered(503), ConnectionRefusedError(111, "refused")])
def test_a_refusal_after_what_did_nothing_stands_alone(policy, first):
    """Nothing was done, and nobody has to wonder."""
    last = Answered(400)
    with pytest.raises(Answered):
        policy().call(Script(first, last))
    assert last.__context__ is None


def test_an_unknown_outcome_is_never_retried():
    """With a new key it would be a second operation."""
    script = Script(OutcomeUnknown("the last answer was 400"))
    with pytest.raises(OutcomeUnknown):
        Retry(on=Exception).call(script)
    assert script.calls == 1


class Flaky(Exception):
    """An error of a program's own, with nothing but its text."""


class Worded(Exception):
    """One that says more than it was given."""

    def __str__(self):
        return f"worse than {self.args[0]}"


class Told(Exception):
    """One whose class tells a status."""

    status = 503


class Raising(Exception):
    """One whose attributes raise, looked at on the class already."""

    class _Descriptor:
        def __get__(self, instance, owner):
            raise RuntimeError("not yet")

    response = _Descriptor()


def test_attributes_that_raise_do_no_harm():
    """Nothing of a foreign exception's own is run that is not caught."""
    assert plain_failure(Raising("x"), None) is None
    assert failure_of_error(Raising("x"), Raising).is_retryable


def raised(error, *, connecting=False):
    """Raise an error, perhaps where the standard library connects, and catch it."""

    def fail(*_):
        raise error

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", fail)
        with pytest.raises(type(error)) as caught:
            socket.create_connection(("service", 80)) if connecting else fail()
    return caught.value


@pytest.mark.parametrize("on", [None, ConnectionError, (OSError, Flaky), ValueError])
@pytest.mark.parametrize("connecting", [False, True])
@pytest.mark.parametrize(
    "make",
    [
        lambda: ConnectionError("reset"),
        lambda: ConnectionResetError(104, "reset"),
        lambda: TimeoutError(),
        lambda: ConnectionRefusedError(111, "refused"),
        lambda: ValueError("a number", 5),
        lambda: Flaky("once more"),
    ],
)
def test_the_short_way_judges_as_the_long_one(make, connecting, on):
    """What holds nothing but its text is judged in a fraction of the time, and alike."""
    error = raised(make(), connecting=connecting)
    assert plain_failure(error, on) == failure_of_error(error, on)


def test_the_short_way_takes_no_function_of_ones_own_for_connecting():
    """One of that name stands in another module."""

    def create_connection():
        raise ConnectionError("reset")

    with pytest.raises(ConnectionError) as caught:
        create_connection()

    assert plain_failure(caught.value, None).kind is Kind.AMBIGUOUS


@pytest.mark.parametrize(
    "error",
    [
        ConnectionError("reset"),
        ConnectionResetError(104, "reset"),
        TimeoutError(),
        ValueError("a number", 5),
        Flaky(7),
        ConnectionError("x" * 500),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_is_kept_of_a_plain_failure_says_what_it_said_itself(error):
    """The words are made later, of its type and of what it was given."""
    assert plain_failure(error, Exception) is not None
    assert line_of((2, (type(error), error.args), 0.5)) == f"attempt 2: {told(error)}"


def _holding(error, **what):
    vars(error).update(what)
    return error


@pytest.mark.parametrize(
    "error",
    [
        _holding(ConnectionError("reset"), response=answer(503)),
        ConnectionError(TimeoutError("inside")),
        OSError(113, "no route to host"),
        ConnectionResetError(104, "reset", "service.sock"),
        Worded("before"),
        Told("busy"),
        CircuitOpen("rates", 30),
        OutcomeUnknown("400"),
        ExceptionGroup("tasks", [LATE]),
    ],
    ids=lambda error: type(error).__name__,
)
def test_the_short_way_leaves_to_the_long_one_what_holds_more(error):
    """An answer, a cause, a number, words of its own."""
    assert plain_failure(error, None) is None


def test_the_short_way_leaves_a_chain_to_the_long_one():
    """What is inside may say more."""
    cause, context = ValueError("x"), ValueError("x")
    cause.__cause__ = context.__context__ = LATE
    assert [plain_failure(one, None) for one in (cause, context)] == [None, None]
