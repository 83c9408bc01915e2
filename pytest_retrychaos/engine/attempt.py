"""`Attempt`: what a loop over a policy gives, and what a function may ask for."""

from __future__ import annotations

TYPE_CHECKING = False  # importing typing would cost more than this module
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

    from pytest_retrychaos.engine.run import Run


LEAST_LIMIT = 0.001
"""Clients refuse a time limit of 0 seconds."""


class Attempt:
    """One attempt of an operation; in a loop over a policy it is to be entered by ``with``.

    An exception in the block that is to be retried is swallowed, and the loop waits for the next attempt; any other
    goes through.
    """

    __slots__ = ("_error", "_run", "_wait", "number", "was_entered")

    def __init__(self, run: Run) -> None:
        self.number: int = run.number
        """Which attempt this is, from 1."""
        self.was_entered = False
        self._run = run
        self._wait: float | None = None
        self._error: Exception | None = None

    @property
    def remaining(self) -> float | None:
        """Seconds until the policy's timeout, 0 when it has passed; ``None`` where it has none."""
        return self._run.remaining()

    def within(self, seconds: float) -> float:
        """Cut a client's own time limit to what is left of the policy's timeout: ``timeout=attempt.within(10)``.

        Never 0, which clients refuse or take for no limit: 1 ms at least.
        """
        remaining = self.remaining
        return seconds if remaining is None else min(seconds, max(remaining, LEAST_LIMIT))

    @property
    def idempotency_key(self) -> str:
        """A key for this operation, the same on all its attempts, made when it is first asked for.

        A UUID, unless the policy has a source of its own (``new_key=``).
        """
        return self._run.key()

    @property
    def may_be_done(self) -> bool:
        """Whether an earlier attempt may have been carried out: it timed out, was cut, or met a 5xx other than 503."""
        return self._run.may_be_done

    def __enter__(self) -> Attempt:
        if self.was_entered:
            raise RuntimeError("the attempt was entered before: take the next one from the loop")
        self.was_entered = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is None:
            self._run.succeeded()
        elif isinstance(error, Exception):
            self._wait = self._run.after_error(error)
            self._error = None if self._wait is None else error
        else:
            self._run.cut_short()
        return self._error is not None

    def failure(self) -> tuple[float, Exception] | None:
        """Give what the loop has to do next, and forget it: the seconds to wait, and the error to raise if that
        took too long; ``None`` at the end of the loop."""
        if not self.was_entered:
            raise RuntimeError(
                "the attempt was not entered, so nobody can tell how it ended; "
                "write `for attempt in retry:` and, inside, `with attempt: ...`"
            )
        wait, error, self._error = self._wait, self._error, None
        return None if wait is None or error is None else (wait, error)

    def __repr__(self) -> str:
        return f"<Attempt {self.number}>"


class _ThisAttempt:
    """Stands as a default where a function asks for its attempt."""

    __slots__ = ()

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):  # Python's own questions: can it be copied, compared, shown?
            raise AttributeError(name)
        raise RuntimeError(
            f"this_attempt.{name}: the function that asks for its attempt was called without a retry around it; "
            "call it by retry.call(fn, ...), or decorate it, itself and not a wrapper of it, with @retry"
        )

    def __repr__(self) -> str:
        return "this_attempt"

    def __reduce__(self) -> str:
        return "this_attempt"


this_attempt: Any = _ThisAttempt()  # Any: it stands for an Attempt, so that `attempt: Attempt = this_attempt` checks
"""The default by which a function that is retried asks for its attempt, as a keyword::

    @retry
    def charge(order: Order, *, attempt: Attempt = this_attempt) -> Payment: ...
"""
