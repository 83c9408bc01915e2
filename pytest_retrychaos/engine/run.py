"""One operation under way: which attempt runs, since when, what came before, and what follows. It never sleeps.

A driver, blocking or not, asks in this order: `Run.begins` before an attempt, then one of `Run.after_error`,
`Run.after_result` and `Run.cut_short`; where that gave seconds, it sleeps, and asks `Run.goes_on`. Plain failures may
go the short way first (see `shortcut`): then a `Run` is made of what was noted there, when it is needed.

This module owns the engine's time and chance: `time.monotonic`, `time.time` and `random` are looked up here, when
they are needed, unless a policy brings its own.
"""

from __future__ import annotations

import time

from pytest_retrychaos.engine.circuit import CircuitOpen
from pytest_retrychaos.engine.classify import Kind
from pytest_retrychaos.engine.decisions import wait_or_reason
from pytest_retrychaos.engine.events import Beginning, GivingUp, Waiting
from pytest_retrychaos.engine.failures import Failure, failure_of_error, failure_of_result, plain_failure
from pytest_retrychaos.engine.guard import Guard
from pytest_retrychaos.engine.history import KEPT, line_of, notes, told
from pytest_retrychaos.engine.keys import new_key
from pytest_retrychaos.engine.logs import logger
from pytest_retrychaos.engine.loops import is_being_cancelled
from pytest_retrychaos.engine.retry_after import retry_after
from pytest_retrychaos.engine.unknown import OutcomeUnknown, put_beside

TYPE_CHECKING = False  # importing typing would cost more than this module
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, NoReturn

    from pytest_retrychaos.engine.backoff import Chance
    from pytest_retrychaos.engine.decisions import Reason
    from pytest_retrychaos.engine.history import Entry, Noted, Said
    from pytest_retrychaos.engine.retry import Retry
    from pytest_retrychaos.engine.retry_after import Asked


