"""BK03 on waits that keep it, break it, or say too little."""

from __future__ import annotations

from random import Random

import pytest

from pytest_retrychaos.engine import Retry, exponential, fixed
from pytest_retrychaos.laws import judge
from pytest_retrychaos.laws.jitter import Waited, fit
from pytest_retrychaos.laws.policy import Policy
from pytest_retrychaos.model import SECOND

FULL = Retry(attempts=9, backoff=exponential(1, cap=8, jitter="full"))
NOT_APPLIED = ("does not apply",)


class Between:
    """The waits of somebody else's policy, of which the bounds alone are known."""

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high

    def bounds(self, retry: int, *, previous: float | None = None) -> tuple[float, float]:  # noqa: ARG002 - as asked
        """Tell the bounds of two retries; nobody asked for more."""
        assert retry in (1, 2)
        return self.low, self.high


def operations(run, waits, *, as_herd=False, answer=None, timeout=None):
    """Make a run of many operations, each a list of its waits in seconds."""
    one = run()
    for each in waits:
        one.open("pay").new()
        one.now = 0
        one.send("503", key="k", answer=answer)
        for wait in each:
            one.now += round(wait * SECOND)
            one.send("503", key="k", answer=answer)
        one.close()
    return one.as_herd() if as_herd else one


def drawn(backoff, count, retries=3, seed=1):
    """Draw the waits of many operations."""
    chance = Random(seed)
    made = []
    for _ in range(count):
        waits, previous = [], None
        for retry in range(1, retries + 1):
            previous = backoff.delay(retry, random=chance, previous=previous)
            waits.append(previous)
        made.append(waits)
    return made


@pytest.mark.parametrize("jitter", ["full", "equal", "proportional", "decorrelated"])
def test_bk03_is_held_by_the_jitter_that_is_claimed(run, ruling, jitter):
    """A hundred operations of three retries."""
    backoff = exponential(1, cap=60, jitter=jitter)

    assert ruling(operations(run, drawn(backoff, 100)), "BK03", Retry(attempts=9, backoff=backoff)) == ("held",)


@pytest.mark.parametrize(
    ("claimed", "real", "shape"),
    [
        ("full", "none", "BK03/none"),
        ("equal", "none", "BK03/none"),
        ("proportional", "none", "BK03/none"),
        ("decorrelated", "none", "BK03/none"),
        ("full", "equal", "BK03/kind"),
        ("full", "proportional", "BK03/kind"),
        ("full", "decorrelated", "BK03/kind"),
        ("equal", "full", "BK03/kind"),
        ("equal", "proportional", "BK03/kind"),
        ("decorrelated", "full", "BK03/kind"),
    ],
)
def test_bk03_is_broken_by_another_jitter(run, ruling, claimed, real, shape):
    """A hundred operations of three retries."""
    waits = drawn(exponential(1, cap=60, jitter=real), 100)
    policy = Retry(attempts=9, backoff=exponential(1, cap=60, jitter=claimed))

    assert ruling(operations(run, waits), "BK03", policy) == ("broken", shape)


def test_bk03_is_broken_by_chance_added_to_the_cap(run, ruling):
    """One wait over the cap shows it."""
    waits = [[0.5, 1.5, 3, 7.9], [0.5, 1.5, 3, 8.5]]

    assert ruling(operations(run, waits), "BK03", FULL) == ("broken", "BK03/cap")


@pytest.mark.parametrize(
    ("jitter", "count", "expected"),
    [
        ("full", 49, NOT_APPLIED),
        ("full", 50, ("held",)),
        ("decorrelated", 99, NOT_APPLIED),
        ("decorrelated", 100, ("held",)),
    ],
)
def test_bk03_needs_as_many_waits_as_tell_the_kinds_apart(run, ruling, jitter, count, expected):
    """Fewer could not be told from another jitter's."""
    policy = Retry(backoff=exponential(1, cap=8, jitter=jitter))

    assert ruling(operations(run, drawn(policy.backoff, count, retries=1)), "BK03", policy) == expected


