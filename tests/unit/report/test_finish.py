"""The end of a run: the document is put together, files are written, gates are held."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from pytest_retrychaos.report import baseline
from pytest_retrychaos.report.asked import Asked
from pytest_retrychaos.report.document import CellRecord, Document, Identity, TestRecord
from pytest_retrychaos.report.finish import finish, make_document, updated
from pytest_retrychaos.report.jsonform import from_json
from tests.unit.report.documents import BROKEN, FINDING

KNOWN = Identity("ID04", "ID04", "POST /payments", "lost-after-commit")
NOTHING = Asked()
ELSEWHERE = Identity("ID04", "ID04", "POST /refunds", "stale")


def made(
    tests: Iterable[TestRecord] = (BROKEN,),
    *,
    problems: tuple[str, ...] = (),
    asked: Asked = NOTHING,
    listed: tuple[Identity, ...] | None = None,
) -> Document:
    """Put a document together."""
    return make_document(tests, problems=problems, began="2030-01-01T00:00:00Z", seed=7, asked=asked, listed=listed)


def test_tests_stand_in_the_order_of_file_line_and_id() -> None:
    """In whatever order, and from however many processes, they came."""
    last = replace(BROKEN, id="a.py::test_a", file="b.py", line=1)
    second = replace(BROKEN, id="a.py::test_b[1]", file="a.py", line=9)
    third = replace(second, id="a.py::test_b[2]")
    first = replace(BROKEN, id="z", file="a.py", line=8)

    assert made([last, third, second, first]).tests == (first, second, third, last)


def test_a_problem_is_told_once_and_in_order() -> None:
    """Several processes may tell of the same."""
    assert made(problems=("b", "a", "b")).problems == ("a", "b")


def test_what_a_test_finds_that_was_expected_to_fail_is_expected() -> None:
    """It needs no entry in a baseline; one that passed or failed says what it found."""
    (expected,) = made([replace(BROKEN, outcome="xfailed")]).tests
    (passed,) = made([replace(BROKEN, outcome="xpassed")]).tests
    known = replace(BROKEN, outcome="xfailed", findings=(replace(FINDING, status="known"),))

    assert [one.status for one in expected.findings] == ["expected"]
    assert [one.status for one in passed.findings] == ["new"]
    assert [one.status for one in made([known]).tests[0].findings] == ["known"]


def test_a_written_baseline_has_what_was_found_and_what_could_not_be_told() -> None:
    """Not what the code expects, what was fixed, or a test that cannot tell."""
    found = replace(
        BROKEN,
        findings=(
            FINDING,
            replace(FINDING, law="RT01", shape="RT01", status="known"),
            replace(FINDING, law="RT02", shape="RT02", status="expected"),
            replace(FINDING, law="NV01", shape="NV01"),
        ),
    )
    fixed = Identity("ID04", "ID04", "POST /payments", "turned-away-retry-after")

    text = updated(made([found], listed=(KNOWN, ELSEWHERE, fixed)))

    assert baseline.from_json(text) == (
        KNOWN,
        ELSEWHERE,
        Identity("RT01", "RT01", "POST /payments", "lost-after-commit"),
    )


@pytest.mark.parametrize(("limit", "holds"), [("20", True), ("20.1", False), ("0", True)])
def test_the_gate_of_coverage_holds_at_its_limit(limit: str, holds: bool) -> None:
    """Two of ten cells are 20 percent, and no less."""
    document = made(asked=Asked(fail_under=Decimal(limit), omitted=("stale",)))

    failures = finish(NOTHING, document).failures

    assert (document.coverage.judged, document.coverage.applicable) == (2, 10)
    assert failures == (() if holds else (f"fault coverage of 20 % is under {limit} % (2 of 10 cells judged)",))


def test_a_run_without_a_cell_does_not_pass_the_gate() -> None:
    """Of nothing it cannot be told how much was covered."""
    for tests in ([], [replace(BROKEN, cells=())]):
        outcome = finish(NOTHING, made(tests, asked=Asked(fail_under=Decimal(0))))
        assert outcome.failures == ("fault coverage of 0 % was asked for: cannot tell, no chaos test made a request",)


def test_new_and_fixed_findings_fail_the_run_and_others_do_not() -> None:
    """A known one passes, and so does what could not be told."""
    asked = Asked(baseline=Path("b.json"))
    fixed = replace(BROKEN, outcome="passed", findings=())

    assert finish(asked, made(listed=(KNOWN, ELSEWHERE))).failures == ()
    assert finish(asked, made(listed=())).failures == (
        "new finding, not in b.json: ID04 at POST /payments under lost-after-commit",
    )
    assert finish(asked, made([fixed], listed=(KNOWN,))).failures == (
        (
            "fixed, and still listed in b.json: ID04 at POST /payments under lost-after-commit; "
            "take it out with --chaos-update-baseline"
        ),
    )


def test_every_file_that_was_asked_for_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that cannot be fails the run by its name, and keeps back no other; the job summary grows."""
    full, report, baseline_file = tmp_path / "full.json", tmp_path / "out" / "r.json", tmp_path / "b.json"
    full.symlink_to("/dev/full")
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    asked = Asked(reports=(full, report), baseline=baseline_file, updates=True)

    outcome = finish(asked, made())

    assert outcome.failures == (f"--chaos-report={full}: cannot write it: No space left on device",)
    assert outcome.files == (str(baseline_file), str(report))
    assert from_json(report.read_text()) == made()
    assert baseline.from_json(baseline_file.read_text()) == (KNOWN,)
    assert summary.read_text() == "before\n"

    finish(asked._replace(reports=(tmp_path / "r.md",)), made())

    assert summary.read_text() == "before\n\n\n" + (tmp_path / "r.md").read_text()  # a heading, whatever was before


def test_without_a_job_summary_none_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Most runs are in no job."""
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)

    assert finish(Asked(reports=(tmp_path / "r.md",)), made()).failures == ()
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "none" / "s.md"))
    assert finish(Asked(reports=(tmp_path / "r.md",)), made()).failures == (
        f"GITHUB_STEP_SUMMARY={tmp_path}/none/s.md: cannot write it: No such file or directory",
    )


def test_a_cell_of_two_tests_is_one_cell_of_the_document() -> None:
    """The matrix adds up what every test did."""
    other = replace(BROKEN, id="other", cells=(CellRecord("POST /payments", False, "stale", 1, 1),))

    coverage = made([BROKEN, other]).coverage

    assert (coverage.judged, coverage.applicable) == (3, 11)
