"""What a test has to show beside its outcome: under a failure the timeline, under ``-v`` the verdict.

Each goes with the report of its phase, since that comes from another process under pytest-xdist.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

import pytest

from pytest_retrychaos import redact
from pytest_retrychaos.report.collecting import RUN
from pytest_retrychaos.settings import EXPLORED, INTERRUPTED, SAID

if TYPE_CHECKING:
    from pytest_retrychaos.chaos import Chaos

VERDICT = "retrychaos verdict"
NOTE = "retrychaos note"
SHARE = "chaos_explored"
"""The attribute of a report that holds what a share of a search found."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the timeline under a failure, whatever its reason, and the verdict under ``-v``."""
    report = yield
    run = item.stash.get(RUN, None)
    if run is not None and report.when == "teardown":
        if left := run.judge.left_section():
            report.sections.append((NOTE, left))
        del item.stash[RUN]  # pytest keeps its items until the session ends, and would keep every run with them
    if report.when != "call":
        return report
    if EXPLORED in item.stash:
        setattr(report, SHARE, item.stash[EXPLORED])
    if report.passed and item.config.get_verbosity() > 0:
        said = _said(item, run)
        if said:
            report.sections.append((VERDICT, said))
    crash = getattr(report.longrepr, "reprcrash", None) if report.failed else None
    if crash is not None:  # the headline makes sense alone in the short summary
        crash.message = crash.message.removeprefix("pytest_retrychaos.LawsBroken: ")
    if report.failed and run is not None:
        section = run.judge.failure_section()
        if section:
            report.sections.append(("retrychaos", section))
    return report


def _said(item: pytest.Item, run: Chaos | None) -> str:
    if run is None or run.verdict is None:
        return item.stash.get(SAID, "")
    from pytest_retrychaos.text import verdict_text

    return verdict_text(run.verdict)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show the verdicts of the tests that passed, where pytest was asked to say more."""
    passed = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("")]  # the latter: of tear-downs
    for title in (VERDICT, NOTE):
        shown = [
            (report.nodeid, text)
            for report in passed
            for name, text in getattr(report, "sections", ())
            if name == title and (title == VERDICT or terminalreporter.verbosity > 0)
        ]
        if shown:
            terminalreporter.section(f"{title}s")
        for test, text in shown:
            _show_under(terminalreporter, test, text)
    _show_shares(terminalreporter)
    for test, text in terminalreporter.config.stash.get(INTERRUPTED, ()):
        terminalreporter.section("retrychaos: found before the interrupt")
        _show_under(terminalreporter, test, text)


def _show_under(terminalreporter: pytest.TerminalReporter, test: str, text: str) -> None:
    """Show a text under its test, line by line: what a terminal cannot show pytest escapes, with the ends of lines."""
    terminalreporter.line(redact.current().text(test))  # a parameter may be a secret
    for line in text.splitlines():
        terminalreporter.line(f"  {line}")
    terminalreporter.line("")


def _show_shares(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what the processes of xdist found together, as one process would."""
    reports = [one for found in terminalreporter.stats.values() for one in found if hasattr(one, SHARE)]
    if not reports:
        return
    from pytest_retrychaos.fuzz.shares import together

    terminalreporter.section("retrychaos: explored in shares")
    for test, text in together(getattr(report, SHARE) for report in reports):
        _show_under(terminalreporter, test, text)
