"""How far a long exploration is, on a terminal that is looked at."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import pytest

from pytest_retrychaos import redact
from pytest_retrychaos.clock.cpython import real_twin
from pytest_retrychaos.laws.words import counted, grouped
from pytest_retrychaos.report.plain import visible

if TYPE_CHECKING:
    from pytest_retrychaos.report.document import TestRecord

LONG_S: Final = 3.0
"""A test that takes so many real seconds is worth a line."""
EVERY_S: Final = 1.0


class Progress:
    """Tells, once a second, how many histories a test was run under; nothing under ``-q`` or without a terminal."""

    def __init__(self, config: pytest.Config, now: Callable[[], float] | None = None) -> None:
        from time import monotonic

        self._config = config
        self._now = now or real_twin(monotonic)
        self._test = ""
        self._began = self._told = 0.0

    def tell(self, record: TestRecord) -> None:
        """Say how far a test is, if it is time to."""
        moment = self._now()
        if record.id != self._test:
            self._test, self._began, self._told = record.id, moment, moment
        reporter: pytest.TerminalReporter | None = self._config.pluginmanager.get_plugin("terminalreporter")
        is_time = moment - self._began >= LONG_S and moment - self._told >= EVERY_S
        if not is_time or reporter is None or not reporter.isatty or reporter.verbosity < 0:
            return
        self._told = moment
        broken = f", {counted(len(record.findings), 'finding')}" if record.findings else ""
        name = visible(redact.current().text(record.id), 60)
        text = f"{name}: {grouped(record.runs)} histories run{broken}, {moment - self._began:.0f} s"
        capture = self._config.pluginmanager.get_plugin("capturemanager")
        with contextlib.nullcontext() if capture is None else capture.global_and_fixture_disabled():
            reporter.rewrite(text, erase=True)
