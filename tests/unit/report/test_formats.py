"""What the formats say of one document: figures, SARIF, Markdown, the terminal."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from pytest_retrychaos.laws import LAWS
from pytest_retrychaos.report.document import Comparison, Identity, LawRecord
from pytest_retrychaos.report.figures import duration, findings, percent, sums
from pytest_retrychaos.report.mdform import MOST_FINDINGS, to_markdown
from pytest_retrychaos.report.plain import markdown, visible
from pytest_retrychaos.report.sarif import to_sarif
from pytest_retrychaos.report.terminal import MOST_MISSING, missing_lines, summary_lines
from tests.unit.report.documents import BROKEN, DOCUMENT, FINDING

KNOWN = replace(FINDING, status="known", headline="known")
EXPECTED = replace(FINDING, law="ID01", shape="ID01", status="expected", headline="expected")
SEVERAL = replace(
    DOCUMENT,
    tests=(
        replace(BROKEN, id="one", findings=(KNOWN, EXPECTED), laws=(LawRecord("RT03", "held", "a"),), reruns=0),
        replace(BROKEN, id="two", outcome="passed"),
    ),
)


def test_new_findings_come_first() -> None:
    """In whatever test they stand."""
    assert [(test.id, one.status) for test, one in findings(SEVERAL)] == [
        ("two", "new"),
        ("one", "known"),
        ("one", "expected"),
    ]


def test_the_sums_are_those_of_all_tests() -> None:
    """A law that was broken once is not among those that were held."""
    figures = sums(SEVERAL)

    assert (figures.tests, figures.outcomes) == (2, {"failed": 1, "passed": 1})
    assert (figures.reruns, figures.runs, figures.attempts) == (1, 2, 6)
    assert figures.faults == {"lost-after-commit": 2, "turned-away-retry-after": 2}
    assert list(figures.faults) == ["lost-after-commit", "turned-away-retry-after"]
    assert (figures.held, figures.broken) == (("BK04", "RT03"), ("ID04",))
    assert figures.findings == {"expected": 1, "known": 1, "new": 1}


@pytest.mark.parametrize(("part", "whole", "text"), [(1999, 2000, "99.9"), (1, 1, "100"), (0, 0, "0"), (1, 3, "33.3")])
def test_a_share_is_rounded_down(part: int, whole: int, text: str) -> None:
    """What is missing never reads as all."""
    assert percent(part, whole) == text


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0 s"),
        (120_000_000, "0.12 s"),
        (12_340_000_000, "12.3 s"),
        (60_000_000_000, "1 min"),
        (250_000_000_000, "4 min 10 s"),
        (7_500_000_000_000, "2 h 5 min"),
    ],
)
def test_a_duration_is_written_as_people_say_it(nanoseconds: int, text: str) -> None:
    """Never with more than two units."""
    assert duration(nanoseconds) == text


def sarif(**changes: Any) -> dict[str, Any]:
    """Write the document as SARIF; give its run."""
    (run,) = json.loads(to_sarif(replace(SEVERAL, **changes)))["runs"]
    return run  # type: ignore[no-any-return]  # JSON values


def test_sarif_lets_known_and_expected_findings_pass() -> None:
    """They are notes, suppressed from outside or in the source; a new one is an error."""
    results = sarif()["results"]

    assert [one["level"] for one in results] == ["error", "note", "note"]
    assert [one.get("suppressions") for one in results] == [None, [{"kind": "external"}], [{"kind": "inSource"}]]
    assert [one["baselineState"] for one in results] == ["new", "unchanged", "unchanged"]
    assert "baselineState" not in sarif(baseline=None)["results"][0]


def test_sarif_points_at_the_rule_and_the_line() -> None:
    """So that tools show the law's own words, and a result beside its test."""
    run = sarif()

    assert run["results"][0]["ruleIndex"] == [law.code for law in LAWS].index("ID04")
    assert run["tool"]["driver"]["rules"][run["results"][2]["ruleIndex"]]["id"] == "ID01"
    place = run["results"][0]["locations"][0]["physicalLocation"]
    assert (place["artifactLocation"]["uri"], place["region"]["startLine"]) == ("tests/test_pay.py", 12)


