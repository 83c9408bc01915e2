"""``Retry-After`` and ``retry-after-ms``, read from headers."""

from __future__ import annotations

import locale
import time

import httpx
import pytest
import urllib3

from pytest_retrychaos.engine.http_dates import http_date, parse_http_date
from pytest_retrychaos.engine.retry_after import Asked, Unreadable, find_retry_after, read_retry_after, retry_after
from pytest_retrychaos.model import Headers

NOW = 784_111_777.0  # Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("120", 120.0), ("0", 0.0), ("1.5", 1.5), (" 5\t", 5.0), ("007", 7.0), ("3600", 3600.0), ("0" * 1200 + "7", 7.0)],
)
def test_a_number_is_seconds_from_now(text, seconds):
    """ASCII digits are seconds; blanks around a field are not part of it."""
    assert read_retry_after(text, now=NOW) == Asked(seconds, "Retry-After", "seconds", None, text)


@pytest.mark.parametrize(
    "text", ["", "soon", "nan", "inf", "1e400", "1e2", "+5", "1_000", "１２", "5.", ".5", "0x10", "5 s", "2, 5", "٣"]
)
def test_what_only_float_or_nobody_reads_counts_as_absent(text):
    """What is no number of the RFC and no date asks for nothing."""
    assert read_retry_after(text, now=NOW) == Unreadable("unreadable", "Retry-After", text)
    assert retry_after({"Retry-After": text}, now=NOW) is None


@pytest.mark.parametrize("text", ["-5", "-0.5", "-0"])
def test_a_negative_number_counts_as_absent(text):
    """Nobody can wait a negative time."""
    assert retry_after({"Retry-After": text}, now=NOW) is None
    assert find_retry_after({"Retry-After": text}, now=NOW) == Unreadable("negative", "Retry-After", text)


@pytest.mark.parametrize("text", ["9" * 20, "9" * 400, "9" * 100_000, "99999999999.5"])
def test_an_overflowing_number_is_cut_to_68_years(text):
    """RFC 9111 has such numbers taken for 2^31 seconds."""
    assert read_retry_after(text, now=NOW).seconds == 2_147_483_648.0


@pytest.mark.parametrize(
    "text",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
    ],
)
def test_each_of_the_three_date_forms_is_read(text):
    """All three forms of the RFC name the same moment."""
    asked = retry_after({"Retry-After": text}, now=NOW - 30)
    assert asked == Asked(30.0, "Retry-After", "date", NOW, text)
    assert asked.is_date


def test_a_date_is_told_to_the_fraction_of_now():
    """The wait runs from now, which need not be a whole second."""
    asked = retry_after({"Retry-After": "Sun, 06 Nov 1994 08:49:37 GMT"}, now=NOW - 1.25)
    assert asked.seconds == 1.25


def test_a_date_that_is_now_asks_for_no_wait():
    """The date itself has not passed yet."""
    assert retry_after({"Retry-After": "Sun, 06 Nov 1994 08:49:37 GMT"}, now=NOW).seconds == 0.0


def test_a_date_that_has_passed_counts_as_absent():
    """A past date says nothing about how long to wait."""
    headers = {"Retry-After": "Sun, 06 Nov 1994 08:49:37 GMT"}
    assert retry_after(headers, now=NOW + 0.5) is None
    assert find_retry_after(headers, now=NOW + 0.5).why == "past"


@pytest.mark.parametrize(
    "text",
    [
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 PST",
        "Sun, 06 Nov 1994 08:49:37 +0000",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:00 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "So, 06 Nov 1994 08:49:37 GMT",
        "Sun, ０6 Nov 1994 08:49:37 GMT",
        "1994-11-06T08:49:37Z",
        "Sun, 06 Nov 1994 08:49:37 GMT, Mon, 07 Nov 1994 08:49:37 GMT",
    ],
)
def test_what_is_nearly_a_date_is_unreadable(text):
    """A date in another zone or form, or of no calendar, is none."""
    assert read_retry_after(text, now=NOW - 100) == Unreadable("unreadable", "Retry-After", text)


def test_a_leap_second_is_the_second_after_59():
    """The grammar allows :60; epoch time has no room for it."""
    assert parse_http_date("Sat, 31 Dec 2016 23:59:60 GMT", now=NOW) == 1_483_228_800


