"""The general clients, unmodified, over http and https: every kind of failure, then success."""

from __future__ import annotations

import http.client
import ssl
import threading
import time
import urllib.error
import urllib.request

import httpx
import pytest
import requests
import urllib3
from requests.adapters import HTTPAdapter

from pytest_retrychaos import LawsBroken
from pytest_retrychaos.transports.tls import HIDES_RESETS

FAILURES = "503 retry-after=2, timeout, reset after-commit, ok"
SCHEMES = ("http", "https")


def broken(chaos) -> tuple[str, ...]:
    """List the laws that the run broke."""
    try:
        return chaos.verify().codes
    except LawsBroken as error:
        return error.verdict.codes


def pooled(retries: urllib3.Retry) -> requests.Session:
    session = requests.Session()
    for scheme in SCHEMES:
        session.mount(f"{scheme}://", HTTPAdapter(max_retries=retries))
    return session


def every_method(attempts: int) -> urllib3.Retry:
    return urllib3.Retry(attempts, backoff_factor=1, status_forcelist=[503], allowed_methods=None)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_requests_reaches_success_through_its_adapters_retries(chaos, scheme):
    """The adapter's own retry layer meets every fault, and each wait is the one that urllib3 computes."""
    chaos.script(FAILURES)

    response = pooled(every_method(3)).post(
        f"{scheme}://api.example.com/payments", json={"amount": 1}, headers={"Idempotency-Key": "k1"}, timeout=5
    )

    assert response.status_code == 201
    assert [attempt.fault for attempt in chaos.attempts] == ["503 retry-after=2", "timeout", "reset after-commit", "ok"]
    assert chaos.waits == [2, 2, 4]
    assert chaos.clock.elapsed == 2 + 5 + 2 + 4
    assert [attempt.scheme for attempt in chaos.attempts] == [scheme] * 4
    assert len(chaos.ledger) == 1
    assert broken(chaos) == ()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_urllib3_reaches_success_through_its_own_retries(chaos, scheme):
    """The pool manager's retry layer meets every fault."""
    chaos.script(FAILURES)
    pool = urllib3.PoolManager(retries=every_method(3))

    response = pool.request(
        "POST", f"{scheme}://api.example.com/payments", json={"amount": 1}, headers={"Idempotency-Key": "k1"}, timeout=5
    )

    assert response.status == 201
    assert chaos.waits == [2, 2, 4]
    assert broken(chaos) == ()


def test_urllib3_ends_its_retries_over_a_fraction_in_retry_after(chaos):
    """It raises ``InvalidHeader`` on a ``Retry-After`` of 1.5: RT01 says that nothing was retried."""
    chaos.script("503 retry-after=1.5, ok", strict=False)

    with pytest.raises(urllib3.exceptions.InvalidHeader):
        urllib3.PoolManager(retries=every_method(3)).request("GET", f"{chaos.url}/rates", timeout=5)

    assert broken(chaos) == ("RT01",)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_httpx_retries_only_what_was_never_sent(chaos, scheme):
    """``retries=`` of its transport is for connecting; the rest comes as httpx's own exceptions."""
    chaos.script("refuse, 503 retry-after=2, timeout, reset after-commit, ok")
    client = httpx.Client(transport=httpx.HTTPTransport(retries=1), timeout=5)
    seen = []

    def charge() -> int | None:
        try:
            return client.post(
                f"{scheme}://api.example.com/payments", json={"amount": 1}, headers={"Idempotency-Key": "k1"}
            ).status_code
        except httpx.TransportError as error:
            seen.append(type(error))
            return None

    while charge() != 201:
        time.sleep(2)

    is_hidden = scheme == "https" and HIDES_RESETS
    assert seen == [httpx.ReadTimeout, httpx.RemoteProtocolError if is_hidden else httpx.ReadError]
    assert [attempt.status for attempt in chaos.attempts] == [None, 503, None, None, 201]
    assert len(chaos.ledger) == 1
    assert broken(chaos) == ()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_urllib_request_in_a_loop_reaches_success(chaos, scheme):
    """The standard library has no retry layer: a plain loop around it obeys every law."""
    chaos.script(FAILURES)
    request = urllib.request.Request(
        f"{scheme}://api.example.com/payments", b'{"amount": 1}', {"Idempotency-Key": "k1"}, method="POST"
    )
    status = None
    while status is None:
        try:
            with urllib.request.urlopen(request, timeout=5) as response:
                status = response.status
        except urllib.error.HTTPError as error:
            time.sleep(int(error.headers["Retry-After"]))
        except OSError:
            time.sleep(1)

    assert status == 201
    assert chaos.waits == [2, 1, 1]
    assert broken(chaos) == ()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_http_client_in_a_loop_reaches_success(chaos, scheme):
    """One connection object, opened anew after each failure."""
    chaos.script(FAILURES)
    kind = http.client.HTTPSConnection if scheme == "https" else http.client.HTTPConnection
    connection = kind("api.example.com", timeout=5)
    status = None
    while status != 201:
        try:
            connection.request("POST", "/payments", b'{"amount": 1}', {"Idempotency-Key": "k1"})
            response = connection.getresponse()
            response.read()
            status = response.status
        except (OSError, http.client.HTTPException):
            connection.close()
        time.sleep(2)

    assert chaos.waits == [2, 2, 2]
    assert broken(chaos) == ()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_stale_connection_is_found_on_the_second_request(chaos, scheme):
    """A session's kept-alive connection turns out dropped; the adapter sends the request again."""
    chaos.script("ok, stale after-commit, ok")
    session = pooled(every_method(3))
    key = {"Idempotency-Key": "k2"}

    session.get(f"{scheme}://api.example.com/payments", timeout=5)
    response = session.post(f"{scheme}://api.example.com/payments", json={}, headers=key, timeout=5)

    assert response.status_code == 201
    assert [attempt.fault for attempt in chaos.attempts] == ["ok", "stale after-commit", "ok"]
    assert len(chaos.ledger) == 1
    assert broken(chaos) == ()


