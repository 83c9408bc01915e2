"""The document as JSON, and back.

One test stands on one line, so that two reports can be compared by eye and by tools. ``schema-1.json`` beside this
file describes it.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from pytest_retrychaos.report.document import FORMAT, VERSION, Document, TestRecord
from pytest_retrychaos.trace import codec

SCHEMA: Final = Path(__file__).with_name(f"schema-{VERSION}.json")
"""The JSON schema of what `to_json` writes."""

_TIMELINE: Final = ',"timeline":'
"""Begins the last field of a test, in what `encode_test` wrote; inside a text the marks would be escaped."""


def _fields(value: Any) -> dict[str, Any]:  # Any: a dataclass of `document`; its fields
    return {name: getattr(value, name) for name in value.__slots__}


_compact: Final = json.JSONEncoder(
    ensure_ascii=True, separators=(",", ":"), check_circular=False, default=_fields
).encode
"""Writes a value, dataclasses as objects of their fields, as `trace.codec` reads them."""


def to_json(document: Document) -> str:
    """Write a document; the same document is the same text, and it is plain ASCII."""
    head = {"format": FORMAT, "version": VERSION, **_fields(document)}
    del head["tests"]
    lines = [f'"{name}": {_compact(value)},' for name, value in head.items()]
    tests = ",\n".join([encode_test(test) for test in document.tests])
    return "\n".join(["{", *lines, '"tests": [', *([tests] if tests else []), "]", "}", ""])


class Undrawn:
    """Stands for a timeline that nobody draws: it is written as it was read.

    Most of a report is timelines, and only a page looks at them.
    """

    __slots__ = ("line", "whole")

    def __init__(self, line: str, whole: str | None = None) -> None:
        self.line = line
        """The timeline, as JSON."""
        self.whole = whole
        """The whole test, where it is written as it was read, too."""


def undrawn(test: TestRecord) -> TestRecord:
    """Write a test's timeline in advance, for `to_json` alone: as one text it takes less room, and is no garbage."""
    return test if test.timeline is None else _with(test, Undrawn(_compact(test.timeline)))


def _with(test: TestRecord, line: Any) -> TestRecord:  # Any: it stands in the place of a timeline
    return replace(test, timeline=line)


def from_json(text: str, *, draws: bool = True) -> Document:
    """Read a document; `ValueError` says what is wrong with it, and the way out.

    Without ``draws`` timelines are left as they are (`Undrawn`), for `to_json` alone.
    """
    try:
        value: Any = json.loads(text)  # Any: JSON values
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is no JSON ({error}): write it anew with --chaos-report") from error
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise ValueError("it is no report written by --chaos-report=….json")
    if (version := value.get("version")) != VERSION:
        raise ValueError(
            f"it has version {version!r}, and this pytest-retrychaos reads version {VERSION}: "
            "use the same version for every shard and for what reads them"
        )
    lines = [] if draws else [_undrawn(test) for test in value.get("tests") or ()]
    document = _decode(Document, {name: part for name, part in value.items() if name not in ("format", "version")})
    if draws:
        return document
    pairs = zip(document.tests, lines, strict=True)
    return replace(document, tests=tuple([_with(test, line) for test, line in pairs]))


def _undrawn(test: Any) -> Undrawn | None:  # Any: JSON values
    """Take the timeline out of a test that was read."""
    if not isinstance(test, dict) or test.get("timeline") is None:
        return None
    line = Undrawn(_compact(test["timeline"]), _compact(test))
    test["timeline"] = None
    return line


def encode_test(test: TestRecord) -> str:
    """Write one test, on one line."""
    line: object = test.timeline
    if not isinstance(line, Undrawn):
        return _compact(test)
    if line.whole is not None:
        return line.whole
    head = _compact({**_fields(test), "timeline": None})
    return f"{head.removesuffix('null}')}{line.line}}}"  # it is the last field


def decode_test(text: str, *, draws: bool = True) -> TestRecord:
    """Read one test that `encode_test` wrote; without ``draws`` its timeline is left as it is."""
    if draws:
        return codec.decode(TestRecord, json.loads(text))
    head, _, line = text.removesuffix("}").partition(_TIMELINE)
    test = codec.decode(TestRecord, json.loads(f"{head}{_TIMELINE}null}}"))
    return test if line == "null" else _with(test, Undrawn(line))


def _decode(kind: type[Document], value: dict[str, Any]) -> Document:  # Any: JSON values
    try:
        return codec.decode(kind, value)
    except ValueError as error:
        place = str(error).removeprefix(codec.NO_TRACE)
        raise ValueError(f"it is damaged: {place}. Write it anew with --chaos-report") from error
