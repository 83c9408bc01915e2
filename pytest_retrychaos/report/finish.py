"""The ends of a run: the document is put together, files are written, gates are held."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

from pytest_retrychaos.report import baseline
from pytest_retrychaos.report.asked import REPORT_OPTION, UPDATE_OPTION, Asked
from pytest_retrychaos.report.coverage import Scope, coverage
from pytest_retrychaos.report.document import Comparison, Document, FindingRecord, Identity, TestRecord
from pytest_retrychaos.report.figures import percent, written
from pytest_retrychaos.report.formats import render
from pytest_retrychaos.report.jsonform import restated
from pytest_retrychaos.report.writing import write_whole

JOB_SUMMARY = "GITHUB_STEP_SUMMARY"
"""GitHub Actions: the file that a step's summary is read from."""
_MISSED = re.compile(r"DID NOT RAISE .*\b(LawsBroken|AssertionError)\b|: (LawsBroken|AssertionError) not raised\b")
NOT_OVER = "the run has not come to its end: it is still going on, or its process was killed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the end of a run came to."""

    document: Document
    failures: tuple[str, ...]
    """What fails the run, besides its tests."""
    files: tuple[str, ...]
    """Which files were written."""


def make_document(
    tests: Iterable[TestRecord],
    *,
    problems: Sequence[str],
    began: str,
    seed: int,
    asked: Asked,
    listed: Sequence[Identity] | None,
    is_part: bool = False,
    has_unrun: bool = False,
) -> Document:
    """Put a document together, whatever the order in which its tests came; ``is_part``: others were left out."""
    made = list(tests)
    is_whole = not (problems or is_part) and all(map(baseline.came_to_judge, made))
    settled = [_settled(test, frozenset(listed or ())) for test in made]
    ordered = tuple(sorted(settled, key=lambda test: (test.file, test.line, test.id)))
    return Document(
        began=began,
        seed=seed,
        problems=tuple(sorted(set(problems))),
        tests=ordered,
        coverage=coverage(ordered, Scope(asked.routes, asked.omitted)),
        fail_under=None if asked.fail_under is None else f"{asked.fail_under.normalize():f}",
        baseline=None if listed is None else baseline.compare(ordered, listed, is_whole=is_whole),
        has_unrun=has_unrun,
    )


def _settled(test: TestRecord, listed: frozenset[Identity]) -> TestRecord:
    """Take what a test itself awaits for expected, and what is listed by now for known.

    A test awaits what was raised, and did not fail it: by ``pytest.raises``, or as one that is expected to fail. Where
    the baseline let that pass, it misses it.
    """
    awaited = None
    if test.outcome in ("passed", "xfailed"):
        awaited = "new"
    elif test.outcome == "failed" and _MISSED.search(test.message):
        awaited = "known"
    findings = tuple([_settled_finding(one, awaited, listed) for one in test.findings])
    return test if findings == test.findings else restated(test, findings)


def _settled_finding(finding: FindingRecord, awaited: str | None, listed: frozenset[Identity]) -> FindingRecord:
    if finding.status == awaited:
        return replace(finding, status="expected")
    is_known = finding.status == "new" and Identity(*finding.identity) in listed
    return replace(finding, status="known") if is_known else finding


def begin(asked: Asked, *, began: str, seed: int) -> None:
    """Write at each place where a report is to be that there is none yet; what prevents that is told at the end."""
    document = make_document((), problems=(NOT_OVER,), began=began, seed=seed, asked=asked, listed=None)
    for path in asked.reports:
        if path.is_file() or not path.exists():  # a pipe has a reader, who waits for one report
            with contextlib.suppress(OSError):
                write_whole(path, render(document, path.suffix))


def finish(asked: Asked, document: Document) -> Outcome:
    """Write what was asked for, and hold the gates."""
    failures: list[str] = []
    done: list[str] = []
    if asked.updates and asked.baseline is not None:
        _try(asked.baseline, updated(document), asked.baseline_by, failures, done)
        document = replace(document, baseline=baseline.up_to_date(document.baseline))
    elif document.baseline is not None:
        failures += baseline_failures(document.baseline, str(asked.baseline))
    failures += coverage_failures(document)
    for path in asked.reports:
        _try(path, render(document, path.suffix), REPORT_OPTION, failures, done)
    summary = os.environ.get(JOB_SUMMARY)
    if summary and any(path.suffix == ".md" for path in asked.reports):
        _append(Path(summary), render(document, ".md"), failures)
    return Outcome(document, tuple(failures), tuple(done))


def updated(document: Document) -> str:
    """Write the baseline of a run: what it found, and what an earlier one listed that this run could not tell."""
    found = [
        Identity(*one.identity)
        for test in document.tests
        for one in test.findings
        if one.status != "expected" and one.law != baseline.NEVER_KNOWN
    ]
    kept = document.baseline.untold if document.baseline is not None else ()
    return baseline.to_json([*found, *kept])


def baseline_failures(found: Comparison, file: str) -> list[str]:
    """Say what a run does not pass its baseline for."""
    lines = [f"new finding, not in {file}: {written(one)}" for one in found.new]
    return lines + [
        f"fixed, and still listed in {file}: {written(one)}; take it out with {UPDATE_OPTION}" for one in found.fixed
    ]


def coverage_failures(document: Document) -> list[str]:
    """Say by how much a run stays under its limit."""
    if document.fail_under is None:
        return []
    found = document.coverage
    if not found.applicable:
        return [f"fault coverage of {document.fail_under} % was asked for: cannot tell, no chaos test made a request"]
    if Decimal(100 * found.judged) >= Decimal(document.fail_under) * found.applicable:
        return []
    share = percent(found.judged, found.applicable)
    cells = f"{found.judged} of {found.applicable} cells judged"
    return [f"fault coverage of {share} % is under {document.fail_under} % ({cells})"]


def _try(path: Path, text: str, option: str, failures: list[str], done: list[str]) -> None:
    try:
        write_whole(path, text)
    except OSError as error:
        failures.append(f"{option}={path}: cannot write it: {error.strerror or error}")
    else:
        done.append(str(path))


def _append(path: Path, text: str, failures: list[str]) -> None:
    try:
        before = path.is_file() and path.stat().st_size > 0
        with path.open("a", encoding="utf-8") as file:
            file.write(f"\n\n{text}" if before else text)  # behind HTML, as we end in, a heading needs an empty line
    except OSError as error:
        failures.append(f"{JOB_SUMMARY}={path}: cannot write it: {error.strerror or error}")
