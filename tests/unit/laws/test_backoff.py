"""BK01, BK02 and BK04 on traces that keep them, break them, or say nothing of them."""

from __future__ import annotations

from email.utils import formatdate

import pytest

from pytest_retrychaos.engine import Retry, exponential, fixed

NOT_APPLIED = ("does not apply",)
EPOCH = 1_767_225_600


def after(one, *waits, fault="503", **changes):
    """Send a first attempt and one after each wait; every attempt but the last fails."""
    one.send(fault, **changes)
    for place, wait in enumerate(waits):
        one.wait(wait).again("ok" if place == len(waits) - 1 else fault, **changes)
    return one


@pytest.mark.parametrize("waits", [(1,), (0,), (0, 1, 2), (1, 0, 2), (0.001, 0.001, 0.001)])
def test_bk01_is_held_with_waits_and_one_immediate_retry(run, ruling, waits):
    """Many clients retry once at once on purpose."""
    assert ruling(after(run(), *waits), "BK01") == ("held",)


@pytest.mark.parametrize("waits", [(0, 0), (1, 0, 0), (0, 1, 0.0009)])
def test_bk01_is_broken_by_the_second_immediate_retry(run, ruling, waits):
    """From the second on there is a wait."""
    assert ruling(after(run(), *waits), "BK01") == ("broken", "BK01")


def test_bk01_excuses_one_immediate_retry_after_retry_after_0(run, ruling):
    """The server asked for it once."""
    assert ruling(after(run(), 0, 0, answer={"Retry-After": "0"}), "BK01") == ("held",)


def test_bk01_excuses_no_second_retry_after_0(run, ruling):
    """A hot loop stays one, whoever allows it."""
    assert ruling(after(run(), 0, 0, 0, answer={"Retry-After": "0"}), "BK01") == ("broken", "BK01")


@pytest.mark.parametrize(("lasts", "expected"), [(1, ("held",)), (0.9, ("broken", "BK01"))])
def test_bk01_takes_an_attempt_of_a_second_for_a_wait(run, ruling, lasts, expected):
    """A slow failure spaces attempts as well as a sleep."""
    assert ruling(after(run(), 0, 0, 0, lasts=lasts), "BK01") == expected


def test_bk01_does_not_judge_what_follows_an_answer_that_was_left_in_the_middle(run, ruling):
    """The client may have had enough of it each time."""
    left = {
        "cut": True,
        "failed": True,
        "error": "cut: closed by the client while it waited for the rest of the answer",
    }
    one = run().send("drip=1s", "GET", lasts=0.3, **left)

    for _ in range(3):
        one = one.again("drip=1s", lasts=0.3, **left)

    assert ruling(one, "BK01") == ("held",)


def test_bk01_does_not_judge_failover(run, ruling):
    """Another host need not be waited for."""
    one = run().send("503", host="a.test").again("503", host="b.test").again("503", host="c.test")

    assert ruling(one.again("ok", host="d.test"), "BK01") == NOT_APPLIED


def test_bk01_does_not_judge_a_login(run, ruling):
    """New credentials may be sent at once."""
    one = run().send("401", headers={"Authorization": "Bearer old"})

    assert ruling(one.again(headers={"Authorization": "Bearer new"}), "BK01") == NOT_APPLIED


def test_bk01_does_not_judge_redirect_legs(run, ruling):
    """A redirect is followed at once."""
    one = run().send("302", "GET", failed=False)

    assert ruling(one.send("ok", "GET", "/b", joined="leg"), "BK01") == NOT_APPLIED


def test_bk01_does_not_judge_overlapping_attempts(run, ruling):
    """A hedge is no retry."""
    one = run()
    for _ in range(4):
        one.send("timeout", key="key-1")
        one.now = 0

    assert ruling(one, "BK01") == NOT_APPLIED


def test_bk01_by_policy_allows_no_immediate_retry_where_a_wait_is_sure(run, ruling):
    """A fixed wait of a second leaves none out."""
    assert ruling(after(run(), 0), "BK01", Retry(backoff=fixed(1))) == ("broken", "BK01")


def test_bk01_by_policy_allows_what_the_policy_does(run, ruling):
    """A backoff of nothing is kept by not waiting."""
    assert ruling(after(run(), 0, 0), "BK01", Retry(backoff=fixed(0))) == ("held",)


def test_bk01_text_points_at_the_retry(run, text):
    """The failure text, whole."""
    assert text(after(run("503 x2, ok"), 0, 0), "BK01") == (
        "BK01 no wait: POST /payments was sent again at once, and not for the first time\n"
        "  t+0.00s  #1  POST /payments  key –   503\n"
        "  t+0.00s  #2  POST /payments  key –   503\n"
        "  t+0.00s  #3  POST /payments  key –   201, committed   ◄ no wait\n"
        "  why   retries without a wait hit the service while it fails, from every client at the same moment\n"
        "  fix   wait before each retry, longer each time, with jitter\n"
        '  again @pytest.mark.chaos("503 x2, ok", seed=42)\n'
        "  or    two operations? name them with chaos.operation"
    )


