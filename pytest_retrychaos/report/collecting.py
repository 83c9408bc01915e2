"""Collect what chaos tests did, in whatever process they ran, and carry out what was asked at the end of the run.

A test's record is made where it ran. From another process (pytest-xdist, pytest-forked) it travels with the report of
its tear-down, as one text. A test ends when that report has come; a run is over when the session finishes.

Law of this module: a run without a chaos test costs one look at each report, and loads nothing.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_retrychaos import redact
from pytest_retrychaos.report.items import asserts, code_of, id_of
from pytest_retrychaos.report.part import Part, place_of
from pytest_retrychaos.settings import KNOWN, WATCHING, main_seed

if TYPE_CHECKING:
    from pytest_retrychaos.chaos import Chaos
    from pytest_retrychaos.report.asked import Asked
    from pytest_retrychaos.report.document import Identity, TestRecord
    from pytest_retrychaos.report.finish import Outcome
    from pytest_retrychaos.report.progress import Progress
    from pytest_retrychaos.report.records import End, Records, Waiting

RUN: pytest.StashKey[Chaos] = pytest.StashKey()
"""The run of a test that uses the fixture."""
RECORD: pytest.StashKey[TestRecord] = pytest.StashKey()
"""What was recorded of the runs of an explored test so far."""
ASSERTED: pytest.StashKey[bool] = pytest.StashKey()
"""Whether the test's own assertions have judged what happened."""

ONLY_LOOKING: Final = (
    "collectonly",
    "setuponly",
    "showfixtures",
    "show_fixtures_per_test",
    "cacheshow",
    "help",
    "version",
)
"""Where pytest keeps its options under which no test is run.

An editor that lists tests leaves reports alone, and meets no gate.
"""
PROPERTIES: Final = ("chaos_script", "chaos_seed", "chaos_broken")
"""What pytest's JUnit report says of a test beside its outcome."""
ATTRIBUTE: Final = "retrychaos_record"
"""Of the report of a tear-down, where it comes from another process."""


