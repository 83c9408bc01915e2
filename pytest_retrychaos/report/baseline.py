"""The baseline: which findings are known, as a file that is kept with the code.

Laws of this module:
1. A finding is known by law, shape, route and fault class, so renamed tests and moved lines change nothing.
2. An entry is one finding: what differs from it in any of the four is new.
3. An entry is *fixed* where its cell was put to the test in this run, its law was asked there, and it was not found.
   Where the run did not do that, it cannot be told, and the entry stays. Nor can it where the run was a part of the
   suite (tests were deselected or skipped, or ended before they judged) or did not come to its end: another test of
   the same cell may be the one that finds it. So does one stay that an assertion made of a count over the whole run
   (`assert_attempts`): it is about no cell.
4. NV01 is never known: it says that a test cannot tell.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

from pytest_retrychaos.laws import CODES
from pytest_retrychaos.report.document import FAULT_CLASSES, NOWHERE, Comparison, FindingRecord, Identity, TestRecord
from pytest_retrychaos.report.opening import Form

FORM: Final = Form("pytest-retrychaos baseline", 1, called="baseline of pytest-retrychaos")
NEVER_KNOWN: Final = "NV01"

OF_THE_RUN: Final = frozenset({"BK03", "BK06", "CB01", "CB02", "CB03", "CB04", "LD02", "LD03"})
"""Laws about more than one operation: their findings have no cell."""

_NAMES: Final = ("law", "shape", "route", "fault")


def to_json(entries: Iterable[Identity]) -> str:
    """Write a baseline: one entry a line, sorted, so that changes read well."""
    lines = [
        "    " + json.dumps({name: getattr(entry, name) for name in _NAMES}, ensure_ascii=True)
        for entry in sorted(set(entries), key=_order)
    ]
    body = "[\n" + ",\n".join(lines) + "\n  ]" if lines else "[]"
    return f'{{\n  "format": {json.dumps(FORM.format)},\n  "version": {FORM.version},\n  "findings": {body}\n}}\n'


def from_json(text: str) -> tuple[Identity, ...]:
    """Read a baseline; `ValueError` says what is wrong with it."""
    findings = FORM.opened(text).get("findings")
    if not isinstance(findings, list):
        raise ValueError("it is damaged: 'findings' is no list")
    return tuple([_entry(place, entry) for place, entry in enumerate(findings, start=1)])


def _entry(place: int, entry: Any) -> Identity:  # Any: a JSON value
    if not isinstance(entry, dict) or entry.keys() != set(_NAMES):
        raise ValueError(f"it is damaged: finding {place} has to have {', '.join(_NAMES)}, it is {entry!r:.80}")
    for name in _NAMES:
        if not isinstance(entry[name], str):
            raise ValueError(f"it is damaged: {name} of finding {place} is {entry[name]!r:.60}, not a text")
    if entry["law"] == NEVER_KNOWN:
        raise ValueError(f"finding {place} is {NEVER_KNOWN}: a test that cannot tell is mended, not listed")
    for name, known in (("law", CODES), ("fault", {*FAULT_CLASSES, NOWHERE})):
        if entry[name] not in known:
            raise ValueError(f"{name} of finding {place} is {entry[name]!r:.60}: there is none of that name")
    return Identity(**entry)


def _order(entry: Identity) -> tuple[str, str, str, str]:
    return entry.law, entry.shape, entry.route, entry.fault


def compare(tests: Iterable[TestRecord], listed: Iterable[Identity], *, is_whole: bool = True) -> Comparison:
    """Hold a run's findings against those that are listed; ``is_whole``: no test of the suite is missing."""
    tests, known = list(tests), set(listed)
    findings = [one for test in tests for one in test.findings if one.law != NEVER_KNOWN]
    found = {_identity(one) for one in findings}
    not_in_code = {_identity(one) for one in findings if one.status != "expected"}  # by one test at least
    gone = known - found
    asked = _asked(tests) if is_whole else set()
    fixed = {entry for entry in gone if (entry.law, entry.route, entry.fault) in asked}
    return Comparison(
        new=tuple(sorted(not_in_code - known, key=_order)),
        known=tuple(sorted(known & found, key=_order)),
        fixed=tuple(sorted(fixed, key=_order)),
        untold=tuple(sorted(gone - fixed, key=_order)),
    )


def came_to_judge(test: TestRecord) -> bool:
    """Whether a law was asked of a test, where it did not pass: one that something else ended might have found more."""
    if test.outcome == "failed":
        return bool(test.laws or test.not_applicable)
    return test.outcome not in ("error", "skipped")


def up_to_date(found: Comparison | None) -> Comparison | None:
    """Give what a run came to once the baseline was written anew by it: nothing is new or fixed any more."""
    if found is None:
        return None
    return Comparison(
        new=(), known=tuple(sorted({*found.new, *found.known}, key=_order)), fixed=(), untold=found.untold
    )


def _identity(finding: FindingRecord) -> Identity:
    return Identity(*finding.identity)


def _asked(tests: Iterable[TestRecord]) -> set[tuple[str, str, str]]:
    """List which law was asked of which cell."""
    asked: set[tuple[str, str, str]] = set()
    for test in tests:
        if test.outcome not in ("passed", "failed"):
            continue
        applied = {law.code for law in test.laws}
        places = [(cell.route, cell.fault) for cell in test.cells if cell.judged or cell.fault == NOWHERE]
        asked |= {(law, *place) for law in (*applied, *test.not_applicable) for place in places}
        asked |= {(law, NOWHERE, NOWHERE) for law in applied & OF_THE_RUN}
    return asked