DOUBLING = Retry(attempts=9, backoff=exponential(1, cap=4, jitter="none"))


@pytest.mark.parametrize("waits", [(1,), (1, 2, 4, 4), (1.001, 2)])
def test_bk02_is_held_inside_the_envelope(run, ruling, waits):
    """Each wait is the policy's, the cap included, to the millisecond."""
    assert ruling(after(run(), *waits), "BK02", DOUBLING)[0] == "held"


@pytest.mark.parametrize(
    ("waits", "shape"), [((1, 2, 4, 8), "BK02/long"), ((1, 1), "BK02/short"), ((0.99,), "BK02/short")]
)
def test_bk02_is_broken_outside_the_envelope(run, ruling, waits, shape):
    """Beyond the cap is too long, before the backoff too short."""
    assert ruling(after(run(), *waits), "BK02", DOUBLING) == ("broken", shape)


def test_bk02_knows_jitter_by_its_bounds(run, ruling):
    """Full jitter may draw anything up to the height."""
    policy = Retry(attempts=9, backoff=exponential(1, cap=4, jitter="full"))

    assert ruling(after(run(), 0.3, 1.9, 0.1), "BK02", policy) == ("held",)


def test_bk02_hands_the_previous_wait_to_decorrelated_jitter(run, ruling):
    """The next wait reaches three times the one before."""
    policy = Retry(attempts=9, backoff=exponential(1, cap=60, jitter="decorrelated"))

    assert ruling(after(run(), 2, 6, 18), "BK02", policy) == ("held",)
    assert ruling(after(run(), 1, 4), "BK02", policy) == ("broken", "BK02/long")


@pytest.mark.parametrize(
    ("wait", "expected"),
    [(30, ("held",)), (31, ("held",)), (29, ("broken", "BK02/short")), (32, ("broken", "BK02/long"))],
)
def test_bk02_lays_a_wait_that_was_asked_for_between_asked_and_asked_plus_backoff(run, ruling, wait, expected):
    """What the server asked comes first."""
    assert ruling(after(run(), wait, answer={"Retry-After": "30"}), "BK02", DOUBLING) == expected


def test_bk02_does_not_apply_without_a_policy(run, ruling, reason):
    """There is no envelope to hold the waits to."""
    assert ruling(after(run(), 1), "BK02") == NOT_APPLIED
    assert reason(after(run(), 1), "BK02") == "no policy was given: chaos.verify(policy)"


def test_bk02_does_not_apply_when_nothing_was_retried(run, ruling):
    """There is no wait."""
    assert ruling(run().send("503"), "BK02", DOUBLING) == NOT_APPLIED


def test_bk02_text_names_wait_and_envelope(run, text):
    """The failure text, whole."""
    policy = Retry(backoff=exponential(1, cap=4, jitter="full"))

    assert text(after(run("503, ok"), 62), "BK02", policy) == (
        "BK02 wait too long: retry 1 of POST /payments came after 62 s, the policy says between 0 s and 1 s\n"
        "  t+0.00s   #1  POST /payments  key –   503\n"
        "  t+62.00s  #2  POST /payments  key –   201, committed   ◄ after 62 s\n"
        "  why   the code does not wait as its policy says: another backoff, a missing cap, or two retry layers\n"
        "  fix   give the client the policy that is claimed, or claim the one it has\n"
        '  again @pytest.mark.chaos("503, ok", seed=42)'
    )


@pytest.mark.parametrize("status", ["413", "429", "503"])
@pytest.mark.parametrize(("wait", "expected"), [(2, ("held",)), (5, ("held",)), (1.99, ("broken", "BK04/early"))])
def test_bk04_holds_waits_to_seconds_that_were_asked_for(run, ruling, status, wait, expected):
    """Sooner than asked is early, later is not judged."""
    assert ruling(after(run(), wait, fault=status, answer={"Retry-After": "2"}), "BK04") == expected


@pytest.mark.parametrize(("wait", "expected"), [(0.25, ("held",)), (0.2, ("broken", "BK04/early"))])
def test_bk04_reads_milliseconds(run, ruling, wait, expected):
    """retry-after-ms counts as well."""
    assert ruling(after(run(), wait, answer={"retry-after-ms": "250"}), "BK04") == expected


