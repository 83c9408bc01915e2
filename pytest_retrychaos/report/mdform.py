"""The report in Markdown: for a job summary, or a comment on a merge request."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pytest_retrychaos.laws.words import counted
from pytest_retrychaos.report.coverage import missing
from pytest_retrychaos.report.document import (
    FAULT_CLASSES,
    Cell,
    Comparison,
    Coverage,
    Document,
    FindingRecord,
    TestRecord,
)
from pytest_retrychaos.report.figures import findings, headed, lived, percent, sums, tests_in_words, written
from pytest_retrychaos.report.plain import markdown, visible

MOST_FINDINGS: Final = 50
MOST_ROWS: Final = 100
MOST_LINES: Final = 100
"""GitHub takes a job summary of 1 MiB, and GitLab a note of 1 000 000 characters: what is more is counted."""
WIDEST: Final = 400

_SIGNS: Final = {"new": "❌ new", "known": "⚠️ known", "expected": "⚠️ expected"}


def to_markdown(document: Document) -> str:
    """Write a document as Markdown."""
    return "\n".join([*_head(document), *_findings(document), *_baseline(document.baseline), *_coverage(document), ""])


def _head(document: Document) -> Iterator[str]:
    figures, found = sums(document), document.coverage
    yield "## retrychaos"
    yield ""
    for problem in document.problems:
        yield f"> ⚠️ **This run is not whole:** {markdown(problem, WIDEST)}"
        yield ">"
    yield f"{tests_in_words(figures)}; {lived(figures)}"
    yield ""
    yield "| | |"
    yield "| --- | --- |"
    yield f"| outcomes | {', '.join(f'{count} {outcome}' for outcome, count in figures.outcomes.items()) or 'none'} |"
    yield f"| findings | {', '.join(f'{count} {status}' for status, count in figures.findings.items()) or 'none'} |"
    yield f"| laws broken | {', '.join(figures.broken) or 'none'} |"
    yield f"| laws held | {', '.join(figures.held) or 'none'} |"
    faults = ", ".join(f"{FAULT_CLASSES[name]} {count}" for name, count in figures.faults.items())
    yield f"| faults fired | {faults or 'none'} |"
    limit = "" if document.fail_under is None else f", the limit is {document.fail_under} %"
    share = f"{percent(found.judged, found.applicable)} % ({found.judged} of {found.applicable} cells judged{limit})"
    yield f"| fault coverage | {share} |"


def _findings(document: Document) -> Iterator[str]:
    pairs = list(findings(document))
    if not pairs:
        return
    yield ""
    yield "### Findings"
    for test, finding in pairs[:MOST_FINDINGS]:
        yield from _finding(test, finding)
    if len(pairs) > MOST_FINDINGS:
        yield ""
        yield f"… and {counted(len(pairs) - MOST_FINDINGS, 'more finding')}"


def _finding(test: TestRecord, finding: FindingRecord) -> Iterator[str]:
    yield ""
    yield f"- **{_SIGNS[finding.status]}**: {markdown(finding.headline, WIDEST)}"
    yield f"  - shape {markdown(finding.shape)} at {markdown(finding.route)} under {markdown(finding.fault)}"
    yield f"  - test <code>{markdown(test.id, WIDEST)}</code> at {markdown(test.file)}:{test.line}"
    yield f"  - why: {markdown(finding.why, WIDEST)}"
    yield f"  - fix: {markdown(finding.fix, WIDEST)}"
    yield f"  - again: <code>{markdown(finding.again, WIDEST)}</code>"


def _baseline(found: Comparison | None) -> Iterator[str]:
    if found is None:
        return
    yield ""
    yield "### Baseline"
    yield ""
    for title, entries in headed(found):
        yield f"- {len(entries)} {title}"
        yield from (f"  - {markdown(written(one), WIDEST)}" for one in entries[:MOST_LINES])


def _coverage(document: Document) -> Iterator[str]:
    found = document.coverage
    if not found.rows:
        return
    yield ""
    yield "### Fault coverage"
    yield ""
    yield "✅ judged, ⚠️ fired but judged by nothing, ❌ never fired, – does not apply"
    yield ""
    yield f"| route | {' | '.join(FAULT_CLASSES.values())} |"
    yield f"| --- |{' :-: |' * len(FAULT_CLASSES)}"
    for row in found.rows[:MOST_ROWS]:
        cells = {cell.fault: cell for cell in row.cells}
        signs = [_sign(cells.get(name)) for name in FAULT_CLASSES]
        yield f"| {markdown(row.route, WIDEST)} | {' | '.join(signs)} |"
    if len(found.rows) > MOST_ROWS:
        yield ""
        yield f"… and {counted(len(found.rows) - MOST_ROWS, 'more route')}"
    yield from _missing(found)


def _sign(cell: Cell | None) -> str:
    if cell is None:
        return "–"
    return "✅" if cell.judged else "⚠️" if cell.fired else "❌"


def _missing(found: Coverage) -> Iterator[str]:
    lines = [f"{script}  # {what}" for script, what in missing(found)]
    if not lines:
        return
    yield ""
    yield f"<details><summary>{counted(len(lines), 'cell')} missing: a line for each</summary>"
    yield ""
    yield "~~~~~~~~python"
    yield from (visible(line, WIDEST) for line in lines[:MOST_LINES])
    if len(lines) > MOST_LINES:
        yield f"# … and {len(lines) - MOST_LINES} more"
    yield "~~~~~~~~"
    yield ""
    yield "</details>"
