"""How attempts ended, by the step they met and by the error that the client told."""

from __future__ import annotations

import pytest

from pytest_retrychaos.laws.ends import Endings


@pytest.mark.parametrize(
    ("error", "how"),
    [
        ("ReadTimeout: the read operation took too long", "timeout"),
        ("OSError: timed out", "timeout"),
        ("ConnectionResetError: [Errno 104]", "reset"),
        ("OSError: [Errno 32] Broken pipe", "reset"),
        ("BrokenPipeError: [Errno 32]", "reset"),
        ("RemoteProtocolError: server disconnected", "eof"),
        (None, "eof"),
    ],
)
def test_a_failure_without_a_step_is_read_from_its_error(run, error, how):
    """In whatever case it is written."""
    attempt = run().send("ok", failed=True, status=None, headers_ns=None, own_answer=False, error=error)

    assert Endings().of(attempt.attempts[-1]).how == how


@pytest.mark.parametrize(("fault", "how"), [("slow=3s", "timeout"), ("drip=1", "timeout"), ("503", "eof")])
def test_a_failure_whose_error_says_nothing_is_read_from_its_step(run, fault, how):
    """What is slow was given up; what never came was closed."""
    one = run().send(fault, failed=True, status=None, headers_ns=None, own_answer=False, error="Oops: no")

    assert Endings().of(one.attempts[-1]).how == how


@pytest.mark.parametrize(
    ("error", "how"),
    [
        ("ValueError: no such account", "raised"),
        ("ConnectionError: reset", "reset"),
        ("ReadTimeout: no", "timeout"),
        ("SSLError: closed", "eof"),
    ],
)
def test_what_a_function_raises_by_itself_is_its_answer(run, error, how):
    """Unless the error tells of the network."""
    one = run().send("ok", failed=True, status=None, headers_ns=None, own_answer=True, error=error)

    assert Endings().of(one.attempts[-1]).how == how


@pytest.mark.parametrize(
    ("error", "how"), [("IncompleteRead: 3 more", "truncate"), ("ReadTimeout: no", "timeout"), ("X: reset", "reset")]
)
def test_a_success_that_failed_was_lost_on_its_way(run, error, how):
    """Its head had come."""
    one = run().send("ok", failed=True, error=error)

    assert Endings().of(one.attempts[-1]).how == how
