"""A test's run as a record: a pure function of its trace and of what was judged."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from pytest_retrychaos import redact
from pytest_retrychaos.frozen import changed
from pytest_retrychaos.laws import Finding, Ruling, Terms
from pytest_retrychaos.report.document import NOWHERE, CellRecord, FindingRecord, LawRecord, Mark, TestRecord
from pytest_retrychaos.report.identity import Reading
from pytest_retrychaos.report.routes import Declared
from pytest_retrychaos.report.timeline import timeline
from pytest_retrychaos.text import again
from pytest_retrychaos.trace import Attempt, ScriptRecord, Trace
from pytest_retrychaos.trace.hiding import Hiding, drawn

if TYPE_CHECKING:
    from pytest_retrychaos.judging import Judgement

EVERY_REQUEST: Final = "every request"
"""What a script is bound to that is bound to nothing."""
LEFT_OUT: Final = "left out"
"""Stands in the reason of a law that was not asked (`laws.judge_by`)."""
ASSERTED: Final = "an assertion of the test says so"


@dataclass(frozen=True, slots=True)
class Test:
    """Where a test stands."""

    __test__ = False  # pytest: this is no test class

    id: str
    file: str
    line: int


def record(
    test: Test,
    trace: Trace,
    judgements: Sequence[Judgement],
    *,
    declared: Declared,
    judges_by_assert: bool,
    draws: bool,
) -> TestRecord:
    """Record one run of the code under test, under the test's id as pytest has it, parameters and all.

    ``judges_by_assert``: the test's own assertions have judged all that happened. ``draws``: with a timeline. How it
    ended, and what it took in real time, is filled in by who knows it.
    """
    reading = Reading(trace, declared)
    judged = (
        len(trace.attempts) if judges_by_assert else max((one.attempts for one in judgements if _asks(one)), default=0)
    )
    shown = drawn(trace, redact.current()) if draws else None
    bare = _without_secrets(trace) if shown is None else shown
    marker = again(bare)
    laws, not_applicable = _laws(judgements)
    return TestRecord(
        id=test.id,
        file=test.file,
        line=test.line,
        outcome="passed",
        message="",
        seed=trace.seed,
        scripts=tuple([written(script) for script in bare.scripts]),
        again=marker,
        runs=1,
        reruns=0,
        attempts=len(trace.attempts),
        operations=len(trace.operations),
        effects=len(trace.effects),
        virtual_ns=trace.finished_ns,
        real_ns=0,
        was_judged=judges_by_assert or any(map(_asks, judgements)),
        laws=laws,
        not_applicable=not_applicable,
        findings=tuple(_findings(judgements, reading, declared, marker)),
        cells=cells(trace.attempts, reading, judged),
        timeline=None if shown is None else timeline(shown, reading, _terms(judgements)),
    )


def _without_secrets(trace: Trace) -> Trace:
    """Hide what is secret in its scripts, each route and step by itself, and in all that says how to run it again."""
    hiding = Hiding(redact.current())
    return changed(
        trace,
        script=hiding.text(trace.script),
        options=tuple([changed(option, value=hiding.text(option.value)) for option in trace.options]),
        scripts=tuple([hiding.script(script) for script in trace.scripts]),
    )


def _terms(judgements: Sequence[Judgement]) -> Terms | None:
    """Give the last terms that name a policy or a breaker: at a test's end its faults are asked for by none."""
    named = (one.terms for one in reversed(judgements) if one.terms.policy is not None or one.terms.breaker is not None)
    return next(named, None)


def _asks(judgement: Judgement) -> bool:
    """Whether it asked for more than that every fault fired, which says nothing of what came of them."""
    verdict = judgement.verdict
    return verdict is None or any(result.code != "NV01" for result in verdict.results)


def written(script: ScriptRecord) -> str:
    """Write a script as the test did."""
    steps = [f"{one.text}{_count(one.wanted)}" for one in script.steps]
    where = "" if script.where == EVERY_REQUEST else f"{script.where}: "
    return where + ", ".join(steps)


def _count(wanted: int | None) -> str:
    return " *" if wanted is None else f" x{wanted}" if wanted > 1 else ""


def cells(attempts: Iterable[Attempt], reading: Reading, judged: int) -> tuple[CellRecord, ...]:
    """Count the faults that struck, by route and class; those of the first so many attempts were judged."""
    found: dict[tuple[str, str], list[int]] = {}
    writes: dict[str, bool] = {}
    for attempt in attempts:
        route = reading.routes[attempt.index]
        writes[route] = writes.get(route, False) or (attempt.was_sent and not attempt.is_read)
        fault = reading.faults[attempt.index]
        counts = found.setdefault((route, fault or NOWHERE), [0, 0])
        if fault is not None:
            counts[0] += 1
            counts[1] += attempt.index <= judged
    return tuple([
        CellRecord(route, not writes[route], fault, fired, of_them)
        for (route, fault), (fired, of_them) in sorted(found.items())
    ])  # fmt: skip


