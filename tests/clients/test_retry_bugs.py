"""The retry bugs that the studies count, each as a test that the engine passes, in every client.

Sources: WASABI (Stoica and others, SOSP 2024), 70 bugs by whether, when and how; Rainmaker (Chen and others, NSDI
2023), 73 bugs of lost answers; Filibuster (Meiklejohn and others, SoCC 2021).
"""

from __future__ import annotations

import asyncio
import io
from concurrent.futures import ThreadPoolExecutor

import aiohttp
import httpx
import pytest
import requests

from pytest_retrychaos import Chaos
from pytest_retrychaos.engine import OutcomeUnknown, Retry, exponential, fixed
from pytest_retrychaos.engine.aiohttp import retry_middleware
from pytest_retrychaos.engine.httpx import RetryTransport
from pytest_retrychaos.engine.requests import RetryAdapter
from tests.clients.adapters import CLIENTS, POLICY

PAYMENT = {"json": {"amount": 1000, "currency": "USD"}}
CLIENT_ERRORS = (requests.RequestException, httpx.HTTPError, aiohttp.ClientError, TimeoutError)


@pytest.fixture(params=CLIENTS)
def send(request):
    """Send through each client."""
    return CLIENTS[request.param]


# whether to retry: 25 of WASABI's 70


@pytest.mark.parametrize(
    "fault", ["503", "429", "500", "502", "504", "408", "timeout", "reset", "eof", "refuse", "dns"]
)
def test_a_recoverable_failure_is_not_taken_for_final(send, fault):
    """WASABI, if: 8 systems did not retry what would have passed."""
    with Chaos(f"{fault}, ok") as chaos:
        assert send(chaos, "POST", **PAYMENT) == 201
        chaos.verify(POLICY)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 410, 422, 501])
def test_an_unrecoverable_failure_is_not_tried_again(send, status):
    """WASABI, if: part of 9 systems retried what could never pass."""
    with Chaos(f"{status}") as chaos:
        assert send(chaos, "POST", **PAYMENT) == status
        chaos.assert_not_retried()


def test_a_cancelled_task_is_not_retried():
    """WASABI, if: 4 systems went on with work that nobody wanted any more."""

    async def main(chaos):
        async with aiohttp.ClientSession(middlewares=[retry_middleware(POLICY)]) as session:
            task = asyncio.create_task(session.get(f"{chaos.url}/rates"))
            await asyncio.sleep(0.01)  # in the wait after the first attempt
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.sleep(100)

    with Chaos("503 retry-after=5, ok", strict=False) as chaos:
        asyncio.run(main(chaos))
        chaos.assert_attempts(1)


# when to retry: 23 of 70


@pytest.mark.parametrize("fault", ["503", "timeout", "reset", "refuse", "429 retry-after=1"])
def test_a_failure_that_never_ends_is_given_up(send, fault):
    """WASABI, when: 13 systems had no cap, or an unsafe one."""
    with Chaos(f"{fault}*") as chaos:
        try:
            assert send(chaos, "POST", **PAYMENT) in (429, 503)
        except CLIENT_ERRORS:
            assert fault in ("timeout", "reset", "refuse")
        chaos.assert_attempts(4)
        chaos.verify(POLICY)


def test_a_time_limit_holds_with_the_attempt_in_flight(send):
    """WASABI, when: a cap on attempts alone lets slow ones add up."""
    policy = Retry(attempts=100, backoff=fixed(1), timeout=20)
    with Chaos("timeout*") as chaos:
        with pytest.raises(CLIENT_ERRORS):
            send(chaos, "GET", policy)
        chaos.assert_within(20.01)
        chaos.verify(policy)


@pytest.mark.parametrize("asked", ["1e8", "100000000000000", '"99999999999999999999999999999999"'])
def test_a_server_cannot_keep_a_client_for_ever(send, asked):
    """WASABI, when: an unsafe cap; whoever obeys it sleeps for years, or overflows."""
    with Chaos(f"503 retry-after={asked}, ok", strict=False) as chaos:
        assert send(chaos, "GET") in (200, 503)
        assert chaos.clock.elapsed < 3600
        chaos.verify(POLICY)


@pytest.mark.parametrize("fault", ["503", "503 retry-after=0", 'retry-after="soon"', "reset", "refuse"])
def test_there_is_a_delay_and_it_grows(send, fault):
    """WASABI, when: 10 systems retried at once, and hit the service while it was down."""
    policy = Retry(attempts=6, backoff=exponential(1, cap=60, jitter="none"))
    word = f"503 {fault}" if fault.startswith("retry-after") else fault
    with Chaos(f"{word} x5, ok") as chaos:
        send(chaos, "GET", policy)
        assert chaos.waits == pytest.approx([1, 2, 4, 8, 16], abs=0.001)


