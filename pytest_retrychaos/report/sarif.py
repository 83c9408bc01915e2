"""The report as SARIF 2.1.0, which GitHub, GitLab and editors show at the line of each test.

Every law is a rule and every finding a result. A known finding is suppressed (``external``), an expected one too
(``inSource``). A run that is not whole says so in its invocation.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final
from urllib.parse import quote

from pytest_retrychaos.laws import LAWS
from pytest_retrychaos.redact.shapes import MARK
from pytest_retrychaos.report.document import Document, FindingRecord, TestRecord
from pytest_retrychaos.report.figures import findings
from pytest_retrychaos.report.plain import visible

SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
FINGERPRINT: Final = "retrychaosFinding/v1"
"""Of a finding's identity and its test: what tools tell results apart by over time.

Without marks of secrets, which are others in each run.
"""
MOST_LETTERS: Final = 2000
SUPPRESSIONS: Final = {"known": "external", "expected": "inSource"}


def to_sarif(document: Document) -> str:
    """Write a document as SARIF."""
    return json.dumps(_log(document), indent=1, ensure_ascii=True) + "\n"


def _log(document: Document) -> dict[str, Any]:  # Any: JSON values
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "pytest-retrychaos",
                        "rules": [_rule(law.code, law.statement) for law in LAWS],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "originalUriBaseIds": {"ROOT": {"description": {"text": "The root of the project."}}},
                "invocations": [
                    {
                        "executionSuccessful": document.is_whole,
                        "startTimeUtc": document.began,
                        "toolExecutionNotifications": [
                            {"level": "error", "message": {"text": visible(problem, MOST_LETTERS)}}
                            for problem in document.problems
                        ],
                    }
                ],
                "results": [_result(test, finding, document) for test, finding in findings(document)],
                "properties": {
                    "faultCoverage": {"judged": document.coverage.judged, "applicable": document.coverage.applicable}
                },
            }
        ],
    }


def _rule(code: str, statement: str) -> dict[str, Any]:  # Any: JSON values
    sentence = statement[0].upper() + statement[1:] + "."
    return {"id": code, "shortDescription": {"text": sentence}, "defaultConfiguration": {"level": "error"}}


_PLACES: Final = {law.code: place for place, law in enumerate(LAWS)}


def _result(test: TestRecord, finding: FindingRecord, document: Document) -> dict[str, Any]:  # Any: JSON values
    text = "\n".join([finding.headline, f"why: {finding.why}", f"fix: {finding.fix}", f"again: {finding.again}"])
    result: dict[str, Any] = {
        "ruleId": finding.law,
        "ruleIndex": _PLACES[finding.law],
        "level": "error" if finding.status == "new" else "note",
        "message": {"text": visible(text, MOST_LETTERS).replace("\\x0a", "\n")},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": quote(test.file, errors="backslashreplace"), "uriBaseId": "ROOT"},
                    "region": {"startLine": max(1, test.line)},
                },
                "logicalLocations": [{"fullyQualifiedName": visible(test.id, MOST_LETTERS), "kind": "function"}],
            }
        ],
        "partialFingerprints": {FINGERPRINT: _fingerprint(test, finding)},
        "properties": {
            "shape": finding.shape,
            "route": finding.route,
            "fault": finding.fault,
            "status": finding.status,
        },
    }
    if document.baseline is not None:
        result["baselineState"] = "new" if finding.status == "new" else "unchanged"
    if finding.status in SUPPRESSIONS:
        result["suppressions"] = [{"kind": SUPPRESSIONS[finding.status]}]
    return result


def _fingerprint(test: TestRecord, finding: FindingRecord) -> str:
    parts = "\n".join([*finding.identity, MARK.sub("", test.id)])
    return hashlib.sha256(parts.encode("utf-8", "backslashreplace")).hexdigest()
