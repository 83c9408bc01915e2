"""The page as a text; in a browser it is tested in tests/browser."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_retrychaos.report import page
from pytest_retrychaos.report.asked import report_path
from tests.unit.report.documents import BROKEN, DOCUMENT


def test_the_same_document_is_the_same_page() -> None:
    """To the byte."""
    assert page.to_html(DOCUMENT) == page.to_html(DOCUMENT)


def test_a_missing_jinja_is_told_by_the_extra_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks for a page and has not installed it is told how."""
    monkeypatch.setitem(sys.modules, "jinja2", None)

    with pytest.raises(page.NoJinja, match=r"needs Jinja2: python -m pip install 'pytest-retrychaos\[report\]'"):
        page.require_jinja()


def test_a_page_that_cannot_be_made_is_refused_before_a_test_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The option is named, and the way out."""
    monkeypatch.setitem(sys.modules, "jinja2", None)

    with pytest.raises(
        pytest.UsageError, match=r"--report=r\.html: a \.html report needs Jinja2: python -m pip install"
    ):
        report_path("r.html", tmp_path, "--report")
    assert report_path("r.json", tmp_path) == tmp_path / "r.json"


def test_a_page_is_small() -> None:
    """What every page has, style and script included, takes little room."""
    assert len(page.to_html(DOCUMENT)) < 25_000


def test_of_tests_that_did_the_same_each_has_its_own_notes() -> None:
    """What one test's finding points at stands in its table alone, whichever comes first."""
    other = replace(BROKEN, id="test_other", findings=())

    for tests in ((BROKEN, other), (other, BROKEN)):
        drawn = page.to_html(replace(DOCUMENT, tests=tests))

        assert drawn.count("◄ second effect") == 1
        assert drawn.count("<td>201, committed") == 2
