"""Which branches need no run, since the client would see, and the service hold, just what another branch gives.

Laws of this module:
1. ``after-commit`` is the same as without it where committing changes nothing: a read, or a request whose answer is
   replayed from its key. Not where handlers or an app of the test's answer: they may count who asks.
2. An answer that is slower than the client's own timeout is silence, after the commit.
3. An outage in which nobody comes back is a connection refused.
4. What would have been answered does not matter to a client that is cancelled before, but for whether it committed:
   it is what no fault is, or the plainest one of those that change nothing.
A branch is left out only for one that is tried itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pytest_retrychaos.faults import Kind, Step
from pytest_retrychaos.fuzz.faultlist import applies
from pytest_retrychaos.fuzz.history import History, Played
from pytest_retrychaos.trace import Attempt

NO_CHANGE = "nothing to commit"
TOO_SLOW = "slower than the client's timeout"
NOBODY_CAME = "nobody came during the outage"
CANCELLED = "cancelled before the answer"
_TAKING_TIME = (Kind.TIMEOUT, Kind.SLOW, Kind.DRIP, Kind.DOWN, Kind.STALE)
"""An outage goes on, and what meets a stale connection did not arrive."""


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


def is_cancelled_before(history: History, attempts: Sequence[Attempt], faults: Sequence[Step]) -> bool:
    """Whether an attempt is cancelled before it meets its fault, and a plainer history does the same.

    ``attempts`` are those of the run with the fault; ``faults`` what is tried, the plainest first.
    """
    if history.cancel is None or history.cancel.at_ns is not None or not history.faults:
        return False
    index, step = history.faults[-1]
    if index != history.cancel.attempt:
        return False
    alike = (one for one in faults if _is_at_once(one) and applies(one, attempts[index - 1]))
    return step.commits or (_is_at_once(step) and step != next(alike, step))


def _is_at_once(step: Step) -> bool:
    """Whether it arrives, changes nothing, and would be answered in no time."""
    return not (step.commits or step.is_not_sent or step.kind in _TAKING_TIME)
