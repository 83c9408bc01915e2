"""What real clients do on a connection: reuse, chunks, Expect, HEAD, no body, redirects, large bodies."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import http.client
import io
import socket
import time

import aiohttp
import httpx
import pytest
import requests
import trio
import urllib3

from pytest_retrychaos.model import Headers, Response

MEGABYTE = 2**20


def exchange(chaos, *pieces: bytes, timeout: float = 5) -> bytes:
    """Write bytes to the service by hand and read until it closes or falls silent."""
    with socket.create_connection(("service.test", 80), timeout=timeout) as connection:
        for piece in pieces:
            connection.sendall(piece)
        received = b""
        try:
            while piece := connection.recv(65536):
                received += piece
        except TimeoutError:
            pass
        return received


def test_a_session_keeps_one_connection_for_many_requests(chaos):
    """The pool opens one connection and uses it three times."""
    session = requests.Session()

    for _ in range(3):
        session.get(f"{chaos.url}/payments", timeout=5)

    pools = session.get_adapter(chaos.url).poolmanager.pools
    assert [(pools[key].num_connections, pools[key].num_requests) for key in pools.keys()] == [(1, 3)]  # noqa: SIM118 - it is no mapping that iterates


def test_a_scripted_failure_keeps_the_connection_open(chaos):
    """A 503 is an answer like any other: the next request travels on the same connection."""
    chaos.script("503, ok")
    pool = urllib3.HTTPConnectionPool("service.test", retries=urllib3.Retry(1, status_forcelist=[503]))

    pool.request("GET", "/payments", timeout=5)

    assert (pool.num_connections, pool.num_requests) == (1, 2)


def test_a_refused_connection_strikes_a_client_with_a_pool(chaos):
    """The idle connection is closed beforehand, so that the refusal can strike; urllib3 sees that it was dropped."""
    session = requests.Session()
    session.get(f"{chaos.url}/payments", timeout=5)
    chaos.script("refuse, ok")

    with pytest.raises(requests.ConnectionError):
        session.get(f"{chaos.url}/payments", timeout=5)

    assert session.get(f"{chaos.url}/payments", timeout=5).status_code == 200


def test_a_chunked_upload_arrives_whole(chaos):
    """A generator is sent in chunks; the service sees the body that they make."""
    bodies = []
    chaos.service.route("POST", "/upload", lambda request: bodies.append(request.body) or {})

    requests.post(f"{chaos.url}/upload", data=iter([b"one ", b"two ", b"three"]), timeout=5)
    httpx.post(f"{chaos.url}/upload", content=iter([b"one ", b"two ", b"three"]))

    assert bodies == [b"one two three", b"one two three"]


def test_a_chunked_download_arrives_whole(chaos):
    """An answer with ``Transfer-Encoding: chunked`` is read as one body by every client."""
    content = b"x" * 200_000
    answer = Response(200, Headers({"Transfer-Encoding": "chunked"}), content)
    chaos.service.route("GET", "/download", lambda _: answer)

    assert requests.get(f"{chaos.url}/download", timeout=5).content == content
    assert httpx.get(f"{chaos.url}/download").content == content
    assert urllib3.request("GET", f"{chaos.url}/download", timeout=5).data == content


def test_a_chunked_download_that_breaks_off_is_found_out(chaos):
    """Half of the chunks arrive: no client takes that for a whole answer."""
    answer = Response(200, Headers({"Transfer-Encoding": "chunked"}), b"x" * 200_000)
    chaos.service.route("GET", "/download", lambda _: answer)
    chaos.script("truncate x2")

    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        requests.get(f"{chaos.url}/download", timeout=5)
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(f"{chaos.url}/download")


def test_expect_100_continue_is_answered_before_the_body(chaos):
    """The client that waits for ``100 Continue`` gets it once the head has arrived."""
    with socket.create_connection(("service.test", 80), timeout=5) as connection:
        connection.sendall(
            b"POST /payments HTTP/1.1\r\nHost: service.test\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
        )
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"{}")
        assert connection.recv(1000).startswith(b"HTTP/1.1 201 Created\r\n")


def test_http_client_skips_100_continue(chaos):
    """A client that sends ``Expect`` and does not wait reads past the interim answer."""
    connection = http.client.HTTPConnection("service.test", timeout=5)
    connection.request("POST", "/payments", b"{}", {"Expect": "100-continue"})

    assert connection.getresponse().status == 201


def test_head_has_a_length_and_no_body(chaos):
    """The connection stays usable after it."""
    session = requests.Session()
    chaos.service.route("HEAD", "/report", lambda _: Response(200, body=b"a report"))

    response = session.head(f"{chaos.url}/report", timeout=5)

    assert response.headers["Content-Length"] == "8"
    assert response.content == b""
    assert session.get(f"{chaos.url}/payments", timeout=5).status_code == 200


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_without_a_body_leaves_the_connection_usable(chaos, status):
    """204 and 304 end with their headers."""
    session = requests.Session()
    chaos.service.route("GET", "/nothing", lambda _: Response(status, body=b"never sent"))

    assert session.get(f"{chaos.url}/nothing", timeout=5).content == b""
    assert session.get(f"{chaos.url}/payments", timeout=5).status_code == 200


@pytest.mark.parametrize("status", [307, 308])
def test_a_redirect_is_a_leg_of_its_operation(chaos, status):
    """The client follows it with the same method and body, and no retry is counted."""
    moved = Response(status, Headers({"Location": "/v2/payments"}))
    chaos.service.route("POST", "/payments", lambda _: moved)

    assert requests.post(f"{chaos.url}/payments", json={"amount": 1}, timeout=5).status_code == 201

    assert [attempt.joined for attempt in chaos.attempts] == ["began", "leg"]
    assert len(chaos.operations) == 1
    assert chaos.waits == []
    assert chaos.verify().ok


def test_a_redirect_after_a_post_is_fetched_with_get(chaos):
    """303 sends the client to what it made: httpx follows where it is told to."""
    seen = Response(303, Headers({"Location": "/payments/1"}))
    chaos.service.route("POST", "/payments", lambda _: seen)
    chaos.service.route("GET", "/payments/1", lambda _: {"id": "1"})

    response = httpx.post(f"{chaos.url}/payments", json={}, follow_redirects=True)

    assert response.json() == {"id": "1"}
    assert [attempt.method for attempt in chaos.attempts] == ["POST", "GET"]
    assert len(chaos.operations) == 1
    assert chaos.verify().ok


def test_a_body_shorter_than_announced_is_waited_for_and_recorded(chaos):
    """The service waits as a real one would; the client's own timeout ends it, and nothing is carried out."""
    connection = http.client.HTTPConnection("service.test", timeout=5)
    connection.request("POST", "/payments", b"only this", {"Content-Length": "100"})

    with pytest.raises(TimeoutError):
        connection.getresponse()
    connection.close()

    attempt = chaos.attempts[0]
    assert (attempt.body.size, attempt.body.announced, attempt.body.start) == (9, 100, b"only this")
    assert chaos.clock.elapsed == 5
    assert chaos.ledger == ()


