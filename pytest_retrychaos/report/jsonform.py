"""The document as JSON, and back.

One test stands on one line, so that two reports can be compared by eye and by tools. ``schema-1.json`` beside this
file describes it.
"""

from __future__ import annotations

import functools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from pytest_retrychaos.frozen import changed
from pytest_retrychaos.laws import CODES
from pytest_retrychaos.report.document import (
    FAULT_CLASSES,
    FORMAT,
    NOWHERE,
    OUTCOMES,
    STATUSES,
    VERSION,
    Document,
    FindingRecord,
    TestRecord,
    Timeline,
)
from pytest_retrychaos.report.opening import Form
from pytest_retrychaos.trace import codec

SCHEMA: Final = Path(__file__).with_name(f"schema-{VERSION}.json")
"""The JSON schema of what `to_json` writes."""

FORM: Final = Form(
    FORMAT,
    VERSION,
    called="report written by --chaos-report=….json",
    mend=": write it anew with --chaos-report",
    agree=": use the same version for every shard and for what reads them",
)
_TESTS: Final = '\n"tests": [\n'
_NEXT: Final = ",\n"
_END: Final = "\n]\n}\n"
"""Before, between and after the tests, in what `to_json` wrote; no text has a line's end in it."""
_TIMELINE: Final = ',"timeline":'
"""Begins the last field of a test, in what `encode_test` wrote; inside a text the marks would be escaped."""
_ALIKE: Final = ("laws", "not_applicable", "findings", "cells", "timeline")
"""The last fields of a test: many tests of a suite have the same there."""
_OWN: Final = TestRecord.__slots__[: -len(_ALIKE)]


def _fields(value: Any) -> dict[str, Any]:  # Any: a dataclass of `document`; its fields
    return {name: getattr(value, name) for name in value.__slots__}


_compact: Final = json.JSONEncoder(
    ensure_ascii=True, separators=(",", ":"), check_circular=False, default=_fields
).encode
"""Writes a value, dataclasses as objects of their fields, as `trace.codec` reads them."""


@functools.lru_cache(maxsize=256)
def _alike(value: object) -> str:
    """Write what was written for another test, too, most likely: where it is equal, it is looked up."""
    return _compact(value)


def to_json(document: Document) -> str:
    """Write a document; the same document is the same text, and it is plain ASCII."""
    head = {"format": FORMAT, "version": VERSION, **_fields(document)}
    del head["tests"]
    lines = [f'"{name}": {_compact(value)},' for name, value in head.items()]
    tests = _NEXT.join([encode_test(test) for test in document.tests])
    return "\n".join(["{", *lines, '"tests": [', *([tests] if tests else []), "]", "}", ""])


class Undrawn:
    """Stands for a timeline that was written in advance, or was read and is to be written again.

    Most of a report is timelines, and only a page looks at them.
    """

    __slots__ = ("line", "whole")

    def __init__(self, line: str = "", *, whole: str | None = None) -> None:
        self.line = line
        """The timeline, as JSON."""
        self.whole = whole
        """The whole test instead, where all of it is written as it was read."""


def undrawn(test: TestRecord) -> TestRecord:
    """Write a test's timeline in advance: as one text it takes less room, and is no garbage."""
    return test if test.timeline is None else _with(test, Undrawn(_alike(test.timeline)))


def redrawn(test: TestRecord) -> tuple[Timeline | None, object]:
    """Give a test's timeline, read again where it was written in advance, and what equal ones are known by."""
    line: object = test.timeline
    return (_read(line.line), line.line) if isinstance(line, Undrawn) else (test.timeline, test.timeline)


@functools.lru_cache(maxsize=256)
def _read(line: str) -> Timeline:
    return codec.decode(Timeline, json.loads(line))


def restated(test: TestRecord, findings: tuple[FindingRecord, ...]) -> TestRecord:
    """Give a test other findings; one that is to be written as it was read is written anew, but for its timeline."""
    line: object = test.timeline
    if isinstance(line, Undrawn) and line.whole is not None:
        test = _with(test, Undrawn(line.whole.removesuffix("}").partition(_TIMELINE)[2]))
    return changed(test, findings=findings)


