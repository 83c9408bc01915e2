"""One operation under way: which attempt runs, since when, what came before, and what follows. It never sleeps.

A driver, blocking or not, asks in this order: `Run.begins` before an attempt, then one of `Run.after_error`,
`Run.after_result` and `Run.cut_short`; where that gave seconds, it sleeps, and asks `Run.goes_on`.

This module owns the engine's time and chance: `time.monotonic`, `time.time` and `random` are looked up here, when
they are needed, unless a policy brings its own.
"""

from __future__ import annotations

import time

from pytest_retrychaos.engine.circuit import CircuitOpen
from pytest_retrychaos.engine.classify import Kind
from pytest_retrychaos.engine.decisions import Stop, Wait, decide
from pytest_retrychaos.engine.events import Beginning, GivingUp, Waiting
from pytest_retrychaos.engine.failures import Failure, failure_of_error, failure_of_result
from pytest_retrychaos.engine.guard import Guard
from pytest_retrychaos.engine.history import History, told
from pytest_retrychaos.engine.keys import new_key
from pytest_retrychaos.engine.logs import logger
from pytest_retrychaos.engine.loops import is_being_cancelled
from pytest_retrychaos.engine.retry_after import retry_after
from pytest_retrychaos.engine.unknown import OutcomeUnknown, put_beside

TYPE_CHECKING = False  # importing typing would cost more than this module
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

    from pytest_retrychaos.engine.backoff import Chance
    from pytest_retrychaos.engine.retry import Retry
    from pytest_retrychaos.engine.retry_after import Asked


def is_watched(policy: Retry) -> bool:
    """Tell whether a policy has to be asked before the first attempt, too, and told of a success.

    Where not, a `Run` is made only when an attempt has failed, and a success costs next to nothing.
    """
    return (
        policy.clock is not None
        or policy.breaker is not None
        or policy.budget is not None
        or policy.before_attempt is not None
        or policy.before_wait is not None
        or policy.giving_up is not None
    )


