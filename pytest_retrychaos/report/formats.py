"""The formats of a report, by the suffix of its file."""

from __future__ import annotations

from pytest_retrychaos.report.document import Document


def render(document: Document, suffix: str) -> str:
    """Write a document in a format; `KeyError` for a suffix that is none (`asked.FORMATS`)."""
    if suffix == ".json":
        from pytest_retrychaos.report.jsonform import to_json

        return to_json(document)
    if suffix == ".html":
        from pytest_retrychaos.report.page import to_html

        return to_html(document)
    if suffix == ".md":
        from pytest_retrychaos.report.mdform import to_markdown

        return to_markdown(document)
    if suffix == ".sarif":
        from pytest_retrychaos.report.sarif import to_sarif

        return to_sarif(document)
    raise KeyError(suffix)
