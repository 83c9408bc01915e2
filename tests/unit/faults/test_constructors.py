"""The faults as Python."""

from __future__ import annotations

import http

import pytest

from pytest_retrychaos import faults
from pytest_retrychaos.faults import FAULTS, Kind, ScriptError, down, drip, slow, status, timeout
from pytest_retrychaos.faults.durations import FORMS

STATUS_RULE = "200-299 answer as the service would, under that status; 300-599 with that status alone"
RETRY_AFTER = 'write retry-after=2 for seconds, retry-after=date+2s for a date, retry-after="…" for any text'
HEADER = 'write header="Name: value"; {now}, {now+5s} and {now-5s} stand for an epoch time'

REFUSED = [
    (lambda: status(99), f"there is no status 99: a status is 200 to 599\n{STATUS_RULE}"),
    (lambda: status(600), f"there is no status 600: a status is 200 to 599\n{STATUS_RULE}"),
    (lambda: status("503"), "a status is a number, not '503'\nwrite status(503)"),
    (lambda: status(True), "a status is a number, not True\nwrite status(503)"),
    (
        lambda: status(404, after_commit=True),
        (
            "404 cannot be after-commit: it tells the client that nothing was done\n"
            "after-commit goes with 5xx, 408, 409, timeout, reset, eof and stale"
        ),
    ),
    (lambda: status(200, after_commit=True), "200 commits as it is\ntake after-commit away"),
    (lambda: status(503, retry_after=float("nan")), f"retry-after as a number is finite\n{RETRY_AFTER}"),
    (lambda: status(503, retry_after=10**400), f"retry-after as a number is finite\n{RETRY_AFTER}"),
    (lambda: status(503, retry_after=True), f"retry-after cannot be True\n{RETRY_AFTER}"),
    (
        lambda: status(503, retry_after="date+2sec"),
        ("retry-after=date+2sec names no date\nwrite retry-after=date+2s or retry-after=date-60s: now and a duration"),
    ),
    (
        lambda: status(503, body=b"x"),
        "a body is a text, not b'x'\nfor JSON write json.dumps(…)",
    ),
    (lambda: status(503, header=5), f"a header is 'Name: value', not 5\n{HEADER}"),
    (
        lambda: status(503, header={"A": "x\r\nB: y"}),
        (
            "the value of A cannot hold a line break: 'x\\r\\nB: y'\n"
            "printable characters of Latin-1, spaces and tabs can be sent"
        ),
    ),
    (lambda: slow(0), f"a duration is longer than nothing, but this is 0\n{FORMS}"),
    (lambda: slow(-1.5), f"a duration is not negative, but this is -1.5\n{FORMS}"),
    (lambda: drip(float("inf")), f"a duration is finite, not inf\n{FORMS}"),
    (lambda: down(None), f"a duration is a number of seconds or a text, not None\n{FORMS}"),
    (lambda: down("3 days"), f"'3 days' is no duration\n{FORMS}"),
    (lambda: down(10**30), f"a duration is at most 1000000h, but this is {10**30}\n{FORMS}"),
    (
        lambda: down(3, status=200),
        "an outage answers 300 to 599, not 200\nwrite down=30s:503, or down=30s to refuse connections",
    ),
    (lambda: status(304, body=""), "304 has no body\ntake the body away, or write a status that has one"),
    (lambda: timeout() * 0, "a step cannot strike 0 times\na count is x1 to x1000000; * is for ever"),
    (
        lambda: timeout() * 1_000_001,
        "a step cannot strike 1000001 times\na count is x1 to x1000000; * is for ever",
    ),
]


@pytest.mark.parametrize(("make", "text"), REFUSED)
def test_bad_arguments_are_refused_with_the_same_rules(make, text):
    """A constructor's error is the script's error without the script."""
    with pytest.raises(ScriptError) as caught:
        make()

    assert str(caught.value) == text


def test_every_fault_has_a_constructor_of_its_name():
    """The table and the functions do not drift apart."""
    for kind in FAULTS:
        assert callable(getattr(faults, kind.value.replace("-", "_")))


def test_durations_are_seconds_or_text():
    """Numbers count seconds by their digits; text has units."""
    assert slow(0.1).duration_ns == 100_000_000
    assert slow(0.1 + 0.2).duration_ns == 300_000_000
    assert slow("300ms") == slow(0.3)
    assert down("5m").duration_ns == 300_000_000_000


def test_headers_come_as_text_list_or_mapping():
    """All forms give the same fields."""
    assert status(503, header="A: 1").headers == (("A", "1"),)
    assert status(503, header=["A: 1", "A: 2"]).headers == (("A", "1"), ("A", "2"))
    assert status(503, header={"A": "1"}).headers == (("A", "1"),)


def test_an_http_status_of_the_standard_library_is_a_status():
    """`http.HTTPStatus` prints as its number."""
    step = status(http.HTTPStatus.SERVICE_UNAVAILABLE)

    assert (str(step), repr(step)) == ("503", "status(503)")
    assert step.kind is Kind.STATUS