def test_a_tls_failure_arrives_as_ssl_error(chaos):
    """The handshake fails before anything is sent."""
    chaos.script("tls, ok")

    with pytest.raises(requests.exceptions.SSLError):
        requests.post("https://api.example.com/payments", json={}, timeout=5)

    assert chaos.attempts[0].method is None
    requests.post("https://api.example.com/payments", json={}, timeout=5)


def test_a_truncated_answer_passes_unread_in_urllib_request(chaos):
    """``urlopen`` has returned by then; reading finds the damage."""
    chaos.script("truncate")

    with (
        urllib.request.urlopen(f"{chaos.url}/payments", timeout=5) as response,
        pytest.raises(http.client.IncompleteRead),
    ):
        response.read()


def test_a_client_context_that_existed_before_works(chaos):
    """A default context checks names and certificates; the simulated service satisfies it."""
    response = httpx.Client(verify=ssl.create_default_context()).get("https://api.example.com/payments")

    assert response.status_code == 200


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(("slept", "attempts"), [(5, 1), (5.1, 2), (60, 2)])
def test_a_handler_that_sleeps_for_longer_than_the_client_waits(chaos, scheme, slept, attempts):
    """As on a real server: the answer comes too late, and the payment is made."""
    naps = iter([slept, 0])

    @chaos.service.route("POST", "/payments")
    def pay(_):
        time.sleep(next(naps))
        return 201, {}

    with requests.Session() as session:
        for _ in range(2):
            try:
                session.post(f"{scheme}://api.example.com/payments", json={"amount": 1}, timeout=5)
                break
            except requests.Timeout:
                time.sleep(1)

    assert len(chaos.attempts) == len(chaos.ledger) == attempts
    assert chaos.clock.elapsed == (slept if attempts == 1 else 5 + 1)  # the client does not wait for it any longer
    assert broken(chaos) == (() if attempts == 1 else ("ID01", "ID04"))


def test_a_handler_that_sends_requests_has_its_time_from_the_run(chaos):
    """What others have seen of time stays."""

    @chaos.service.route("POST", "/orders")
    def order(_):
        time.sleep(2)
        requests.post(f"{chaos.url}/stock", json={}, timeout=5)
        time.sleep(1)
        return 201, {}

    assert requests.post(f"{chaos.url}/orders", json={}, timeout=5).status_code == 201

    assert [attempt.started for attempt in chaos.attempts] == [0.0, 2.0]
    assert chaos.clock.elapsed == 3


def test_others_go_on_while_a_handler_sleeps(chaos):
    """Each at its own moment."""
    seen = []
    chaos.service.route("GET", "/slow", lambda _: time.sleep(10) or {})

    def tick():
        for _ in range(3):
            time.sleep(3)
            seen.append(chaos.clock.elapsed)

    ticking = threading.Thread(target=tick)
    ticking.start()
    requests.get(f"{chaos.url}/slow", timeout=60)
    ticking.join()

    assert seen == [3, 6, 9]
    assert chaos.clock.elapsed == 10
