"""LD01: attempts of one operation, through every layer."""

from __future__ import annotations

import pytest

from pytest_retrychaos.laws import assertions as ask
from pytest_retrychaos.laws.amplification import check_amplification
from pytest_retrychaos.trace import Trace


def sent(run, times):
    """One operation that is sent so often."""
    run.send("503", key="key-1")
    for _ in range(times - 1):
        run.wait(1).again("503")
    return run


def test_no_limit_says_nothing(run, ruling, reason):
    """What is right is not known."""
    assert ruling(sent(run(), 9), "LD01") == ("does not apply",)
    assert reason(sent(run(), 9), "LD01") == "no limit was given: chaos.verify(amplification=4)"


@pytest.mark.parametrize(("limit", "verdict"), [(8, ("broken", "LD01")), (8.5, ("broken", "LD01")), (9, ("held",))])
def test_attempts_are_held_to_the_limit(run, ruling, limit, verdict):
    """Nine of one operation."""
    assert ruling(sent(run(), 9), "LD01", amplification=limit) == verdict


def test_a_success_at_once_proves_nothing(run, ruling):
    """Nothing failed."""
    assert ruling(run().send(), "LD01", amplification=1) == ("does not apply",)


def test_a_failure_that_is_left_alone_keeps_a_limit_of_one(run, ruling):
    """No layer retries."""
    assert ruling(sent(run(), 1), "LD01", amplification=1) == ("held",)


def test_a_redirect_that_is_followed_is_no_attempt(run, ruling):
    """It is a leg."""
    one = run().send("503", key="key-1").again("ok", joined="leg")

    assert ruling(one, "LD01", amplification=1) == ("held",)


def test_the_assertion_asks_the_same(run):
    """Broken, held, and nothing to tell by."""
    trace = sent(run(), 9).trace()

    assert ask.amplification(trace, 9) is None
    assert ask.amplification(trace, 3).headline == (
        "LD01 amplified: POST /payments became 9 attempts for one operation, at most 3 are right"
    )
    assert ask.amplification(run().send().trace(), 3).headline == "NV01 cannot tell: nothing failed"
    assert ask.amplification(Trace("t", 0, ""), 3).headline == "NV01 cannot tell: nothing was sent"


@pytest.mark.parametrize("limit", [0, 0.9, float("inf"), float("nan"), True, "4", None])
def test_a_limit_is_a_number_of_attempts(limit):
    """From one up."""
    with pytest.raises(ValueError, match=r"^amplification=.*: give a number of attempts, 1 or more; 1 means no retry$"):
        check_amplification("amplification", limit)


@pytest.mark.parametrize("limit", [1, 1.5, 9])
def test_a_limit_is_taken_as_it_is(limit):
    """One is the least."""
    assert check_amplification("amplification", limit) == limit
