"""Run a test once under one history, and tell in how many ways it failed."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import CodeType
from typing import Any

import pytest

from pytest_retrychaos import redact
from pytest_retrychaos.chaos import Chaos
from pytest_retrychaos.clock.errors import LeftRunning
from pytest_retrychaos.fuzz.history import Breach, History, Played
from pytest_retrychaos.judging import Known
from pytest_retrychaos.laws import Finding
from pytest_retrychaos.text import again, finding_text, timeline
from pytest_retrychaos.views import CannotTell, LawsBroken

UNFIRED = "NV01"
"""The search itself sees whether a fault struck."""


@dataclass(frozen=True)
class Test:
    """What is run again and again."""

    __test__ = False  # pytest: this is no test class

    body: Callable[[Chaos], object]
    code: CodeType
    name: str
    options: Mapping[str, Any]  # Any: as the user wrote them
    note: Callable[[History], None] = lambda _: None
    """Is told what is about to be run."""
    known: Known | None = None
    """Tells which findings fail nothing."""
    watch: Callable[[Chaos], None] = lambda _: None
    """Is given each run once it is over."""

    def play(self, history: History) -> Played:
        """Run it under a history. What the code under test raises is what its caller was told, not a failure.

        Raises what is no fault of the code under test: a handler that failed, what cannot be simulated, an interrupt.
        """
        self.note(history)
        options = {**self.options, **history.options}
        chaos = Chaos(history.script, name=self.name, test_code=self.code, known=self.known, **options)
        run = chaos.recorded
        finished_ns = switches = 0
        breaches: dict[str, Breach] = {}
        try:
            with chaos:
                error = self._error(chaos)
                finished_ns, switches = run.clock.now_ns, run.switches.met
                breaches = _breaches(chaos, error, self.code)
        except LeftRunning as left:
            breaches["threads left running"] = Breach("threads left running", str(left))
        self.watch(chaos)
        answering = chaos.service.answering
        return Played(
            history,
            chaos.attempts,
            breaches,
            answers_itself=answering.mounted is not None or bool(answering.router),
            reused=frozenset(run.exchange.reused),
            finished_ns=finished_ns,
            can_be_cancelled=run.caller.has_run,
            switches=switches,
            unmet=run.unmet,
        )

    def _error(self, chaos: Chaos) -> BaseException | None:
        try:
            self.body(chaos)
        except (KeyboardInterrupt, SystemExit, GeneratorExit, pytest.skip.Exception, pytest.exit.Exception):
            raise
        except BaseException as error:
            if is_out_of_time(error):
                raise
            chaos.judge.note_end(error)
            return error
        return None


def is_out_of_time(error: BaseException) -> bool:
    """Whether pytest-timeout ended the test: its time is over, whatever would come next."""
    frames = traceback.walk_tb(error.__traceback__)
    return any(frame.f_globals.get("__name__") == "pytest_timeout" for frame, _ in frames)


def _breaches(chaos: Chaos, error: BaseException | None, code: CodeType) -> dict[str, Breach]:
    if isinstance(error, LawsBroken):
        return _broken(chaos, error)
    if isinstance(error, AssertionError | pytest.fail.Exception):
        place = f"the test's own assertion in line {_line(error, code)}"
        return {place: _breach(chaos, place, redact.current().text(f"{place}: {error}"))}
    found: dict[str, Breach] = {}
    if not chaos.judge.has_judged:
        try:
            chaos.verify(ignore=(UNFIRED,))
        except LawsBroken as broken:
            found = _broken(chaos, broken)
        except CannotTell:
            pass  # nothing was sent: the search says so of the run without a fault
        except Exception:
            raise
        except BaseException as swallowed:
            error = swallowed
    met_a_fault = any(attempt.fault is not None for attempt in chaos.attempts)
    if error is not None and not found and not (met_a_fault and isinstance(error, Exception)):
        kind = type(error).__name__
        found[kind] = _breach(chaos, kind, redact.current().text(f"{kind}: {error}"))
    return found


def _broken(chaos: Chaos, error: LawsBroken) -> dict[str, Breach]:
    if error.verdict is None:  # of an assert_…: its headline begins with what it is about
        text = str(error)
        shape = text.partition(" ")[0].rstrip(":")
        return {shape: Breach(shape, text)}
    trace = chaos.trace
    first: dict[str, Finding] = {}
    for finding in error.verdict.findings:
        first.setdefault(finding.shape, finding)
    return {shape: Breach(shape, finding_text(trace, finding)) for shape, finding in first.items()}


def _breach(chaos: Chaos, shape: str, headline: str) -> Breach:
    """Show what is no law's finding as those are shown."""
    trace = chaos.trace
    return Breach(
        shape, "\n".join([headline, *([timeline(trace)] if trace.attempts else []), f"  again {again(trace)}"])
    )


def _line(error: BaseException, code: CodeType) -> int:
    lines = [line for frame, line in traceback.walk_tb(error.__traceback__) if frame.f_code is code]
    return lines[-1] if lines else code.co_firstlineno
