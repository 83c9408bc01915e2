"""The baseline as a file, and what a run is held against."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest
import requests

from pytest_retrychaos import Chaos
from pytest_retrychaos.laws import Finding, judge
from pytest_retrychaos.report.baseline import compare, from_json, to_json
from pytest_retrychaos.report.document import NOWHERE, CellRecord, Comparison, Identity, LawRecord
from pytest_retrychaos.report.identity import Reading
from pytest_retrychaos.report.known import known_by
from tests.unit.report.documents import BROKEN, FINDING

KNOWN = Identity("ID04", "ID04", "POST /payments", "lost-after-commit")
OTHER = Identity("BK04", "BK04/early", "GET /rates", "turned-away-retry-after")


def test_a_baseline_is_read_as_it_was_written_sorted_and_once() -> None:
    """So that a change of it reads well in a review."""
    text = to_json([KNOWN, OTHER, KNOWN])

    assert from_json(text) == (OTHER, KNOWN)
    assert to_json(from_json(text)) == text
    assert from_json(to_json([])) == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "it is no JSON (Expecting property name enclosed in double quotes: line 1 column 2 (char 1))"),
        ('{"format": "pytest-retrychaos report"}', "it is no baseline of pytest-retrychaos"),
        (to_json([]).replace('"version": 1', '"version": 2'), "it has version 2, and this pytest-retrychaos reads "),
        (to_json([]).replace("[]", "{}"), "it is damaged: 'findings' is no list"),
        (
            to_json([KNOWN]).replace('"route"', '"path"'),
            "it is damaged: finding 1 has to have law, shape, route, fault, it is {'law': 'ID04', 'shape': 'ID04', 'p",
        ),
        (to_json([KNOWN]).replace('"POST /payments"', "7"), "it is damaged: route of finding 1 is 7, not a text"),
        (to_json([replace(KNOWN, law="id04")]), "law of finding 1 is 'id04': there is none of that name"),
        (to_json([replace(KNOWN, fault="lost")]), "fault of finding 1 is 'lost': there is none of that name"),
        (
            to_json([replace(KNOWN, law="NV01")]),
            "finding 1 is NV01: a test that cannot tell is mended, not listed",
        ),
        ("[" * 100_000, "it is no JSON (maximum recursion depth exceeded"),
    ],
)  # fmt: skip
def test_what_is_no_baseline_is_refused(text: str, said: str) -> None:
    """Damaged, newer, or another file."""
    with pytest.raises(ValueError, match=r"^(it|finding|law|fault) ") as refused:
        from_json(text)

    assert str(refused.value).startswith(said)


def test_a_run_without_a_finding_and_with_its_cell_judged_has_fixed_it() -> None:
    """The law has to be asked there; where it was not, it cannot be told."""
    fixed = replace(BROKEN, outcome="passed", findings=(), laws=(LawRecord("ID04", "held", "1 effect"),))
    not_asked = replace(fixed, laws=(), not_applicable=())
    elsewhere = replace(fixed, cells=(CellRecord("POST /other", False, "lost-after-commit", 1, 1),))
    not_judged = replace(fixed, cells=(CellRecord("POST /payments", False, "lost-after-commit", 1, 0),))
    crashed = replace(fixed, outcome="error")

    assert compare([fixed], [KNOWN]) == Comparison((), (), (KNOWN,), ())
    for test in (not_asked, elsewhere, not_judged, crashed):
        assert compare([test], [KNOWN]) == Comparison((), (), (), (KNOWN,))
    assert compare([fixed], [KNOWN], is_whole=False) == Comparison((), (), (), (KNOWN,))


def test_a_law_that_did_not_apply_was_asked_all_the_same() -> None:
    """A client that does not retry any more has no waits to be judged: its finding is fixed."""
    fixed = replace(BROKEN, outcome="passed", findings=(), laws=(), not_applicable=("ID04",))

    assert compare([fixed], [KNOWN]).fixed == (KNOWN,)


def test_what_is_about_no_fault_is_fixed_where_its_route_was_called() -> None:
    """Or, where it is about no route either, such as a breaker's, where its law applied."""
    unhurt, breaker = replace(KNOWN, fault=NOWHERE), Identity("CB01", "CB01", NOWHERE, NOWHERE)
    called = replace(
        BROKEN,
        outcome="passed",
        findings=(),
        laws=(LawRecord("ID04", "held", "1 effect"), LawRecord("CB01", "held", "1 refusal")),
        not_applicable=("CB02",),
        cells=(CellRecord("POST /payments", False, NOWHERE, 0, 0),),
    )

    assert compare([called], [unhurt, breaker]).fixed == (breaker, unhurt)
    elsewhere = replace(called, cells=(), laws=(), not_applicable=("CB01", "ID04"))
    assert compare([elsewhere], [unhurt, breaker]).untold == (breaker, unhurt)


