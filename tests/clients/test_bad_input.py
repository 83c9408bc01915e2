"""What a real server would refuse, and what cannot be simulated, each named."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import re
import socket
from typing import Any

import aiohttp
import httpx
import pytest
import requests
import trio
import urllib3

from pytest_retrychaos import Chaos, NoTimeout
from pytest_retrychaos.clock.errors import Refused


def by_hand(content: bytes) -> bytes:
    with socket.create_connection(("service.test", 80), timeout=5) as connection:
        connection.sendall(content)
        return connection.recv(65536)


def test_a_target_over_the_limit_is_414(chaos):
    """As Apache and nginx refuse more than 8 KiB of request line."""
    assert requests.get(f"{chaos.url}/{'x' * 9000}", timeout=5).status_code == 414
    assert httpx.get(f"{chaos.url}/{'x' * 9000}").status_code == 414
    assert [attempt.status for attempt in chaos.attempts] == [414, 414]


def test_a_header_block_over_the_limit_is_431(chaos):
    """64 KiB of headers are too many."""
    assert requests.get(f"{chaos.url}/payments", headers={"X-Much": "x" * 70_000}, timeout=5).status_code == 431


def test_a_line_that_is_no_request_is_400(chaos):
    """Bytes that are no HTTP are answered as a real server answers them."""
    assert by_hand(b"nonsense\r\n\r\n").startswith(b"HTTP/1.1 400 Bad Request\r\n")


@pytest.mark.parametrize(
    "content", [b"\x00\x00\x00\x08\x04\xd2\x16/", b"*1\r\n$4\r\nPING\r\n", b"\x05\x01\x00", b"AMQP\x00\x00\x09\x01"]
)
def test_another_protocol_is_refused_by_name(chaos, content):
    """PostgreSQL, Redis, SOCKS and AMQP: a 400 would be read as something else."""
    with pytest.raises(Refused, match=r"^a protocol other than HTTP \(service\.test was sent b'.+' first\) cannot be"):
        by_hand(content)

    forget(chaos)


@pytest.mark.parametrize("header", [b"Content-Length: x\r\n", b"Content-Length: -1\r\n", b"no colon\r\n"])
def test_a_bad_header_is_400(chaos, header):
    """The parser refuses it."""
    assert by_hand(b"GET / HTTP/1.1\r\nHost: service.test\r\n" + header + b"\r\n").startswith(b"HTTP/1.1 400 ")


def test_a_request_without_a_host_is_400(chaos):
    """As a real server has to answer (RFC 9112, 3.2)."""
    connection = http.client.HTTPConnection("service.test", timeout=5)
    connection.putrequest("POST", "/payments", skip_host=True)
    connection.putheader("Content-Length", "0")
    connection.endheaders()

    assert connection.getresponse().status == 400
    assert chaos.ledger == ()
    connection.close()


def test_a_refused_request_has_no_effect_and_is_an_attempt(chaos):
    """The trace shows what was sent and why it went no further."""
    requests.post(f"{chaos.url}/{'x' * 9000}", json={"amount": 1}, timeout=5)

    assert chaos.attempts[0].method == "POST"
    assert chaos.ledger == ()


def test_a_body_of_invalid_utf8_is_taken_as_bytes(chaos):
    """Nothing is lost, and the trace goes to JSON and back."""
    content = b"\xff\xfe\x80 not text \xc3"
    bodies = []
    chaos.service.route("POST", "/upload", lambda request: bodies.append(request.body) or {})

    requests.post(f"{chaos.url}/upload", data=content, timeout=5)

    assert bodies == [content]
    assert type(chaos.trace).from_json(chaos.trace.to_json()).attempts[0].body.start == content


def test_a_json_header_over_invalid_utf8_does_no_harm(chaos):
    """Looking for an idempotency key in it finds none."""
    headers = {"Content-Type": "application/json"}

    response = requests.post(f"{chaos.url}/payments", data=b'{"requestId": "\xff"', headers=headers, timeout=5)

    assert response.status_code in (201, 400)
    assert chaos.attempts[0].key is None


def test_a_line_break_in_a_header_is_refused_by_the_client(chaos):
    """No header can be smuggled in: the client itself refuses, and nothing is sent."""
    with pytest.raises(requests.exceptions.InvalidHeader):
        requests.get(f"{chaos.url}/payments", headers={"X-Name": "a\r\nX-Other: b"}, timeout=5)

    assert chaos.attempts == ()


@pytest.mark.chaos(hosts=("api.example.com",))
def test_a_host_that_is_not_among_hosts_is_named(chaos):
    """The request does not leave, and the error says what to add."""
    assert requests.get("https://api.example.com/payments", timeout=5).status_code == 200

    with pytest.raises(Refused, match=re.escape("'other.example.com', which is not among hosts=('api.example.com',)")):
        requests.get("https://other.example.com/payments", timeout=5)

    forget(chaos)


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda url: requests.get(url), id="requests"),
        pytest.param(lambda url: urllib3.PoolManager().request("GET", url, timeout=None), id="urllib3"),
        pytest.param(lambda url: httpx.get(url, timeout=None), id="httpx"),
    ],
)
def test_a_client_without_a_timeout_that_meets_silence_is_told_so(chaos, call):
    """It does not hang, no ``except Exception`` can swallow it, and it is BK07."""
    chaos.script("timeout")

    with pytest.raises(NoTimeout, match=r"waits for service\.test without any timeout and met silence"):
        call(f"{chaos.url}/payments")

    assert chaos.clock.elapsed == 0
    assert not issubclass(NoTimeout, Exception)
    with pytest.raises(AssertionError, match=r"^BK07 "):
        chaos.verify()


def test_http2_by_prior_knowledge_is_refused_by_name(chaos):
    """What cannot be simulated says so, and points to what can be done."""
    with pytest.raises(Refused, match="HTTP/2 by prior knowledge cannot be simulated"):
        by_hand(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")

    forget(chaos)


def test_a_websocket_upgrade_is_refused_by_name(chaos):
    """It is not answered as if it were an ordinary request."""
    headers = {"Connection": "Upgrade", "Upgrade": "websocket"}

    with pytest.raises(Refused, match="'websocket' cannot be simulated"):
        requests.get(f"{chaos.url}/feed", headers=headers, timeout=5)

    forget(chaos)


def test_a_refusal_that_the_code_swallows_still_fails_the_test(chaos):
    """``verify`` raises it, whatever the code under test made of it."""
    with contextlib.suppress(Exception):
        requests.get(f"{chaos.url}/feed", headers={"Connection": "Upgrade", "Upgrade": "websocket"}, timeout=5)

    with pytest.raises(Refused):
        chaos.verify()

    forget(chaos)


def test_a_proxy_given_in_code_sees_the_absolute_form(chaos):
    """The service answers for the host that the target names."""
    response = requests.get(
        "http://api.example.com/payments", proxies={"http": "http://proxy.example.com:3128"}, timeout=5
    )

    assert response.status_code == 200
    assert (chaos.attempts[0].host, chaos.attempts[0].target) == ("api.example.com", "/payments")


def test_a_tunnel_through_a_proxy_is_refused_by_name(chaos):
    """CONNECT cannot be simulated."""
    with pytest.raises(Refused, match=r"tunnel to api\.example\.com:443 .* call the service itself"):
        requests.get("https://api.example.com/payments", proxies={"https": "http://proxy.example.com:3128"}, timeout=5)

    forget(chaos)


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_a_proxy_put_into_the_environment_in_the_test_is_named(chaos, monkeypatch, name):
    """Those set before are out of the way; one set meanwhile is what led the client there."""
    monkeypatch.setenv(name, "http://proxy.example.com:3128")

    with pytest.raises(Refused) as refused:
        requests.get("https://api.example.com/payments", timeout=5)

    assert str(refused.value) == (
        "a proxy tunnel to api.example.com:443 through proxy.example.com cannot be simulated: "
        f"{name}='http://proxy.example.com:3128' was put into the environment after chaos began. "
        "Take it out for this test; what is set before chaos begins is ignored"
    )

    forget(chaos)


def forget(chaos) -> None:
    """Let a test pass that asked for a refusal: it would fail at its end otherwise."""
    chaos._run.exchange.problems.clear()


def test_what_is_refused_is_told_to_a_client_that_handles_an_error_meanwhile():
    """It sends again where it has caught the failure: what it gets is the refusal, and not what it caught."""
    with Chaos("reset, ok") as chaos:
        try:
            requests.get(f"{chaos.url}/x", timeout=5)
        except requests.ConnectionError:
            with pytest.raises(Refused, match="an upgrade to 'websocket' cannot be simulated"):
                requests.get(f"{chaos.url}/x", headers={"Upgrade": "websocket", "Connection": "Upgrade"}, timeout=5)
        with pytest.raises(Refused):
            chaos.judge.finish()


def test_a_target_over_the_limit_is_414_to_a_client_that_handles_an_error_meanwhile(chaos):
    """The service's own answers, too, are decided while its parser reads."""
    chaos.script("reset, ok", strict=False)
    try:
        requests.get(f"{chaos.url}/x", timeout=5)
    except requests.ConnectionError:
        assert requests.get(f"{chaos.url}/{'x' * 9000}", timeout=5).status_code == 414


