"""The summary section of pytest's terminal.

Under ``-q`` only what fails the run is shown. pytest decides about colour: none without a terminal or under NO_COLOR.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from pytest_retrychaos.laws.words import counted
from pytest_retrychaos.report.coverage import missing
from pytest_retrychaos.report.document import FAULT_CLASSES, Coverage, Document
from pytest_retrychaos.report.figures import UNTOLD, duration, lived, percent, sums, tests_in_words
from pytest_retrychaos.report.plain import visible

if TYPE_CHECKING:
    import pytest

    from pytest_retrychaos.report.finish import Outcome

MOST_MISSING: Final = 30
SLOWEST: Final = 3
SLOW_NS: Final = 100_000_000
"""Tests that took less real time are none of the slowest."""
WIDEST: Final = 160


def show(outcome: Outcome, reporter: pytest.TerminalReporter) -> None:
    """Write the section, as far as pytest was asked to say it."""
    document = outcome.document
    is_quiet = reporter.verbosity < 0
    if not outcome.failures and (is_quiet or not document.tests):
        return
    reporter.section("retrychaos")
    for line in () if is_quiet else summary_lines(document):
        reporter.line(line)
    for path in () if is_quiet else outcome.files:
        reporter.line(f"written       {path}")
    for failure in outcome.failures:
        reporter.line(f"FAILED        {visible(failure)}", red=True, bold=True)
    if document.fail_under is not None and any("fault coverage" in failure for failure in outcome.failures):
        for line in missing_lines(document.coverage):
            reporter.line(line)


def summary_lines(document: Document) -> Iterator[str]:
    """Write what a run comes to."""
    figures = sums(document)
    yield tests_in_words(figures)
    yield lived(figures)
    for problem in document.problems:
        yield f"not whole     {visible(problem, WIDEST)}"
    faults = ", ".join(f"{FAULT_CLASSES[name]} {count}" for name, count in figures.faults.items())
    yield f"faults fired  {faults or 'none'}"
    broken = f", broken {', '.join(figures.broken)}" if figures.broken else ""
    yield f"laws          held {', '.join(figures.held) or 'none'}{broken}"
    if any(status != "new" for status in figures.findings):
        yield f"findings      {', '.join(f'{count} {status}' for status, count in figures.findings.items())}"
    if document.baseline is not None and (untold := document.baseline.untold):
        yield f"baseline      {counted(len(untold), 'entry')} {UNTOLD}"
    found = document.coverage
    if found.applicable:
        share = percent(found.judged, found.applicable)
        yield f"coverage      {share} %: {found.judged} of {counted(found.applicable, 'cell')}, route × fault class"
    slow = sorted(document.tests, key=lambda test: (-test.real_ns, test.id))[:SLOWEST]
    for test in slow if len(document.tests) > SLOWEST else ():
        if test.real_ns >= SLOW_NS:
            yield f"slowest       {duration(test.real_ns)}  {visible(test.id, WIDEST)}"


def missing_lines(found: Coverage) -> Iterator[str]:
    """Write, for the cells that nothing judged, what to put into tests."""
    lines = missing(found)
    shown = lines[:MOST_MISSING]
    width = max((len(script) for script, _ in shown), default=0)
    yield from (visible(f"  {script:<{width}}  # {what}") for script, what in shown)
    if len(lines) > len(shown):
        yield f"  … and {counted(len(lines) - len(shown), 'more cell')}: --chaos-report=report.md lists them"
