"""The service's capacity: what it lets in, and what it tells the rest."""

from __future__ import annotations

import json
import re

import pytest

from pytest_retrychaos.service import Limit
from pytest_retrychaos.service.limits import Bucket, read_limit

PAY = {"amount": 1000}


def statuses(bench, count):
    return [bench("GET", "/payments").response.status for _ in range(count)]


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("100/s", Limit(100, 10**9, 100)),
        ("60/m", Limit(60, 60 * 10**9, 60)),
        (" 5 / 10s ", Limit(5, 10 * 10**9, 5)),
        ("1/500ms", Limit(1, 500_000_000, 1)),
        ("7/1.5h", Limit(7, 5400 * 10**9, 7)),
    ],
)
def test_limit_is_read_from_text(text, limit):
    """A count, a slash, and how long."""
    assert read_limit(text) == limit


@pytest.mark.parametrize("text", ["100/s", "60/m", "5/10s", "1/500ms", "3/h", "1/1234567.25ms", "2/2500000h"])
def test_limit_prints_as_it_is_written(text):
    """What a message shows can be typed."""
    assert str(read_limit(text)) == text


def test_limit_prints_its_burst_where_it_is_not_the_count():
    """The burst is an argument of its own."""
    assert str(read_limit("100/s", 20)) == "100/s, burst=20"


@pytest.mark.parametrize("text", ["100", "/s", "100/d", "-1/s", "1.5/s", "100 per s", ""])
def test_limit_refuses_text_that_is_none(text):
    """The form is shown."""
    with pytest.raises(ValueError, match=re.escape("write how many in how long, as in limit('100/s')")):
        read_limit(text)


@pytest.mark.parametrize("text", ["0/s", "5/0s", "5/0.0ms"])
def test_limit_refuses_zero_and_names_the_script_for_an_outage(text):
    """A service that takes nothing is down."""
    with pytest.raises(ValueError, match=re.escape("script('503 *')")):
        read_limit(text)


@pytest.mark.parametrize("rate", [100, 1.5, True, b"100/s", ("100", "s")])
def test_limit_refuses_what_is_no_text(rate):
    """A bare number would say nothing of the time."""
    with pytest.raises(TypeError, match="a limit is a text"):
        read_limit(rate)


@pytest.mark.parametrize(
    ("burst", "error"), [(0, ValueError), (-1, ValueError), (1.5, TypeError), (True, TypeError), ("1", TypeError)]
)
def test_limit_refuses_a_burst_that_is_no_count(burst, error):
    """It is a whole number of requests, 1 or more."""
    with pytest.raises(error, match=re.escape(f"burst={burst!r}")):
        read_limit("100/s", burst)


def test_bucket_lets_the_burst_in_at_once_and_then_one_at_a_time():
    """Three at once, then one each time that a third of a second has passed, to the nanosecond."""
    bucket = Bucket(read_limit("3/s"))

    assert [bucket.take(0) for _ in range(4)] == [0, 0, 0, 333_333_334]
    assert bucket.take(333_333_333) == 1
    assert bucket.take(333_333_334) == 0
    assert bucket.take(333_333_334) == 333_333_333
    assert [bucket.take(10**9) for _ in range(3)] == [0, 0, 333_333_334]


def test_bucket_holds_no_more_than_its_burst_after_a_quiet_hour():
    """Time that passes does not add up without end."""
    bucket = Bucket(read_limit("3/s", 2))

    assert [bucket.take(3600 * 10**9) for _ in range(3)] == [0, 0, 333_333_334]


def test_requests_within_the_limit_are_answered_as_ever(bench):
    """The limit is not felt."""
    bench.service.limit("3/s")

    assert statuses(bench, 3) == [200, 200, 200]


def test_request_beyond_the_limit_gets_a_429_with_a_true_retry_after(bench):
    """Whole seconds, rounded up; at that moment one is let in, and a moment before it none is."""
    bench.service.limit("2/5s")
    statuses(bench, 2)

    answer = bench("GET", "/payments")
    bench.advance(2.499)
    before = bench("GET", "/payments")
    bench.advance(0.501)

    assert (answer.response.status, answer.response.headers["Retry-After"]) == (429, "3")
    assert (before.response.status, before.response.headers["Retry-After"]) == (429, "1")
    assert statuses(bench, 2) == [200, 429]


def test_payment_beyond_the_limit_has_no_effect_and_uses_no_key(bench):
    """Nothing was done, and the same key may come again."""
    bench.service.limit("1/s")
    bench("GET", "/payments")

    turned_away = bench("POST", "/payments", PAY, key="k")
    bench.advance(1)
    again = bench("POST", "/payments", PAY, key="k")

    assert (turned_away.committed, turned_away.effects, turned_away.replayed, turned_away.key) == (False, 0, False, "k")
    assert (again.response.status, again.effects, again.replayed) == (201, 1, False)


def test_replay_counts_as_a_request(bench):
    """The limit stands before the idempotency layer, as a gateway's does."""
    bench.service.limit("1/s")
    bench("POST", "/payments", PAY, key="k")

    assert bench("POST", "/payments", PAY, key="k").response.status == 429


def test_limit_words_the_refusal_as_the_profile_does(make_bench):
    """Stripe's code, and its request id."""
    bench = make_bench(profile="stripe")
    bench.service.limit("1/s")

    statuses(bench, 1)
    response = bench("GET", "/payments").response

    assert json.loads(response.body)["error"]["code"] == "rate_limit"
    assert response.headers["Request-Id"].startswith("req_")


def test_limit_of_none_is_lifted(bench):
    """The service takes everything again."""
    bench.service.limit("1/s")
    bench.service.limit(None)

    assert statuses(bench, 3) == [200, 200, 200]
    assert bench.service.capacity is None


def test_limit_of_none_with_a_burst_is_refused(bench):
    """One of the two is a mistake."""
    with pytest.raises(ValueError, match="no limit has no burst"):
        bench.service.limit(None, burst=3)
