"""What is noted of an attempt: when it began, was answered and ended, and how."""

from __future__ import annotations

import asyncio
import http.client
import socket
import time

import aiohttp
import httpx
import pytest
import requests

from pytest_retrychaos import Chaos
from pytest_retrychaos.model import SECOND
from tests.unit.record.wire import JSON, groups, reasons, send, sends

LONG = "x" * 100_000
"""More than a client reads at once."""


def connect(timeout: float | None = 5) -> http.client.HTTPConnection:
    """Open a connection of its own."""
    return http.client.HTTPConnection("service.test", timeout=timeout)


def test_moments_of_an_answer_that_comes_slowly(chaos: Chaos) -> None:
    """Headers after the delay, the last byte when the body is whole."""
    chaos.script("slow=2s, drip=4s")

    send()
    send()

    slow, drip = chaos.attempts
    assert (slow.began_ns, slow.headers_ns, slow.last_byte_ns, slow.ended_ns) == (
        0,
        2 * SECOND,
        2 * SECOND,
        2 * SECOND,
    )
    assert (drip.began_ns, drip.headers_ns, drip.last_byte_ns, drip.ended_ns) == (
        2 * SECOND,
        2 * SECOND,
        6 * SECOND,
        6 * SECOND,
    )


def test_a_failed_answer_has_ended_with_its_headers(chaos: Chaos) -> None:
    """The client need not read the body of a 503 before it tries again."""
    chaos.service.route("POST", "/payments", lambda _: (503, LONG))

    first = connect()
    first.request("POST", "/payments", b"{}", JSON)
    answer = first.getresponse()
    time.sleep(1)
    answer.read()
    first.close()

    (attempt,) = chaos.attempts
    assert (attempt.headers_ns, attempt.ended_ns, attempt.last_byte_ns) == (0, 0, SECOND)
    assert attempt.failed


def test_a_retry_before_the_failed_body_was_read_joins(chaos: Chaos) -> None:
    """It had ended, though its connection was still open."""
    chaos.service.route("POST", "/payments", lambda _: (503, LONG))
    first, second = connect(), connect()

    def client() -> None:
        first.request("POST", "/payments", b"{}", JSON)
        first.getresponse()
        second.request("POST", "/payments", b"{}", JSON)
        second.getresponse().read()

    client()
    first.close()
    second.close()

    assert groups(chaos) == [[1, 2]]
    assert reasons(chaos) == ["began", "retry"]


def test_a_success_has_not_ended_before_its_last_byte(chaos: Chaos) -> None:
    """The second began while the first was still being read."""
    chaos.service.route("POST", "/payments", lambda _: (201, LONG))
    fields = {**JSON, "Idempotency-Key": "k1"}
    first, second = connect(), connect()

    def client() -> None:
        first.request("POST", "/payments", b"{}", fields)
        answer = first.getresponse()
        second.request("POST", "/payments", b"{}", fields)
        second.getresponse().read()
        answer.read()

    client()
    first.close()
    second.close()

    assert reasons(chaos) == ["began", "hedge"]


def test_the_wall_clock_is_noted_when_the_headers_came(chaos: Chaos) -> None:
    """A date in Retry-After is read against it."""
    chaos.script("slow=2s")

    began = time.time()
    send()

    assert chaos.attempts[0].wall_ns == (began + 2) * SECOND


def test_the_clients_own_timeout_is_noted(chaos: Chaos) -> None:
    """As last seen on the connection."""
    chaos.script("timeout, ok")

    connection = connect(timeout=3)
    connection.request("POST", "/payments", b"{}", JSON)
    with pytest.raises(TimeoutError):
        connection.getresponse()
    connection.close()
    requests.get(chaos.url, timeout=(1, 7))

    silent, answered = chaos.attempts
    assert (silent.timeout_ns, silent.ended_ns, silent.error) == (3 * SECOND, 3 * SECOND, "TimeoutError: timed out")
    assert answered.timeout_ns == 7 * SECOND


def test_no_timeout_is_noted_as_none(chaos: Chaos) -> None:
    """The client would have waited for ever."""
    connection = connect(timeout=None)
    connection.request("GET", "/")
    connection.getresponse().read()
    connection.close()

    assert chaos.attempts[0].timeout_ns is None


def test_silence_with_no_deadline_is_noted(chaos: Chaos) -> None:
    """The run was ended there."""
    chaos.script("timeout")
    connection = connect(timeout=None)
    connection.request("GET", "/")

    with pytest.raises(BaseException, match="without any timeout"):
        connection.getresponse()
    connection.close()

    assert chaos.attempts[0].was_silent
    assert chaos.attempts[0].failed


def test_a_refused_connection_notes_the_timeout_and_the_error(chaos: Chaos) -> None:
    """Nothing was sent."""
    chaos.script("refuse")

    send()

    (attempt,) = chaos.attempts
    assert (attempt.method, attempt.target, attempt.reached, attempt.was_sent) == (None, None, False, False)
    assert (attempt.timeout_ns, attempt.error) == (5 * SECOND, "ConnectionRefusedError: [Errno 111] Connection refused")


@pytest.mark.parametrize("fault", ["timeout", "timeout after-commit"])
def test_closing_while_the_service_is_silent_is_a_timeout(chaos: Chaos, fault: str) -> None:
    """A client with a clock of its own does not wait for the socket's."""
    chaos.script(fault)

    connection = connect()
    connection.request("POST", "/payments", b"{}", JSON)
    time.sleep(2)
    connection.close()

    (attempt,) = chaos.attempts
    assert attempt.error == "timeout: closed by the client while the service was silent"
    assert (attempt.failed, attempt.cut, attempt.ended_ns) == (True, False, 2 * SECOND)