def test_a_body_that_stays_short_is_recorded_when_the_client_has_waited_enough(chaos):
    """Though the connection is still open; the retry on another one is the same operation."""
    connections = [http.client.HTTPConnection("service.test", timeout=5) for _ in range(2)]
    for connection, body in zip(connections, [b"01234", b"0123456789"], strict=True):
        connection.request("PUT", "/a", body, {"Content-Length": "10"})
        with contextlib.suppress(TimeoutError):
            connection.getresponse()

    first, second = chaos.attempts
    assert (first.body.start, first.body.announced, first.error) == (b"01234", 10, "TimeoutError: timed out")
    assert (second.operation, second.joined, second.body_relation) == (first.operation, "retry", "same")
    assert len(chaos.ledger) == 1
    for connection in connections:
        connection.close()


def test_the_rest_of_a_body_may_come_after_a_wait(chaos):
    """The service goes on waiting, as a real one does for a minute or so."""
    with socket.create_connection(("service.test", 80), timeout=5) as connection:
        connection.sendall(b"PUT /a HTTP/1.1\r\nHost: service.test\r\nContent-Length: 10\r\n\r\n01234")
        with pytest.raises(TimeoutError):
            connection.recv(100)
        assert chaos.attempts[0].body.announced == 10
        connection.sendall(b"56789")
        assert connection.recv(100).startswith(b"HTTP/1.1 201 Created")

    (attempt,) = chaos.attempts
    assert (attempt.body.start, attempt.body.announced, attempt.committed) == (b"0123456789", None, True)


def test_a_client_that_ends_its_side_in_the_body_is_told_400(chaos):
    """The service sees that the rest will never come, and says so at once; a real one does."""
    connection = http.client.HTTPConnection("service.test", timeout=5)
    connection.request("POST", "/payments", b"only this", {"Content-Length": "100"})
    connection.sock.shutdown(socket.SHUT_WR)

    (waiting,) = chaos.attempts
    response = connection.getresponse()

    assert (response.status, response.getheader("Connection"), response.read()) == (400, "close", b"")
    assert (waiting.body.start, waiting.body.announced) == (b"only this", 100)
    assert (chaos.clock.elapsed, chaos.ledger) == (0, ())


def test_a_client_that_ends_its_side_after_the_request_is_answered(chaos):
    """As over HTTPS, where the socket is another object; then both sides have ended."""
    connection = http.client.HTTPSConnection("service.test", timeout=5)
    connection.request("POST", "/payments", b"{}")
    connection.sock.shutdown(socket.SHUT_WR)

    assert connection.getresponse().read().startswith(b'{"id"')
    assert len(chaos.ledger) == 1
    connection.close()


