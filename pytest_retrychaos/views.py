"""What a test asks of a run or of one operation: counts, times, effects, each as an assertion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_retrychaos import redact
from pytest_retrychaos.laws import Finding, Verdict, assertions, breaker_seen
from pytest_retrychaos.laws.amplification import check_amplification
from pytest_retrychaos.model import SECOND
from pytest_retrychaos.text import finding_text
from pytest_retrychaos.trace import Attempt, Operation, Told, Trace, waits

if TYPE_CHECKING:
    from pytest_retrychaos.engine import Backoff


class CannotTell(AssertionError):
    """There is nothing to judge: no request was made."""


class LawsBroken(AssertionError):
    """Laws were broken, or an ``assert_…`` does not hold; the text's first line starts with the laws' codes."""

    def __init__(self, text: str, verdict: Verdict | None = None) -> None:
        super().__init__(text)
        self.verdict = verdict
        """Every ruling, where laws were judged."""


LawsBroken.__module__ = "pytest_retrychaos"  # its public home, as a failing test's summary line shows it


class Assertions:
    """Assertions over a whole run, or over one operation of it. None of them passes where it cannot tell."""

    def _snapshot(self) -> tuple[Trace, int | None]:
        """Give the trace, and the operation that is asked about (``None``: all)."""
        raise TypeError("only a run or an operation can be asked")

    def assert_retried(self, times: int | None = None) -> None:
        """Assert that there were retries, or exactly so many."""
        __tracebackhide__ = True
        if times is not None:
            _check_whole("assert_retried", times)
        self._check(assertions.retried, times)

    def assert_not_retried(self) -> None:
        """Assert that every operation was sent once."""
        __tracebackhide__ = True
        self._check(assertions.not_retried)

    def assert_attempts(self, count: int) -> None:
        """Assert how many attempts there were."""
        __tracebackhide__ = True
        _check_whole("assert_attempts", count)
        self._check(assertions.attempts, count)

    def assert_amplification(self, at_most: float) -> None:
        """Assert that no operation became more attempts than that, through every retry layer."""
        __tracebackhide__ = True
        check_amplification("at_most", at_most)
        self._check(assertions.amplification, at_most)

    def assert_backoff(self, backoff: Backoff) -> None:
        """Assert that every wait lies within the back-off's bounds, or between them and what the server asked."""
        __tracebackhide__ = True
        if not callable(getattr(backoff, "bounds", None)):
            raise TypeError(f"assert_backoff({backoff!r}): give a back-off, such as engine.exponential(0.1, cap=20)")
        self._check(assertions.backoff, backoff)

    def assert_retry_after_honoured(self) -> None:
        """Assert that the server's ``Retry-After`` was obeyed wherever it came and a retry followed."""
        __tracebackhide__ = True
        self._check(assertions.retry_after_honoured)

    def assert_within(self, seconds: float) -> None:
        """Assert that every operation ended within a time, the attempt in flight included."""
        __tracebackhide__ = True
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < float("inf"):
            raise TypeError(f"assert_within({seconds!r}): give a number of seconds, 0 or more")
        self._check(assertions.within, seconds)

    def assert_no_duplicates(self) -> None:
        """Assert that no operation had two effects, and that there was an effect at all to tell by."""
        __tracebackhide__ = True
        self._check(assertions.no_duplicates)

    def assert_key_reused(self) -> None:
        """Assert that every retry of an unsafe request carried the key of its first attempt."""
        __tracebackhide__ = True
        self._check(assertions.key_reused)

    def _check(self, question: Any, *arguments: object) -> None:  # Any: functions of one family, unlike arguments
        __tracebackhide__ = True
        trace, operation = self._snapshot()
        found = question(trace, *arguments, operation=operation)
        self._fail(trace, found)
        if found is None:
            self._note_held(assertions.ASKED.get(question, ()))

    def _fail(self, trace: Trace, found: Finding | None) -> None:
        __tracebackhide__ = True
        if found is not None and not self._lets_pass(trace, found):
            raise LawsBroken(finding_text(trace, found))

    def _lets_pass(self, trace: Trace, found: Finding) -> bool:  # noqa: ARG002 - a whole run may know it
        """Note a finding whose text is about to be shown; tell whether it is known and fails nothing."""
        return False

    def _note_held(self, laws: tuple[str, ...]) -> None:
        """Note which laws hold, as the test asked: a whole run tells of them."""


class RunAssertions(Assertions):
    """Assertions over a whole run alone: a breaker is about more than one operation."""

    def assert_breaker_opened(self, after: int | None = None) -> None:
        """Assert that a circuit breaker turned calls away once some had failed, or after so many failures in a row."""
        __tracebackhide__ = True
        if after is not None:
            _check_whole("assert_breaker_opened", after)
        self._ask(breaker_seen.breaker_opened, after)

    def assert_breaker_closed(self) -> None:
        """Assert that the last call went through, and well: no circuit breaker is open."""
        __tracebackhide__ = True
        self._ask(breaker_seen.breaker_closed)

    def assert_no_traffic_while_open(self) -> None:
        """Assert that nothing was sent while a breaker was seen to be open; ``verify(breaker=…)`` asks more."""
        __tracebackhide__ = True
        self._ask(breaker_seen.no_traffic_while_open)

    def _ask(self, question: Any, *arguments: object) -> None:  # Any: functions of one family, unlike arguments
        __tracebackhide__ = True
        trace, _ = self._snapshot()
        self._fail(trace, question(trace, *arguments))


def _check_whole(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise TypeError(f"{name}({value!r}): give a whole number, 0 or more")


class OperationView(Assertions):
    """One operation of a run."""

    def __init__(self, trace: Trace, number: int) -> None:
        self._trace = trace
        self._number = number
        self.record: Operation = trace.operations[number]

    def _snapshot(self) -> tuple[Trace, int | None]:
        return self._trace, self._number

    @property
    def name(self) -> str:
        """``POST /payments``, or the name of its scope."""
        return self.record.name

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """Its attempts, legs included, in order."""
        return self._trace.of(self.record)

    @property
    def waits(self) -> list[float]:
        """Seconds between the end of each attempt and the start of the next."""
        return [wait / SECOND for wait in waits(self.attempts)]

    @property
    def told(self) -> Told | None:
        """What the caller was told; ``None`` where that was not seen (see ``chaos.call``)."""
        return None if self.record.scope is None else self._trace.scopes[self.record.scope].told

    def __repr__(self) -> str:
        count = len(self.record.attempts)
        name = redact.current().text(self.name)
        return f"<Operation {name}, {count} {'attempt' if count == 1 else 'attempts'}>"
