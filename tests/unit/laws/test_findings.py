"""What findings say that no test of their law tells whole: every mark, the reason, the fix and the hints."""

from __future__ import annotations

import pytest

from pytest_retrychaos.engine import Retry, fixed
from pytest_retrychaos.laws import judge
from pytest_retrychaos.laws.policy import Policy

DATE = {"Retry-After": "Thu, 01 Jan 2026 00:00:30 GMT"}
IN_FLIGHT = {"status": 409, "failed": False, "key_conflict": "in flight", "effects": 0, "committed": False}
MISMATCH = {"status": 422, "failed": False, "key_conflict": "mismatch", "effects": 0, "committed": False}
STOPS = Policy(attempts=3, goes_on=lambda _: False)


def lines(text):
    """A failure text, from its second line on, without the command."""
    return [line.strip() for line in text.splitlines()[1:] if not line.startswith("  again")]


def test_ld01_speaks_of_one_attempt_in_the_singular(run, text):
    """One is right."""
    one = run("503 x2").send("503", key="key-1").wait(1).again("503")

    assert text(one, "LD01", amplification=1) == (
        "LD01 amplified: POST /payments became 2 attempts for one operation, at most 1 is right\n"
        "  t+0.00s  #1  POST /payments  key K1   503\n"
        "  t+1.00s  #2  POST /payments  key K1   503   ◄ attempt 2\n"
        "  why   layers that retry inside each other multiply: three times three is nine, and a service that is down "
        "gets all of them\n"
        "  fix   let one layer retry, and turn the others off: the SDK's (max_retries=0), or your own\n"
        '  again @pytest.mark.chaos("503 x2", seed=42)'
    )


def test_bk04_says_of_a_date_that_it_is_gmt(run, text):
    """Whoever comes early may have read it in local time."""
    assert lines(text(run().send("503", answer=DATE).wait(10).again(), "BK04"))[2] == (
        "why   the server said when it would be ready: whoever comes sooner is turned away again, or banned; a date is "
        "GMT, whatever the time zone of the client"
    )


def test_bk04_late_is_told_whole(run, text):
    """Nine hours."""
    assert text(run().send("503", key="key-1", answer=DATE).wait(9 * 3600 + 30).again(), "BK04") == (
        "BK04 Retry-After overshot: POST /payments was sent again 32400 s after the date asked for\n"
        "  t+0.00s      #1  POST /payments  key K1   503, Retry-After: Thu, 01 Jan 2026 00:00:30 GMT   (503)\n"
        "  t+32430.00s  #2  POST /payments  key K1   201, committed                                    "
        "◄ 32400 s too late\n"
        "  why   the date was read wrongly, most often in local time: HTTP dates are GMT\n"
        "  fix   read the date as GMT and subtract the present moment in UTC\n"
        "  again @pytest.mark.chaos(seed=42)"
    )


def test_bk04_huge_is_told_whole(run, text):
    """Two days."""
    one = run().send("503", key="key-1", answer={"Retry-After": "172800"}).wait(172800).again()

    assert text(one, "BK04") == (
        "BK04 huge wait: POST /payments waited 172800 s because Retry-After said so\n"
        "  t+0.00s       #1  POST /payments  key K1   503, Retry-After: 172800   (503)\n"
        "  t+172800.00s  #2  POST /payments  key K1   201, committed             ◄ waited more than a day\n"
        "  why   one wrong header stops the client for more than a day\n"
        "  fix   give up where Retry-After asks for more than the caller can wait\n"
        "  again @pytest.mark.chaos(seed=42)"
    )


def test_id02_of_a_key_that_was_dropped_is_told_whole(run, text):
    """The retry has none."""
    assert text(run().send("503", key="key-1").wait(1).again(key=None), "ID02") == (
        "ID02 key not kept: POST /payments was sent again without its key\n"
        "  t+0.00s  #1  POST /payments  key K1   503\n"
        "  t+1.00s  #2  POST /payments  key –    201, committed   ◄ no key\n"
        "  why   the service knows a retry by its key: without it, it is a new payment\n"
        "  fix   make one key per operation, outside the retry loop, and send it on every attempt\n"
        "  again @pytest.mark.chaos(seed=42)\n"
        "  or    two operations? name them with chaos.operation"
    )


