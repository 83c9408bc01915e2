"""The document: what a run put the code through and what was found, as one value that every format is drawn from.

Times are integer nanoseconds: of virtual time since the test's run began, or of real time where the name says so.
``None`` stands for what never happened or is not known. The JSON form (`report.json`) has these very names; its schema
is ``schema-1.json`` beside this file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pytest_retrychaos.frozen import quick

FORMAT: Final = "pytest-retrychaos report"
VERSION: Final = 1
"""Of the JSON form; a reader refuses another one."""

OUTCOMES: Final = ("passed", "failed", "error", "skipped", "xfailed", "xpassed")
"""How a test may have ended; ``error``: in its set-up or tear-down."""

STATUSES: Final = ("new", "known", "expected")
"""What a finding is: it fails the test, the baseline lists it, or the test itself expects it.

By the marker's ``expect=``, by ``pytest.raises``, or as one that is expected to fail.
"""

FAULT_CLASSES: Final = {
    "lost-before-commit": "lost before commit",
    "lost-after-commit": "lost after commit",
    "not-sent": "not sent",
    "turned-away": "turned away",
    "turned-away-retry-after": "turned away with Retry-After",
    "server-error": "other 5xx",
    "permanent": "permanent 4xx",
    "damaged": "damaged answer",
    "too-slow": "slower than the timeout",
    "outage": "outage",
    "stale": "stale connection",
}
"""The fault classes of the coverage matrix and how they are headed, in that order."""

NOWHERE: Final = "*"
"""The route or fault of what is about no single one, such as a circuit breaker or a herd."""


@quick
@dataclass(frozen=True, slots=True)
class Bar:
    """One attempt, as a timeline draws it."""

    index: int
    """Counts from 1, in the order in which attempts began."""
    operation: int
    """Index into `Timeline.operations`."""
    request: str
    """``POST /payments``, or ``connect to HOST`` where nothing was sent; ids as they were sent."""
    route: str
    """``POST /payments/{id}``: the row of the coverage matrix; `NOWHERE` where none is known."""
    fault: str | None
    """The script's step, as written; ``None`` where none was met."""
    fault_class: str | None
    """One of `FAULT_CLASSES`, where it is one of them."""
    outcome: str
    """In words: ``201, committed``, ``committed, then the response was lost``."""
    status: int | None
    key: str | None
    """The idempotency key, numbered: ``K1``."""
    began_ns: int
    arrived_ns: int | None
    """The whole request had arrived at the service."""
    headers_ns: int | None
    """The answer's headers were handed to the client."""
    last_byte_ns: int | None
    """The whole answer was handed to the client."""
    ended_ns: int | None
    """It ended in the client's eyes."""
    asked_ns: int | None
    """So long its answer asked to wait (``Retry-After``), counted from `ended_ns`."""
    failed: bool
    committed: bool
    """The service carried it out, whatever became of the answer."""
    replayed: bool
    """The service answered from what it had stored for the key."""
    is_leg: bool
    """It followed a redirect."""
    herd: int | None
    """Index into `Timeline.herds`, where a copy of one sent it."""


@quick
@dataclass(frozen=True, slots=True)
class Wait:
    """What lay between two attempts of one operation."""

    operation: int
    before: int
    """Index of the attempt that followed."""
    began_ns: int
    ended_ns: int
    least_ns: int | None
    """By the policy that the test named, together with what the server asked."""
    most_ns: int | None


@dataclass(frozen=True, slots=True)
class EffectMark:
    """Something the service did that lasts."""

    at_ns: int
    attempt: int
    operation: int
    is_duplicate: bool
    """Its operation had had an effect before."""


@dataclass(frozen=True, slots=True)
class BreakerSpan:
    """A stretch of time in which a circuit breaker was in one state, as far as the wire shows."""

    circuit: str
    state: str
    """``closed``, ``open`` or ``probing``."""
    began_ns: int
    ended_ns: int


@dataclass(frozen=True, slots=True)
class HerdBars:
    """How the copies of one ``chaos.herd`` arrived: a histogram."""

    copies: int
    began_ns: int
    window_ns: int
    """Width of one column."""
    counts: tuple[int, ...]
    """Arrivals in each window."""
    failed: tuple[int, ...]
    """How many of them failed."""
    capacity_milli: int | None
    """What the service took in a window, in thousandths of a request, where it had a limit."""
    cause_ended_ns: int | None
    """When the faults were over, since the run began."""


@quick
@dataclass(frozen=True, slots=True)
class Timeline:
    """One test's run, as a picture needs it."""

    operations: tuple[str, ...]
    """Their names, in the order in which they began."""
    attempts: tuple[Bar, ...]
    waits: tuple[Wait, ...]
    effects: tuple[EffectMark, ...]
    breaker: tuple[BreakerSpan, ...]
    """Only where the test named a breaker's promise."""
    herds: tuple[HerdBars, ...]
    finished_ns: int
    omitted: int
    """How many more attempts there were: a timeline holds `MOST_BARS`."""