def test_closing_while_the_answer_is_on_its_way_is_a_cut(chaos: Chaos) -> None:
    """The client had seen what it wanted."""
    chaos.service.route("GET", "/things", lambda _: LONG)
    connection = connect()
    connection.request("GET", "/things")
    answer = connection.getresponse()
    answer.close()
    connection.close()

    (attempt,) = chaos.attempts
    assert (attempt.cut, attempt.failed, attempt.error) == (True, False, None)
    assert attempt.last_byte_ns is None


WAITED = "cut: closed by the client while it waited for the rest of the answer"


@pytest.mark.parametrize(("limit", "error"), [(3, None), (3.5, WAITED)])
@pytest.mark.parametrize("library", ["httpx", "aiohttp"])
def test_a_limit_that_ends_the_wait_for_a_body_is_no_success(
    chaos: Chaos, library: str, limit: float, error: str | None
) -> None:
    """A loop closes the connection, and the service learns of no timeout. As a piece comes it may be enough."""
    chaos.script("drip=10s")  # ten pieces, one a second

    async def post() -> None:
        async with asyncio.timeout(limit):
            if library == "httpx":
                async with httpx.AsyncClient(timeout=None) as client:
                    await client.post("http://service.test/payments", json={})
            else:
                async with (
                    aiohttp.ClientSession() as session,
                    session.post("http://service.test/payments", json={}) as got,
                ):
                    await got.read()

    with pytest.raises(TimeoutError):
        asyncio.run(post())

    (attempt,) = chaos.attempts
    assert (attempt.cut, attempt.failed, attempt.error) == (True, error is not None, error)
    assert attempt.committed


@pytest.mark.parametrize("until", [0, 2])
def test_who_stops_reading_in_the_middle_had_enough(chaos: Chaos, until: float) -> None:
    """A client that blocks reads piece by piece, works on each, and closes."""
    chaos.script("drip=10s")
    connection = connect()
    connection.request("POST", "/payments", b"{}", JSON)
    answer = connection.getresponse()
    began = time.monotonic()
    while time.monotonic() - began < until:
        answer.read1(1)
    time.sleep(0.2)
    answer.close()
    connection.close()

    (attempt,) = chaos.attempts
    assert (attempt.cut, attempt.failed, attempt.error) == (True, False, None)


def test_closing_before_the_request_was_whole_is_a_cut(chaos: Chaos) -> None:
    """The client's own body could not be read to its end."""
    connection = connect()
    connection.putrequest("POST", "/payments")
    connection.putheader("Content-Length", "10")
    connection.endheaders(b"1234")
    connection.close()

    (attempt,) = chaos.attempts
    assert (attempt.cut, attempt.failed) == (True, True)
    assert attempt.error == "cut: closed by the client before the request was whole"
    assert (attempt.body.size, attempt.body.start, attempt.body.announced, attempt.arrived_ns) == (4, b"1234", 10, None)


def test_a_damaged_answer_is_a_failure_though_its_status_is_none(chaos: Chaos) -> None:
    """Half a body, and bytes that are not HTTP."""
    chaos.script("truncate, garbage")

    sends({}, {}, {})

    truncated, garbage, done = chaos.attempts
    assert (truncated.status, truncated.failed, truncated.error) == (
        201,
        True,
        "EOF: the connection ended before the answer was whole",
    )
    assert (garbage.status, garbage.failed, garbage.cut, garbage.headers_ns) == (None, True, False, None)
    assert garbage.error == "garbage: the answer was not HTTP"
    assert groups(chaos) == [[1, 2, 3]]
    assert not done.failed


def test_an_end_without_an_answer_is_noted(chaos: Chaos) -> None:
    """The service closed the connection."""
    chaos.script("eof, reset")

    sends({}, {})

    assert [attempt.error for attempt in chaos.attempts] == [
        "EOF: the connection ended without an answer",
        "ConnectionResetError: [Errno 104] Connection reset by peer",
    ]


def test_an_answer_without_a_body_ends_at_once(chaos: Chaos) -> None:
    """HEAD and 204 have no last byte beyond their headers."""
    connection = connect()
    connection.request("HEAD", "/things")
    connection.getresponse()

    (attempt,) = chaos.attempts
    assert (attempt.headers_ns, attempt.last_byte_ns, attempt.ended_ns) == (0, 0, 0)
    connection.close()


def test_a_request_in_flight_has_not_ended(chaos: Chaos) -> None:
    """The record can be read before the client reads its answer."""
    connection = connect()
    connection.request("GET", "/things")

    (attempt,) = chaos.attempts
    assert (attempt.ended, attempt.headers_ns, attempt.failed) == (None, None, False)
    connection.close()


def test_a_plain_socket_is_noted_too(chaos: Chaos) -> None:
    """No client library is needed."""
    with socket.create_connection(("service.test", 80), timeout=2) as plain:
        plain.sendall(b"GET /things HTTP/1.1\r\nHost: service.test\r\nConnection: close\r\n\r\n")
        while plain.recv(100):
            pass

    (attempt,) = chaos.attempts
    assert (attempt.status, attempt.timeout_ns, attempt.last_byte_ns) == (200, 2 * SECOND, 0)
