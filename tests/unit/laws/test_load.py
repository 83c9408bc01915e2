"""LD02 on retries within and over a budget; LD03 on crowds that come back together, apart, or too few to tell."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_retrychaos.engine import Retry, RetryBudget, exponential, fixed
from pytest_retrychaos.model import SECOND
from pytest_retrychaos.trace import HerdRecord

NOT_APPLIED = ("does not apply",)
JITTERED = Retry(backoff=exponential(1, cap=8))


def crowd(run, waits, *, as_herd=True, failed_at=None, answer=None):
    """Make a run of many clients that fail at one moment and come back after their waits, in seconds."""
    one = run()
    for number, wait in enumerate(waits):
        one.open("pay").new()
        one.now = round((failed_at[number] if failed_at else 0) * SECOND)
        one.send("503", key="k", answer=answer).wait(wait).again().close()
    return one.as_herd() if as_herd else one


SPREAD = [1 + number / 20 for number in range(20)]


def test_ld03_is_broken_by_a_crowd_that_comes_back_in_one_moment(run, ruling):
    """Twenty fail together and wait alike."""
    assert ruling(crowd(run, [1.0] * 20), "LD03") == ("broken", "LD03")


def test_ld03_is_broken_whatever_a_few_strays_do(run, ruling):
    """One in twenty at either end is left out."""
    assert ruling(crowd(run, [0.2, *[1.0] * 18, 7.0]), "LD03") == ("broken", "LD03")


def test_ld03_takes_a_millisecond_for_one_moment(run, ruling):
    """A loop's clock rounds."""
    assert ruling(crowd(run, [1 + number / 20_000 for number in range(20)]), "LD03") == ("broken", "LD03")


def test_ld03_is_held_by_a_crowd_that_comes_back_spread_out(run, ruling):
    """Over a second, after waits of about one."""
    assert ruling(crowd(run, SPREAD), "LD03") == ("held",)


def test_ld03_does_not_judge_clients_that_had_not_failed_together(run, ruling):
    """They come back as far apart as they were."""
    assert ruling(crowd(run, [1.0] * 20, failed_at=SPREAD), "LD03") == NOT_APPLIED


@pytest.mark.parametrize(
    "waits",
    [[1.0] * 19, [0.05] * 20, [1 + number / 1000 for number in range(20)], [0.0] * 20],
    ids=["too few", "too short", "too little apart", "at once, which is BK01's"],
)
def test_ld03_does_not_apply_where_it_cannot_tell(run, ruling, waits):
    """Neither accused nor acquitted."""
    assert ruling(crowd(run, waits), "LD03") == NOT_APPLIED


@pytest.mark.parametrize("header", ["Retry-After", "retry-after-ms", "RateLimit-Reset"])
def test_ld03_does_not_judge_a_crowd_that_was_told_when_to_come(run, ruling, header):
    """Obeying is right."""
    assert ruling(crowd(run, [2.0] * 20, answer={header: "2"}), "LD03") == NOT_APPLIED


@pytest.mark.parametrize(
    ("policy", "expected"),
    [(None, NOT_APPLIED), (Retry(backoff=fixed(1)), NOT_APPLIED), (JITTERED, ("broken", "LD03"))],
)
def test_ld03_needs_a_herd_or_a_policy_that_claims_jitter(run, ruling, policy, expected):
    """Else nobody has said that there are many clients."""
    assert ruling(crowd(run, [1.0] * 20, as_herd=False), "LD03", policy) == expected


def test_ld03_judges_the_herd_and_not_what_was_sent_beside_it(run, ruling):
    """Requests outside its scopes are no copies."""
    one = crowd(run, [1.0] * 20, as_herd=False)
    made = one.trace
    one.trace = lambda: replace(made(), herds=(HerdRecord(1, 0, SECOND, 0, SECOND, None),))

    assert ruling(one, "LD03") == NOT_APPLIED


def test_ld03_draws_the_arrivals(run, text):
    """The whole failure text."""
    assert text(crowd(run, [1.0] * 20), "LD03") == (
        "LD03 synchronised retries: 20 clients that had failed together came back together, after 1 s\n"
        "  arrivals in every 1 s: █ answered, ░ failed\n"
        f"  +0 s  20  {'░' * 50}\n"
        f"  +1 s  20  {'█' * 50}\n"
        "  20 copies, 40 attempts, 2 an operation, 2 at most\n"
        "  peak 20\n"
        "  why   each spike fails as the one before it did, and a service that is well again goes down under the next\n"
        '  fix   let chance spread the waits, as exponential(0.1, cap=20, jitter="full") does\n'
        "  again @pytest.mark.chaos(seed=42)"
    )


def budgeted(**budget):
    return Retry(attempts=9, budget=RetryBudget(**budget))


