"""Right clients under whatever Hypothesis draws from the hostile vocabulary: no law accuses any of them.

``make test-all`` draws 100 000 examples in all, and ``-v`` says how many histories they came to.
"""

from __future__ import annotations

import contextlib
import os

import httpx
import pytest
import requests
from hypothesis import given, settings

from examples.payments.client import PaymentClient
from pytest_retrychaos import Chaos, LawsBroken, chaos_fuzz
from pytest_retrychaos.engine import Retry
from pytest_retrychaos.engine.httpx import AsyncRetryTransport
from pytest_retrychaos.engine.requests import RetryAdapter
from pytest_retrychaos.faults import Script
from pytest_retrychaos.fuzz import faults, scripts
from tests.clients.adapters import CLIENTS, LIMIT, POLICY

IS_LONG = bool(os.environ.get("RETRYCHAOS_LONG"))
PAYMENT = {"json": {"amount": 1000, "currency": "USD"}}
SHARES = {"payments": 40_000, "requests": 15_000, "httpx": 15_000, "read": 15_000, "scripts": 15_000}
"""Examples of the long run; a hundred thousand."""

pytestmark = pytest.mark.timeout(7200 if IS_LONG else 120)


def examples(name: str) -> int:
    """Tell how many examples a test draws."""
    return SHARES[name] if IS_LONG else SHARES[name] // 500


@chaos_fuzz(faults="hostile", max_examples=examples("payments"), derandomize=True)
def test_the_payment_client_is_accused_of_nothing(chaos):
    """It is what README tells people to copy."""
    chaos.call(PaymentClient(chaos.url).charge, amount=1000, currency="USD")


class PaymentUnknown(Exception):
    """The service led around in circles: what became of the payment is not known."""


def pay_by_requests(url: str) -> int:
    """Pay by the engine's adapter. What requests raises above it does not tell of attempts that may have paid."""
    with requests.Session() as session:
        session.mount("http://", RetryAdapter(POLICY))
        try:
            return session.post(f"{url}/payments", timeout=LIMIT, **PAYMENT).status_code
        except requests.TooManyRedirects as error:
            raise PaymentUnknown from error


@chaos_fuzz(faults="hostile", max_examples=examples("requests"), derandomize=True)
def test_the_engine_in_requests_is_accused_of_nothing(chaos):
    """A payment whose key the adapter made."""
    chaos.call(pay_by_requests, chaos.url)


@chaos_fuzz(faults="hostile", max_examples=examples("httpx"), derandomize=True)
async def test_the_engine_in_httpx_is_accused_of_nothing(chaos):
    """The same on asyncio, where its caller may cancel it."""

    async def pay() -> None:
        below = httpx.AsyncHTTPTransport(verify=False)  # reading the system's certificates takes most of the time
        async with httpx.AsyncClient(transport=AsyncRetryTransport(POLICY, transport=below), timeout=5) as client:
            await client.post(f"{chaos.url}/payments", **PAYMENT)

    await chaos.call_async(pay)


@chaos_fuzz(faults="hostile", max_examples=examples("read"), derandomize=True)
def test_a_flow_of_reads_by_the_engine_is_accused_of_nothing(chaos):
    """On one connection, which may have gone stale."""
    retry = Retry(attempts=4)
    with requests.Session() as session:
        for name in ("orders", "payments"):
            chaos.call(retry.call, session.get, f"{chaos.url}/{name}", timeout=5)


@settings(max_examples=examples("scripts"), derandomize=True, deadline=None)
@given(scripts(faults("hostile", for_method="POST"), max_size=4))
def test_under_a_plain_given_the_payment_client_is_accused_of_nothing(script: Script) -> None:
    """By a script that was drawn beforehand."""
    with Chaos(script, entropy="seeded", seed=1) as chaos:
        with contextlib.suppress(requests.RequestException):
            chaos.call(PaymentClient(chaos.url).charge, amount=1000, currency="USD")
        chaos.verify(ignore=["NV01"])


@pytest.mark.parametrize(
    "script",
    [
        'garbage, 307 header="Location: /moved"',
        '307 header="Location: /moved", reset after-commit',
        '502 after-commit, 307 header="Location: /moved", 503 retry-after=2',
        "reset after-commit, 302",
        'reset after-commit, 307 header="Location: /moved" *',
    ],
)
def test_what_hypothesis_once_held_against_the_payment_client(script: str) -> None:
    """A redirect that is followed with its key; an answer that cannot be read after a charge that was lost."""
    with Chaos(script) as chaos:
        with contextlib.suppress(requests.RequestException):
            chaos.call(PaymentClient(chaos.url).charge, amount=1000, currency="USD")
        chaos.verify()


def test_a_redirect_that_never_ends_is_not_the_adapters_to_tell() -> None:
    """requests gives up above it, by an error that hides the payment: the law says so, and the caller has to."""
    with Chaos('timeout after-commit, 307 header="Location: /moved" *', strict=False) as chaos:
        with pytest.raises(requests.TooManyRedirects):
            CLIENTS["requests"](chaos, "POST", **PAYMENT)
        with pytest.raises(LawsBroken, match="ID05 false failure"):
            chaos.verify()
    with Chaos('timeout after-commit, 307 header="Location: /moved" *', strict=False) as chaos:
        with pytest.raises(PaymentUnknown):
            chaos.call(pay_by_requests, chaos.url)
        chaos.verify()


def test_what_hypothesis_once_held_against_the_engine_in_requests() -> None:
    """The adapter sends the leg of a redirect again."""
    with Chaos('502 after-commit, 307 header="Location: /moved", 503 retry-after=2', seed=21) as chaos:
        assert CLIENTS["requests"](chaos, "POST", **PAYMENT) == 201
        chaos.verify()
