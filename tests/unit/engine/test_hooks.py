"""Hooks and the logger: who is told what, and when."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest

from pytest_retrychaos.engine import Beginning, GivingUp, Kind, Waiting
from tests.unit.engine.drives import Script, answer


@pytest.fixture
def told():
    """What the hooks were told."""
    return []


@pytest.fixture
def hooks(told):
    """One listener for all hooks."""
    return {"before_attempt": told.append, "before_wait": told.append, "giving_up": told.append}


def test_hooks_are_told_in_order(policy, drive, told, hooks):
    """Each attempt before it begins, each wait before it begins."""
    late = TimeoutError("late")
    drive(policy(**hooks), Script(late, "paid"))
    assert told == [Beginning(1, 0.0), Waiting(1, 0.0, 1.0, late, Kind.AMBIGUOUS), Beginning(2, 1.0)]


def test_giving_up_is_told_with_the_reason(policy, drive, told):
    """After the last attempt."""
    refused = ConnectionRefusedError(111, "refused")
    with pytest.raises(ConnectionRefusedError):
        drive(policy(attempts=2, giving_up=told.append), Script(TimeoutError("late"), refused))
    assert told == [GivingUp(2, 1.0, "attempts", refused, Kind.NOT_SENT)]


def test_giving_up_is_told_of_what_is_never_retried(policy, drive, told):
    """The first failure may be the last."""
    error = KeyError("id")
    with pytest.raises(KeyError):
        drive(policy(giving_up=told.append), Script(error))
    assert told == [GivingUp(1, 0.0, "permanent", error, None)]


def test_giving_up_is_told_of_an_answer_that_stays_bad(policy, told):
    """The last answer is returned, and is a failure all the same."""
    last = answer(503)
    policy(attempts=1, giving_up=told.append).call(Script(last))
    assert told == [GivingUp(1, 0.0, "attempts", last, Kind.TURNED_AWAY)]


def test_giving_up_is_told_when_the_wait_took_too_long(policy, clock, drive, told):
    """No attempt starts past the timeout."""

    def oversleep(seconds):
        clock.now += 100

    late = TimeoutError("late")
    with pytest.raises(TimeoutError):
        drive(policy(timeout=10, sleep=oversleep, giving_up=told.append), Script(late))
    assert told == [GivingUp(1, 100.0, "timeout", late, Kind.AMBIGUOUS)]


def test_a_success_at_once_is_only_begun(policy, drive, told, hooks):
    """Nobody waits, nobody gives up."""
    assert drive(policy(**hooks), Script("paid")) == "paid"
    assert told == [Beginning(1, 0.0)]


@pytest.mark.parametrize("hook", ["before_wait", "giving_up"])
def test_an_error_of_a_hook_surfaces_at_once_with_the_failure_as_context(policy, drive, hook):
    """It is neither retried nor lost, and neither is what came before."""

    def broken(event):
        raise ConnectionError("the metrics are away")

    late = TimeoutError("late")
    script = Script(late)
    with pytest.raises(ConnectionError, match="metrics") as caught:
        drive(policy(attempts=2 if hook == "before_wait" else 1, **{hook: broken}), script)
    assert caught.value.__context__ is late
    assert script.calls == 1


def test_an_error_of_a_hook_before_an_attempt_surfaces_at_once(policy, drive):
    """The attempt is not made."""

    def broken(event):
        raise ConnectionError("the metrics are away")

    script = Script("paid")
    with pytest.raises(ConnectionError, match="metrics"):
        drive(policy(before_attempt=broken), script)
    assert script.calls == 0


def test_an_async_hook_is_refused(policy, drive):
    """Nobody would await it."""

    async def hook(event):
        """Never run."""

    with pytest.raises(TypeError, match="is a hook and returned a coroutine, which nobody awaits"):
        drive(policy(before_attempt=hook), Script("paid"))


def test_the_logger_says_each_wait_and_the_end(policy, drive, caplog):
    """At INFO, under the engine's name."""
    with caplog.at_level(logging.INFO, "pytest_retrychaos.engine"), pytest.raises(TimeoutError):
        drive(policy(attempts=2), Script(TimeoutError("late"), TimeoutError("later")))
    assert caplog.messages == [
        "attempt 1: TimeoutError: late; waiting 1 s",
        "attempt 2: TimeoutError: later; giving up: attempts",
    ]


def test_the_logger_says_nothing_of_an_error_that_is_not_retried(policy, drive, caplog):
    """It is the caller's, and no affair of the engine's."""
    with caplog.at_level(logging.INFO, "pytest_retrychaos.engine"), pytest.raises(KeyError):
        drive(policy(attempts=2), Script(KeyError("id")))
    assert caplog.messages == []


def test_the_logger_is_quiet_by_default(policy, drive, caplog):
    """The text of a failure is made once, for the notes, and not again for a line that nobody reads."""

    class Silent(TimeoutError):
        def __str__(self):
            told.append("made")
            return "late"

    told = []
    drive(policy(), Script(Silent(), "paid"))
    assert caplog.messages == []
    assert told == ["made"]


def test_logging_is_not_imported():
    """A program that does not log does not pay for it."""
    code = (
        "import sys; from pytest_retrychaos.engine import Retry, fixed\n"
        "ends = [TimeoutError(), None]\n"
        "def work():\n"
        "    end = ends.pop(0)\n"
        "    if end: raise end\n"
        "Retry(backoff=fixed(0)).call(work); print('logging' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"
