"""Policies of other libraries as expectations: a client that has the policy keeps it, one that has another does not."""

from __future__ import annotations

import asyncio
import contextlib
import time

import httpx
import pytest
import requests
import tenacity
import urllib3
from requests.adapters import HTTPAdapter
from tenacity import wait as waits
from urllib3.util import Retry

from pytest_retrychaos import LawsBroken
from pytest_retrychaos.engine import Retry as EngineRetry
from pytest_retrychaos.engine import exponential, fixed
from pytest_retrychaos.policies.given import FOR_EVER, Given
from pytest_retrychaos.policies.terms import read_terms


def fetch_with(chaos, policy, method="GET", times=1):
    """Send a request by requests with a retry policy of urllib3."""
    with requests.Session() as session:
        session.mount("http://", HTTPAdapter(max_retries=policy))
        for number in range(times):
            errors = requests.RequestException, urllib3.exceptions.HTTPError
            with contextlib.suppress(*errors), chaos.operation(f"fetch {number}"):
                session.request(method, f"{chaos.url}/items", timeout=5)


def broken(chaos, *policy, **given):
    """The shapes of what is broken."""
    with contextlib.suppress(LawsBroken):
        chaos.verify(*policy, **given)
    return {finding.shape for finding in chaos.verdict.findings}


def ruling(chaos, code):
    """What a law said."""
    return chaos.verdict.of(code).ruling.value


# urllib3

FULL = Retry(total=4, backoff_factor=0.5, backoff_jitter=0.3, backoff_max=3, status_forcelist=[500, 502, 503, 504])
CAREFUL = Retry(total=5, connect=3, read=1, status=2, backoff_factor=1, status_forcelist=[503], allowed_methods=["GET"])
SCRIPTS = [
    "503 x9",
    "503 x2, ok",
    "reset x9",
    "reset, 503, ok",
    "timeout x9",
    "eof, timeout, reset, ok",
    "refuse x9",
    "connect-timeout, refuse, ok",
    "503 retry-after=7, ok",
    "429 retry-after=7, ok",
    "503 retry-after=0, 503, ok",
    "503 retry-after=date+20s, ok",
    "503 retry-after=30000, ok",
    "502, 500 x9",
    "418, ok",
    "503, 400, ok",
    "refuse, reset, 503, refuse, reset, ok",
    "truncate, ok",
    "garbage, ok",
    '302 header="Location: /other", 503, ok',
]


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "policy",
    [
        FULL,
        CAREFUL,
        Retry(3),
        Retry(0),
        Retry(False),
        Retry(3, read=False, connect=False),
        Retry(None, connect=2, read=2, status=2, other=0, redirect=3, status_forcelist=[503]),
        Retry(None, connect=3, read=0, status=2, backoff_factor=1, status_forcelist=[503]),
        Retry(None, connect=3, read=False, status=2, status_forcelist=[503]),
        Retry(4, allowed_methods=None, status_forcelist=[503, 502], respect_retry_after_header=False),
    ],
    ids=["full", "careful", "3", "0", "False", "connect", "counters", "no-read", "read-off", "any-method"],
)
def test_a_client_with_a_retry_of_urllib3_keeps_it(chaos, policy, method, script):
    """Whatever happens: what the policy does is what is read of it."""
    chaos.script(script, strict=False)
    fetch_with(chaos, policy, method)

    assert broken(chaos, policy, only=["RT01", "RT03", "BK01", "BK02", "BK04"]) == set()


@pytest.mark.parametrize(
    ("claimed", "script", "shape"),
    [
        (FULL.new(total=5), "503 x9", "RT01/503"),
        (FULL.new(total=3), "503 x9", "RT03"),
        (FULL.new(backoff_factor=2), "503 x9", "BK02/short"),
        (FULL.new(backoff_factor=0.1, backoff_jitter=0), "503 x9", "BK02/long"),
        (FULL.new(backoff_max=1.5), "503 x9", "BK02/long"),
        (FULL.new(status_forcelist=[500]), "503, ok", "RT03"),
        (FULL.new(allowed_methods=["PUT"]), "reset, ok", "RT03"),
        (FULL.new(read=0), "503, reset, ok", "RT03"),
        (FULL.new(status=5, total=9), "503 x9", "RT01/503"),
        (FULL.new(total=None, connect=3, read=0, status=2), "reset, ok", "RT03"),
    ],
)
def test_a_client_with_another_retry_of_urllib3_is_caught(chaos, claimed, script, shape):
    """By the law that the difference breaks."""
    chaos.script(script, strict=False)
    fetch_with(chaos, FULL)

    assert shape in broken(chaos, claimed)


