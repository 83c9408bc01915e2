"""Documents to draw and to compare, made by hand: every field of every class is used."""

from __future__ import annotations

from pytest_retrychaos.report.document import (
    Bar,
    BreakerSpan,
    Cell,
    CellRecord,
    Comparison,
    Coverage,
    Document,
    EffectMark,
    FindingRecord,
    HerdBars,
    Identity,
    LawRecord,
    Mark,
    Row,
    TestRecord,
    Timeline,
    Wait,
)

SECOND = 1_000_000_000

CHARGED = Timeline(
    operations=("POST /payments",),
    attempts=(
        Bar(
            index=1, operation=0, request="POST /payments", route="POST /payments", fault="reset after-commit",
            fault_class="lost-after-commit", outcome="committed, then the response was lost", status=None, key=None,
            began_ns=0, arrived_ns=0, headers_ns=None, last_byte_ns=None, ended_ns=0, asked_ns=None, failed=True,
            committed=True, replayed=False, is_leg=False, herd=None,
        ),
        Bar(
            index=2, operation=0, request="POST /payments", route="POST /payments", fault="503 retry-after=2",
            fault_class="turned-away-retry-after", outcome="503, Retry-After: 2", status=503, key="K1",
            began_ns=SECOND, arrived_ns=SECOND, headers_ns=SECOND, last_byte_ns=SECOND, ended_ns=SECOND,
            asked_ns=2 * SECOND, failed=True, committed=False, replayed=False, is_leg=False, herd=0,
        ),
        Bar(
            index=3, operation=0, request="POST /payments", route="POST /payments", fault=None, fault_class=None,
            outcome="201, committed", status=201, key="K1", began_ns=3 * SECOND, arrived_ns=3 * SECOND,
            headers_ns=3 * SECOND, last_byte_ns=4 * SECOND, ended_ns=4 * SECOND, asked_ns=None, failed=False,
            committed=True, replayed=False, is_leg=False, herd=None,
        ),
    ),
    waits=(
        Wait(operation=0, before=2, began_ns=0, ended_ns=SECOND, least_ns=None, most_ns=None),
        Wait(operation=0, before=3, began_ns=SECOND, ended_ns=3 * SECOND, least_ns=2 * SECOND, most_ns=4 * SECOND),
    ),
    effects=(
        EffectMark(at_ns=0, attempt=1, operation=0, is_duplicate=False),
        EffectMark(at_ns=3 * SECOND, attempt=3, operation=0, is_duplicate=True),
    ),
    breaker=(BreakerSpan("service.test", "closed", 0, SECOND), BreakerSpan("service.test", "open", SECOND, 4 * SECOND)),
    herds=(
        HerdBars(
            copies=3, began_ns=0, window_ns=SECOND, counts=(2, 0, 1), failed=(2, 0, 0), capacity_milli=1500,
            cause_ended_ns=SECOND,
        ),
    ),
    finished_ns=4 * SECOND,
    omitted=0,
)  # fmt: skip

FINDING = FindingRecord(
    law="ID04",
    shape="ID04",
    route="POST /payments",
    fault="lost-after-commit",
    status="new",
    headline="ID04 duplicate effect: POST /payments was carried out 2 times for one operation",
    why="the request has no Idempotency-Key: the service cannot tell a retry from a new payment",
    fix="make one key per operation, outside the retry loop, and send it on every attempt",
    hint="two operations? name them with chaos.operation",
    again='@pytest.mark.chaos("reset after-commit, ok", seed=42)',
    operation=0,
    marks=(Mark(3, "second effect"),),
)

BROKEN = TestRecord(
    id="tests/test_pay.py::test_charge[<script>alert(\"1\")</script> \u202e\0 \U0001f4b3]",
    file="tests/test_pay.py",
    line=12,
    outcome="failed",
    message=FINDING.headline,
    seed=42,
    scripts=("reset after-commit, 503 retry-after=2, ok",),
    again=FINDING.again,
    runs=1,
    reruns=1,
    attempts=3,
    operations=1,
    effects=2,
    virtual_ns=4 * SECOND,
    real_ns=12_000_000,
    was_judged=True,
    laws=(
        LawRecord("BK04", "held", "1 retry waited as long as was asked"),
        LawRecord("ID04", "broken", "broken 1 time"),
    ),
    not_applicable=("RT02",),
    findings=(FINDING,),
    cells=(
        CellRecord("POST /payments", False, "lost-after-commit", fired=1, judged=1),
        CellRecord("POST /payments", False, "turned-away-retry-after", fired=1, judged=1),
    ),
    timeline=CHARGED,
)  # fmt: skip

DOCUMENT = Document(
    began="2030-01-01T00:00:00Z",
    seed=7,
    problems=("worker gw1 died while it ran tests/test_pay.py::test_other",),
    tests=(BROKEN,),
    coverage=Coverage(
        judged=1,
        applicable=2,
        rows=(
            Row(
                "POST /payments",
                False,
                (
                    Cell("lost-after-commit", fired=1, judged=1, tests=1, script=None),
                    Cell(
                        "stale", fired=0, judged=0, tests=0,
                        script='chaos.script("stale, ok", route="POST /payments")',
                    ),
                ),
            ),
        ),
    ),
    fail_under="80",
    baseline=Comparison(
        new=(Identity("ID04", "ID04", "POST /payments", "lost-after-commit"),),
        known=(),
        fixed=(Identity("BK04", "BK04/early", "GET /rates", "turned-away-retry-after"),),
        untold=(),
    ),
)  # fmt: skip
