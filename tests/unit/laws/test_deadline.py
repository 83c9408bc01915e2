"""BK05 and BK07 on traces that keep them, break them, or say nothing of them."""

from __future__ import annotations

import pytest

from pytest_retrychaos.engine import Retry
from pytest_retrychaos.trace import Told

NOT_APPLIED = ("does not apply",)


def slow(one):
    """A timeout of 5 s, a second's wait, a timeout of 5 s: 11 s in all."""
    return one.send("timeout", key="key-1").wait(1).again("timeout")


@pytest.mark.parametrize("budget", [11, 30])
def test_bk05_is_held_within_the_budget(run, ruling, budget):
    """The attempt in flight is counted."""
    assert ruling(slow(run()), "BK05", Retry(attempts=2, timeout=budget)) == ("held",)


@pytest.mark.parametrize("budget", [10.9, 6])
def test_bk05_is_broken_past_the_budget(run, ruling, budget):
    """The last attempt was not cut to what was left."""
    assert ruling(slow(run()), "BK05", Retry(attempts=2, timeout=budget)) == ("broken", "BK05")


def test_bk05_judges_a_scope_with_one_operation_as_a_whole(run, ruling):
    """A sleep after the last failure counts."""
    one = slow(run().open()).wait(3).close()

    assert ruling(one, "BK05", Retry(attempts=2, timeout=12)) == ("broken", "BK05")


@pytest.mark.parametrize("told", [None, Told(True, "<Response [201]>")])
def test_bk05_does_not_apply_to_what_a_test_does_beside_a_call_that_went_well(run, ruling, told):
    """A block is the test's own; a call is the code's, to its end."""
    one = run().open(told=told).wait(5).send("503", key="key-1").wait(3).again().wait(60).close()

    assert ruling(one, "BK05", Retry(timeout=12)) == (NOT_APPLIED if told is None else ("broken", "BK05"))


def test_bk05_is_broken_by_a_block_whose_call_itself_took_too_long(run, ruling):
    """Whatever else the test did there."""
    one = run().open().send("503", key="key-1").wait(13).again().wait(60).close()

    assert ruling(one, "BK05", Retry(timeout=12)) == ("broken", "BK05")


def test_bk05_judges_operations_singly_where_a_scope_holds_several(run, ruling):
    """Each call has a budget of its own."""
    one = slow(run().open())
    one = slow(one.new()).close()

    assert ruling(one, "BK05", Retry(attempts=2, timeout=12)) == ("held",)


def test_bk05_is_broken_by_an_attempt_that_has_not_ended(run, ruling):
    """What still runs past its budget is over it."""
    one = run().send("slow=3s", ended_ns=None, headers_ns=None, last_byte_ns=None).wait(20)

    assert ruling(one, "BK05", Retry(timeout=12)) == ("broken", "BK05")


@pytest.mark.parametrize("policy", [None, Retry()])
def test_bk05_does_not_apply_without_a_budget(run, ruling, policy):
    """No budget is known."""
    assert ruling(slow(run()), "BK05", policy) == NOT_APPLIED


def test_bk05_does_not_apply_where_no_time_passed(run, ruling):
    """The budget was not put to the test."""
    assert ruling(run().send(), "BK05", Retry(timeout=1)) == NOT_APPLIED


def test_bk05_text_names_time_and_budget(run, text):
    """The failure text, whole."""
    assert text(slow(run("timeout x2")), "BK05", Retry(attempts=2, timeout=8)) == (
        "BK05 over budget: POST /payments took 11 s, its budget is 8 s\n"
        "  t+0.00s  #1  POST /payments  key K1   no answer in 5 s   (timeout)\n"
        "  t+6.00s  #2  POST /payments  key K1   no answer in 5 s   (timeout)   ◄ 3 s over budget\n"
        "  why   the caller had stopped waiting, and the work went on\n"
        "  fix   give each attempt at most the time that is left, and start none for which too little is left\n"
        '  again @pytest.mark.chaos("timeout x2", seed=42)'
    )


@pytest.mark.parametrize("seconds", [1, 300])
def test_bk07_is_held_when_silence_ends_at_the_client_timeout(run, ruling, seconds):
    """Any timeout will do."""
    assert ruling(run().send("timeout", lasts=seconds, timeout_ns=seconds * 10**9), "BK07") == ("held",)


@pytest.mark.parametrize("fault", ["timeout", "timeout after-commit"])
def test_bk07_is_broken_by_silence_without_a_deadline(run, ruling, fault):
    """The client would have waited for ever."""
    assert ruling(run().send(fault, timeout_ns=None, was_silent=True), "BK07") == ("broken", "BK07")


def test_bk07_does_not_apply_without_silence(run, ruling):
    """Whether there is a timeout was not seen."""
    assert ruling(run().send("503", timeout_ns=None), "BK07") == NOT_APPLIED


def test_bk07_does_not_apply_under_a_deadline_from_outside(run, ruling):
    """An event loop's deadline around the request is one too."""
    assert ruling(run().send("timeout", timeout_ns=None), "BK07") == NOT_APPLIED


def test_bk07_text_says_what_is_missing(run, text):
    """The failure text, whole; and the run that was ended there is not accused of giving up."""
    one = run("timeout").send("timeout", "GET", lasts=0, timeout_ns=None, was_silent=True)

    assert text(one, "BK07") == (
        "BK07 no timeout: GET /payments met silence and would have waited for ever\n"
        "  t+0.00s  #1  GET /payments   no answer, and no timeout   (timeout)   ◄ no timeout\n"
        "  why   a service that falls silent stops this client for good, and whoever waits for it\n"
        "  fix   give every request a timeout, for connecting and for reading\n"
        '  again @pytest.mark.chaos("timeout", seed=42)'
    )


def test_a_client_without_a_timeout_breaks_bk07_alone(run, broken):
    """No unrelated law is broken with it."""
    assert broken(run().send("timeout", "GET", timeout_ns=None, was_silent=True)) == ("BK07",)
