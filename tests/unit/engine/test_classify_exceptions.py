"""What exceptions say, made by hand: chains, statuses, and what nobody knows."""

from __future__ import annotations

import http.client
import importlib
import io
import socket
import ssl
import urllib.error
from email.message import Message

import aiohttp
import botocore.exceptions
import elastic_transport
import google.api_core.exceptions as google
import httpx
import pytest
import requests
import stripe
import trio
import urllib3

from pytest_retrychaos.engine import (
    Kind,
    carried_status,
    classify_exception,
    classify_names,
    exception_chain,
    known_errors,
)


def raised(raiser):
    """Catch what a function raises."""
    try:
        raiser()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def names(error):
    """Name a chain as a trace does."""
    return [
        tuple(f"{one.__module__}.{one.__qualname__}" for one in type(link).__mro__ if one is not object)
        for link in exception_chain(error)
    ]


def chained(outer, inner):
    """Give an exception a cause."""
    outer.__cause__ = inner
    return outer


REQUEST = httpx.Request("POST", "https://api.example.com/payments")
NOT_SENT = [
    ConnectionRefusedError(111, "Connection refused"),
    socket.gaierror(-2, "Name or service not known"),
    ssl.SSLCertVerificationError(1, "certificate verify failed"),
    urllib3.exceptions.ConnectTimeoutError("late"),
    urllib3.exceptions.NewConnectionError(None, "refused"),
    urllib3.exceptions.NameResolutionError("h", None, socket.gaierror(-2, "x")),
    urllib3.exceptions.MaxRetryError(None, "/", urllib3.exceptions.NewConnectionError(None, "refused")),
    requests.ConnectTimeout(),
    requests.ConnectionError(
        urllib3.exceptions.MaxRetryError(None, "/", urllib3.exceptions.NewConnectionError(None, "no"))
    ),
    requests.exceptions.SSLError(
        urllib3.exceptions.MaxRetryError(
            None, "/", urllib3.exceptions.SSLError(ssl.SSLCertVerificationError(1, "verify"))
        )
    ),
    requests.exceptions.ProxyError(),
    httpx.ConnectError("no", request=REQUEST),
    httpx.ConnectTimeout("late", request=REQUEST),
    httpx.PoolTimeout("late", request=REQUEST),
    elastic_transport.ConnectionError("no", errors=(ConnectionRefusedError(111, "refused"),)),
    urllib.error.URLError(ConnectionRefusedError(111, "Connection refused")),
    botocore.exceptions.ConnectTimeoutError(endpoint_url="https://x"),
    botocore.exceptions.EndpointConnectionError(endpoint_url="https://x"),
    chained(stripe.APIConnectionError("no"), requests.ConnectTimeout()),
    chained(RuntimeError("payment failed"), httpx.ConnectError("no", request=REQUEST)),
]
AMBIGUOUS = [
    TimeoutError("timed out"),
    ConnectionResetError(104, "Connection reset by peer"),
    BrokenPipeError(32, "Broken pipe"),
    http.client.RemoteDisconnected("closed"),
    http.client.IncompleteRead(b"ab", 3),
    http.client.BadStatusLine("junk"),
    ssl.SSLEOFError(8, "EOF occurred in violation of protocol"),
    urllib3.exceptions.ReadTimeoutError(None, "/", "late"),
    urllib3.exceptions.ProtocolError("Connection aborted.", http.client.RemoteDisconnected("closed")),
    requests.ReadTimeout(),
    requests.ConnectionError(urllib3.exceptions.ProtocolError("aborted", ConnectionResetError(104, "reset"))),
    requests.ConnectionError(),
    requests.exceptions.ChunkedEncodingError(urllib3.exceptions.ProtocolError("x", ConnectionResetError())),
    requests.exceptions.ContentDecodingError(),
    httpx.ReadTimeout("late", request=REQUEST),
    trio.TooSlowError(),
    httpx.ReadError("reset", request=REQUEST),
    httpx.WriteError("reset", request=REQUEST),
    httpx.RemoteProtocolError("garbage", request=REQUEST),
    urllib.error.URLError(ConnectionResetError(104, "reset")),
    botocore.exceptions.ReadTimeoutError(endpoint_url="https://x"),
    botocore.exceptions.ConnectionClosedError(endpoint_url="https://x"),
    botocore.exceptions.IncompleteReadError(actual_bytes=1, expected_bytes=2),
    stripe.APIConnectionError("no"),
    elastic_transport.ConnectionError("no", errors=(aiohttp.ServerDisconnectedError(),)),
    chained(google.RetryError("late", None), ConnectionResetError(104, "reset")),
    aiohttp.http_exceptions.BadStatusLine("rubbish"),
    chained(aiohttp.ClientResponseError(None, (), status=400), aiohttp.http_exceptions.BadStatusLine("rubbish")),
]
UNKNOWN = [
    ValueError("x"),
    KeyError("id"),
    FileNotFoundError(2, "No such file"),
    PermissionError(13, "denied"),
    requests.exceptions.InvalidURL("x"),
    requests.exceptions.MissingSchema("x"),
    requests.exceptions.JSONDecodeError("x", "y", 0),
    httpx.UnsupportedProtocol("x", request=REQUEST),
    httpx.LocalProtocolError("x", request=REQUEST),
    http.client.InvalidURL("x"),
    http.client.CannotSendRequest(),
    urllib.error.URLError("no host given"),
    KeyboardInterrupt(),
    SystemExit(503),
    chained(LookupError("x"), None),
]