def test_what_an_assertion_counted_in_the_whole_run_is_fixed_by_no_other_test() -> None:
    """Else a shard, or ``-k``, failed by what it did not run: in some test RT01 always applies."""
    counted = Identity("RT01", "RT01", NOWHERE, NOWHERE)
    other = replace(BROKEN, outcome="passed", findings=(), laws=(LawRecord("RT01", "held", "retried"),))

    assert compare([other], [counted]) == Comparison((), (), (), (counted,))


def test_a_test_that_cannot_tell_is_neither_new_nor_known() -> None:
    """It has failed by itself, and is mended, not listed."""
    found = compare([replace(BROKEN, findings=(replace(FINDING, law="NV01", shape="NV01"),))], [])

    assert found == Comparison((), (), (), ())


def test_one_known_finding_hides_no_other() -> None:
    """Each of law, shape, route and fault makes another."""
    for changed in (
        {"shape": "ID04/x"},
        {"route": "POST /refunds"},
        {"fault": "outage"},
        {"law": "ID01", "shape": "ID01"},
    ):
        other = replace(FINDING, **changed)
        found = compare([replace(BROKEN, findings=(FINDING, other))], [KNOWN])
        assert (found.new, found.known) == ((Identity(*other.identity),), (KNOWN,))


def test_what_is_expected_in_code_is_not_new() -> None:
    """It needs no entry; where it has one, that is known."""
    test = replace(BROKEN, findings=(replace(FINDING, status="expected"),))

    assert compare([test], []).new == ()
    assert compare([test], [KNOWN]).known == (KNOWN,)


def test_what_one_test_expects_is_new_where_another_does_not() -> None:
    """Whichever of them comes first."""
    expecting = replace(BROKEN, findings=(replace(FINDING, status="expected"),))

    assert compare([BROKEN, expecting], []).new == (KNOWN,)
    assert compare([expecting, BROKEN], []).new == (KNOWN,)


def test_what_passes_since_the_baseline_is_written_anew_is_new_in_it() -> None:
    """``--chaos-update-baseline`` lets everything pass; what it adds is said."""
    test = replace(BROKEN, findings=(replace(FINDING, status="known"),))

    assert compare([test], []).new == (KNOWN,)


def test_a_finding_is_let_pass_that_is_listed_or_is_to_be() -> None:
    """Not one that says that a test cannot tell."""
    with Chaos("reset after-commit, ok") as chaos:
        for _ in range(2):
            with contextlib.suppress(requests.ConnectionError):
                requests.post(f"{chaos.url}/payments", json={}, timeout=5)
    (finding,) = judge(chaos.trace, only=["ID04"]).findings
    unsure = replace(finding, code="NV01", shape="NV01")

    def passes(found: Finding, *listed: Identity, knows_all: bool = False) -> bool:
        return known_by(listed, knows_all=knows_all)(chaos.service, chaos.trace, found)

    assert passes(finding, KNOWN)
    assert not passes(finding, OTHER)
    assert passes(finding, knows_all=True)
    assert not passes(unsure, replace(KNOWN, law="NV01", shape="NV01"), knows_all=True)


def found_at(script: str, *, status: int = 503, wait: float = 1.0) -> set[tuple[str, str, str]]:
    """Run a client that retries all, at once and without a key; give shape, route and fault of what it breaks."""
    import time

    with Chaos(script) as chaos:
        for _ in range(4):
            try:
                if requests.post(f"{chaos.url}/payments/17", json={}, timeout=5).ok:
                    break
            except requests.RequestException:
                pass
            time.sleep(wait)
    reading = Reading(chaos.trace, lambda _: None)
    return {(finding.shape, *reading.of(finding)) for finding in judge(chaos.trace).findings}


def test_a_findings_fault_is_the_one_that_led_to_it() -> None:
    """The last before what it points at, not the one that the retry met in its turn."""
    assert found_at("503 retry-after=30, 400, ok") == {
        ("BK04/early", "POST /payments/{id}", "turned-away-retry-after"),
        ("RT02/400", "POST /payments/{id}", "permanent"),
    }
    assert found_at("502, reset after-commit, ok") == {
        ("ID01", "POST /payments/{id}", "server-error"),
        ("ID04", "POST /payments/{id}", "lost-after-commit"),
    }
