"""The assertions as pure functions: none passes because nothing happened."""

from __future__ import annotations

import pytest

from pytest_retrychaos.engine import exponential, fixed
from pytest_retrychaos.laws import assertions as ask
from pytest_retrychaos.trace import Trace

EMPTY = Trace("t", 0, "")


def headline(found):
    """The finding's first line, or None."""
    return None if found is None else found.headline


def twice(one, gap=1, **changes):
    """One operation of two attempts."""
    return one.send("503", **changes).wait(gap).again()


@pytest.mark.parametrize(
    "question",
    [
        ask.retried,
        ask.not_retried,
        ask.retry_after_honoured,
        ask.no_duplicates,
        ask.key_reused,
        lambda trace: ask.backoff(trace, fixed(1)),
        lambda trace: ask.within(trace, 1),
    ],
)
def test_nothing_passes_when_nothing_was_sent(question):
    """An empty run proves nothing."""
    assert headline(question(EMPTY)) == "NV01 cannot tell: nothing was sent"


@pytest.mark.parametrize("times", [None, 1])
def test_retried_passes_when_it_was_so(run, times):
    """At least once, or exactly so often."""
    assert ask.retried(twice(run()).trace(), times) is None


def test_retried_fails_with_the_count(run):
    """What was expected stands beside what was."""
    assert headline(ask.retried(twice(run()).trace(), 3)) == "RT01 retried 1 time: 3 retries were expected"
    assert headline(ask.retried(run().send("503").trace())) == "RT01 retried 0 times: at least 1 retry was expected"
    assert headline(ask.retried(twice(run()).trace(), 0)) == "RT03 retried 1 time: 0 retries were expected"
    assert headline(ask.retried(run().send("503").trace(), 1)) == "RT01 retried 0 times: 1 retry was expected"
    assert headline(ask.retried(twice(run()).trace(), 2)) == "RT01 retried 1 time: 2 retries were expected"


def test_retried_cannot_tell_when_nothing_failed(run):
    """There was no reason to retry."""
    assert headline(ask.retried(run().send().trace(), 0)) == "NV01 cannot tell: nothing failed"
    assert ask.retried(run().send("400").trace(), 0) is None


def test_not_retried(run):
    """A failure that was left alone, one that was not, and none."""
    assert ask.not_retried(run().send("400").trace()) is None
    assert headline(ask.not_retried(twice(run()).trace())) == (
        "RT02 retried: the request was sent again (#2), no retry was expected"
    )
    assert headline(ask.not_retried(run().send().trace())) == "NV01 cannot tell: nothing failed"


def test_not_retried_sees_a_repetition_that_is_an_operation_of_its_own(run):
    """A poll of the service's own 404 is sent again all the same."""
    one = run().send("ok", "GET", status=404).new().send("ok", "GET")

    assert headline(ask.not_retried(one.trace())) == (
        "RT02 retried: the request was sent again (#2), no retry was expected"
    )


def test_attempts_counts_all(run):
    """Exactly so many; none may be asked for too."""
    trace = twice(run()).trace()

    assert ask.attempts(trace, 2) is None
    assert headline(ask.attempts(trace, 3)) == "RT01 2 attempts made, 3 expected"
    assert headline(ask.attempts(trace, 1)) == "RT03 2 attempts made, 1 expected"
    assert ask.attempts(EMPTY, 0) is None


def test_backoff_holds_waits_to_bounds(run):
    """Inside, outside, and no retry at all."""
    doubling = exponential(1, jitter="none")

    assert ask.backoff(twice(run()).trace(), doubling) is None
    assert headline(ask.backoff(twice(run(), 3).trace(), doubling)) == (
        "BK02 wait too long: retry 1 of POST /payments came after 3 s, the policy says 1 s"
    )
    assert headline(ask.backoff(run().send("503").trace(), doubling)) == "NV01 cannot tell: nothing was retried"


def test_retry_after_honoured(run):
    """Obeyed, not obeyed, never met, given up."""
    assert ask.retry_after_honoured(twice(run(), 2, answer={"Retry-After": "2"}).trace()) is None
    assert headline(ask.retry_after_honoured(twice(run(), 1, answer={"Retry-After": "2"}).trace())) == (
        "BK04 Retry-After not obeyed: POST /payments was sent again after 1 s, 2 s were asked for"
    )
    assert headline(ask.retry_after_honoured(twice(run()).trace())) == (
        "NV01 cannot tell: no answer with Retry-After was met"
    )
    assert headline(ask.retry_after_honoured(run().send("503", answer={"Retry-After": "2"}).trace())) == (
        "NV01 cannot tell: the operation was given up after Retry-After, which is allowed"
    )