# how to retry: 22 of 70


def test_every_attempt_is_the_same_request(send):
    """WASABI, how: 12 systems began again with what the first attempt had left of their state."""
    with Chaos("503, reset, timeout, ok") as chaos:
        send(chaos, "POST", headers={"X-Order": "7"}, **PAYMENT)
        bodies = {one.body.start for one in chaos.attempts}
        orders = {one.headers.get("X-Order") for one in chaos.attempts}
        assert (len(bodies), orders) == (1, {"7"})
        chaos.verify(POLICY)


def test_a_stream_does_not_go_on_where_the_first_attempt_stopped():
    """WASABI, how: a file at its end is an empty body."""
    file = io.BytesIO(b"x" * 100_000)
    with Chaos("reset, 503, ok") as chaos, requests.Session() as session:
        session.mount("http://", RetryAdapter(POLICY))
        session.put(f"{chaos.url}/files/7", data=file, timeout=5)
        assert [one.body.size for one in chaos.attempts] == [100_000] * 3


def test_an_operation_inherits_nothing_from_the_one_before(send):
    """WASABI, how: counters and delays that grow from call to call (aiohttp-retry shared them)."""
    policy = Retry(attempts=3, backoff=exponential(1, cap=60, jitter="none"))
    with Chaos("503 x2, ok, 503 x2, ok") as chaos:
        for _ in range(2):
            send(chaos, "POST", policy, **PAYMENT)
        assert chaos.waits == pytest.approx([1, 2, 1, 2], abs=0.001)


def test_operations_side_by_side_do_not_mix():
    """WASABI, how: 8 systems lost track of which job an attempt was of."""
    with httpx.Client(transport=RetryTransport(POLICY), timeout=5) as client, Chaos() as chaos:
        chaos.script("503, reset after-commit, ok", per="operation")

        def pay(number):
            with chaos.operation(f"order {number}"):
                return client.post(f"{chaos.url}/payments", json={"order": number}).json()["order"]

        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(pay, range(40))) == list(range(40))
        assert len(chaos.ledger) == 40
        chaos.verify(POLICY)


@pytest.mark.parametrize("text", ["-1", "nan", "soon", "", "1e400", "²"])
def test_an_unreadable_wait_does_not_break_the_loop(send, text):
    """WASABI, how: the loop ended in an error of its own making."""
    with Chaos(f'503 retry-after="{text}", ok') as chaos:
        assert send(chaos, "GET") == 200
        chaos.verify(POLICY)


# lost answers: 49 of Rainmaker's 73


@pytest.mark.parametrize(
    "fault", ["timeout after-commit", "reset after-commit", "eof after-commit", "502 after-commit"]
)
def test_a_lost_answer_is_one_effect_and_a_success(send, fault):
    """Rainmaker: 39 bugs by the loss of an answer alone; charged two and three times in the wild."""
    with Chaos(f"{fault}, ok") as chaos:
        assert send(chaos, "POST", **PAYMENT) == 201
        assert len(chaos.ledger) == 1
        chaos.verify(POLICY)


def test_a_retry_does_not_meet_its_own_first_attempt_as_a_conflict(send):
    """Rainmaker, unrelated errors (24): the retry finds what the first attempt made, and calls it a 409."""
    with Chaos("reset after-commit, ok") as chaos:
        assert send(chaos, "POST", json={"id": "order-7", "amount": 5}) == 201
        chaos.verify(POLICY)


@pytest.mark.parametrize("status", [400, 404, 422])
def test_an_unrelated_error_after_a_lost_answer_is_no_verdict_on_the_first(send, status):
    """Rainmaker: the caller was told failure though it was done."""
    with Chaos(f"timeout after-commit, {status}") as chaos:
        with pytest.raises(OutcomeUnknown):
            send(chaos, "POST", **PAYMENT)
        chaos.verify(POLICY)


def test_the_error_that_ends_it_is_the_clients_own(send):
    """Rainmaker, unexpected termination (29): callers catch what their client raises."""
    with Chaos("reset*") as chaos:
        with pytest.raises(CLIENT_ERRORS):
            send(chaos, "POST", **PAYMENT)
        chaos.verify(POLICY)