def test_bk03_says_how_many_waits_there_were(run, reason):
    """And how to get more."""
    assert reason(operations(run, [[0.5]]), "BK03", FULL) == (
        "1 wait can be judged, at least 50 are needed: call the code more often, or chaos.herd(100, client)"
    )


def test_bk03_leaves_out_waits_that_the_service_asked_for(run, ruling):
    """Whoever obeys has chosen nothing."""
    assert ruling(operations(run, [[2.0]] * 60, answer={"Retry-After": "2"}), "BK03", FULL) == NOT_APPLIED


def test_bk03_leaves_out_bounds_too_close_to_tell(run, ruling):
    """A wait is known to a millisecond, and these differ by ten."""
    policy = Retry(backoff=fixed(0.01, jitter="full"))

    assert ruling(operations(run, [[0.01]] * 60), "BK03", policy) == NOT_APPLIED


def test_bk03_leaves_out_waits_that_the_timeout_would_have_cut(run, ruling):
    """Less than two seconds were left: longer draws ended the operation, and only short ones are seen."""
    short = [[number / 60, number / 120] for number in range(1, 61)]
    in_time = Retry(attempts=9, backoff=FULL.backoff, timeout=2)

    assert ruling(operations(run, short), "BK03", FULL) == ("broken", "BK03/kind")
    assert ruling(operations(run, short), "BK03", in_time) == ("held",)


def test_bk03_judges_no_draw_of_a_kind_that_is_capped_afterwards():
    """At the cap many draws look alike."""
    backoff = exponential(1, cap=4, jitter="decorrelated")

    assert fit(backoff, [[Waited(1, 2.0), Waited(2, 4.0)]]).judged == 1
    assert fit(backoff, [[Waited(1, 1.2), Waited(2, 2.0)]]).judged == 2


def test_bk03_follows_decorrelated_waits_only_as_far_as_they_are_known():
    """What comes after a wait that was asked for depends on more than is seen."""
    backoff = exponential(1, cap=60, jitter="decorrelated")

    assert fit(backoff, [[Waited(1, 2.0), Waited(2, 3.0, is_known=False), Waited(3, 4.0)]]).judged == 1


@pytest.mark.parametrize("policy", [None, Retry(backoff=fixed(1))])
def test_bk03_does_not_apply_where_no_jitter_is_claimed(run, ruling, policy):
    """Neither by a policy, nor by a herd that would need it."""
    assert ruling(operations(run, [[1.0]] * 60), "BK03", policy) == NOT_APPLIED


def test_bk03_is_broken_in_a_herd_that_waits_alike(run, ruling):
    """Without a policy, too."""
    assert ruling(operations(run, [[1.0, 2.0]] * 20, as_herd=True), "BK03") == ("broken", "BK03/none")


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (Retry(attempts=9, backoff=fixed(1), on=lambda _: True), ("broken", "BK03/none")),
        (Policy(backoff=Between(0.5, 3)), ("broken", "BK03/none")),
        (Policy(backoff=Between(1, 1)), NOT_APPLIED),
        (Policy(), ("broken", "BK03/none")),
        (Retry(attempts=9, backoff=fixed(1)), NOT_APPLIED),
    ],
    ids=["may wait longer", "of another kind", "another's without jitter", "nothing known", "no jitter"],
)
def test_bk03_asks_of_a_herd_what_its_policy_leaves_open(run, ruling, policy, expected):
    """A policy that claims no jitter is believed; one of which the kind is not known has to show some."""
    assert ruling(operations(run, [[1.0, 2.0]] * 20, as_herd=True), "BK03", policy) == expected


def test_bk03_is_held_in_a_herd_whose_waits_differ(run, ruling):
    """By a tenth at least."""
    waits = [[1 + number / 100] for number in range(20)]

    assert ruling(operations(run, waits, as_herd=True), "BK03") == ("held",)


