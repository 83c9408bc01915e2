"""The schema of the JSON report is what the document is: ``python tests/unit/report/test_schema.py --write``."""

from __future__ import annotations

import json
import re
import sys
import types
import typing
from dataclasses import MISSING, fields, is_dataclass, replace
from typing import Any

import jsonschema
import pytest

from pytest_retrychaos.report.document import (
    FAULT_CLASSES,
    FORMAT,
    NOWHERE,
    OUTCOMES,
    STATUSES,
    VERSION,
    Document,
    Timeline,
)
from pytest_retrychaos.report.jsonform import (
    SCHEMA,
    Undrawn,
    decode_test,
    encode_test,
    from_json,
    to_json,
    undrawn,
)
from tests.unit.report.documents import BROKEN, DOCUMENT, FINDING

ENUMS = {
    "TestRecord.outcome": OUTCOMES,
    "FindingRecord.status": STATUSES,
    "FindingRecord.fault": (*FAULT_CLASSES, NOWHERE),
    "CellRecord.fault": (*FAULT_CLASSES, NOWHERE),
    "Cell.fault": tuple(FAULT_CLASSES),
    "LawRecord.ruling": ("held", "broken"),
    "BreakerSpan.state": ("closed", "open", "probing"),
}
"""Fields that take one of some words."""


def make_schema() -> dict[str, Any]:
    """Derive the schema from the dataclasses and their docstrings."""
    kinds: dict[str, Any] = {}
    whole = _of_dataclass(Document, kinds)
    whole["properties"] = {"format": {"const": FORMAT}, "version": {"const": VERSION}, **whole["properties"]}
    whole["required"] = ["format", "version", *whole["required"]]
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The report of pytest-retrychaos, version 1",
        "description": "Times are whole nanoseconds: of virtual time since the test's run began, or of real time where "
        "the name says so. null stands for what never happened or is not known.",
    }
    return {**head, **whole, "$defs": dict(sorted(kinds.items()))}


def _of_dataclass(kind: type, kinds: dict[str, Any]) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    said = _docstrings(kind)
    properties = {}
    for field in fields(kind):
        name = f"{kind.__name__}.{field.name}"
        form = _of_hint(hints[field.name], kinds)
        form = {"enum": list(ENUMS[name])} if name in ENUMS else form
        properties[field.name] = {"description": said[field.name], **form} if field.name in said else form
    needed = [field.name for field in fields(kind) if field.default is MISSING]
    return {"type": "object", "properties": properties, "required": needed, "additionalProperties": False}


def _of_hint(hint: Any, kinds: dict[str, Any]) -> dict[str, Any]:
    simple = {str: "string", int: "integer", bool: "boolean"}
    if hint in simple:
        return {"type": simple[hint]}
    if is_dataclass(hint):
        name = hint.__name__  # type: ignore[union-attr] # a class
        if name not in kinds:
            kinds[name] = {}
            kinds[name] = _of_dataclass(hint, kinds)  # type: ignore[arg-type] # a class
        return {"$ref": f"#/$defs/{name}"}
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is tuple:
        return {"type": "array", "items": _of_hint(arguments[0], kinds)}
    assert isinstance(hint, types.UnionType)
    form = _of_hint(arguments[0], kinds)
    return {"type": [form["type"], "null"]} if "type" in form else {"anyOf": [form, {"type": "null"}]}


def _docstrings(kind: type) -> dict[str, str]:
    import ast
    import inspect
    import itertools

    body = ast.parse(inspect.getsource(kind)).body[0].body  # type: ignore[attr-defined] # a class
    return {
        field.target.id: " ".join(re.sub(r"``", "`", text.value.value).split())
        for field, text in itertools.pairwise(body)
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr)
    }


def written() -> str:
    """Write the schema as the file has it."""
    return json.dumps(make_schema(), indent=2, ensure_ascii=False) + "\n"


def test_the_schema_that_is_shipped_is_what_the_document_is() -> None:
    """Whoever reads reports by the schema reads what is written."""
    assert SCHEMA.read_text(encoding="utf-8") == written()