def _with(test: TestRecord, line: Undrawn | None) -> TestRecord:
    return test if line is None else changed(test, timeline=line)


def from_json(text: str, *, draws: bool = True) -> Document:
    """Read a document; `ValueError` says what is wrong with it, and the way out.

    Without ``draws`` timelines are left as they are (`Undrawn`), for `to_json` alone.
    """
    value = FORM.opened(text)
    lines = [] if draws else _undrawn(value, text)
    document = _decode(Document, value)
    if draws:
        return document
    pairs = zip(document.tests, lines, strict=True)
    return replace(document, tests=tuple([_with(test, line) for test, line in pairs]))


def _undrawn(value: dict[str, Any], text: str) -> list[Undrawn | None]:  # Any: JSON values
    """Take the timelines out of a report that was read, and give what stands for each."""
    tests = value.get("tests")
    if not isinstance(tests, list):
        return []
    lines = _lines(tests, text)
    found: list[Undrawn | None] = []
    for place, test in enumerate(tests):
        if not isinstance(test, dict) or test.get("timeline") is None:
            found.append(None)
            continue
        found.append(Undrawn(whole=_compact(test) if lines is None else lines[place]))
        test["timeline"] = None
    return found


def _lines(tests: list[Any], text: str) -> list[str] | None:  # Any: JSON values
    """Give the line of each test; ``None`` where a file has other lines than `to_json` wrote."""
    lines = text.partition(_TESTS)[2].removesuffix(_END).split(_NEXT)
    begin = [f'{{"id":{_compact(test["id"])},' if isinstance(test, dict) and "id" in test else "" for test in tests]
    if len(lines) != len(tests) or not all(begin) or not all(map(str.startswith, lines, begin)):
        return None
    return lines


def encode_test(test: TestRecord) -> str:
    """Write one test, on one line."""
    line: object = test.timeline
    if isinstance(line, Undrawn) and line.whole is not None:
        return line.whole
    own = _compact({name: getattr(test, name) for name in _OWN}).removesuffix("}")
    alike = [f',"{name}":{_alike(getattr(test, name))}' for name in _ALIKE[:-1]]
    return f"{own}{''.join(alike)}{_TIMELINE}{line.line if isinstance(line, Undrawn) else _alike(line)}}}"


def decode_test(text: str, *, draws: bool = True) -> TestRecord:
    """Read one test that `encode_test` wrote; without ``draws`` its timeline is left as it is."""
    if draws:
        return codec.decode(TestRecord, json.loads(text))
    head, _, line = text.removesuffix("}").partition(_TIMELINE)
    test = codec.decode(TestRecord, json.loads(f"{head}{_TIMELINE}null}}"))
    return test if line == "null" else _with(test, Undrawn(line))


def _decode(kind: type[Document], value: dict[str, Any]) -> Document:  # Any: JSON values
    try:
        document = codec.decode(kind, value)
        for number, test in enumerate(document.tests):
            _check_words(test, f"tests[{number}]")
    except ValueError as error:
        place = str(error).removeprefix(codec.NO_TRACE)
        raise ValueError(f"it is damaged: {place}. Write it anew with --chaos-report") from error
    return document


def _check_words(test: TestRecord, place: str) -> None:
    """Refuse a word that no report of this version has: what is drawn and counted goes by them."""
    faults = {*FAULT_CLASSES, NOWHERE}
    words = [("outcome", test.outcome, OUTCOMES), *[("fault of a cell", one.fault, faults) for one in test.cells]]
    for one in test.findings:
        words += [("status of a finding", one.status, STATUSES), ("fault of a finding", one.fault, faults)]
        words += [("law of a finding", one.law, CODES)]
    for name, word, known in words:
        if word not in known:
            raise ValueError(f"{name} in {place} is {word!r:.60}")
