"""A loop that sends one request for ever is ended."""

from __future__ import annotations

import contextlib
import itertools
import socket
import time

import pytest

from pytest_retrychaos import Chaos
from pytest_retrychaos.record import Runaway
from tests.unit.record.wire import send


def loop(*, most: int = 3000, wait: float = 1, **request: object) -> None:
    """Send one request again and again, whatever comes back."""
    for _ in range(most):
        send(**request)  # type: ignore[arg-type]  # what the test gives is what send takes
        time.sleep(wait)


def test_a_loop_is_ended_after_two_thousand_attempts(chaos: Chaos) -> None:
    """By an error that no ``except Exception`` catches, and that says what to do."""
    chaos.script("503*")

    with pytest.raises(Runaway) as caught:
        loop()

    assert not isinstance(caught.value, Exception)
    assert str(caught.value) == (
        "POST /payments was sent 2000 times in a row: the retry loop does not end. Cap its attempts or its time; "
        "chaos.verify() can still be called"
    )
    assert len(chaos.attempts) == 2001
    assert [len(operation.attempts) for operation in chaos.operations] == [2001]
    assert (chaos.attempts[-1].error, chaos.attempts[-1].cut) == ("Runaway: the run was ended here", True)


def test_verify_still_judges_after_it(chaos: Chaos) -> None:
    """Too many attempts are too many, and nothing else is said of the one that was not answered."""
    chaos.script("503*")
    with pytest.raises(Runaway):
        loop()

    with pytest.raises(AssertionError, match=r"^RT03 too many attempts: POST /payments was sent 2 001 times"):
        chaos.verify()


def test_a_request_after_it_is_answered(chaos: Chaos) -> None:
    """The run goes on."""
    chaos.script("503 x2000, ok")
    with pytest.raises(Runaway):
        loop()

    assert send() == 201


def test_a_loop_of_connections_is_ended(chaos: Chaos) -> None:
    """Nothing was sent at all."""
    chaos.script("refuse*")

    def client() -> None:
        while True:
            with socket.socket() as plain, contextlib.suppress(OSError):
                plain.connect(("service.test", 80))

    with pytest.raises(Runaway, match=r"^a connection to service.test was tried 2000 times in a row"):
        client()


def test_a_poll_that_never_ends_is_ended(chaos: Chaos) -> None:
    """Reads that succeed count."""
    with pytest.raises(Runaway):
        loop(method="GET", path="/jobs", body=None)


def test_equal_successes_count(chaos: Chaos) -> None:
    """One body sent for ever."""
    with pytest.raises(Runaway):
        loop()


def test_successes_with_other_bodies_do_not_count(chaos: Chaos) -> None:
    """A day's work is no loop."""
    for number in range(2500):
        assert send(body=f'{{"customer":{number}}}') == 201

    assert len(chaos.operations) == 2500


def test_failures_with_other_bodies_count(chaos: Chaos) -> None:
    """Whatever the operations."""
    chaos.script("503*")

    def client() -> None:
        for number in itertools.count():
            send(body=f'{{"customer":{number}}}')

    with pytest.raises(Runaway):
        client()


def test_another_request_in_between_begins_the_count_anew(chaos: Chaos) -> None:
    """Only what is consecutive counts."""
    chaos.script("503*")

    for _ in range(2):
        loop(most=1999)
        send(path="/other")

    assert len(chaos.attempts) == 4000


def test_exactly_two_thousand_are_let_through(chaos: Chaos) -> None:
    """The limit itself is not beyond the limit."""
    chaos.script("503*")

    loop(most=2000)

    assert len(chaos.attempts) == 2000