async def _ask_by_aiohttp(url: str) -> None:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as session:
        await session.get(url)


async def _ask_by_httpx(url: str) -> None:
    async with httpx.AsyncClient(timeout=None) as client:
        await client.get(url)


@pytest.mark.parametrize("ask", [_ask_by_aiohttp, _ask_by_httpx])
@pytest.mark.parametrize("refreshes", [False, True], ids=["alone", "beside a refresher"])
def test_silence_without_a_timeout_in_asyncio_is_told(chaos: Chaos, ask: Any, refreshes: bool) -> None:
    """What else the loop does goes on for ever, and does not hide it."""
    chaos.script("ok, timeout")

    async def refresh() -> None:
        while True:
            await asyncio.sleep(60)

    async def main() -> None:
        refresher = asyncio.ensure_future(refresh()) if refreshes else None
        for _ in range(2):
            await ask(chaos.url)
        assert refresher is None

    with pytest.raises(NoTimeout):
        asyncio.run(main())
    assert chaos.clock.elapsed <= 24 * 3600


@pytest.mark.parametrize("refreshes", [False, True], ids=["alone", "beside a refresher"])
def test_silence_without_a_timeout_in_trio_is_told(chaos: Chaos, refreshes: bool) -> None:
    """As above; the loop ends with it."""
    chaos.script("ok, timeout")

    async def refresh() -> None:
        while True:
            await trio.sleep(60)

    async def main() -> None:
        if refreshes:
            trio.lowlevel.spawn_system_task(refresh)
        for _ in range(2):
            await _ask_by_httpx(chaos.url)

    with pytest.raises(NoTimeout):
        trio.run(main)
    assert chaos.clock.elapsed <= 24 * 3600
    assert trio.run(trio.sleep, 1) is None


def test_a_long_timeout_beside_a_refresher_is_waited_for(chaos: Chaos) -> None:
    """Half an hour of silence is over when the client says so."""
    chaos.script("timeout")

    async def refresh() -> None:
        while True:
            await asyncio.sleep(60)

    async def main() -> None:
        refresher = asyncio.ensure_future(refresh())
        async with httpx.AsyncClient(timeout=1800) as client:
            with pytest.raises(httpx.ReadTimeout):
                await client.get(chaos.url)
        await asyncio.sleep(7200)
        refresher.cancel()

    asyncio.run(main())
    assert chaos.clock.elapsed == 9000