def test_id03_of_two_names_is_told_whole(run, text):
    """It may be one operation after all."""
    one = run().open("first").new().send(key="key-1").close()
    one.open("second").new(reused_key_of=0).send(key="key-1").close()

    assert text(one, "ID03") == (
        "ID03 key used twice: POST /payments carries the key of an earlier operation, in an operation of another name\n"
        "  t+0.00s  #1  POST /payments  key K1   201, committed   ◄ used the key first\n"
        "  t+0.00s  #2  POST /payments  key K1   201, committed   ◄ used it again\n"
        "  why   the service answers with what it stored for the first one, or refuses: the second is never carried out"
        "\n"
        "  fix   make a new key for every operation\n"
        "  again @pytest.mark.chaos(seed=42)\n"
        "  or    one operation sent again on purpose? put both into one chaos.operation"
    )


def test_id04_of_one_delivered_twice_is_told_whole(run, text):
    """The service does not know keys."""
    assert text(run("duplicate").send("duplicate", key="key-1"), "ID04") == (
        "ID04 duplicate effect: POST /payments was delivered twice and carried out 2 times\n"
        "  t+0.00s  #1  POST /payments  key K1   201, committed 2 times   (duplicate)   ◄ 2 effects\n"
        "  why   the service carried out both, though they carry the same key: keys mean nothing to it\n"
        "  fix   send a key, to a service that keeps keys\n"
        '  again @pytest.mark.chaos("duplicate", seed=42)\n'
        "  or    if this is a read: chaos.service.route(…, effect=False)"
    )


def test_id04_of_a_copy_without_a_key_says_so(run, text):
    """Nothing tells it from another payment."""
    assert lines(text(run().send("duplicate"), "ID04"))[1] == (
        "why   the request has no Idempotency-Key: the service cannot tell a copy from a new payment"
    )


def test_id04_counts_the_effects(run, text):
    """In words up to the fifth."""
    one = run().send("reset after-commit")
    for _ in range(5):
        one.wait(1).again("reset after-commit")

    marks = [line.partition("◄ ")[2] for line in text(one, "ID04").splitlines() if "◄" in line]
    assert marks == ["second effect", "third effect", "fourth effect", "fifth effect", "one more effect"]


@pytest.mark.parametrize(
    ("target", "noun"),
    [("/v1/payments/", "payment"), ("/v1/payments?expand=1", "payment"), ("/payments/7", "request"), ("/", "request")],
)
def test_what_is_made_is_named_by_the_path(run, text, target, noun):
    """By its last word, where that is one."""
    assert f"cannot tell a retry from a new {noun}\n" in text(
        run().send("reset", target=target).wait(1).again(), "ID01"
    )


def test_id06_of_a_mismatch_is_told_whole(run, text):
    """The second is as wrong as the first."""
    one = run().send("ok", key="key-1", **MISMATCH).wait(1).again("ok", joined="key", **MISMATCH)

    assert text(one, "ID06") == (
        "ID06 conflict repeated: POST /payments was sent again after the service had refused its key for another "
        "payload\n"
        "  t+0.00s  #1  POST /payments  key K1   422   ◄ the key belongs to another payload\n"
        "  t+1.00s  #2  POST /payments  key K1   422   ◄ sent again\n"
        "  why   the key stands for what was sent with it first: the same request gets the same answer, however often\n"
        "  fix   leave this 422 out of what the client retries, and tell the caller\n"
        "  again @pytest.mark.chaos(seed=42)"
    )


def test_id06_without_a_wait_is_told_whole(run, text):
    """At once."""
    one = run().send("timeout after-commit", key="key-1").wait(1)
    one.again("ok", joined="key", **IN_FLIGHT).again("ok", joined="key", **IN_FLIGHT)

    assert text(one, "ID06") == (
        "ID06 no wait: POST /payments was sent again at once while the first one was still running\n"
        "  t+0.00s  #1  POST /payments  key K1   committed, then no answer in 5 s   (timeout after-commit)\n"
        "  t+6.00s  #2  POST /payments  key K1   409                                ◄ its key is in flight\n"
        "  t+6.00s  #3  POST /payments  key K1   409                                ◄ no wait\n"
        "  why   the first request needs time: until it has ended, each repetition gets the same answer\n"
        "  fix   wait before each retry, longer each time, with the same key\n"
        "  again @pytest.mark.chaos(seed=42)"
    )