class Collecting:
    """The plugin object: on a worker it makes records, elsewhere it gathers them, too."""

    def __init__(self, config: pytest.Config, asked: Asked) -> None:
        self._config = config
        self._asked = asked
        self._listed: tuple[Identity, ...] | None = None
        self._only_looks = any(config.getoption(name, default=False) for name in ONLY_LOOKING)
        if asked.baseline is not None and not self._only_looks:
            from pytest_retrychaos.report.known import known_by, read_baseline

            self._listed = read_baseline(asked.baseline, may_be_missing=asked.updates, option=asked.baseline_by)
            config.stash[KNOWN] = known_by(self._listed, knows_all=asked.updates)
        self._is_worker = hasattr(config, "workerinput")
        self._process = os.getpid()
        self._made: dict[str, Waiting] = {}
        """By node, until the report of the tear-down has come."""
        self._records: Records | None = None
        self._phases: dict[str, list[pytest.TestReport]] = {}
        self._reruns: dict[str, int] = {}
        self._problems: list[str] = []
        self._outcome: Outcome | None = None
        self._part = Part(config)
        self._began = ""
        self._is_interrupted = False
        self._progress: Progress | None = None
        config.stash[WATCHING] = self._watch

    # where a test runs

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Forget what an earlier run of the same test has left."""
        keys: tuple[pytest.StashKey[Any], ...] = (RUN, RECORD, ASSERTED)  # Any: of unlike types
        for key in keys:
            if key in item.stash:
                del item.stash[key]
        item.user_properties[:] = [one for one in item.user_properties if one[0] not in PROPERTIES]

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Attach a test's record to the report of its tear-down, and its codes and scripts as JUnit properties."""
        made = self._left_by(item) if call.when == "teardown" and (RUN in item.stash or RECORD in item.stash) else None
        if made is not None:
            item.user_properties += _properties(made)
        if call.when == "teardown":
            self._part.note_end(item, left_record=made is not None)
        report = yield
        if call.when == "call" and RUN in item.stash:
            error = None if call.excinfo is None else call.excinfo.value
            judged = report.passed and asserts(code_of(item))
            item.stash[ASSERTED] = judged or isinstance(error, AssertionError)
        if made is not None:
            self._hand_over(made, report)
        return report

    def _hand_over(self, made: Waiting, report: pytest.TestReport) -> None:
        if not self._is_worker and os.getpid() == self._process:  # where the reports come in
            self._made[report.nodeid] = made
            return
        from pytest_retrychaos.report.jsonform import encode_test

        setattr(report, ATTRIBUTE, encode_test(made.make()))

    def _left_by(self, item: pytest.Item) -> Waiting:
        """Give the record of what a test has left in its stash."""
        run = item.stash.get(RUN, None)
        if run is not None:
            return self._left_in(run, item, judges_by_assert=item.stash.get(ASSERTED, False))
        from pytest_retrychaos.report.records import ready

        record = item.stash[RECORD]
        del item.stash[RECORD]
        return ready(record)

    def _left_in(self, run: Chaos, item: pytest.Item, *, judges_by_assert: bool) -> Waiting:
        from pytest_retrychaos.report.records import waiting  # one import: it is asked for after every test

        file, line, _ = item.location
        return waiting(
            (id_of(item), file, (line or 0) + 1),
            run.trace,
            run.judge.judgements,
            run.service.answering.router,
            judges_by_assert=judges_by_assert,
            draws=self._asked.draws,
        )

    def _watch(self, item: pytest.Item, run: object) -> None:
        """Take in one of many runs of a test. The run without a fault, which each share makes, is the first's."""
        from pytest_retrychaos.chaos import Chaos
        from pytest_retrychaos.fuzz.shares import share_of
        from pytest_retrychaos.report.progress import Progress
        from pytest_retrychaos.report.recording import together

        assert isinstance(run, Chaos)
        if share_of(item).number and run.recorded.given_script is None:
            return
        ended = run.judge.ended
        fails = ended is not None and any(one.type == "builtins.AssertionError" for one in ended.raised[:1])
        made = self._left_in(run, item, judges_by_assert=fails).make()
        before = item.stash.get(RECORD, None)
        item.stash[RECORD] = record = made if before is None else together(before, made)
        if not self._is_worker:
            self._progress = self._progress or Progress(self._config)
            self._progress.tell(record)

    # where the reports come in

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take in what a test has come to."""
        if self._is_worker:
            return
        place = place_of(report)
        if report.when not in ("setup", "call", "teardown"):  # pytest-xdist: the worker that ran it has died
            self._problems.append(redact.current().text(f"{report.nodeid}: {_first_line(report)}"))
            self._phases.pop(place, None)
            return
        if report.when == "setup":
            self._begin(place)
        phases = self._phases.setdefault(place, [])
        phases.append(report)
        if report.when == "teardown":
            del self._phases[place]
            self._end(place, phases)

    def _begin(self, test: str) -> None:
        before = self._phases.pop(test, None)
        if before is not None and any(_is_rerun(one) for one in before):
            self._reruns[test] = self._reruns.get(test, 0) + 1

    def _end(self, test: str, phases: list[pytest.TestReport]) -> None:
        made: Waiting | str | None = getattr(phases[-1], ATTRIBUTE, None) or self._made.pop(phases[-1].nodeid, None)
        if any(_is_rerun(one) for one in phases):
            self._reruns[test] = self._reruns.get(test, 0) + 1
        elif made is not None:
            if self._records is None:
                from pytest_retrychaos.report.records import Records

                self._records = Records()
            self._records.add(test, made, _end_of(phases, self._reruns.get(test, 0)))

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        """Note that the run is a part of the suite: what its tests did not find, others may."""
        self._part.note_deselected(items)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note what could not be collected: its tests are missing."""
        if report.failed and not self._is_worker:
            self._problems.append(f"{redact.current().text(report.nodeid)} could not be collected")
        if report.skipped:
            self._part.note_skipped(report.nodeid, self._config.rootpath / report.nodeid.partition("::")[0])

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:  # Any: a controller of pytest-xdist
        """Note a worker that died (pytest-xdist), and one whose share was a part of the suite."""
        self._part.note_worker(getattr(node, "workeroutput", {}))
        if error:
            self._problems.append(f"worker {node.gateway.id} died: {error}")

    # the end of the run

    def pytest_keyboard_interrupt(self) -> None:
        """Note an interrupt: ``pytest.exit`` may give it any exit status."""
        self._is_interrupted = True

    def pytest_sessionstart(self) -> None:
        """Note when the run began, in the reports, too: those of an earlier run are none of a run that is killed."""
        from datetime import UTC, datetime

        self._began = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        if self._asked.reports and not self._is_worker and not self._only_looks:
            from pytest_retrychaos.report.finish import begin

            begin(self._asked, began=self._began, seed=main_seed(self._config))

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Write the reports and hold the gates; what does not pass fails the run."""
        if self._is_worker:
            self._part.tell(self._config.workeroutput)  # type: ignore[attr-defined]  # pytest-xdist's
        if self._is_worker or not self._has_work():
            return
        from pytest_retrychaos.report.finish import finish, make_document

        self._problems += _ended_early(session, int(exitstatus), is_interrupted=self._is_interrupted)
        document = make_document(
            () if self._records is None else self._records.gathered(),
            problems=self._problems,
            began=self._began,
            seed=main_seed(self._config),
            asked=self._asked,
            listed=self._listed,
            is_part=bool(self._part),
            has_unrun=self._part.has_unrun,
        )
        self._outcome = finish(self._asked, document)
        if self._outcome.failures and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _has_work(self) -> bool:
        asked = self._asked
        if self._only_looks:
            return False
        return bool(self._records or asked.reports or asked.fail_under is not None or asked.baseline is not None)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Show the summary section; under ``-q`` only what failed."""
        if self._outcome is not None:
            from pytest_retrychaos.report.terminal import show

            show(self._outcome, terminalreporter)