def is_watched(policy: Retry) -> bool:
    """Tell whether a policy has to be asked before the first attempt, too, and told of a success.

    Where not, a success costs next to nothing, and a failure may go the short way.
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

    __slots__ = ("_done", "_entry", "_failure", "_guard", "_history", "_keys", "_started", "number", "policy")

    def __init__(self, policy: Retry, started: float | None = None, earlier: Sequence[Noted] | None = None) -> None:
        """Begin now, or have begun at ``started``, a reading of `time.monotonic`, and failed since as was noted."""
        self.policy = policy
        self.number = 1
        self._started = (policy.clock or time.monotonic)() if started is None else started
        self._guard = None if policy.breaker is None and policy.budget is None else Guard(policy)
        self._failure: Failure | None = None
        self._entry: Entry | None = None
        """What the last attempt came to, and the wait after it."""
        self._history: list[Entry] | None = None
        self._keys: dict[str, str] = {}
        self._done: Entry | None = None
        """The last failure after which the request may have been carried out."""
        for noted in earlier or ():
            self._recall(noted)
            self._counts()

    @classmethod
    def after_wait(cls, policy: Retry, started: float, earlier: Sequence[Noted]) -> Run:
        """Take over an operation when the wait after the last of its failures is over, to ask whether it `goes_on`."""
        run = cls(policy, started, earlier[:-1])
        run._recall(earlier[-1])
        return run

    def _recall(self, noted: Noted) -> None:
        """Take over a failure that was noted, and the wait after it."""
        self._failure, kind, args, seconds = noted
        self._entry = self.number, (kind, args), seconds

    def elapsed(self) -> float:
        """Seconds since the operation began; a clock that jumps back counts as standing."""
        elapsed = (self.policy.clock or time.monotonic)() - self._started
        return elapsed if elapsed > 0 else 0.0

    @property
    def may_be_done(self) -> bool:
        """Whether the request may have been carried out by an earlier attempt."""
        return self._done is not None

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
        if self._guard is not None and self.number == 1:
            self._guard.first()
        if self.policy.before_attempt is None:
            return
        try:
            _tell(self.policy.before_attempt, Beginning(self.number, self.elapsed()))
        except BaseException:
            self.cut_short()
            raise

    def after_error(self, error: Exception) -> float | None:
        """Note that the attempt ended in an exception; give the seconds to wait, ``None`` where it is to be raised."""
        policy = self.policy
        if self._guard is not None:
            self._guard.raised(error)
        failure = None if policy.has_judge else plain_failure(error, policy.on)
        if failure is not None:
            return self._after(failure, error, (type(error), error.args), None)
        failure = failure_of_error(error, policy.on)
        if failure.is_retryable and is_being_cancelled(error):
            self._failure = failure
            self._gives_up("cancelled", error)
            return None
        return self._after(failure, error, None, self._asked(failure))

    def after_result(self, result: object) -> float | None:
        """Note that the attempt ended in a value; give the seconds to wait, ``None`` where it is to be returned."""
        if self._guard is not None:
            self._guard.returned(result)
        failure = failure_of_result(result, self.policy.on)
        return None if failure is None else self._after(failure, result, None, self._asked(failure))

    def succeeded(self) -> None:
        """Note that the attempt was a success: a value that is no answer, or a block that came to its end."""
        if self._guard is not None:
            self._guard.ended(False)

    def cut_short(self) -> None:
        """Note that the attempt ended in a cancellation or another exception that is no `Exception`."""
        if self._guard is not None:
            self._guard.ended(None)

    def breaks_off(self) -> None:
        """Note that the wait ended in an exception, such as a cancellation: what was paid for is not made."""
        if self._guard is not None:
            self._guard.takes_back()

    def goes_on(self, outcome: object) -> bool:
        """Tell, once the wait is over, whether another attempt follows; where not, ``outcome`` stands."""
        timeout = self.policy.timeout
        if timeout is not None and self.elapsed() >= timeout:
            if self._guard is not None:
                self._guard.takes_back()
            self._gives_up("timeout", outcome)
            return False
        if self._guard is not None:
            try:
                self._guard.another()
            except CircuitOpen as refusal:
                self._guard.takes_back()
                self._ends_open(refusal, outcome)
        self._counts()
        return True

    def _counts(self) -> None:
        """Add the attempt that failed to the history, and begin the next one."""
        entry = self._entry
        assert entry is not None
        history = self._history
        if history is None:
            self._history = [entry]
        else:
            history.append(entry)
            if len(history) > KEPT:
                del history[0]
        if self._failure is not None and self._failure.kind is _AMBIGUOUS:
            self._done = entry
        self.number += 1

    def _after(self, failure: Failure, outcome: object, said: Said | None, asked: Asked | None) -> float | None:
        """Decide what follows, and carry out all but a wait. ``said`` is the outcome in words, if they are made."""
        self._failure = failure
        policy, before = self.policy, self._entry
        decided = wait_or_reason(
            policy,
            failure,
            self.number,
            0.0 if policy.timeout is None else self.elapsed(),
            policy.random or _chance or chance(),
            asked,
            None if before is None else before[2],
        )
        if self._guard is not None and not isinstance(decided, str):
            if refusal := self._guard.refusal():
                if not self._guard.is_in_a_probe:
                    self._ends_open(refusal, outcome)
                decided = "breaker"
            elif not self._guard.pays():
                decided = "budget"
        if isinstance(decided, str):
            self._gives_up(decided, outcome)
            return None
        self._entry = self.number, said or told(outcome), decided
        if policy.before_wait is not None:
            try:
                _tell(policy.before_wait, Waiting(self.number, self.elapsed(), decided, outcome, failure.kind))
            except BaseException:
                self.breaks_off()
                raise
        if log := logger():
            log.info("attempt %d: %s; waiting %.3g s", self.number, told(outcome), decided)
        return decided

    def _ends_open(self, refusal: CircuitOpen, outcome: object) -> NoReturn:
        """Give up for an open circuit: its error is raised from the last one, or takes the last result along."""
        self._gives_up("breaker", outcome)
        if isinstance(outcome, BaseException):
            raise refusal from outcome
        refusal.result = outcome
        self._note("breaker", refusal)
        raise refusal from None

    def _note(self, reason: Reason, error: BaseException) -> None:
        history = [] if self._history is None and reason in ("breaker", "budget") else self._history
        if history is not None:
            try:
                for note in notes(history, self.number, reason):
                    error.add_note(note)
            except Exception:
                pass  # an exception that takes no notes is raised without them

    def _gives_up(self, reason: Reason, outcome: object) -> None:
        """Note that the operation ends with what it has."""
        kind = None if self._failure is None else self._failure.kind
        if isinstance(outcome, BaseException):
            self._note(reason, outcome)
            if self._done is not None and kind is not None and kind.did_nothing:
                put_beside(outcome, OutcomeUnknown(f"it may have been carried out before: {line_of(self._done)}"))
        if self.policy.giving_up is not None:
            _tell(self.policy.giving_up, GivingUp(self.number, self.elapsed(), reason, outcome, kind))
        if reason != "permanent" and (log := logger()):
            log.info("attempt %d: %s; giving up: %s", self.number, told(outcome), reason)

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


def chance() -> Chance:
    """Give the module `random`, imported once something has failed: it takes longer than the rest of the engine."""
    global _chance
    if _chance is None:
        import random

        _chance = random
    return _chance


_chance: Chance | None = None
_AMBIGUOUS = Kind.AMBIGUOUS
