"""What the end of a call tells about the service."""

from __future__ import annotations

import asyncio
import http.client

import httpx
import pytest
import requests

from pytest_retrychaos.engine import CircuitOpen
from pytest_retrychaos.engine.health import error_tells, result_tells
from pytest_retrychaos.engine.unknown import OutcomeUnknown


def answer(status, **headers):
    """Make an answer as requests gives it."""
    response = requests.Response()
    response.status_code = status
    response.headers.update(headers)
    return response


def wrapped(error, cause):
    """Raise one from the other, as clients do."""
    error.__cause__ = cause
    return error


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_transient_answer_is_a_failure_returned_or_raised(status):
    """Whether the client raises is its own affair."""
    assert result_tells(answer(status), None) is True
    assert error_tells(requests.HTTPError(response=answer(status)), None) is True


@pytest.mark.parametrize("status", [200, 204, 304, 400, 401, 404, 409, 422, 501, 505])
def test_an_answer_about_the_request_is_a_sign_of_health(status):
    """Five customers whose names are taken are no outage."""
    assert result_tells(answer(status), None) is False


@pytest.mark.parametrize("status", [400, 404, 409, 422, 501])
def test_an_answer_about_the_request_is_a_sign_of_health_when_raised(status):
    """The same, through raise_for_status."""
    assert error_tells(requests.HTTPError(response=answer(status)), None) is False


@pytest.mark.parametrize("error", [ConnectionRefusedError(), TimeoutError(), httpx.ReadTimeout("late")], ids=repr)
def test_a_connection_that_fails_is_a_failure(error):
    """Nobody answered."""
    assert error_tells(error, None) is True


class DriverError(Exception):
    """What a database's driver raises."""


@pytest.mark.parametrize("error", [DriverError(), RuntimeError("no luck"), OSError("odd"), Exception()], ids=repr)
def test_an_exception_that_nobody_knows_is_a_failure(error):
    """A breaker that never opens on them would protect nobody."""
    assert error_tells(error, None) is True


@pytest.mark.parametrize(
    "error",
    [
        KeyboardInterrupt(),
        asyncio.CancelledError(),
        SystemExit(503),
        ValueError("a mistake of the caller's own"),
        KeyError("id"),
        http.client.InvalidURL("a mistake of the caller's own"),
        CircuitOpen("", 3.0),
        wrapped(CircuitOpen("", 3.0), TimeoutError()),
        wrapped(RuntimeError("no luck"), wrapped(CircuitOpen("", 3.0), TimeoutError())),
    ],
    ids=repr,
)
def test_what_does_not_come_from_the_service_tells_nothing(error):
    """Neither its failure nor its health."""
    assert error_tells(error, None) is None


VALUES = [None, 503, "503", {"status": 503}, [503], object()]


@pytest.mark.parametrize("result", VALUES, ids=lambda value: type(value).__name__)
def test_a_plain_value_is_a_sign_of_health(result):
    """It is no answer of a service."""
    assert result_tells(result, None) is False


@pytest.mark.parametrize(("status", "told"), [(404, False), (503, True)])
def test_an_unknown_outcome_is_judged_by_the_answer_that_ended_it(status, told):
    """The service answered, whatever it did before."""
    error = OutcomeUnknown()
    error.answer = answer(status)
    assert error_tells(error, None) is told


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ([ValueError("x"), TimeoutError("late")], True),
        ([ValueError("x"), requests.HTTPError(response=answer(404))], False),
        ([ValueError("x"), KeyError("id")], None),
        ([ExceptionGroup("inner", [TimeoutError("late")])], True),
    ],
    ids=str,
)
def test_a_group_of_exceptions_is_judged_by_its_members(members, told):
    """One failure is a failure."""
    assert error_tells(ExceptionGroup("tasks", members), None) is told


def test_a_group_is_judged_by_types_too():
    """Of itself, or of its members."""
    group = ExceptionGroup("tasks", [KeyError("id"), ValueError("x")])
    assert error_tells(group, KeyError) is True
    assert error_tells(group, ExceptionGroup) is True
    assert error_tells(group, TimeoutError) is False


def test_a_group_of_refusals_tells_nothing_whatever_the_types():
    """Other open circuits, each in a task of its own."""
    group = ExceptionGroup("tasks", [CircuitOpen("", 3.0), CircuitOpen("", 4.0)])
    assert error_tells(group, None) is None
    assert error_tells(group, Exception) is None


def test_a_group_that_holds_a_cancellation_tells_nothing():
    """The task was ended from outside."""
    group = BaseExceptionGroup("tasks", [TimeoutError("late"), asyncio.CancelledError()])
    assert error_tells(group, None) is None


def test_types_count_those_exceptions_and_all_else_is_health():
    """The user knows what failing means."""
    assert error_tells(KeyError("id"), LookupError) is True
    assert error_tells(ValueError("x"), (LookupError, ValueError)) is True
    assert error_tells(TimeoutError(), LookupError) is False
    assert result_tells(answer(503), LookupError) is False


def test_types_do_not_count_what_ends_a_task_or_another_open_circuit():
    """`on=Exception` is wide, yet these say nothing."""
    assert error_tells(CircuitOpen("", 3.0), Exception) is None
    assert error_tells(asyncio.CancelledError(), Exception) is None


def test_a_function_judges_exceptions_and_results():
    """It is given what the call ended in."""

    def is_bad(outcome):
        return outcome == "degraded" or isinstance(outcome, KeyError)

    assert result_tells("degraded", is_bad) is True
    assert result_tells("fine", is_bad) is False
    assert error_tells(KeyError(), is_bad) is True
    assert error_tells(TimeoutError(), is_bad) is False


def test_a_function_that_answers_neither_true_nor_false_is_refused():
    """None is a forgotten return."""
    with pytest.raises(TypeError, match=r"returned None: it has to return True \(it failed\) or False"):
        result_tells("fine", lambda _: None)