def test_within_judges_time(run):
    """In time, late, and no time at all."""
    assert ask.within(twice(run()).trace(), 1) is None
    assert headline(ask.within(twice(run(), 3).trace(), 2)) == (
        "BK05 over budget: POST /payments took 3 s, its budget is 2 s"
    )
    assert ask.within(run().send("400").trace(), 1) is None
    assert headline(ask.within(run().send().trace(), 1)) == "NV01 cannot tell: no time passed, and nothing failed"


def test_within_judges_a_scope_as_a_whole(run):
    """Its operations share the budget."""
    one = run().open()
    twice(one.new(), 3)
    twice(one.new(), 3).close()

    assert headline(ask.within(one.trace(), 5)) == "BK05 over budget: POST /payments took 6 s, its budget is 5 s"


def test_no_duplicates(run):
    """One effect, two effects, and nothing that could have one."""
    assert ask.no_duplicates(run().send().trace()) is None
    assert headline(ask.no_duplicates(run().send("reset after-commit").wait(1).again().trace())) == (
        "ID04 duplicate effect: POST /payments was carried out 2 times for one operation"
    )
    assert headline(ask.no_duplicates(run().send("ok", "GET").trace())) == (
        "NV01 cannot tell: no write reached the service"
    )


def test_no_duplicates_cannot_tell_one_operation_from_two(run):
    """Two effects from two lines of the test."""
    found = ask.no_duplicates(run().send("reset after-commit").new(one_or_two=True).send().trace())

    assert found.headline.startswith("NV01 cannot tell: one operation or two?")
    assert found.hint == "two operations? name them with chaos.operation"


def test_key_reused(run):
    """One key, two keys, no key, and nothing sent twice."""
    assert ask.key_reused(twice(run(), key="key-1").trace()) is None
    assert headline(ask.key_reused(run().send("503", key="key-1").again(key="key-2").trace())) == (
        "ID02 key not kept: POST /payments was sent again with another key"
    )
    assert headline(ask.key_reused(twice(run()).trace())) == (
        "ID01 no idempotency key: POST /payments was sent 2 times without a key"
    )
    assert headline(ask.key_reused(run().send(key="key-1").trace())) == "NV01 cannot tell: no write was sent twice"


def test_an_assertion_may_ask_of_one_operation(run):
    """Others do not count."""
    one = twice(run().new()).new().send("400")

    assert ask.not_retried(one.trace(), operation=1) is None
    assert ask.retried(one.trace(), 1, operation=0) is None
    assert ask.attempts(one.trace(), 1, operation=1) is None


@pytest.mark.parametrize(
    ("question", "marks", "why", "fix"),
    [
        (
            lambda one: ask.retried(one.send("503").trace()),
            ((1, "given up"),),
            "the test says how often the code has to try again",
            "change the retry policy, or what it takes for a failure that passes",
        ),
        (
            lambda one: ask.not_retried(twice(one).trace()),
            ((2, "sent again"),),
            "the test says that this failure is not to be retried",
            "leave it out of what the client retries, and tell the caller",
        ),
        (
            lambda one: ask.attempts(twice(one).trace(), 1),
            (),
            "the test says how many attempts the code makes",
            "change the retry policy, or the number in the test",
        ),
        (
            lambda one: ask.key_reused(twice(one).trace()),
            ((2, "sent again without a key"),),
            "the service cannot tell a retry from a new request",
            "make one key per operation, outside the retry loop, and send it on every attempt",
        ),
        (
            lambda one: ask.retried(one.send().trace()),
            (),
            "an assertion that passes because nothing happened proves nothing",
            "make the code meet the fault: look at the script, and at what the test calls",
        ),
    ],
)
def test_what_an_assertion_finds_is_told_whole(run, question, marks, why, fix):
    """What to look at, why, and what to do."""
    found = question(run())

    assert (found.marks, found.why, found.fix) == (marks, why, fix)


def test_backoff_cannot_tell_by_a_failover(run):
    """It goes to another host, and need not wait."""
    trace = run().send("503").wait(1).again(host="b.test").trace()

    assert headline(ask.backoff(trace, exponential(1))) == (
        "NV01 cannot tell: no wait was one of backoff: logins and failovers only"
    )