@pytest.mark.parametrize(
    ("wait", "expected"),
    [
        (30, ("held",)),
        (330, ("held",)),
        (29.9, ("broken", "BK04/early")),
        (331, ("broken", "BK04/late")),
        (3630, ("broken", "BK04/late")),
    ],
)
def test_bk04_holds_waits_to_a_date(run, ruling, wait, expected):
    """A date may be overshot by five minutes; an hour is a time zone read wrongly."""
    answer = {"Retry-After": formatdate(EPOCH + 30, usegmt=True)}

    assert ruling(after(run(), wait, answer=answer), "BK04") == expected


@pytest.mark.parametrize("value", ["-1", "soon", "nan", formatdate(EPOCH - 60, usegmt=True)])
def test_bk04_is_held_when_a_malformed_value_does_no_harm(run, ruling, value):
    """Past, negative and unreadable values are as if absent."""
    assert ruling(after(run(), 0.1, answer={"Retry-After": value}), "BK04") == ("held",)


@pytest.mark.parametrize("value", ["1e8", "100000000", "90000", "-5"])
def test_bk04_is_broken_by_a_wait_of_more_than_a_day(run, ruling, value):
    """No header is worth a day of standing still."""
    assert ruling(after(run(), 86_401, answer={"Retry-After": value}), "BK04") == ("broken", "BK04/huge")


def test_bk04_is_held_when_zero_is_asked(run, ruling):
    """Zero asks for nothing."""
    assert ruling(after(run(), 0, answer={"Retry-After": "0"}), "BK04") == ("held",)


def test_bk04_does_not_judge_coming_sooner_than_more_than_an_hour(run, ruling):
    """So long a wait need not be kept."""
    assert ruling(after(run(), 5, answer={"Retry-After": "3601"}), "BK04") == NOT_APPLIED
    assert ruling(after(run(), 5, answer={"Retry-After": "3600"}), "BK04") == ("broken", "BK04/early")


def test_bk04_allows_giving_up(run, ruling, reason):
    """Who does not come back does no harm."""
    one = run().send("503", answer={"Retry-After": "5"})

    assert ruling(one, "BK04") == NOT_APPLIED
    assert reason(one, "BK04") == "the operation was given up after Retry-After, which is allowed"


@pytest.mark.parametrize("status", ["500", "502", "408"])
def test_bk04_does_not_judge_other_statuses(run, ruling, status):
    """The RFC gives Retry-After a meaning for 413, 429, 503 and redirects."""
    assert ruling(after(run(), 0.5, fault=status, answer={"Retry-After": "2"}), "BK04") == NOT_APPLIED


@pytest.mark.parametrize(("wait", "expected"), [(2, ("broken", "BK04/early")), (4, ("held",))])
def test_bk04_is_judged_where_a_client_comes_back_to_the_host_that_asked(run, ruling, wait, expected):
    """It went to another host meanwhile, which asked for nothing."""
    one = run().send("503", answer={"Retry-After": "5"}, host="a.test").wait(1).again("503", host="b.test")

    assert ruling(one.wait(wait).again(host="a.test"), "BK04") == expected


def test_bk04_does_not_judge_failover(run, ruling):
    """The other host had asked for nothing."""
    one = run().send("503", answer={"Retry-After": "5"}).again(host="b.test")

    assert ruling(one, "BK04") == NOT_APPLIED


def test_bk04_does_not_apply_to_a_policy_that_does_not_respect_it(run, ruling):
    """The policy says so."""
    one = after(run(), 0.5, answer={"Retry-After": "2"})

    assert ruling(one, "BK04", Retry(respect_retry_after=False)) == NOT_APPLIED


def test_bk04_counts_from_the_headers_of_the_answer(run, ruling):
    """A failed answer has ended when its headers were handed over, whatever its body took."""
    one = run().send("503", answer={"Retry-After": "2"}, lasts=1, headers_ns=0).wait(1)

    assert ruling(one.again(), "BK04") == ("held",)


def test_bk04_early_text_names_both_times(run, text):
    """The failure text, whole."""
    one = after(run("503 retry-after=2, ok"), 0.5, fault="503 retry-after=2", answer={"Retry-After": "2"})

    assert text(one, "BK04") == (
        "BK04 Retry-After not obeyed: POST /payments was sent again after 0.5 s, 2 s were asked for\n"
        "  t+0.00s  #1  POST /payments  key –   503, Retry-After: 2   (503 retry-after=2)\n"
        "  t+0.50s  #2  POST /payments  key –   201, committed        ◄ 1.5 s too early\n"
        "  why   the server said when it would be ready: whoever comes sooner is turned away again, or banned\n"
        "  fix   wait for the greater of the backoff and Retry-After, or give up\n"
        '  again @pytest.mark.chaos("503 retry-after=2, ok", seed=42)\n'
        "  or    two operations? name them with chaos.operation"
    )