def name(error):
    """Name a test case."""
    return f"{type(error).__module__}.{type(error).__name__}"


def _of_a_successor():
    """Pair httpx's and httpcore's errors that are known with those of the same name in what follows them."""
    for known in sorted(known_errors.ALL):
        module, _, error = known.rpartition(".")
        if module in ("httpx", "httpcore"):
            yield pytest.param(known, f"{module}2", error, id=known)


@pytest.mark.parametrize(("known", "module", "error"), list(_of_a_successor()))
def test_a_successors_errors_say_the_same(known, module, error):
    """openai and httpware, for two, send through httpx2."""
    kind = getattr(importlib.import_module(module), error)
    assert classify_names([(f"{kind.__module__}.{kind.__qualname__}",)]) is classify_names([(known,)])


@pytest.mark.parametrize("error", NOT_SENT, ids=name)
def test_what_failed_before_sending_is_not_sent(error):
    """Refused, no name, connect timeout, TLS handshake; the names alone say the same."""
    assert classify_exception(error) is Kind.NOT_SENT
    assert classify_names(names(error)) is Kind.NOT_SENT


@pytest.mark.parametrize("error", AMBIGUOUS, ids=name)
def test_what_may_have_been_sent_is_ambiguous(error):
    """Timeouts, resets and damaged answers; the names alone say the same."""
    assert classify_exception(error) is Kind.AMBIGUOUS
    assert classify_names(names(error)) is Kind.AMBIGUOUS


@pytest.mark.parametrize("error", UNKNOWN, ids=name)
def test_what_is_no_failure_of_the_network_is_unknown(error):
    """No guess is made."""
    assert classify_exception(error) is None
    assert classify_names(names(error)) is None


def response(status, headers=None):
    """Make an answered requests response."""
    made = requests.Response()
    made.status_code = status
    made.headers.update(headers or {})
    return made


def message(**headers):
    """Make headers as http.client has them."""
    made = Message()
    for key, text in headers.items():
        made[key] = text
    return made


STATUSES = [
    (requests.HTTPError(response=response(404)), 404, Kind.REFUSED),
    (requests.HTTPError(response=response(503)), 503, Kind.TURNED_AWAY),
    (requests.HTTPError(response=response(403, {"Retry-After": "5"})), 403, Kind.TURNED_AWAY),
    (httpx.HTTPStatusError("x", request=REQUEST, response=httpx.Response(500)), 500, Kind.AMBIGUOUS),
    (
        urllib.error.HTTPError("u", 429, "Too Many", message(X="1"), io.BytesIO()),
        429,
        Kind.TURNED_AWAY,
    ),
    (
        botocore.exceptions.ClientError(
            {"Error": {"Code": "ThrottlingException"}, "ResponseMetadata": {"HTTPStatusCode": 400}}, "Op"
        ),
        400,
        Kind.TURNED_AWAY,
    ),
    (
        botocore.exceptions.ClientError(
            {"Error": {"Code": "ValidationError"}, "ResponseMetadata": {"HTTPStatusCode": 400}}, "Op"
        ),
        400,
        Kind.REFUSED,
    ),
    (stripe.CardError("declined", None, "card_declined", http_status=402), 402, Kind.REFUSED),
    (stripe.APIError("oops", http_status=500), 500, Kind.AMBIGUOUS),
    (
        stripe.InvalidRequestError("locked", None, "lock_timeout", http_status=400),
        400,
        Kind.TURNED_AWAY,
    ),
    (
        stripe.APIError("again", http_status=400, headers={"stripe-should-retry": "true"}),
        400,
        Kind.TURNED_AWAY,
    ),
    (google.ServiceUnavailable("x"), 503, Kind.TURNED_AWAY),
    (google.NotFound("x"), 404, Kind.REFUSED),
    (google.Forbidden("x", errors=[{"reason": "rateLimitExceeded"}]), 403, Kind.TURNED_AWAY),
    (urllib3.exceptions.ResponseError("too many 502 error responses"), 502, Kind.AMBIGUOUS),
]


@pytest.mark.parametrize(("error", "status", "kind"), STATUSES, ids=lambda value: str(value)[:30])
def test_an_exception_that_carries_a_status_is_judged_by_it(error, status, kind):
    """The status, its headers and the provider's code decide."""
    assert carried_status(error) == status
    assert classify_exception(error) is kind
    assert classify_exception(chained(RuntimeError("wrapped"), error)) is kind


