"""A document as the page's template reads it: what stands where, and under which address."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from pytest_retrychaos.laws import LAWS
from pytest_retrychaos.laws.words import counted
from pytest_retrychaos.report import figures
from pytest_retrychaos.report.coverage import missing
from pytest_retrychaos.report.document import (
    FAULT_CLASSES,
    NOWHERE,
    Cell,
    Document,
    FindingRecord,
    Row,
    TestRecord,
)
from pytest_retrychaos.report.drawing import MOST_LANES, draw_timeline
from pytest_retrychaos.report.histogram import draw_herd
from pytest_retrychaos.report.jsonform import redrawn

MOST_ROWS: Final = 200
"""Attempts of one test that stand in its table; the picture shows them all."""
MOST_OPEN: Final = 20
"""Tests with findings that are open at first."""


class Page:
    """A document as the template reads it."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.figures = figures.sums(document)
        self.lived = figures.lived(self.figures)
        self.tests_in_words = figures.tests_in_words(self.figures)
        self.percent = figures.percent(document.coverage.judged, document.coverage.applicable)
        self.findings = list(_findings(document))
        self._routes: dict[str, int] = {}
        self._faults = {name: number for number, name in enumerate(FAULT_CLASSES)}
        for row in document.coverage.rows:
            self.route(row.route)
        self.tests = [ShownTest(test, self) for test in document.tests]
        self._drawn: dict[object, str] = {}

    @functools.cached_property
    def opens(self) -> bool:
        """Whether tests with findings are open at first: few are, many would be a heap."""
        return sum(bool(test.findings) for test in self.document.tests) <= MOST_OPEN

    @property
    def routes(self) -> list[str]:
        """Every route, in the order of their numbers."""
        return list(self._routes)

    @property
    def laws(self) -> list[tuple[str, int, int]]:
        """Every law that applied somewhere: code, in how many tests it was broken, and in how many it was held."""
        broken: dict[str, int] = {}
        held: dict[str, int] = {}
        for test in self.document.tests:
            for law in test.laws:
                count = broken if law.ruling == "broken" else held
                count[law.code] = count.get(law.code, 0) + 1
        return [
            (law.code, broken.get(law.code, 0), held.get(law.code, 0)) for law in LAWS if law.code in {*broken, *held}
        ]

    def route(self, name: str) -> int | str:
        """Give the number of a route; nothing for what is about none."""
        return "" if name == NOWHERE else self._routes.setdefault(name, len(self._routes))

    def fault(self, name: str) -> int | str:
        """Give the number of a fault class; nothing for what is about none."""
        return self._faults.get(name, "")

    def cell(self, route: str, fault: str) -> str:
        """Name a cell by its numbers, for the filter."""
        return f"{self.route(route)}:{self.fault(fault)}"

    def drawn(self, test: ShownTest, draw: Callable[[ShownTest], str]) -> str:
        """Draw what a test did, once for all that did the same: a suite has many such."""
        key = test.drawn_by, tuple(test.notes.items())
        if key not in self._drawn:
            self._drawn[key] = draw(test)
        return self._drawn[key]

    @property
    def missing(self) -> list[str]:
        """The script lines for the cells that nothing judged."""
        return [f"{script}  # {what}" for script, what in missing(self.document.coverage)]

    @staticmethod
    def cells(row: Row) -> list[tuple[str, Cell | None]]:
        """List a row's cells, one for each fault class, by its words."""
        known = {cell.fault: cell for cell in row.cells}
        return [(words, known.get(name)) for name, words in FAULT_CLASSES.items()]

    @property
    def baseline(self) -> list[tuple[str, list[str]]]:
        """What a baseline says, by its headings."""
        found = self.document.baseline
        if found is None:
            return []
        return [(title, [figures.written(one) for one in entries]) for title, entries in figures.headed(found)]


@dataclass(frozen=True, slots=True)
class ShownFinding:
    """A finding beside its test."""

    test: TestRecord
    finding: FindingRecord
    anchor: str
    """Where it stands in the page."""

    @property
    def test_anchor(self) -> str:
        """Where its test stands."""
        return _anchor("t", self.test.id)


