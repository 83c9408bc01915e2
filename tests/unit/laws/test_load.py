"""LD03 on crowds that come back together, apart, or too few to tell."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_retrychaos.engine import Retry, exponential, fixed
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
    if not as_herd:
        return one
    made = one.trace

    def trace():
        whole = made()
        scopes = tuple(replace(scope, herd=0) for scope in whole.scopes)
        return replace(whole, scopes=scopes, herds=(HerdRecord(len(waits), 0, whole.finished_ns, 0, SECOND, None),))

    one.trace = trace
    return one


SPREAD = [1 + number / 20 for number in range(20)]


def test_ld03_is_broken_by_a_crowd_that_comes_back_in_one_moment(run, ruling):
    """Twenty fail together and wait alike."""
    assert ruling(crowd(run, [1.0] * 20), "LD03") == ("broken", "LD03")


def test_ld03_is_broken_whatever_a_few_strays_do(run, ruling):
    """One in twenty at either end is left out."""
    assert ruling(crowd(run, [0.2, *[1.0] * 18, 7.0]), "LD03") == ("broken", "LD03")


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
        "  20 copies, 40 attempts; peak 20; 2 attempts an operation, 2 at most\n"
        "  why   each spike fails as the one before it did, and a service that is well again goes down under the next\n"
        '  fix   let chance spread the waits, as exponential(0.1, cap=20, jitter="full") does\n'
        "  again @pytest.mark.chaos(seed=42)"
    )