@pytest.mark.parametrize(
    "waits",
    [[[1.0]] * 19, [[0.09]] * 20, [[1 + number / 1000] for number in range(20)], [[]] * 20],
    ids=["too few", "too short", "too little apart", "no retry"],
)
def test_bk03_does_not_apply_to_a_herd_that_tells_too_little(run, ruling, waits):
    """Neither accused nor acquitted."""
    assert ruling(operations(run, waits, as_herd=True), "BK03") == NOT_APPLIED


@pytest.mark.parametrize("header", ["Retry-After", "X-RateLimit-Reset"])
def test_bk03_does_not_judge_a_herd_that_was_told_when_to_come(run, ruling, header):
    """The service itself has synchronised them."""
    assert ruling(operations(run, [[5.0]] * 30, as_herd=True, answer={header: "5"}), "BK03") == NOT_APPLIED


def test_bk03_tells_what_it_has_seen(run):
    """The headlines make sense alone."""
    equal = operations(run, drawn(exponential(1, cap=60, jitter="equal"), 100, retries=1)).trace()
    alike = operations(run, [[1.0]] * 60).trace()
    over = operations(run, [[0.5, 1.5, 3, 8.5]]).trace()

    assert [judge(trace, FULL, only=["BK03"]).findings[0].headline for trace in (equal, alike, over)] == [
        "BK03 other jitter: 0 % of 100 waits lie in the lowest 50 % of their bounds, of full jitter 50 % do",
        "BK03 no jitter: of 60 waits, all before the same retry are alike; the policy says full jitter",
        "BK03 cap exceeded: 1 wait came out longer than 8 s",
    ]


def test_bk03_of_another_kind_is_told_whole(run, text):
    """Half of the waits are missing."""
    waits = drawn(exponential(1, cap=60, jitter="equal"), 100)
    policy = Retry(attempts=9, backoff=exponential(1, cap=60, jitter="full"))

    assert text(operations(run, waits), "BK03", policy) == (
        "BK03 other jitter: 0 % of 300 waits lie in the lowest 50 % of their bounds, of full jitter 50 % do\n"
        "  why   the waits are not spread as the policy says, so the service gets another load than was planned for\n"
        "  fix   give the client the jitter that is claimed, or claim the one it has\n"
        "  again @pytest.mark.chaos(seed=42)\n"
        "  or    a right client is accused by a chance of 1 in 10 000: another seed settles it"
    )


def test_bk03_over_the_cap_is_told_whole(run, text):
    """One wait is longer."""
    assert text(operations(run, [[0.5, 1.5, 3, 7.9], [0.5, 1.5, 3, 8.5]]), "BK03", FULL) == (
        "BK03 cap exceeded: 1 wait came out longer than 8 s\n"
        "  why   chance was added after the wait had been capped, or there is no cap\n"
        "  fix   cap the wait last, once jitter has been added\n"
        "  again @pytest.mark.chaos(seed=42)"
    )


def test_bk03_of_a_herd_is_told_whole(run, text):
    """Twenty copies wait alike."""
    assert text(operations(run, [[1.0]] * 20, as_herd=True), "BK03") == (
        "BK03 no jitter: 20 copies waited 1 s each before retry 1\n"
        "  arrivals in every 1 s: █ answered, ░ failed\n"
        f"  +0 s  20  {'░' * 50}\n"
        f"  +1 s  20  {'░' * 50}\n"
        "  20 copies, 40 attempts, 2 an operation, 2 at most\n"
        "  peak 20\n"
        "  why   clients that failed together come back together where chance does not spread them, and hit the "
        "service at once\n"
        '  fix   let chance spread the waits, as exponential(0.1, cap=20, jitter="full") does\n'
        "  again @pytest.mark.chaos(seed=42)"
    )


def test_bk03_of_a_herd_counts_the_retries_that_it_judged(run, reason):
    """The first of twenty copies, each after another wait."""
    one = operations(run, [[1 + number / 20] for number in range(20)], as_herd=True)

    assert reason(one, "BK03") == "1 retry came after waits that differ from copy to copy"
