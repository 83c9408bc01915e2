"""The records of a run, each made a little later than its test ended: a few at once.

Between two tests a client and pytest fill the processor's caches with their own, so that a record made there takes
twice the time of one made right after another. Only a few wait: Python's collector looks at all that is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from pytest_retrychaos import redact
from pytest_retrychaos.frozen import changed
from pytest_retrychaos.report.declared import declared_by
from pytest_retrychaos.report.document import TestRecord
from pytest_retrychaos.report.jsonform import decode_test, undrawn
from pytest_retrychaos.report.recording import EVERY_REQUEST, Test, record, together, written

if TYPE_CHECKING:
    from pytest_retrychaos.judging import Judgement
    from pytest_retrychaos.service.routing import Router
    from pytest_retrychaos.trace import Trace

AT_ONCE: Final = 8
"""How many records are made one after the other."""


class Waiting(NamedTuple):
    """A record that is yet to be made, and what is said of its test before that."""

    make: Callable[[], TestRecord]
    seed: int
    scripts: tuple[str, ...]
    broken: tuple[str, ...] = ()
    """Codes of laws."""


def waiting(
    place: tuple[str, str, int],
    trace: Trace,
    judgements: Sequence[Judgement],
    router: Router,
    *,
    judges_by_assert: bool,
    draws: bool,
) -> Waiting:
    """Let the record of a run wait; it is made at once where only it can tell what is said of the test before.

    ``place`` is where the test stands: id, file, line. See `recording.record` for the rest.
    """
    make = partial(
        record,
        Test(*place),
        trace,
        judgements,
        declared=declared_by(router),
        judges_by_assert=judges_by_assert,
        draws=draws,
    )
    if _broke_nothing(judgements) and _holds_no_text(trace):
        return Waiting(make, trace.seed, tuple([written(script) for script in trace.scripts]))
    return ready(make())


def ready(made: TestRecord) -> Waiting:
    """Give a record that was made."""
    broken = tuple(dict.fromkeys(finding.law for finding in made.findings))
    return Waiting(lambda: made, made.seed, made.scripts, broken)


def _broke_nothing(judgements: Sequence[Judgement]) -> bool:
    return not any(one.new or one.known or one.expected for one in judgements)


def _holds_no_text(trace: Trace) -> bool:
    """Whether the scripts are but faults, in which no secret can stand."""
    return all(one.where == EVERY_REQUEST and '"' not in step.text for one in trace.scripts for step in one.steps)


class End(NamedTuple):
    """How a test ended, by the reports of its phases."""

    outcome: str
    message: str
    reruns: int
    real_ns: int


class Records:
    """The records by their tests, in the order in which these ended first; the last run of a test counts."""

    def __init__(self) -> None:
        self._made: dict[str, TestRecord | str] = {}
        self._waiting: dict[str, Waiting] = {}
        self._ends: dict[str, End] = {}

    def add(self, test: str, record: Waiting | str, end: End) -> None:
        """Take a record in: one that waits, or as a text what another process made of one."""
        self._ends[test] = end
        if isinstance(record, str):
            self._made[test] = record
            return
        self._waiting[test] = record
        if len(self._waiting) >= AT_ONCE:
            self._make()

    def gathered(self) -> Iterator[TestRecord]:
        """Give each with its end, without secrets in its id; the shares of a test that was spread are one.

        Timelines are left as `jsonform.undrawn` leaves them.
        """
        self._make()
        tests: dict[str, TestRecord] = {}
        for test, made in self._made.items():
            ended = changed(
                decode_test(made, draws=False) if isinstance(made, str) else made, **self._ends[test]._asdict()
            )
            before = tests.get(ended.id)
            tests[ended.id] = ended if before is None else _shared(before, ended)
        hide = redact.current().text  # all at once, as it takes a third of the time between tests
        for one in tests.values():
            yield _of_many_runs(changed(one, id=hide(one.id)))

    def _make(self) -> None:
        for test, one in self._waiting.items():
            self._made[test] = undrawn(one.make())
        self._waiting.clear()


def _shared(one: TestRecord, other: TestRecord) -> TestRecord:
    """Put two shares of a test together; it ended as the first of them that did not pass."""
    worse = one if one.outcome != "passed" else other
    return changed(
        together(one, other),
        outcome=worse.outcome,
        message=worse.message,
        reruns=worse.reruns,
        real_ns=one.real_ns + other.real_ns,
    )


def _of_many_runs(record: TestRecord) -> TestRecord:
    """Say of an explored test what it broke, in whatever share; which is plainest is told with each finding."""
    if record.runs == 1 or record.outcome != "failed" or not record.findings:
        return record
    codes = dict.fromkeys(finding.law for finding in record.findings if finding.status == "new")
    return changed(record, message=f"{', '.join(codes)} broken") if codes else record