def test_a_retry_of_urllib3_is_exact_about_every_attempt(chaos):
    """Without it, one retry would do."""
    chaos.script("503 x9", strict=False)
    fetch_with(chaos, FULL)

    assert broken(chaos, FULL) == set()
    assert ruling(chaos, "RT01") == ruling(chaos, "RT03") == ruling(chaos, "BK02") == "held"


def test_a_pool_of_urllib3_itself_keeps_its_policy(chaos):
    """Not only through requests."""
    chaos.script("503 x2, reset, ok")
    with urllib3.PoolManager(retries=FULL) as pool:
        pool.request("GET", f"{chaos.url}/items", timeout=5)

    assert broken(chaos, FULL) == set()


# tenacity

TRIED = {"stop": tenacity.stop_after_attempt(4), "reraise": True}
WAITS = {
    "none": waits.wait_none(),
    "fixed": waits.wait_fixed(2),
    "random": waits.wait_random(1, 3),
    "incrementing": waits.wait_incrementing(start=1, increment=2, max=4),
    "exponential": waits.wait_exponential(multiplier=0.5, max=3, min=1),
    "full": waits.wait_random_exponential(multiplier=1, max=3),
    "full, with a floor": waits.wait_random_exponential(multiplier=1, max=30, min=2),
    "added": waits.wait_exponential_jitter(multiplier=1, max=5, jitter=2),
    "chain": waits.wait_chain(waits.wait_fixed(1), waits.wait_random(2, 3)),
    "sum": waits.wait_fixed(1) + waits.wait_random(0, 2),
}


def call(chaos, policy, times=1):
    """Fetch by requests with a policy of tenacity; return what it decorates."""

    @policy.wraps
    def fetch():
        requests.get(f"{chaos.url}/items", timeout=5).raise_for_status()

    for _ in range(times):
        with contextlib.suppress(requests.RequestException, tenacity.RetryError):
            chaos.call(fetch)
    return fetch


@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS)
@pytest.mark.parametrize("script", ["503 x12", "reset x3, ok, 503 x3", "503 retry-after=60 x12"])
def test_a_client_with_a_retrying_of_tenacity_keeps_it(chaos, wait, script):
    """Attempts and waits are what the policy says."""
    chaos.script(script, strict=False)
    policy = tenacity.Retrying(wait=wait, **TRIED)
    call(chaos, policy, times=3)

    assert broken(chaos, policy, ignore=["BK01"] if wait is WAITS["none"] else []) == set()
    assert ruling(chaos, "BK02") == ruling(chaos, "RT03") == "held"


@pytest.mark.parametrize(
    ("claimed", "shape"),
    [
        ({"stop": tenacity.stop_after_attempt(5)}, "RT01/503"),
        ({"stop": tenacity.stop_after_attempt(3)}, "RT03"),
        ({"wait": waits.wait_fixed(1)}, "BK02/long"),
        ({"wait": waits.wait_exponential(multiplier=3, max=60)}, "BK02/short"),
        ({"wait": waits.wait_random(0, 1)}, "BK02/long"),
    ],
)
def test_a_client_with_another_retrying_of_tenacity_is_caught(chaos, claimed, shape):
    """By the law that the difference breaks."""
    chaos.script("503 x4")
    policy = tenacity.Retrying(wait=waits.wait_fixed(2), **TRIED)
    call(chaos, policy)

    assert broken(chaos, policy.copy(**claimed)) == {shape}