def _laws(judgements: Sequence[Judgement]) -> tuple[tuple[LawRecord, ...], tuple[str, ...]]:
    """List the laws that applied, and the codes of those that were asked and did not.

    What was broken once is broken, whatever a later judgement says.
    """
    said: dict[str, LawRecord] = {}
    asked: set[str] = set()
    held = Ruling.HELD  # to ask an enumeration for a member takes long
    redaction = redact.current()
    for judgement in judgements:
        for result in judgement.verdict.results if judgement.verdict is not None else ():
            if result.ruling is not held:
                if LEFT_OUT not in result.reason:
                    asked.add(result.code)
            elif result.code not in said:
                said[result.code] = _held(result.code, result.reason, redaction)
        for code in judgement.held:
            said.setdefault(code, LawRecord(code, "held", ASSERTED))
        for finding in (*judgement.new, *judgement.known, *judgement.expected):
            said[finding.code] = LawRecord(finding.code, "broken", redaction.text(finding.headline))
    return tuple([said[code] for code in sorted(said)]), tuple(sorted(asked - said.keys()))


@functools.lru_cache(maxsize=1000)
def _held(code: str, reason: str, redaction: redact.Redaction) -> LawRecord:
    """Make what a law said that was kept: in one suite many tests are told the same."""
    return LawRecord(code, "held", redaction.text(reason))


def _findings(
    judgements: Sequence[Judgement], whole: Reading, declared: Declared, marker: str
) -> Iterator[FindingRecord]:
    """Give each finding once, however often it was judged, where it was found to be: a baseline was asked so."""
    seen: set[tuple[str, str]] = set()
    for judgement in judgements:
        reading = whole if judgement.trace is None else Reading(judgement.trace, declared)
        for status, found in (("new", judgement.new), ("known", judgement.known), ("expected", judgement.expected)):
            for finding in found:
                if (finding.shape, finding.headline) not in seen:
                    seen.add((finding.shape, finding.headline))
                    yield _finding(finding, status, reading, marker)


def _finding(finding: Finding, status: str, reading: Reading, marker: str) -> FindingRecord:
    route, fault = reading.of(finding)
    hide = redact.current().text
    return FindingRecord(
        law=finding.code,
        shape=finding.shape,
        route=route,
        fault=fault,
        status=status,
        headline=hide(finding.headline),
        why=hide(finding.why),
        fix=hide(finding.fix),
        hint=finding.hint,
        again=marker,
        operation=finding.operation,
        marks=tuple([Mark(index, note) for index, note in finding.marks]),
    )


def together(one: TestRecord, other: TestRecord) -> TestRecord:
    """Add another run of the same test, as an exploration makes many, here or in several processes.

    In whatever order they come the sum is the same: each finding once, by the shortest marker that shows it, and the
    picture is that of the shortest marker of all.
    """
    counts: dict[tuple[str, str], CellRecord] = {(cell.route, cell.fault): cell for cell in one.cells}
    for cell in other.cells:
        known = counts.get((cell.route, cell.fault), replace(cell, fired=0, judged=0))
        counts[cell.route, cell.fault] = CellRecord(
            cell.route, known.is_read and cell.is_read, cell.fault, known.fired + cell.fired, known.judged + cell.judged
        )
    laws = {
        law.code: law for law in sorted((*one.laws, *other.laws), key=lambda law: (law.ruling != "held", law.reason))
    }
    found: dict[tuple[str, str, str, str], FindingRecord] = {}
    for finding in sorted((*one.findings, *other.findings), key=_shortest):
        found.setdefault(finding.identity, finding)
    shown = min(one, other, key=lambda record: (not record.findings, len(record.again), record.again))
    return replace(
        shown,
        runs=one.runs + other.runs,
        attempts=one.attempts + other.attempts,
        operations=one.operations + other.operations,
        effects=one.effects + other.effects,
        virtual_ns=one.virtual_ns + other.virtual_ns,
        was_judged=one.was_judged or other.was_judged,
        laws=tuple([laws[code] for code in sorted(laws)]),
        not_applicable=tuple(sorted({*one.not_applicable, *other.not_applicable} - laws.keys())),
        findings=tuple(sorted(found.values(), key=lambda finding: finding.identity)),
        cells=tuple([counts[place] for place in sorted(counts)]),
    )


def _shortest(finding: FindingRecord) -> tuple[int, str, str]:
    return len(finding.again), finding.again, finding.headline
