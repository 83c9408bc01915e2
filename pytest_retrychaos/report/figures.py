"""What a document comes to, in figures that every format shows alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pytest_retrychaos.laws.words import counted, grouped
from pytest_retrychaos.model import SECOND
from pytest_retrychaos.report.document import (
    FAULT_CLASSES,
    NOWHERE,
    Comparison,
    Document,
    FindingRecord,
    Identity,
    TestRecord,
)

UNTOLD: Final = "not put to the test in this run"
"""Of entries of a baseline."""


@dataclass(frozen=True, slots=True)
class Sums:
    """The figures of a run."""

    tests: int
    outcomes: dict[str, int]
    reruns: int
    runs: int
    """How often code under test was run: more than tests where some explore."""
    attempts: int
    virtual_ns: int
    real_ns: int
    faults: dict[str, int]
    """How often each class struck, in the order of the matrix."""
    held: tuple[str, ...]
    """Laws that were kept wherever they applied."""
    broken: tuple[str, ...]
    findings: dict[str, int]
    """By status."""


def sums(document: Document) -> Sums:
    """Add up a document."""
    tests = document.tests
    faults: Counter[str] = Counter()
    for test in tests:
        for cell in test.cells:
            if cell.fault != NOWHERE:
                faults[cell.fault] += cell.fired
    rulings = [law for test in tests for law in test.laws]
    broken = {law.code for law in rulings if law.ruling == "broken"}
    return Sums(
        tests=len(tests),
        outcomes=dict(sorted(Counter(test.outcome for test in tests).items())),
        reruns=sum(test.reruns for test in tests),
        runs=sum(test.runs for test in tests),
        attempts=sum(test.attempts for test in tests),
        virtual_ns=sum(test.virtual_ns for test in tests),
        real_ns=sum(test.real_ns for test in tests),
        faults={name: faults[name] for name in FAULT_CLASSES if faults[name]},
        held=tuple(sorted({law.code for law in rulings} - broken)),
        broken=tuple(sorted(broken)),
        findings=dict(sorted(Counter(one.status for test in tests for one in test.findings).items())),
    )


def findings(document: Document) -> Iterator[tuple[TestRecord, FindingRecord]]:
    """Give every finding with its test, the new ones first."""
    found = [(test, one) for test in document.tests for one in test.findings]
    yield from sorted(found, key=lambda pair: pair[1].status != "new")


def headed(found: Comparison) -> list[tuple[str, tuple[Identity, ...]]]:
    """List what a baseline says of a run, by its headings."""
    return [
        ("new, and fails the run", found.new),
        ("fixed, but still listed, which fails the run", found.fixed),
        ("known", found.known),
        (UNTOLD, found.untold),
    ]


def lived(figures: Sums) -> str:
    """Write how much virtual time was lived through, against the real time that was spent."""
    return f"{duration(figures.virtual_ns)} of virtual time lived through in {duration(figures.real_ns)} of real time"


def duration(nanoseconds: int) -> str:
    """Write a time as people say it: ``0.12 s``, ``3.5 s``, ``4 min 10 s``, ``2 h 5 min``."""
    seconds = nanoseconds / SECOND
    if seconds < 60:
        text = f"{seconds:.2f}" if seconds < 10 else f"{seconds:.1f}"
        return f"{text.rstrip('0').rstrip('.') or '0'} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{grouped(hours)} h {minutes} min" if minutes else f"{grouped(hours)} h"


def tests_in_words(figures: Sums) -> str:
    """Write how many tests there were and what they did."""
    parts = [counted(figures.tests, "chaos test")]
    if figures.runs > figures.tests:
        parts.append(counted(figures.runs, "run"))
    parts.append(counted(figures.attempts, "attempt"))
    if figures.reruns:
        parts.append(f"run again {counted(figures.reruns, 'time')}")
    return ", ".join(parts)


def percent(part: int, whole: int) -> str:
    """Write a share, rounded down to a tenth, so that what is missing never reads as all."""
    tenths = 1000 * part // whole if whole else 0
    return f"{tenths // 10}.{tenths % 10}" if tenths % 10 else f"{tenths // 10}"


def written(one: Identity) -> str:
    """Write a finding's identity on one line."""
    return f"{one.shape} at {one.route} under {one.fault}"