class Run:
    """One operation of a policy. What it keeps of attempts that failed is text, not exceptions."""

    __slots__ = (
        "_clock",
        "_failure",
        "_guard",
        "_history",
        "_keys",
        "_previous_wait",
        "_started",
        "_wait",
        "may_be_done",
        "number",
        "policy",
    )

    def __init__(self, policy: Retry, started: float | None = None) -> None:
        """Begin now, or have begun at ``started``, a reading of `time.monotonic`."""
        self.policy = policy
        self.number = 1
        self._clock = policy.clock or time.monotonic
        self._started = self._clock() if started is None else started
        self._guard = Guard(policy)
        self._failure: Failure | None = None
        self._wait = 0.0
        self._previous_wait: float | None = None
        self._history: History | None = None
        self._keys: dict[str, str] = {}
        self.may_be_done: str | None = None
        """The last failure after which the request may have been carried out, in words."""

    def elapsed(self) -> float:
        """Seconds since the operation began; a clock that jumps back counts as standing."""
        return max(0.0, self._clock() - self._started)

    def remaining(self) -> float | None:
        """Seconds until the policy's timeout, 0 when it has passed; ``None`` where it has none."""
        timeout = self.policy.timeout
        return None if timeout is None else max(0.0, timeout - self.elapsed())

    def key(self) -> str:
        """Give the operation's idempotency key, made at the first call; two threads get the same."""
        made = self._keys.get("key")
        if made is not None:
            return made
        source = self.policy.new_key or new_key
        made = source()
        if not isinstance(made, str) or not made:
            raise TypeError(f"new_key={source!r} returned {made!r}: it has to return a key, a text that is not empty")
        return self._keys.setdefault("key", made)

    def begins(self) -> None:
        """Ask whether the next attempt may start: who refuses raises. Every attempt of a watched policy passes here."""
        if self.number == 1:
            self._guard.first()
        if self.policy.before_attempt is None:
            return
        try:
            _tell(self.policy.before_attempt, Beginning(self.number, self.elapsed()))
        except BaseException:
            self._guard.ended(None)
            raise

    def after_error(self, error: Exception) -> float | None:
        """Note that the attempt ended in an exception; give the seconds to wait, ``None`` where it is to be raised."""
        self._guard.raised(error)
        failure = failure_of_error(error, self.policy.on)
        if failure.is_retryable and is_being_cancelled(error):
            self._failure = failure
            self._gives_up(Stop("cancelled"), error)
            return None
        return self._after(failure, error)

    def after_result(self, result: object) -> float | None:
        """Note that the attempt ended in a value; give the seconds to wait, ``None`` where it is to be returned."""
        self._guard.returned(result)
        failure = failure_of_result(result, self.policy.on)
        return None if failure is None else self._after(failure, result)

    def after_block(self) -> None:
        """Note that a block came to its end: whatever it did is a success."""
        self._guard.ended(False)

    def cut_short(self) -> None:
        """Note that the attempt ended in a cancellation or another exception that is no `Exception`."""
        self._guard.ended(None)

    def goes_on(self, outcome: object) -> bool:
        """Tell, once the wait is over, whether another attempt follows; where not, ``outcome`` stands."""
        timeout = self.policy.timeout
        if timeout is not None and self.elapsed() >= timeout:
            self._gives_up(Stop("timeout"), outcome)
            return False
        try:
            self._guard.another()
        except CircuitOpen as refusal:
            self._ends_open(refusal, outcome)
        self._history = self._history or History()
        line = self._history.add(self.number, outcome, self._wait)
        if self._failure is not None and self._failure.kind is Kind.AMBIGUOUS:
            self.may_be_done = line
        self._previous_wait = self._wait
        self.number += 1
        return True

    def _after(self, failure: Failure, outcome: object) -> float | None:
        self._failure = failure
        decision = self._decide(failure)
        if isinstance(decision, Wait):
            if refusal := self._guard.refusal():
                self._ends_open(refusal, outcome)
            if not self._guard.pays():
                decision = Stop("budget")
        if isinstance(decision, Stop):
            self._gives_up(decision, outcome)
            return None
        self._wait = decision.seconds
        if self.policy.before_wait is not None:
            _tell(
                self.policy.before_wait,
                Waiting(self.number, self.elapsed(), decision.seconds, outcome, failure.kind),
            )
        if log := logger():
            log.info("attempt %d: %s; waiting %.3g s", self.number, told(outcome), decision.seconds)
        return decision.seconds

    def _ends_open(self, refusal: CircuitOpen, outcome: object) -> NoReturn:
        """Give up for an open circuit: its error is raised from the last one, or takes the last result along."""
        self._gives_up(Stop("breaker"), outcome)
        if isinstance(outcome, BaseException):
            raise refusal from outcome
        refusal.result = outcome
        self._note(Stop("breaker"), refusal)
        raise refusal from None

    def _note(self, stop: Stop, error: BaseException) -> None:
        history = History() if self._history is None and stop.reason in ("breaker", "budget") else self._history
        if history is not None:
            try:
                for note in history.notes(self.number, stop):
                    error.add_note(note)
            except Exception:
                pass  # an exception that takes no notes is raised without them

    def _gives_up(self, stop: Stop, outcome: object) -> None:
        if isinstance(outcome, BaseException):
            self._note(stop, outcome)
            kind = None if self._failure is None else self._failure.kind
            if self.may_be_done is not None and kind is not None and kind.did_nothing:
                put_beside(outcome, OutcomeUnknown(f"it may have been carried out before: {self.may_be_done}"))
        if self.policy.giving_up is not None:
            kind = None if self._failure is None else self._failure.kind
            _tell(self.policy.giving_up, GivingUp(self.number, self.elapsed(), stop.reason, outcome, kind))
        if stop.reason != "permanent" and (log := logger()):
            log.info("attempt %d: %s; giving up: %s", self.number, told(outcome), stop.reason)

    def _decide(self, failure: Failure) -> Wait | Stop:
        policy = self.policy
        return decide(
            policy,
            failure,
            attempt=self.number,
            elapsed=0.0 if policy.timeout is None else self.elapsed(),
            random=policy.random or _chance(),
            asked=self._asked(failure),
            previous_wait=self._previous_wait,
        )

    def _asked(self, failure: Failure) -> Asked | None:
        if not failure.headers and not failure.members:
            return None
        headers = [one.headers for one in (failure, *failure.members) if one.headers]
        if not headers:
            return None
        now = (self.policy.wall_clock or time.time)()  # noqa: TID251 - the engine's time is owned here
        found = [asked for one in headers if (asked := retry_after(one, now=now))]
        return max(found, key=lambda asked: asked.seconds, default=None)


def _tell(hook: Callable[[Any], object], event: object) -> None:  # Any: each hook takes its own event
    """Call a hook. What it raises ends the operation, with the failure at hand as its context."""
    answer = hook(event)
    close = getattr(answer, "close", None)
    if close is not None and hasattr(answer, "__await__"):
        close()
        raise TypeError(
            f"{hook!r} is a hook and returned a coroutine, which nobody awaits: write it as a plain function"
        )


def _chance() -> Chance:
    import random

    return random