def test_a_client_that_reads_no_more_gets_the_end(chaos):
    """Without waiting for its timeout."""
    chaos.script("timeout", strict=False)
    with socket.create_connection(("service.test", 80), timeout=5) as connection:
        connection.sendall(b"GET /a HTTP/1.1\r\nHost: service.test\r\n\r\n")
        connection.shutdown(socket.SHUT_RD)
        assert connection.recv(100) == b""

        with pytest.raises(OSError, match="Invalid argument"):
            connection.shutdown(7)

    assert chaos.clock.elapsed == 0


def test_requests_uploads_and_downloads_100_megabytes(chaos):
    """The trace keeps length, digest and the first KiB of each."""
    content = bytes(range(256)) * (100 * MEGABYTE // 256)
    chaos.service.route("POST", "/upload", lambda request: Response(200, body=request.body))

    response = requests.post(f"{chaos.url}/upload", data=io.BytesIO(content), timeout=60)

    assert response.content == content
    attempt = chaos.attempts[0]
    for body in (attempt.body, attempt.response_body):
        assert body.size == 100 * MEGABYTE
        assert body.sha256 == hashlib.sha256(content).hexdigest()
        assert body.start == content[:1024]


def test_httpx_uploads_and_downloads_100_megabytes(chaos):
    """The same through httpx, streamed in both directions."""
    content = b"0123456789abcdef" * (100 * MEGABYTE // 16)
    chaos.service.route("POST", "/upload", lambda request: Response(200, body=request.body))
    digest = hashlib.sha256()

    with httpx.stream("POST", f"{chaos.url}/upload", content=io.BytesIO(content), timeout=60) as response:
        for piece in response.iter_bytes():
            digest.update(piece)

    assert digest.hexdigest() == hashlib.sha256(content).hexdigest() == chaos.attempts[0].body.sha256


def test_two_requests_in_one_piece_are_answered_in_turn(chaos):
    """A pipelining client gets both answers."""
    head = b"GET /payments HTTP/1.1\r\nHost: service.test\r\n\r\n"

    answer = exchange(chaos, head + head)

    assert answer.count(b"HTTP/1.1 200 OK") == 2
    assert len(chaos.attempts) == 2


def test_a_request_in_single_bytes_is_understood(chaos):
    """TCP keeps no boundaries."""
    head = b"GET /payments HTTP/1.1\r\nHost: service.test\r\nConnection: close\r\n\r\n"

    assert exchange(chaos, *(head[place : place + 1] for place in range(len(head)))).startswith(b"HTTP/1.1 200 OK")


def test_a_socket_given_a_name_looks_it_up(chaos):
    """``connect`` resolves by itself what nobody has looked up before."""
    chaos.script("dns, ok")
    with pytest.raises(socket.gaierror), socket.socket() as sock:
        sock.connect(("api.example.com", 80))
    with socket.socket() as sock:
        sock.connect(("api.example.com", 80))
        sock.sendall(b"GET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n")
        assert sock.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_a_dns_step_strikes_trio_which_asks_for_a_number_first(chaos):
    """A name is no number: that look-up fails by itself, and takes no step."""
    chaos.script("dns, ok")

    async def send() -> int:
        async with httpx.AsyncClient() as client:
            return (await client.get("http://api.example.com/payments")).status_code

    with pytest.raises(httpx.ConnectError):
        trio.run(send)
    assert trio.run(send) == 200
    assert [attempt.fault for attempt in chaos.attempts] == ["dns", "ok"]


@pytest.mark.parametrize("fault", ["refuse", "dns", "connect-timeout"])
@pytest.mark.parametrize("host", ["10.0.0.1", "[2001:db8::1]"])
def test_a_literal_address_has_one_name_sent_or_not(chaos, host, fault):
    """The retry of what was not sent belongs to it."""
    chaos.script(f"{fault}, ok")

    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://{host}/payments", timeout=5)
    time.sleep(1)
    assert requests.get(f"http://{host}/payments", timeout=5).status_code == 200

    assert {attempt.host for attempt in chaos.attempts} == {host}


def test_a_dns_step_strikes_aiohttp_which_keeps_names(chaos):
    """Its connector asks for a name once in ten seconds: in between the step refuses it."""
    chaos.script("503, dns, ok")

    async def statuses() -> list[object]:
        seen: list[object] = []
        async with aiohttp.ClientSession() as session:
            for wait in (1, 2, 0):
                try:
                    async with session.get("http://api.example.com/payments") as answer:
                        seen.append(answer.status)
                except aiohttp.ClientConnectorError as error:
                    seen.append(type(error.os_error).__name__)
                await asyncio.sleep(wait)
        return seen

    assert asyncio.run(statuses()) == [503, "ConnectionRefusedError", 200]
    assert [attempt.fault for attempt in chaos.attempts] == ["503", "dns", "ok"]
    assert len(chaos.operations) == 1
