"""What a status, with its headers and body, says."""

from __future__ import annotations

import pytest

from pytest_retrychaos.engine import Kind, classify_status


@pytest.mark.parametrize("status", [100, 101, 200, 201, 204, 299, 301, 303, 304, 307, 399])
def test_up_to_399_is_success(status):
    """Nothing is to be retried, 304 included."""
    assert classify_status(status) is Kind.SUCCESS


@pytest.mark.parametrize("status", [425, 429, 503])
def test_too_early_too_many_and_unavailable_are_turned_away(status):
    """The server says that it did nothing, with or without a hint."""
    assert classify_status(status) is Kind.TURNED_AWAY


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 410, 412, 413, 415, 422, 451, 499])
def test_another_4xx_is_refused(status):
    """Nothing was done and nothing will be."""
    assert classify_status(status) is Kind.REFUSED


@pytest.mark.parametrize("status", [408, 409, 500, 501, 502, 504, 505, 520, 599, 600, 999, 0, 99, -1])
def test_408_409_and_5xx_but_503_are_ambiguous(status):
    """It may have been carried out; a status outside the range is taken for a 5xx."""
    assert classify_status(status) is Kind.AMBIGUOUS


HINTS = [
    {"Retry-After": "5"},
    {"retry-after": "soon"},
    {"retry-after-ms": "5"},
    {"X-RateLimit-Remaining": "0"},
    {"x-rate-limit-remaining": " 0 "},
    {"RateLimit-Remaining": "0"},
    {"x-ratelimit-remaining-tokens": "0"},
    {"RateLimit": "limit=100, remaining=0, reset=50"},
    {"RateLimit": '"default";r=0;t=50'},
    {"Stripe-Should-Retry": "true"},
    {"X-Should-Retry": "TRUE"},
    {"x-amzn-ErrorType": "ThrottlingException:http://internal.amazon.com/coral/"},
]


@pytest.mark.parametrize("headers", HINTS, ids=lambda headers: str(next(iter(headers.items()))))
def test_a_hint_turns_a_4xx_into_turned_away(headers):
    """Retry-After, a spent limit, a throttling code or a hint: come again."""
    assert classify_status(403, headers) is Kind.TURNED_AWAY
    assert classify_status(403, list(headers.items())) is Kind.TURNED_AWAY


@pytest.mark.parametrize("status", [408, 409])
@pytest.mark.parametrize("headers", HINTS, ids=lambda headers: next(iter(headers)))
def test_no_hint_makes_408_or_409_certain(status, headers):
    """They stay ambiguous whatever stands beside them."""
    assert classify_status(status, headers) is Kind.AMBIGUOUS


@pytest.mark.parametrize(
    "headers",
    [
        {"X-RateLimit-Remaining": "10"},
        {"X-RateLimit-Remaining": ""},
        {"X-RateLimit-Remaining": "none"},
        {"RateLimit": "limit=100, remaining=10, reset=0"},
        {"RateLimit": '"default";r=50;t=0'},
        {"RateLimit": '"r=0";r=5'},
        {"Stripe-Should-Retry": "false"},
        {"x-amzn-errortype": "ValidationException"},
        {"X-Other": "Retry-After"},
    ],
    ids=lambda headers: str(next(iter(headers.items()))),
)
def test_what_only_looks_like_a_hint_leaves_a_4xx_refused(headers):
    """An allowance that is left, a word against retrying, another code."""
    assert classify_status(400, headers) is Kind.REFUSED


@pytest.mark.parametrize(
    "body",
    [
        b'{"__type":"com.amazon.coral.service#ThrottlingException","message":"Rate exceeded"}',
        b'{"__type": "ProvisionedThroughputExceededException"}',
        b"<ErrorResponse><Error><Code>Throttling</Code></Error></ErrorResponse>",
        b"<Error><Code> SlowDown </Code></Error>",
        b'{"error": {"code": "lock_timeout", "type": "invalid_request_error"}}',
        b'{"error": {"errors": [{"reason": "rateLimitExceeded"}]}}',
        b'{"error": {"status": "RESOURCE_EXHAUSTED"}}',
    ],
)
def test_a_throttling_code_in_the_body_is_turned_away(body):
    """Providers throttle under 400 and 403 too."""
    assert classify_status(400, body=body) is Kind.TURNED_AWAY


@pytest.mark.parametrize(
    "body",
    [
        b'{"message": "Throttling"}',
        b'{"error": {"code": "card_declined", "message": "not a rate_limit"}}',
        b"<Message>SlowDown</Message>",
        b"\xff\xfe\x00",
        b"x" * 70_000 + b"<Code>SlowDown</Code>",
    ],
)
def test_a_code_elsewhere_in_the_body_is_none(body):
    """Only where a code stands is it read."""
    assert classify_status(400, body=body) is Kind.REFUSED


def test_kinds_say_what_may_follow():
    """Transient may be retried; where nothing was done, any request may be."""
    assert [kind for kind in Kind if kind.is_transient] == [Kind.NOT_SENT, Kind.TURNED_AWAY, Kind.AMBIGUOUS]
    assert [kind for kind in Kind if kind.did_nothing] == [Kind.NOT_SENT, Kind.TURNED_AWAY, Kind.REFUSED]
