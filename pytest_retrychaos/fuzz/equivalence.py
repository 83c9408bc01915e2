"""Which branches need no run, since the client would see, and the service hold, just what another branch gives.

Laws of this module:
1. ``after-commit`` is the same as without it where committing changes nothing: a read, or a request whose answer is
   replayed from its key. Not where handlers or an app of the test's answer: they may count who asks.
2. An answer that is slower than the client's own timeout is silence, after the commit.
3. An outage in which nobody comes back is a connection refused.
4. What would have been answered does not matter to a client that is cancelled before, but for whether it committed:
   it is what silence is, before or after the commit.
A branch is left out only for one that is tried itself.
"""

from __future__ import annotations

from dataclasses import replace

from pytest_retrychaos.faults import Kind, Step
from pytest_retrychaos.fuzz.history import History, Played
from pytest_retrychaos.trace import Attempt

NO_CHANGE = "nothing to commit"
TOO_SLOW = "slower than the client's timeout"
NOBODY_CAME = "nobody came during the outage"
CANCELLED = "cancelled before the answer"


def twin(step: Step, attempt: Attempt, parent: Played) -> tuple[Step, str] | None:
    """Give the plainer step that would do the same to an attempt which was answered in ``parent``, and why."""
    changes_nothing = (attempt.is_read or attempt.replayed) and not parent.answers_itself
    if step.after_commit and changes_nothing:
        return replace(step, after_commit=False), NO_CHANGE
    is_late = attempt.timeout_ns is not None and step.duration_ns is not None and step.duration_ns > attempt.timeout_ns
    if step.kind is Kind.SLOW and is_late and not step.before_commit:
        return Step(Kind.TIMEOUT, after_commit=not changes_nothing), TOO_SLOW
    return None


def twin_of_refusal(step: Step, index: int, refused: Played) -> bool:
    """Whether an outage from an attempt on is what ``refused`` has shown: that attempt refused, and then nobody."""
    if step.kind is not Kind.DOWN or step.status is not None or step.duration_ns is None:
        return False
    until = refused.attempts[index - 1].began_ns + step.duration_ns
    return all(attempt.began_ns >= until for attempt in refused.attempts[index:])


def twin_of_cancelled(history: History) -> Step | None:
    """Give the fault that would do the same to an attempt which is cancelled in flight."""
    if history.cancel is None or history.cancel.at_ns is not None or not history.faults:
        return None
    index, step = history.faults[-1]
    if index != history.cancel.attempt or step.kind is Kind.TIMEOUT:
        return None
    return Step(Kind.TIMEOUT, after_commit=step.commits)