def test_rt03_of_a_retry_against_the_policy_is_told_whole(run, text):
    """It retries nothing of the kind."""
    assert text(run("404, ok").send("404").wait(1).again(), "RT03", STOPS) == (
        "RT03 too many attempts: POST /payments was sent again after status 404, which the policy does not retry\n"
        "  t+0.00s  #1  POST /payments  key –   404\n"
        "  t+1.00s  #2  POST /payments  key –   201, committed   ◄ against the policy\n"
        "  why   another layer retries too, or the client has another policy than the one that is claimed\n"
        "  fix   keep one retry layer, and give the client the policy that is claimed\n"
        '  again @pytest.mark.chaos("404, ok", seed=42)\n'
        "  or    two operations? name them with chaos.operation"
    )


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("refuse", "a refused connection"),
        ("dns", "a name that was not resolved"),
        ("connect-timeout", "a connect timeout"),
        ("tls", "a failed TLS handshake"),
        ("reset", "a connection reset"),
        ("eof", "a connection closed with no answer"),
        ("stale", "a connection that had gone stale"),
        ("timeout", "a timeout"),
        ("truncate", "a truncated answer"),
        ("garbage", "an answer that is no HTTP"),
        ("503", "status 503"),
    ],
)
def test_what_was_met_is_said_in_words(run, text, fault, words):
    """A status by its number, any other fault by what it is."""
    one = run().send(fault, "GET").wait(1).again("ok", method="GET")

    assert f" was sent again after {words}, which the policy does not retry\n" in text(one, "RT03", STOPS)


def test_bk02_short_is_told_whole(run, text):
    """Half of what the policy says."""
    assert text(run("503, ok").send("503").wait(0.5).again(), "BK02", Retry(backoff=fixed(1))) == (
        "BK02 wait too short: retry 1 of POST /payments came after 0.5 s, the policy says 1 s\n"
        "  t+0.00s  #1  POST /payments  key –   503\n"
        "  t+0.50s  #2  POST /payments  key –   201, committed   ◄ after 0.5 s\n"
        "  why   the code does not wait as its policy says: another backoff, or none\n"
        "  fix   give the client the policy that is claimed, or claim the one it has\n"
        '  again @pytest.mark.chaos("503, ok", seed=42)'
    )


@pytest.mark.parametrize(
    ("code", "build", "terms"),
    [
        ("LD01", lambda one: one.send("503", key="k").wait(1).again(), {"amplification": 1}),
        ("BK04", lambda one: one.send("503", key="k", answer={"Retry-After": "9"}).wait(1).again(), {}),
        ("BK04", lambda one: one.send("503", key="k", answer=DATE).wait(9999).again(), {}),
        ("ID01", lambda one: one.send("reset").wait(1).again(), {}),
        ("ID02", lambda one: one.send("503", key="k").wait(1).again(key="l"), {}),
        ("ID04", lambda one: one.send("reset after-commit").wait(1).again(), {}),
        ("ID04", lambda one: one.send("duplicate", key="k"), {}),
        ("ID06", lambda one: one.send(key="k", **MISMATCH).wait(1).again(joined="key", **MISMATCH), {}),
        ("RT02", lambda one: one.send("400", key="k").wait(1).again(), {}),
        ("RT03", lambda one: one.send("503", key="k").wait(1).again(), {"policy": STOPS}),
        ("RT04", lambda one: one.send("503", key="k").wait(1).again(body_relation="rest", content=b""), {}),
        ("RT07", lambda one: one.send("201", key="k").wait(1).again(joined="sent again"), {}),
        ("RT08", lambda one: one.send("503", key="k").cancel().wait(1).again(cancelled_ns=0), {}),
    ],
)
def test_a_finding_names_its_operation(run, code, build, terms):
    """By its number, for whoever reads the trace beside it."""
    one = build(run().send("ok", "GET", "/before").new())

    assert [found.operation for found in judge(one.trace(), only=[code], **terms).findings] == [1]