def _findings(document: Document) -> Iterator[ShownFinding]:
    seen: dict[str, int] = {}
    for test, finding in figures.findings(document):
        anchor = _anchor("f", test.id, *finding.identity)
        times = seen[anchor] = seen.get(anchor, 0) + 1
        yield ShownFinding(test, finding, anchor if times == 1 else f"{anchor}-{times}")


def _anchor(kind: str, *texts: str) -> str:
    joined = "\0".join(texts).encode("utf-8", "surrogatepass")
    return f"{kind}{hashlib.sha256(joined).hexdigest()[:8]}"


def _notes(test: TestRecord) -> dict[int, str]:
    notes: dict[int, list[str]] = {}
    for mark in dict.fromkeys(mark for finding in test.findings for mark in finding.marks):
        notes.setdefault(mark.attempt, []).append(mark.note)
    return {attempt: "; ".join(parts) for attempt, parts in notes.items()}


def _broken(test: TestRecord) -> list[str]:
    codes = [finding.law for finding in test.findings]
    codes += [law.code for law in test.laws if law.ruling == "broken"]
    return list(dict.fromkeys(codes)) if codes else codes


_PLAIN_OUTCOMES: Final = {"passed": "p", "skipped": "s", "xfailed": "s"}


class ShownTest:
    """A test as the template reads it."""

    def __init__(self, test: TestRecord, page: Page) -> None:
        self.test = test
        self.anchor = _anchor("t", test.id)
        self.sign = _PLAIN_OUTCOMES.get(test.outcome, "f")
        self.cells = " ".join([page.cell(cell.route, cell.fault) for cell in test.cells])
        self.codes = _broken(test)
        self.held = " ".join([law.code for law in test.laws if law.ruling == "held"])
        self.notes = _notes(test)
        """What findings note, by the index of the attempt."""
        timeline, self.drawn_by = redrawn(test)
        self._timeline = timeline if timeline is not None and timeline.attempts else None

    @property
    def words(self) -> str:
        """What it did, in short."""
        test = self.test
        parts = [counted(test.attempts, "attempt"), figures.duration(test.virtual_ns)]
        if test.runs > 1:
            parts.insert(0, counted(test.runs, "run"))
        if test.effects:
            parts.append(counted(test.effects, "effect"))
        if test.reruns:
            parts.append(f"run again {counted(test.reruns, 'time')}")
        return ", ".join(parts)

    @property
    def alike(self) -> str | None:
        """What all its attempts sent, where that is the same: request and key."""
        attempts = self._timeline.attempts if self._timeline else ()
        requests = {(one.request, one.key) for one in attempts}
        if len(requests) != 1:
            return None
        request, key = requests.pop()
        return request if key is None else f"{request}, key {key}"

    @property
    def operations(self) -> str:
        """Which lane of the picture is which operation, where there are several."""
        names = self._timeline.operations if self._timeline else ()
        if not 1 < len(names) <= MOST_LANES:
            return ""
        return ", ".join([f"op {number} {name}" for number, name in enumerate(names, 1)])

    @property
    def picture(self) -> Any:  # Any: markupsafe.Markup, imported where it is used
        """Its timeline, drawn."""
        from markupsafe import Markup

        return Markup("" if self._timeline is None else draw_timeline(self._timeline, self.notes))

    @property
    def herds(self) -> list[Any]:  # Any: as above
        """Its herds, drawn."""
        from markupsafe import Markup

        return [Markup(draw_herd(herd)) for herd in (self._timeline.herds if self._timeline else ())]

    @property
    def rows(self) -> Iterator[tuple[str, int, str, str, str, str, str]]:
        """Its attempts in words: when, number, request, key, what came of it, the fault, and what a finding notes."""
        attempts = self._timeline.attempts if self._timeline else ()
        for one in attempts[:MOST_ROWS]:
            yield (
                f"{one.began_ns / 1_000_000_000:.3f}".rstrip("0").rstrip("."),
                one.index,
                one.request,
                one.key or "",
                one.outcome,
                one.fault or "",
                self.notes.get(one.index, ""),
            )

    @property
    def more(self) -> int:
        """How many more attempts there were."""
        timeline = self._timeline
        return 0 if timeline is None else timeline.omitted + max(0, len(timeline.attempts) - MOST_ROWS)