@pytest.mark.parametrize(
    ("text", "now_year", "year"),
    [
        ("Sunday, 06-Nov-94 08:49:37 GMT", 2026, 1994),
        ("Friday, 06-Nov-76 08:49:37 GMT", 2026, 2076),
        ("Sunday, 06-Nov-77 08:49:37 GMT", 2026, 1977),
        ("Sunday, 06-Nov-05 08:49:37 GMT", 2099, 2105),
        ("Sunday, 29-Feb-00 08:49:37 GMT", 2090, 2000),
    ],
)
def test_a_short_year_is_at_most_50_years_ahead(text, now_year, year):
    """RFC 9110: what seems more than 50 years ahead is in the past."""
    now = parse_http_date(f"Sun, 06 Nov {now_year} 08:49:37 GMT", now=NOW)
    read = parse_http_date(text, now=now)
    assert http_date(read).split()[3] == str(year)


def test_a_short_year_one_second_past_50_years_ahead_is_in_the_past():
    """The border of 50 years is exact to the second."""
    now = parse_http_date("Sun, 06 Nov 2026 08:49:37 GMT", now=NOW)
    assert http_date(parse_http_date("Friday, 06-Nov-76 08:49:38 GMT", now=now)).split()[3] == "1976"


def test_milliseconds_win_over_seconds():
    """``retry-after-ms`` is the finer answer."""
    asked = retry_after({"Retry-After": "2", "retry-after-ms": "1500"}, now=NOW)
    assert asked == Asked(1.5, "retry-after-ms", "milliseconds", None, "1500")


@pytest.mark.parametrize("text", ["soon", "-5", "Sun, 06 Nov 1994 08:49:37 GMT"])
def test_unreadable_milliseconds_leave_the_word_to_seconds(text):
    """What cannot be read does not hide what can; milliseconds are never a date."""
    assert retry_after({"retry-after-ms": text, "Retry-After": "2"}, now=NOW - 9).seconds == 2.0


def test_names_are_read_in_any_case():
    """Field names are case-insensitive."""
    assert retry_after({"RETRY-AFTER": "2"}, now=NOW).seconds == 2.0
    assert retry_after([("retry-After-MS", "20")], now=NOW).seconds == 0.02


def test_absent_fields_ask_for_nothing():
    """Headers without the fields are ordinary."""
    assert retry_after({"Server": "x"}, now=NOW) is None
    assert find_retry_after({}, now=NOW) is None


REPEATED = [("Retry-After", "2"), ("Retry-After", "5")]


@pytest.mark.parametrize(
    "headers",
    [REPEATED, Headers(REPEATED), httpx.Headers(REPEATED), urllib3.HTTPHeaderDict(REPEATED)],
    ids=["pairs", "trace", "httpx", "urllib3"],
)
def test_a_field_that_stands_twice_counts_as_absent(headers):
    """Two values are read by no client alike, so nobody is held to either."""
    assert retry_after(headers, now=NOW) is None
    assert isinstance(find_retry_after(headers, now=NOW), Unreadable)


def test_a_date_is_gmt_whatever_the_time_zone(monkeypatch):
    """The machine's time zone has no part in it."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert retry_after({"Retry-After": "Sun, 06 Nov 1994 08:49:37 GMT"}, now=NOW - 7).seconds == 7.0
        assert http_date(NOW) == "Sun, 06 Nov 1994 08:49:37 GMT"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_date_is_english_whatever_the_locale():
    """Names of days and months are those of the RFC; the C locale is all that a machine is sure to have."""
    before = locale.setlocale(locale.LC_ALL)
    try:
        for name in ("de_DE.UTF-8", "C.UTF-8", "C"):
            try:
                locale.setlocale(locale.LC_ALL, name)
            except locale.Error:
                continue
            assert http_date(NOW) == "Sun, 06 Nov 1994 08:49:37 GMT"
    finally:
        locale.setlocale(locale.LC_ALL, before)


@pytest.mark.parametrize("now", [float("nan"), float("inf")])
def test_a_now_that_is_no_moment_is_refused(now):
    """Only the caller's own clock can be at fault here, so it is told."""
    with pytest.raises(ValueError, match=r"now=(nan|inf): it has to be a moment in epoch seconds; pass time.time\(\)"):
        read_retry_after("5", now=now)


def test_values_that_contradict_each_other_are_told():
    """As they came, one after the other."""
    headers = [("Retry-After", "1"), ("Retry-After", "2")]

    assert find_retry_after(headers, now=NOW) == Unreadable("repeated", "Retry-After", "1, 2")