@pytest.mark.parametrize("retry", [1, 32, 33, 34, 400])
def test_bounds_of_a_wait_without_a_cap_are_in_order(retry):
    """However long it becomes: past what no run outlasts both are that."""
    wait = waits.wait_exponential(max=float("inf"))
    policy = read_terms(tenacity.Retrying(wait=wait, **TRIED), Given(), breaker=None, amplification=None).policy

    least, most = policy.backoff.bounds(retry)

    assert least == most == min(2.0 ** (retry - 1), FOR_EVER)


def test_a_wait_of_tenacity_before_9_2_is_read_too(chaos):
    """It had another name for the first wait, and no least one."""
    chaos.script("503 x4")
    added = waits.wait_exponential_jitter(max=5, jitter=2)
    policy = tenacity.Retrying(wait=added, **TRIED)
    call(chaos, policy)
    added.initial = added.multiplier
    del added.multiplier, added.min

    assert broken(chaos, policy) == set()
    assert ruling(chaos, "BK02") == "held"
    added.initial = 3
    assert broken(chaos, policy) == {"BK02/short"}


def test_what_tenacity_decorates_is_read_too(chaos):
    """By its attribute ``retry``."""
    chaos.script("503 x4")

    @tenacity.retry(wait=waits.wait_fixed(2), **TRIED)
    def fetch():
        requests.get(f"{chaos.url}/items", timeout=5).raise_for_status()

    with contextlib.suppress(requests.RequestException):
        fetch()

    assert broken(chaos, fetch) == set()
    assert ruling(chaos, "RT01") == "held"


def test_an_async_retrying_is_read_too(chaos):
    """Of the same stops and waits."""
    chaos.script("503 x4")
    policy = tenacity.AsyncRetrying(wait=waits.wait_fixed(2), **TRIED)

    async def main():
        async with httpx.AsyncClient(timeout=5) as client:
            async for attempt in policy:
                with attempt:
                    (await client.get(f"{chaos.url}/items")).raise_for_status()

    with contextlib.suppress(httpx.HTTPError):
        asyncio.run(main())

    assert broken(chaos, policy) == set()
    assert broken(chaos, policy.copy(stop=tenacity.stop_after_attempt(3))) == {"RT03"}


@pytest.mark.parametrize(
    "stop",
    [
        tenacity.stop_after_delay(5),
        tenacity.stop_before_delay(5),
        tenacity.stop_after_delay(5) | tenacity.stop_after_attempt(9),
    ],
)
def test_giving_up_for_the_time_is_no_giving_up_too_early(chaos, stop):
    """The policy counts seconds; what is over them is no broken budget of the operation."""
    chaos.script("503 x9", strict=False)
    policy = tenacity.Retrying(wait=waits.wait_fixed(2), stop=stop)
    call(chaos, policy)

    assert broken(chaos, policy) == set()


def test_a_disabled_retrying_tries_once(chaos):
    """Whatever its stop says."""
    chaos.script("503")
    policy = tenacity.Retrying(wait=waits.wait_fixed(2), enabled=False, **TRIED)
    call(chaos, policy)

    assert broken(chaos, policy) == set()


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ({"wait": lambda _: 1.0}, "wait=.*only tenacity knows; say it by hand: .*bounds="),
        ({"wait": waits.wait_exception(lambda _: 1.0)}, "wait=.*bounds="),
        ({"wait": waits.wait_fixed(1) + (lambda _: 1.0)}, "wait=.*bounds="),
        ({"stop": lambda _: True}, "stop=.*attempts="),
        ({"stop": tenacity.stop_after_attempt(2) & tenacity.stop_after_delay(9)}, "stop=.*attempts="),
    ],
)
def test_what_cannot_be_read_of_tenacity_is_refused_with_the_way_out(chaos, policy, words):
    """By name; what is given by hand takes its place."""
    chaos.script("503 x4", strict=False)
    policy = tenacity.Retrying(**{"wait": waits.wait_fixed(1), **TRIED, **policy})
    call(chaos, policy)

    with pytest.raises(TypeError, match=words):
        chaos.verify(policy)


