"""Fault coverage: which cells, route × fault class, the suite has put its code through.

Laws of this module:
1. A cell counts only where the fault fired *and* a law or an assertion judged what came of it.
2. A route counts with every class that applies to it (`faultclass.applicable`), whether it met a fault or not.
3. Declared routes, where there are any, are the whole matrix; what is omitted is not in it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from pytest_retrychaos.model import host_name
from pytest_retrychaos.report.document import FAULT_CLASSES, NOWHERE, Cell, CellRecord, Coverage, Row, TestRecord
from pytest_retrychaos.report.faultclass import SCRIPTS, applicable
from pytest_retrychaos.report.routes import split
from pytest_retrychaos.service.reads import SAFE_METHODS

UNBOUND: Final = frozenset({"not-sent"})
"""Classes whose steps cannot be bound to a path: before a connection is made none is known."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What the matrix is about, where the project says so."""

    routes: tuple[str, ...] = ()
    """Its rows, as ``POST /payments/{id}``; empty: those that the suite was seen to call."""
    omitted: tuple[str, ...] = ()
    """Fault classes (``stale``), routes (``GET /health``) and cells (``POST /payments stale``) that do not count."""


@dataclass(slots=True)
class _Tally:
    is_read: bool = True
    fired: dict[str, int] = field(default_factory=dict)
    judged: dict[str, int] = field(default_factory=dict)
    tests: dict[str, int] = field(default_factory=dict)

    def add(self, cell: CellRecord) -> None:
        self.is_read = self.is_read and cell.is_read
        if cell.fault != NOWHERE:
            self.fired[cell.fault] = self.fired.get(cell.fault, 0) + cell.fired
            self.judged[cell.fault] = self.judged.get(cell.fault, 0) + cell.judged
            self.tests[cell.fault] = self.tests.get(cell.fault, 0) + (cell.judged > 0)


def coverage(tests: Iterable[TestRecord], scope: Scope = Scope()) -> Coverage:
    """Add up the cells of all tests."""
    exactest = sorted(scope.routes, key=_breadth)
    declared = [(route, _pattern(route)) for route in exactest]
    tallies: dict[str, _Tally] = {route: _Tally(split(route)[0] in SAFE_METHODS) for route in scope.routes}
    for test in tests:
        for cell in test.cells:
            route = _row_of(cell.route, declared)
            if route is not None:
                tallies.setdefault(route, _Tally()).add(cell)
    rows = [_row(route, tallies[route], scope.omitted) for route in sorted(tallies, key=_order)]
    rows = [row for row in rows if row.cells]
    cells = [cell for row in rows for cell in row.cells]
    return Coverage(sum(cell.judged > 0 for cell in cells), len(cells), tuple(rows))


def missing(found: Coverage) -> list[tuple[str, str]]:
    """List the cells that nothing judged: what to put into a test for each, and what that is."""
    return [
        (cell.script, f"{FAULT_CLASSES[cell.fault]}: {row.route}")
        for row in found.rows
        for cell in row.cells
        if cell.script is not None
    ]


def script_line(route: str, fault: str) -> str:
    """Write what to put into a test, so that a fault of this class strikes this route."""
    method, host, path = split(route)
    arguments = [json.dumps(SCRIPTS[fault])]
    if method != "CALL" and fault not in UNBOUND:
        arguments.append(f"route={json.dumps(f'{method} {path}', ensure_ascii=False)}")
    if host and method != "CALL":
        arguments.append(f"host={json.dumps(host_name(host))}")
    return f"chaos.script({', '.join(arguments)})"


def _order(route: str) -> tuple[str, str, str]:
    method, host, path = split(route)
    return host, path, method


def _row_of(route: str, declared: Sequence[tuple[str, re.Pattern[str]]]) -> str | None:
    if route == NOWHERE:
        return None
    if not declared:
        return route
    return next((name for name, pattern in declared if pattern.fullmatch(route)), None)


def _breadth(route: str) -> tuple[int, int]:
    """Tell how much a declared route takes: ``/users/me`` comes before ``/{id}:cancel``, and that before ``/{id}``."""
    return route.count("{"), -len(re.sub(r"\{[^{}/]*\}", "", route))


def _pattern(route: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{[^{}/]*\\\}", "[^/]+", re.escape(route)))


def _row(route: str, tally: _Tally, omitted: Sequence[str]) -> Row:
    method = route.partition(" ")[0]
    left_out = {*omitted} & {*FAULT_CLASSES}
    cells = []
    for fault in applicable(method, is_read=tally.is_read):
        if fault in left_out or route in omitted or f"{route} {fault}" in omitted:
            continue
        judged = tally.judged.get(fault, 0)
        script = None if judged else script_line(route, fault)
        cells.append(Cell(fault, tally.fired.get(fault, 0), judged, tally.tests.get(fault, 0), script))
    return Row(route, tally.is_read, tuple(cells))
