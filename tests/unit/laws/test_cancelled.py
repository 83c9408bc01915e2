"""RT08 on traces that keep it, break it, or say nothing of it."""

from __future__ import annotations

from pytest_retrychaos.model import SECOND

NOT_APPLIED = ("does not apply",)


def test_rt08_is_held_where_nothing_follows_a_cancellation(run, ruling):
    """In the middle of its waiting."""
    assert ruling(run().send("503").wait(1).cancel(), "RT08") == ("held",)


def test_rt08_is_broken_by_a_further_attempt(run, ruling):
    """Who sends it had been asked to end."""
    one = run().send("503").wait(1).cancel().wait(1).again(cancelled_ns=SECOND)

    assert ruling(one, "RT08") == ("broken", "RT08")


def test_rt08_is_broken_at_the_moment_of_the_cancellation(run, ruling):
    """An attempt that begins right then has been begun after it."""
    one = run().send("503").wait(1).cancel().again(cancelled_ns=SECOND)

    assert ruling(one, "RT08") == ("broken", "RT08")


def test_rt08_does_not_apply_without_a_cancellation(run, ruling, reason):
    """Most tests cancel nothing."""
    one = run().send("503").wait(1).again()

    assert ruling(one, "RT08") == NOT_APPLIED
    assert reason(one, "RT08") == "the test cancelled nothing that had not ended"


def test_rt08_does_not_apply_after_a_success(run, ruling):
    """There was nothing left to cancel."""
    assert ruling(run().send().wait(1).cancel(), "RT08") == NOT_APPLIED


def test_rt08_does_not_apply_where_the_cancellation_does_not_reach(run, ruling, reason):
    """A thread, a shielded task, a block that has ended."""
    one = run().send("503").wait(1).cancel().wait(1).again()

    assert ruling(one, "RT08") == NOT_APPLIED
    assert reason(one, "RT08") == (
        "it went on where the cancellation did not reach: in a thread or a task of its own,"
        " or after the test had taken it back"
    )


def test_rt08_does_not_apply_to_what_was_begun_afterwards(run, ruling, reason):
    """Whoever cleans up may try again."""
    one = run().wait(1).cancel().send("503", cancelled_ns=SECOND).wait(1).again(cancelled_ns=SECOND)

    assert ruling(one, "RT08") == NOT_APPLIED
    assert reason(one, "RT08") == "it was begun after the cancellation: another request, such as one that cleans up"


def test_rt01_does_not_apply_to_an_operation_whose_task_was_cancelled(run, ruling, reason):
    """Nobody wanted it any more."""
    one = run().send("503").wait(1).cancel()

    assert ruling(one, "RT01") == NOT_APPLIED
    assert reason(one, "RT01") == "the operation was cancelled"


def test_rt01_is_asked_of_an_operation_that_follows_a_cancellation(run, ruling):
    """An earlier one's cancellation excuses nothing."""
    assert ruling(run().cancel().wait(1).send("503"), "RT01") == ("broken", "RT01/503")


def test_rt08_at_the_same_moment_says_so(run, text):
    """There is no time between them to tell."""
    one = run("503, ok").send("503", key="key-1").cancel().again(cancelled_ns=0)

    assert text(one, "RT08") == (
        "RT08 went on after a cancellation: POST /payments was sent again although the test had cancelled it\n"
        "  t+0.00s  #1  POST /payments  key K1   503\n"
        "  t+0.00s  #2  POST /payments  key K1   201, committed   ◄ sent after the cancellation\n"
        "  why   nobody waits for the result any more: the work is done for no one, and whoever cancelled believes"
        " that it was not\n"
        "  fix   let the cancellation pass: catch Exception, not BaseException, and raise CancelledError again\n"
        '  again @pytest.mark.chaos("503, ok", seed=42)'
    )