def test_urllib3_given_up_on_a_status_is_judged_by_that_status():
    """``RetryError(MaxRetryError(ResponseError('too many 503 …')))`` of requests carries 503 in its text."""
    inner = urllib3.exceptions.ResponseError("too many 503 error responses")
    error = requests.exceptions.RetryError(urllib3.exceptions.MaxRetryError(None, "/", inner))
    assert classify_exception(error) is Kind.TURNED_AWAY
    assert classify_names(names(error)) is Kind.AMBIGUOUS


@pytest.mark.parametrize("status", [True, "503", 99, 600, None, 1000])
def test_what_is_no_status_is_not_carried(status):
    """A status is a whole number from 100 to 599."""
    error = Exception("x")
    error.status = status
    assert carried_status(error) is None


def test_a_redirect_that_an_exception_carries_decides_nothing():
    """A success status is no reason for an exception."""
    assert classify_exception(requests.TooManyRedirects(response=response(302))) is None


def test_an_attribute_that_raises_is_no_answer():
    """A foreign object's property may fail in its own way."""

    class Odd(Exception):
        @property
        def response(self):
            raise RuntimeError("no response yet")

    assert carried_status(Odd()) is None
    assert classify_exception(Odd()) is None


def test_the_chain_is_outermost_first_and_each_once():
    """Cause, reason and arguments, then context; requests nests the same exception twice."""
    refused = ConnectionRefusedError(111, "refused")
    new = urllib3.exceptions.NewConnectionError(None, "refused")
    new.__cause__ = refused
    most = urllib3.exceptions.MaxRetryError(None, "/", new)
    outer = requests.ConnectionError(most)
    outer.__context__ = most
    assert exception_chain(outer) == [outer, most, new, refused]


def test_a_chain_that_bites_its_tail_ends():
    """Cycles are walked once."""
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    assert exception_chain(first) == [first, second]
    assert classify_exception(first) is None


def test_from_none_hides_the_context():
    """What the author hid is not looked at."""

    def hide():
        try:
            raise TimeoutError("late")
        except TimeoutError:
            raise LookupError("gone") from None

    assert len(exception_chain(raised(hide))) == 1


def test_a_very_long_chain_is_cut():
    """A hundred exceptions are enough."""
    error = ValueError("0")
    for number in range(1, 5000):
        error = chained(ValueError(str(number)), error)
    assert len(exception_chain(error)) == 100


def test_an_earlier_connect_failure_does_not_make_a_read_timeout_unsent():
    """The second attempt ran inside the handler of the first: its own failure counts."""

    def second_inside_handler():
        try:
            raise ConnectionRefusedError(111, "refused")
        except ConnectionRefusedError:
            raise requests.ReadTimeout("late")  # noqa: B904 - the implicit context is what is tested

    assert classify_exception(raised(second_inside_handler)) is Kind.AMBIGUOUS


def test_a_reset_while_connecting_is_not_sent(monkeypatch):
    """The traceback runs through ``socket.create_connection``: nothing was written yet."""

    def reset(*_):
        raise ConnectionResetError(104, "reset")

    monkeypatch.setattr(socket.socket, "connect", reset)
    error = raised(lambda: socket.create_connection(("127.0.0.1", 9), timeout=1))
    assert classify_exception(error) is Kind.NOT_SENT
    assert classify_exception(ConnectionResetError(104, "reset")) is Kind.AMBIGUOUS


def test_an_earlier_failure_while_connecting_does_not_make_a_timeout_unsent(monkeypatch):
    """The traceback of the context is another attempt's."""

    def reset(*_):
        raise ConnectionResetError(104, "reset")

    def second_inside_handler():
        try:
            socket.create_connection(("127.0.0.1", 9), timeout=1)
        except ConnectionResetError:
            raise TimeoutError("late")  # noqa: B904 - the implicit context is what is tested

    monkeypatch.setattr(socket.socket, "connect", reset)
    assert classify_exception(raised(second_inside_handler)) is Kind.AMBIGUOUS


def test_an_unreachable_network_is_known_by_its_number():
    """A plain OSError is judged by errno; other numbers are no failure of the network."""
    assert classify_exception(OSError(113, "No route to host")) is Kind.AMBIGUOUS
    assert classify_exception(OSError(28, "No space left")) is None


def test_subclasses_are_judged_as_their_base():
    """A library's own subclass needs no row."""

    class Lost(requests.ReadTimeout):
        pass

    assert classify_exception(Lost()) is Kind.AMBIGUOUS
    assert classify_names([("shop.errors.Lost", "requests.exceptions.ReadTimeout")]) is Kind.AMBIGUOUS


def test_no_names_say_nothing():
    """An empty chain is unknown."""
    assert classify_names([]) is None
