"""Progress of a long exploration on a terminal."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from _pytest.terminal import TerminalReporter

from pytest_retrychaos.report.progress import Progress
from tests.unit.report.documents import BROKEN


class Screen(io.StringIO):
    """A terminal that is looked at, or not."""

    looked_at = True

    def isatty(self) -> bool:
        return self.looked_at


def shown(pytester: pytest.Pytester, *arguments: str, looked_at: bool = True) -> str:
    """Tell of a test that is run for five seconds; give what stands on the terminal."""
    config = pytester.parseconfig("-p", "no:rerunfailures", *arguments)
    screen = Screen()
    screen.looked_at = looked_at
    config.pluginmanager.register(TerminalReporter(config, screen), "terminalreporter")
    moments = iter([0.0, 2.9, 3.5, 4.0, 4.6])
    progress = Progress(config, lambda: next(moments))
    for runs in (1, 900, 1234, 1300, 1400):
        progress.tell(replace(BROKEN, id="a.py::test_it", runs=runs))
    return screen.getvalue()


def test_a_long_exploration_says_how_far_it_is(pytester: pytest.Pytester) -> None:
    """On one line that is written again, once a second, not before it is long."""
    lines = [line.strip() for line in shown(pytester).split("\r") if line.strip()]

    assert lines == [
        "a.py::test_it: 1 234 histories run, 1 finding, 4 s",
        "a.py::test_it: 1 400 histories run, 1 finding, 5 s",
    ]


def test_nothing_is_said_without_a_terminal_or_under_q(pytester: pytest.Pytester) -> None:
    """A log would be full of it."""
    assert shown(pytester, looked_at=False) == ""
    assert shown(pytester, "-q") == ""