def test_sarif_tells_results_apart_by_finding_and_test() -> None:
    """The same finding in another test is another result, and the same one in the next run is not."""
    same = replace(SEVERAL, tests=(BROKEN, replace(BROKEN, id="other")))
    prints = [one["partialFingerprints"]["retrychaosFinding/v1"] for one in sarif(tests=same.tests)["results"]]

    assert len(set(prints)) == 2
    moved = sarif(tests=(replace(BROKEN, line=99, findings=(replace(FINDING, headline="other words"),)),))
    assert moved["results"][0]["partialFingerprints"]["retrychaosFinding/v1"] == prints[0]
    marked = [
        sarif(tests=(replace(BROKEN, id=f"test_pay[token=[hidden:{mark}]]"),))["results"][0]["partialFingerprints"]
        for mark in ("3f9a2c1d", "05612d37")
    ]
    assert marked[0] == marked[1]  # a mark is another one in each run


def test_sarif_says_of_a_run_that_it_is_not_whole() -> None:
    """With the reason; one that is whole succeeded."""
    (broken,) = sarif()["invocations"]
    (whole,) = sarif(problems=())["invocations"]

    assert (broken["executionSuccessful"], whole["executionSuccessful"]) == (False, True)
    assert broken["toolExecutionNotifications"][0]["message"]["text"] == SEVERAL.problems[0]


def test_markdown_has_the_limit_the_baseline_and_what_is_missing() -> None:
    """Whatever fails the run stands in the summary of a job."""
    found = Comparison(new=(Identity("ID04", "ID04", "POST /a", "stale"),), known=(), fixed=(), untold=())
    text = to_markdown(replace(SEVERAL, baseline=found))

    assert "**This run is not whole:** worker gw1 died" in text
    assert "| fault coverage | 50 % (1 of 2 cells judged, the limit is 80 %) |" in text
    assert "| outcomes | 1 failed, 1 passed |" in text
    assert "| findings | 1 expected, 1 known, 1 new |" in text
    assert "- 1 new, and fails the run\n  - ID04 at POST /a under stale\n- 0 fixed, but still listed" in text
    assert 'chaos.script("stale, ok", route="POST /payments")  # stale connection: POST /payments' in text
    assert "the limit" not in to_markdown(replace(SEVERAL, fail_under=None))


def test_markdown_stays_small() -> None:
    """GitHub takes no more than a mebibyte: findings beyond a number are counted."""
    many = replace(DOCUMENT, tests=tuple(replace(BROKEN, id=str(number)) for number in range(MOST_FINDINGS + 2)))

    text = to_markdown(many)

    assert text.count("- **❌ new**") == MOST_FINDINGS
    assert "… and 2 more findings" in text


def test_the_summary_names_the_slowest_tests() -> None:
    """The three that took most, where there are more than three and they took long."""
    tests = tuple(replace(BROKEN, id=f"t{number}", real_ns=number * 60_000_000) for number in range(5))

    lines = list(summary_lines(replace(DOCUMENT, tests=tests)))

    assert [line for line in lines if line.startswith("slowest")] == [
        "slowest       0.24 s  t4",
        "slowest       0.18 s  t3",
        "slowest       0.12 s  t2",
    ]
    assert not [line for line in summary_lines(replace(DOCUMENT, tests=tests[2:])) if line.startswith("slowest")]


def test_what_is_missing_is_listed_up_to_a_number() -> None:
    """A script line for each, with what it is for beside it."""
    (row,) = DOCUMENT.coverage.rows
    few = list(missing_lines(DOCUMENT.coverage))
    many = list(missing_lines(replace(DOCUMENT.coverage, rows=(row,) * (MOST_MISSING + 3))))

    assert few == ['  chaos.script("stale, ok", route="POST /payments")  # stale connection: POST /payments']
    assert len(many) == MOST_MISSING + 1
    assert many[-1] == "  … and 3 more cells: --chaos-report=report.md lists them"


def test_a_text_of_unknown_origin_is_shown_as_it_is() -> None:
    """Nothing in it is carried out, moves other text or is hidden."""
    assert visible("a\x1b[31m\u202eb\n\ud800") == "a\\x1b[31m\\u202eb\\x0a\\ud800"
    assert visible("abcdef", 4) == "abc…"
    assert markdown("<b>|`*_[x](y)") == "&#60;b&#62;&#124;&#96;&#42;&#95;&#91;x&#93;(y)"
