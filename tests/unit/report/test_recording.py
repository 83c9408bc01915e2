"""A test's run as a record."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from dataclasses import replace

import pytest
import requests

from pytest_retrychaos import Chaos, LawsBroken
from pytest_retrychaos.engine import CircuitBreaker, Retry, fixed
from pytest_retrychaos.judging import Judgement
from pytest_retrychaos.laws import Finding
from pytest_retrychaos.report.declared import declared_by
from pytest_retrychaos.report.document import NOWHERE, CellRecord, LawRecord, TestRecord
from pytest_retrychaos.report.identity import Reading
from pytest_retrychaos.report.jsonform import redrawn, undrawn
from pytest_retrychaos.report.recording import Test, record, together
from pytest_retrychaos.report.timeline import timeline
from tests.unit.report.documents import BROKEN, FINDING


def test_a_timeline_has_the_bounds_and_the_states_that_the_test_asked_for() -> None:
    """Though the end of the test asks once more, by no policy at all."""
    breaker = CircuitBreaker(threshold=2, cooldown=30)
    retry = Retry(attempts=4, backoff=fixed(1), breaker=breaker)
    with Chaos("503 x2, ok", name="test") as chaos:
        with contextlib.suppress(Exception):
            retry.call(requests.get, f"{chaos.url}/rates", timeout=5)
        chaos.clock.advance(31)
        retry.call(requests.get, f"{chaos.url}/rates", timeout=5)
        chaos.verify(retry, breaker=breaker)
        chaos.judge.finish()
        declared = declared_by(chaos.service.answering.router)
        test = Test("test", "test.py", 1)
        made = record(test, chaos.trace, chaos.judge.judgements, declared=declared, judges_by_assert=False, draws=True)

    assert made.timeline is not None
    assert [(span.state, span.began_ns // 10**9) for span in made.timeline.breaker][:2] == [("closed", 0), ("open", 1)]
    assert next((wait.least_ns, wait.most_ns) for wait in made.timeline.waits) == (10**9, 10**9)


def test_a_timeline_says_which_effects_came_again_and_what_it_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first effect of an operation is none; of many attempts the first ones are drawn."""
    with Chaos("reset after-commit x2, ok", name="test") as chaos:
        sent(chaos)
        declared = declared_by(chaos.service.answering.router)
        reading = Reading(chaos.trace, declared)
        whole = timeline(chaos.trace.shown(), reading, None)
        monkeypatch.setattr("pytest_retrychaos.report.timeline.MOST_BARS", 2)
        part = timeline(chaos.trace.shown(), reading, None)

    assert [(one.attempt, one.is_duplicate) for one in whole.effects] == [(1, False), (2, True), (3, True)]
    assert [(one.failed, one.committed, one.fault) for one in whole.attempts] == [
        (True, True, "reset after-commit"),
        (True, True, "reset after-commit"),
        (False, True, "ok"),
    ]
    assert (whole.omitted, part.omitted) == (0, 1)
    assert (len(part.attempts), len(part.effects), len(part.waits)) == (2, 2, 1)


def test_timelines_are_read_again_as_they_were_and_equal_ones_as_one() -> None:
    """They are kept as texts until the end of a run, and a suite has many."""
    drawn, read = [], []
    for script in ("503, ok", "503, ok", "502, ok"):
        with Chaos(script, name="test") as chaos:
            sent(chaos)
        declared = declared_by(chaos.service.answering.router)
        test = Test("test", "test.py", 1)
        made = record(test, chaos.trace, (), declared=declared, judges_by_assert=False, draws=True)
        drawn.append(made.timeline)
        read.append(redrawn(undrawn(made))[0])

    assert read == drawn
    assert read[0] is read[1]
    assert read[0] != read[2]


def test_a_wait_without_a_most_has_none() -> None:
    """A predicate may ask for a longer wait than the backoff: only the least is known."""
    retry = Retry(attempts=2, backoff=fixed(1), on=lambda error: isinstance(error, OSError))
    with Chaos("reset, ok", name="test") as chaos:
        retry.call(requests.get, f"{chaos.url}/rates", timeout=5)
        chaos.verify(retry)
        reading = Reading(chaos.trace, lambda _: None)
        made = timeline(chaos.trace.shown(), reading, chaos.judge.judgements[0].terms)

    assert [(wait.least_ns, wait.most_ns) for wait in made.waits] == [(10**9, None)]


def sent(chaos: Chaos, *, key: str | None = None) -> None:
    """Send a payment until it is made, at most three times."""
    for _ in range(3):
        headers = {} if key is None else {"Idempotency-Key": key}
        with contextlib.suppress(requests.ConnectionError):
            if requests.post(f"{chaos.url}/payments", json={}, headers=headers, timeout=5).ok:
                return


def recorded(chaos: Chaos, judgements: Sequence[Judgement] | None = None, *, by_assert: bool = False) -> TestRecord:
    """Record a run without its picture."""
    return record(
        Test("test", "test.py", 1),
        chaos.trace,
        chaos.judge.judgements if judgements is None else judgements,
        declared=lambda _: None,
        judges_by_assert=by_assert,
        draws=False,
    )


@pytest.mark.parametrize("draws", [True, False])
def test_a_script_keeps_its_steps_whatever_its_route_is_called(draws: bool) -> None:
    """``POST /oauth/token: 503`` has no secret; what stands in a route or a step is hidden there."""
    with Chaos(name="test") as chaos:
        chaos.script('401 body="token=abc", ok', route="POST /oauth/token", strict=False)
        declared = declared_by(chaos.service.answering.router)
        test = Test("test", "test.py", 1)
        made = record(test, chaos.trace, (), declared=declared, judges_by_assert=False, draws=draws)

    assert re.fullmatch(r'POST /oauth/token: 401 body="token=\[hidden:\w{8}\]", ok', made.scripts[0])


