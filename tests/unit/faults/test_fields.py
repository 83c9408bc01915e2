"""What header fields look like on the wire."""

from __future__ import annotations

import pytest

from pytest_retrychaos.faults import parse, render_header, status

NOW = 1_700_000_000_000_000_000  # 2023-11-14 22:13:20 UTC


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (2, "2"),
        (2.0, "2"),
        (1.5, "1.5"),
        (0, "0"),
        (-5, "-5"),
        (1e-7, "0.0000001"),
        (1e14, "100000000000000"),
        ("date+2s", "Tue, 14 Nov 2023 22:13:22 GMT"),
        ("date-60s", "Tue, 14 Nov 2023 22:12:20 GMT"),
        ("date+0s", "Tue, 14 Nov 2023 22:13:20 GMT"),
        ("date+1000000h", "Fri, 13 Dec 2137 14:13:20 GMT"),
        ("next week", "next week"),
        ("2", "2"),
    ],
)
def test_retry_after_is_sent(given, sent):
    """Plain digits, an IMF-fixdate, or the text as it is."""
    assert status(503, retry_after=given).retry_after_value(NOW) == sent


@pytest.mark.parametrize(("nanoseconds", "second"), [(499_999_999, "20"), (500_000_000, "21")])
def test_a_date_is_rounded_to_the_second(nanoseconds, second):
    """HTTP dates have no finer unit."""
    sent = status(503, retry_after="date+0s").retry_after_value(NOW + nanoseconds)

    assert sent == f"Tue, 14 Nov 2023 22:13:{second} GMT"


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("{now}", "1700000000"),
        ("{now+5s}", "1700000005"),
        ("{now-5s}", "1699999995"),
        ("{now+5}", "1700000005"),
        ("{now-1h}", "1699996400"),
        ("{now+400ms}", "1700000000"),
        ('limit=5;reset={now+1m};from="{now}"', 'limit=5;reset=1700000060;from="1700000000"'),
        ('{"now": 1} {nowhere} {}', '{"now": 1} {nowhere} {}'),
    ],
)
def test_now_in_a_header_is_an_epoch_time(written, sent):
    """Whole seconds; other braces stay as they are."""
    ((_, value),) = status(429, header={"X-Reset": written}).headers

    assert render_header(value, NOW) == sent


def test_a_header_may_repeat_retry_after():
    """Two fields of one name are a hostile answer that can be scripted."""
    (step,) = parse('503 retry-after=1 header="Retry-After: 3"').steps

    assert step.retry_after_value(NOW) == "1"
    assert step.headers == (("Retry-After", "3"),)
