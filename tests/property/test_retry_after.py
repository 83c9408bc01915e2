"""Laws of reading ``Retry-After``."""

from __future__ import annotations

from email.utils import formatdate, parsedate_to_datetime

from hypothesis import given
from hypothesis import strategies as st

from pytest_retrychaos.engine.http_dates import http_date, parse_http_date
from pytest_retrychaos.engine.retry_after import Asked, Unreadable, find_retry_after, read_retry_after, retry_after

NOW = 1_790_000_000.0
moments = st.integers(min_value=0, max_value=253_402_300_799)  # to the end of the year 9999
almost = st.text(alphabet="0123456789+-._eExXinfatyNGMT:, SuonMdy１²", max_size=40)
fields = st.sampled_from(["Retry-After", "retry-after", "RETRY-AFTER-MS", "retry-after-ms"])


@given(st.text() | almost)
def test_no_text_raises_and_every_wait_is_bounded(text):
    """Whatever a server sends, the wait is a number from 0 to 2^31, or there is none."""
    for source in ("Retry-After", "retry-after-ms"):
        found = read_retry_after(text, now=NOW, source=source)
        assert not isinstance(found, Asked) or 0.0 <= found.seconds <= 2.0**31


@given(st.lists(st.tuples(fields, st.text() | almost)))
def test_no_headers_raise_and_what_is_not_obeyed_has_a_reason(headers):
    """Where something was sent and nothing is asked for, it is told why."""
    asked, found = retry_after(headers, now=NOW), find_retry_after(headers, now=NOW)
    assert (asked is None) == isinstance(found, Unreadable) or not headers


@given(moments)
def test_a_written_date_reads_back_as_itself(at):
    """`http_date` and `parse_http_date` are inverse for every whole second."""
    assert parse_http_date(http_date(at), now=NOW) == at


@given(moments)
def test_dates_are_written_and_read_as_the_standard_library_does(at):
    """An independent reader and writer agree."""
    assert http_date(at) == formatdate(at, usegmt=True)
    assert parsedate_to_datetime(http_date(at)).timestamp() == at


@given(st.integers(min_value=0, max_value=10_000_000), st.floats(min_value=0, max_value=0.999))
def test_a_date_ahead_is_waited_for_exactly(ahead, fraction):
    """The wait ends at the date, neither before nor after."""
    asked = retry_after({"Retry-After": http_date(NOW + 1 + ahead)}, now=NOW + fraction)
    assert asked is not None
    assert NOW + fraction + asked.seconds == NOW + 1 + ahead