MOST_BARS: Final = 400
"""Attempts of one test that its timeline holds."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A note at one attempt."""

    attempt: int
    note: str


@dataclass(frozen=True, slots=True)
class FindingRecord:
    """One way in which a law was broken, with what tells it from others, whatever the test is called."""

    law: str
    shape: str
    """``BK04/early``, or the law's code."""
    route: str
    """``POST /payments``, or `NOWHERE`."""
    fault: str
    """The fault class that led to it, or `NOWHERE`."""
    status: str
    """One of `STATUSES`."""
    headline: str
    """One line that makes sense alone; it begins with the law's code."""
    why: str
    fix: str
    hint: str | None
    """What would settle it, where a right client may look the same."""
    again: str
    """The marker that runs it again, script and seed included."""
    operation: int | None
    """Index into `Timeline.operations`."""
    marks: tuple[Mark, ...]

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """What a baseline knows it by: law, shape, route and fault class."""
        return self.law, self.shape, self.route, self.fault


@dataclass(frozen=True, slots=True)
class LawRecord:
    """What one law said of a test, where it applied."""

    code: str
    ruling: str
    """``held`` or ``broken``."""
    reason: str


@dataclass(frozen=True, slots=True)
class CellRecord:
    """One test's share in a cell of the coverage matrix."""

    route: str
    is_read: bool
    fault: str
    """One of `FAULT_CLASSES`; `NOWHERE` where the route met no fault, and is only known by it."""
    fired: int
    """How often such a fault struck there."""
    judged: int
    """How often a law or an assertion judged what came of it."""


@quick
@dataclass(frozen=True, slots=True)
class TestRecord:
    """One test that used chaos."""

    __test__ = False  # pytest: this is no test class

    id: str
    file: str
    """Relative to the root of the project."""
    line: int
    """Of the test function, from 1."""
    outcome: str
    """One of `OUTCOMES`, of its last run."""
    message: str
    """The first line of why it failed; empty where it did not."""
    seed: int
    scripts: tuple[str, ...]
    """As written, in the order in which they were set."""
    again: str
    """The marker that runs it again."""
    runs: int
    """How often the code under test was run: once, or once for each explored history."""
    reruns: int
    """How often the test had been run before and was run again (pytest-rerunfailures)."""
    attempts: int
    operations: int
    effects: int
    virtual_ns: int
    """Virtual time that the code lived through."""
    real_ns: int
    """Real time that the test took, set-up and tear-down included."""
    was_judged: bool
    laws: tuple[LawRecord, ...]
    """Those that applied."""
    not_applicable: tuple[str, ...]
    """The codes of those that were asked and did not apply."""
    findings: tuple[FindingRecord, ...]
    cells: tuple[CellRecord, ...]
    timeline: Timeline | None
    """``None`` where none was kept: only ``.json`` and ``.html`` need it."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of the coverage matrix."""

    fault: str
    fired: int
    judged: int
    tests: int
    """How many tests judged it."""
    script: str | None
    """Where nothing judged it: what to write in a test for it."""


@dataclass(frozen=True, slots=True)
class Row:
    """One route of the coverage matrix, with the cells that apply to it."""

    route: str
    is_read: bool
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Coverage:
    """Which faults the suite has put its code through, on which routes."""

    judged: int
    """Cells where a fault fired and what came of it was judged."""
    applicable: int
    rows: tuple[Row, ...]

    @property
    def percent(self) -> float:
        """Judged cells of those that apply, in percent; 0 where none applies."""
        return 100 * self.judged / self.applicable if self.applicable else 0.0


@dataclass(frozen=True, slots=True)
class Identity:
    """A finding as a baseline knows it."""

    law: str
    shape: str
    route: str
    fault: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """The findings of the run beside those that a baseline lists."""

    new: tuple[Identity, ...]
    known: tuple[Identity, ...]
    fixed: tuple[Identity, ...]
    """Listed, put to the test, and not found."""
    untold: tuple[Identity, ...]
    """Listed, and not put to the test in this run."""


@dataclass(frozen=True, slots=True)
class Document:
    """A whole run."""

    began: str
    """When, in real time (ISO 8601, UTC)."""
    seed: int
    problems: tuple[str, ...]
    """Why it is not whole: an interrupt, a worker that died, a file that could not be collected."""
    tests: tuple[TestRecord, ...]
    coverage: Coverage
    fail_under: str | None
    """The limit of the gate in percent, as written, where there is one."""
    baseline: Comparison | None
    has_unrun: bool = False
    """Whether a chaos test that was to run left no record (it was skipped, say): nothing can be called fixed."""

    @property
    def is_whole(self) -> bool:
        """Whether the run came to its end."""
        return not self.problems