def _properties(made: Waiting) -> list[tuple[str, object]]:
    """Give what pytest's JUnit report says of a test beside its outcome."""
    found: list[tuple[str, object]] = [("chaos_script", script) for script in made.scripts]
    return [*found, ("chaos_seed", made.seed), ("chaos_broken", " ".join(made.broken))]


def _is_rerun(report: pytest.TestReport) -> bool:
    return str(report.outcome) == "rerun"  # pytest-rerunfailures' word


def _end_of(phases: list[pytest.TestReport], reruns: int) -> End:
    """Say how a test ended, and what it took in real time."""
    from pytest_retrychaos.report.records import End

    by_phase = {report.when: report for report in phases}  # of several calls the last: those before are subtests
    failed = next((report for report in phases if report.failed), None)
    call = by_phase.get("call", phases[0])
    outcome = "passed"
    if failed is not None:
        outcome = "failed" if failed.when == "call" else "error"
    elif hasattr(call, "wasxfail"):
        outcome = "xpassed" if call.passed else "xfailed"
    elif any(report.skipped for report in by_phase.values()):
        outcome = "skipped"
    message = "" if failed is None else _first_line(failed)
    return End(outcome, message, reruns, round(sum(report.duration for report in by_phase.values()) * 1_000_000_000))


def _first_line(report: pytest.TestReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    text = str(report.longrepr) if crash is None else str(crash.message)
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return redact.current().text(line)[:500]


def _ended_early(session: pytest.Session, exitstatus: int, *, is_interrupted: bool) -> Iterator[str]:
    """Say why a run did not come to its end."""
    if exitstatus == pytest.ExitCode.INTERNAL_ERROR:
        yield "pytest ended by an internal error"
    elif stopped := session.shouldfail or session.shouldstop:
        yield f"the run stopped early: {stopped}"
    elif is_interrupted or exitstatus == pytest.ExitCode.INTERRUPTED:
        yield "the run was interrupted"