def test_what_is_given_by_hand_takes_the_place_of_what_cannot_be_read(chaos):
    """And what can be read is not asked for."""
    chaos.script("503 x4")
    policy = tenacity.Retrying(wait=lambda _: 1.5, **TRIED)
    call(chaos, policy)

    assert broken(chaos, policy, bounds=lambda _: (1, 2)) == set()
    assert broken(chaos, policy, bounds=lambda _: (2, 3)) == {"BK02/short"}
    assert broken(chaos, policy.copy(stop=lambda _: True), bounds=lambda _: (1, 2), attempts=4) == set()
    assert broken(chaos, policy.copy(stop=lambda _: True), bounds=lambda _: (1, 2), attempts=3) == {"RT03"}


# by hand


def by_hand(chaos, attempts, pause):
    """A loop of one's own."""
    for _ in range(attempts):
        with contextlib.suppress(requests.Timeout):
            if requests.get(f"{chaos.url}/items", timeout=5).status_code < 500:
                return
        time.sleep(pause)


@pytest.mark.parametrize(
    ("given", "shapes"),
    [
        ({"attempts": 4}, set()),
        ({"attempts": 3}, {"RT03"}),
        ({"attempts": 5}, {"RT01/503"}),
        ({"bounds": fixed(2)}, set()),
        ({"bounds": lambda retry: (1, retry + 2)}, set()),
        ({"bounds": lambda _: (1, float("inf"))}, set()),
        ({"bounds": lambda _: (3, 4)}, {"BK02/short"}),
        ({"bounds": exponential(0.1, cap=1)}, {"BK02/long"}),
        ({"timeout": 8}, set()),
        ({"timeout": 5}, {"BK05"}),
        ({"attempts": 4, "bounds": fixed(2), "timeout": 8}, set()),
    ],
)
def test_any_other_policy_is_given_by_hand(chaos, given, shapes):
    """Attempts, bounds of the waits, a time budget."""
    chaos.script("503 x4")
    chaos.call(by_hand, chaos, 4, 2)

    assert broken(chaos, **given) == shapes


def test_what_is_given_by_hand_goes_before_what_is_read(chaos):
    """It completes a policy, or corrects it."""
    chaos.script("503 x4")
    chaos.call(by_hand, chaos, 4, 2)
    policy = EngineRetry(attempts=3, backoff=fixed(2))

    assert broken(chaos, policy) == {"RT03"}
    assert broken(chaos, policy, attempts=4) == set()


def test_a_wait_that_an_engines_own_judge_asks_for_is_in_its_envelope(chaos):
    """``on=`` may return the least wait; a shorter one than the back-off's is still none of it."""
    chaos.script("503 x4")
    chaos.call(by_hand, chaos, 4, 2)
    asks = EngineRetry(attempts=4, backoff=fixed(1), on=lambda _: 2.0)

    assert broken(chaos, asks) == set()
    assert broken(chaos, EngineRetry(attempts=4, backoff=fixed(1))) == {"BK02/long"}
    assert broken(chaos, EngineRetry(attempts=4, backoff=fixed(3), on=lambda _: True)) == {"BK02/short"}


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"attempts": 0}, ValueError, "attempts=0: it has to be 1 or more"),
        ({"attempts": 2.5}, TypeError, "attempts=2.5: it has to be a whole number"),
        ({"bounds": 3}, TypeError, "bounds=3: it has to be a back-off"),
        ({"bounds": lambda _: 3}, ValueError, r"returned 3 for retry 1: it has to return \(least, most\)"),
        ({"bounds": lambda _: (3, 2)}, ValueError, r"returned \(3, 2\) for retry 1"),
        ({"timeout": -1}, ValueError, "timeout=-1: it has to be above 0 seconds"),
        ({"policy": fixed(1)}, TypeError, "what it promises cannot be read; give a Retry of the engine or of urllib3"),
        ({"policy": print}, TypeError, "what it promises cannot be read"),
    ],
)
def test_what_is_no_policy_is_refused(chaos, given, error, words):
    """With the value, the rule and the way out."""
    chaos.script("503 x4")
    chaos.call(by_hand, chaos, 4, 2)

    with pytest.raises(error, match=words):
        chaos.verify(**given)