def test_a_document_obeys_the_schema() -> None:
    """By a validator that knows nothing of this package; the schema itself is one."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)

    jsonschema.validate(json.loads(to_json(DOCUMENT)), schema, jsonschema.Draft202012Validator)


def test_what_is_written_is_read_back() -> None:
    """Reading gives the same value, and writing it again the same bytes."""
    text = to_json(DOCUMENT)

    assert text.isascii()
    assert from_json(text) == DOCUMENT
    assert to_json(from_json(text)) == text


def test_timelines_that_nobody_draws_are_written_again_as_they_were() -> None:
    """To put shards together nothing else is asked of them."""
    text = to_json(DOCUMENT)
    document = from_json(text, draws=False)

    assert isinstance(document.tests[0].timeline, Undrawn)
    assert to_json(document) == text


THREE = to_json(replace(DOCUMENT, tests=tuple(replace(BROKEN, id=name) for name in "abc")))


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(json.loads(THREE), indent=2),
        json.dumps(json.loads(THREE)),
        THREE.replace('},{"code"', '},\n{"code"', 1).replace(',\n{"id":"c"', ',{"id":"c"'),
        THREE.replace('},{"code"', '},\n{"code"').replace(',\n{"id":"b"', ',{"id":"b"', 1),
    ],
    ids=["many lines", "one line", "as many lines as tests", "more lines than tests"],
)
def test_a_report_that_another_tool_wrote_is_put_together_as_well(text: str) -> None:
    """On whatever lines its tests stand."""
    assert to_json(from_json(text, draws=False)) == THREE


@pytest.mark.parametrize("line", [BROKEN.timeline, None])
def test_a_test_that_travels_is_written_as_it_was(line: Timeline | None) -> None:
    """Drawn there or not, and whatever its name looks like."""
    test = replace(BROKEN, id='t.py::test_a["x","timeline":null}]', timeline=line)
    text = encode_test(test)

    assert decode_test(text) == test
    assert encode_test(decode_test(text)) == text
    skipped = text.replace('"outcome":"failed"', '"outcome":"skipped"')
    for left in (undrawn(test), decode_test(text, draws=False)):
        assert (left.timeline is None) == (line is None)
        assert encode_test(left) == text
        assert encode_test(replace(left, outcome="skipped")) == skipped


ANEW = "Write it anew with --chaos-report"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it is no JSON (Expecting value: line 1 column 1 (char 0)): write it anew with --chaos-report"),
        ("[]", "it is no report written by --chaos-report=….json"),
        ('{"format": "junit"}', "it is no report written by --chaos-report=….json"),
        (
            '{"format": "pytest-retrychaos report", "version": 2}',
            (
                "it has version 2, and this pytest-retrychaos reads version 1: "
                "use the same version for every shard and for what reads them"
            ),
        ),
        (
            to_json(DOCUMENT).replace('"seed": 7', '"seed": "7"'),
            "it is damaged: seed is '7', not a whole number. Write it anew with --chaos-report",
        ),
        *[
            (to_json(replace(DOCUMENT, tests=(replace(BROKEN, **changed),))), f"it is damaged: {said} is 'odd'. {ANEW}")
            for said, changed in {
                "outcome in tests[0]": {"outcome": "odd"},
                "fault of a cell in tests[0]": {"cells": (replace(BROKEN.cells[0], fault="odd"),)},
                "status of a finding in tests[0]": {"findings": (replace(FINDING, status="odd"),)},
                "fault of a finding in tests[0]": {"findings": (replace(FINDING, fault="odd"),)},
                "law of a finding in tests[0]": {"findings": (replace(FINDING, law="odd"),)},
            }.items()
        ],
    ],
)
def test_what_is_no_report_is_refused_with_the_way_out(text: str, said: str) -> None:
    """Damaged, foreign or of another version: the place is named."""
    with pytest.raises(ValueError, match=r"^it ") as refused:
        from_json(text)

    assert str(refused.value) == said


if __name__ == "__main__":
    assert sys.argv[1:] == ["--write"], "usage: python -m tests.unit.report.test_schema --write"
    SCHEMA.write_text(written(), encoding="utf-8")