def outage(run, operations, retries, *, every=1.0):
    """Make a run of operations that begin at one moment, each with retries so many seconds apart."""
    one = run()
    for _ in range(operations):
        one.open("pay").new()
        one.now = 0
        one.send("503", key="k")
        for _ in range(retries):
            one.wait(every).again("503")
        one.close()
    return one


def test_ld02_is_broken_by_retries_that_the_budget_does_not_grant(run, ruling):
    """Ten at once and one in ten operations: eleven for ten operations, and here are thirty."""
    assert ruling(outage(run, 10, 3), "LD02", budgeted(ratio=0.1, per_second=0)) == ("broken", "LD02")


def test_ld02_is_held_where_the_budget_grants_them(run, ruling):
    """The floor of ten a second grants thirty in three seconds."""
    assert ruling(outage(run, 10, 3), "LD02", budgeted(ratio=0.1, per_second=10, burst=10)) == ("held",)


def test_ld02_grants_what_a_share_of_the_operations_allows(run, ruling):
    """Five at once and two for every operation but those that begin while it is full."""
    assert ruling(outage(run, 6, 2), "LD02", budgeted(ratio=2, per_second=0, burst=5)) == ("broken", "LD02")
    assert ruling(outage(run, 6, 2), "LD02", budgeted(ratio=0.1, per_second=1, burst=6)) == ("broken", "LD02")
    assert ruling(outage(run, 6, 2), "LD02", budgeted(ratio=0.1, per_second=6, burst=6)) == ("held",)


def test_ld02_lets_a_client_ask_when_it_sends(run, ruling):
    """Twenty failures at one moment are too many for five at once; their retries, a second apart, are not."""
    one = crowd(run, [float(number) for number in range(1, 21)], as_herd=False)

    assert ruling(one, "LD02", budgeted(ratio=0.1, per_second=1, burst=5)) == ("held",)
    assert ruling(one, "LD02", budgeted(ratio=0.1, per_second=0.1, burst=5)) == ("broken", "LD02")


def test_ld02_lets_a_client_ask_when_it_has_failed(run, ruling):
    """Twenty failures a second apart are within the budget, though their retries come at one moment."""
    failed_at = [float(number) for number in range(20)]
    one = crowd(run, [20.0 - at for at in failed_at], as_herd=False, failed_at=failed_at)

    assert ruling(one, "LD02", budgeted(ratio=0.1, per_second=1, burst=5)) == ("held",)


def test_ld02_takes_what_happens_at_one_moment_in_the_order_that_grants_most(run, ruling):
    """Of twenty that begin and fail one after the other, one in ten is granted a retry, beside the first."""
    for granted, expected in ((2, "held"), (4, "broken")):
        one = run()
        for number in range(20):
            one.open("pay").new()
            one.now = 0
            one.send("503", key="k")
            if number < granted:
                one.wait(1.0 + number).again()
            one.close()
        assert ruling(one, "LD02", budgeted(ratio=0.1, per_second=0, burst=1))[0] == expected


def test_ld02_does_not_apply_to_fewer_retries_than_are_granted_at_once(run, ruling):
    """The budget was not put to the test."""
    assert ruling(outage(run, 10, 3), "LD02", budgeted(ratio=0.1, per_second=0, burst=30)) == NOT_APPLIED


@pytest.mark.parametrize("policy", [None, Retry()])
def test_ld02_does_not_apply_without_a_budget(run, ruling, policy):
    """No bound is known."""
    assert ruling(outage(run, 10, 3), "LD02", policy) == NOT_APPLIED


def test_ld02_tells_the_budget(run, text):
    """The whole failure text."""
    assert text(outage(run, 10, 3), "LD02", budgeted(ratio=0.1, per_second=0)) == (
        "LD02 budget overdrawn: 30 retries for 10 operations, more than 10 % of them and 0 a second, 10 at once\n"
        "  why   in an outage each retry is load upon a service that cannot take it, and keeps it down\n"
        "  fix   share one RetryBudget among all policies, threads and loops that call the service\n"
        "  again @pytest.mark.chaos(seed=42)\n"
        "  or    has each copy a budget of its own? The law judges one for all"
    )


def test_ld02_grants_more_to_later_operations(run, ruling):
    """Each of six brings a retry of its own, once the one that was granted at first is spent."""
    one = run()
    for _ in range(6):
        one.open("pay").new().send("503", key="k").wait(1).again("503").close().wait(1)

    assert ruling(one, "LD02", budgeted(ratio=1, per_second=0, burst=1)) == ("held",)
    assert ruling(one, "LD02", budgeted(ratio=0.9, per_second=0, burst=1)) == ("broken", "LD02")


def test_ld03_marks_the_first_of_a_crowd_that_is_no_herd(run, text):
    """There are no arrivals to draw."""
    marks = [
        line.partition("◄ ")[2] for line in text(crowd(run, [1.0] * 20, as_herd=False), "LD03", JITTERED).splitlines()
    ]

    assert [mark for mark in marks if mark] == ["the first of them"]