def test_what_came_after_a_judgement_was_not_judged_by_it() -> None:
    """Nor is anything by the end's question whether every fault fired; an assertion that passed judges all."""
    with Chaos("503, ok, 502, ok") as chaos:
        sent(chaos, key="k1")
        chaos.verify()
        sent(chaos, key="k2")
        chaos.judge.finish()
    with Chaos("503, ok") as unjudged:
        sent(unjudged, key="k1")
        unjudged.judge.finish()

    counts = {cell.fault: (cell.fired, cell.judged) for cell in recorded(chaos).cells}
    assert counts == {NOWHERE: (0, 0), "turned-away": (1, 1), "server-error": (1, 0)}
    assert {cell.judged for cell in recorded(chaos, by_assert=True).cells if cell.fired} == {1}
    assert [cell.judged for cell in recorded(unjudged).cells] == [0, 0]
    assert [recorded(one).was_judged for one in (chaos, unjudged)] == [True, False]


def test_a_law_that_was_left_out_was_not_asked() -> None:
    """It neither held, nor did it not apply."""
    with Chaos("503, ok") as chaos:
        sent(chaos, key="k1")
        chaos.verify(ignore=["ID04"])
        made = recorded(chaos)

    assert "ID01" in [law.code for law in made.laws]
    assert "RT02" in made.not_applicable
    assert "ID04" not in [*made.not_applicable, *(law.code for law in made.laws)]


def test_what_was_broken_once_is_broken() -> None:
    """Whatever an earlier or a later judgement says."""
    with Chaos("reset after-commit, ok") as right:
        sent(right, key="k1")
        right.verify()
    with Chaos("reset after-commit, ok") as wrong:
        sent(wrong)
        with pytest.raises(LawsBroken):
            wrong.verify()

    judgements = [*right.judge.judgements, *wrong.judge.judgements]
    for ordered in (judgements, judgements[::-1]):
        made = recorded(wrong, ordered)
        assert {law.code: law.ruling for law in made.laws}["ID04"] == "broken"
        assert "ID04" not in made.not_applicable


def test_two_runs_of_a_test_are_one_record_in_either_order() -> None:
    """Counts add up; what was broken in one is broken; it is shown by the run that has a finding, however long."""
    plain = replace(
        BROKEN,
        again="short",
        findings=(),
        laws=(LawRecord("ID04", "held", "one effect"), LawRecord("RT03", "held", "b")),
        not_applicable=("BK04", "CB01"),
        cells=(
            CellRecord("POST /payments", True, "lost-after-commit", 2, 1),
            CellRecord("GET /a", True, "stale", 1, 1),
        ),
        was_judged=False,
        virtual_ns=1,
    )
    broken = replace(BROKEN, laws=(*BROKEN.laws, LawRecord("RT03", "held", "a")))

    made = together(plain, broken)

    assert together(broken, plain) == made
    assert (made.again, made.runs, made.attempts, made.operations, made.effects) == (BROKEN.again, 2, 6, 2, 4)
    assert (made.virtual_ns, made.was_judged) == (BROKEN.virtual_ns + 1, True)
    assert made.laws == (*BROKEN.laws, LawRecord("RT03", "held", "b"))
    assert made.not_applicable == ("CB01", "RT02")
    assert made.cells == (
        CellRecord("GET /a", True, "stale", 1, 1),
        CellRecord("POST /payments", False, "lost-after-commit", 3, 2),
        CellRecord("POST /payments", False, "turned-away-retry-after", 1, 1),
    )


def test_one_finding_of_many_runs_is_told_by_the_shortest_marker() -> None:
    """The same law, shape, route and fault are one finding; another is kept beside it."""
    longer = replace(FINDING, again=f"{FINDING.again}, and more")
    other = replace(FINDING, route="GET /a")

    made = together(replace(BROKEN, findings=(longer, other)), BROKEN)

    assert made.findings == (other, FINDING)


def test_a_law_about_how_a_failure_was_taken_is_about_that_failure() -> None:
    """Others are about what led to it, or else about what followed."""
    with Chaos("502, 503, ok") as chaos:
        sent(chaos)
    reading = Reading(chaos.trace, lambda _: None)

    def fault(code: str, attempt: int) -> str:
        finding = Finding(code, code, "it is broken", 0, ((attempt, "here"),), "why", "fix")
        return reading.of(finding)[1]

    assert fault("RT01", 2) == "turned-away"
    assert fault("ID01", 2) == "server-error"
    assert fault("RT01", 3) == fault("ID01", 3) == "turned-away"
    assert fault("ID01", 1) == "server-error"


def test_what_was_not_sent_is_of_the_only_route_of_its_host() -> None:
    """Where several were seen, nobody can tell."""
    with Chaos("ok, refuse", keep_alive=False) as one, contextlib.suppress(requests.ConnectionError):
        requests.get(f"{one.url}/a", timeout=5)
        requests.get(f"{one.url}/a", timeout=5)
    with Chaos("ok x2, refuse", keep_alive=False) as two, contextlib.suppress(requests.ConnectionError):
        requests.get(f"{two.url}/a", timeout=5)
        requests.get(f"{two.url}/b", timeout=5)
        requests.get(f"{two.url}/a", timeout=5)

    assert list(Reading(one.trace, lambda _: None).routes.values()) == ["GET /a", "GET /a"]
    assert list(Reading(two.trace, lambda _: None).routes.values()) == ["GET /a", "GET /b", NOWHERE]
