"""Real circuit breakers, as their manuals use them, judged from the wire: what holds of each, and what does not."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from datetime import timedelta

import aiobreaker
import circuitbreaker
import httpx
import purgatory
import pybreaker
import pytest
import requests
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_fixed

from pytest_retrychaos import LawsBroken
from pytest_retrychaos.engine import BreakerPolicy, CircuitBreaker, CircuitOpen

POLICY = BreakerPolicy(threshold=3, cooldown=30)
ERRORS = (
    requests.RequestException,
    pybreaker.CircuitBreakerError,
    circuitbreaker.CircuitBreakerError,
    purgatory.domain.model.OpenedState,
    aiobreaker.CircuitBreakerError,
    CircuitOpen,
)
LAWS = ("CB01", "CB02", "CB03", "CB04")


def with_engine(fn, threshold=3, cooldown=30):
    return CircuitBreaker(threshold=threshold, cooldown=cooldown)(fn)


def with_pybreaker(fn, threshold=3, cooldown=30):
    return pybreaker.CircuitBreaker(fail_max=threshold, reset_timeout=cooldown)(fn)


def with_circuitbreaker(fn, threshold=3, cooldown=30):
    return circuitbreaker.CircuitBreaker(failure_threshold=threshold, recovery_timeout=cooldown)(fn)


def with_purgatory(fn, threshold=3, cooldown=30):
    factory = purgatory.SyncCircuitBreakerFactory(default_threshold=threshold, default_ttl=cooldown)
    return factory("items")(fn)


def with_purgatory_async(fn, threshold=3, cooldown=30):
    factory = purgatory.AsyncCircuitBreakerFactory(default_threshold=threshold, default_ttl=cooldown)
    return factory("items")(fn)


def with_aiobreaker(fn, threshold=3, cooldown=30):
    return aiobreaker.CircuitBreaker(fail_max=threshold, timeout_duration=timedelta(seconds=cooldown))(fn)


BLOCKING = [with_engine, with_pybreaker, with_circuitbreaker, with_purgatory, with_aiobreaker]
ASYNC = [with_engine, with_circuitbreaker, with_purgatory_async, with_aiobreaker]


def client(chaos, guard, **options):
    """A function that fetches by requests behind a breaker, called so that what it is told is seen."""

    def fetch():
        response = requests.get(f"{chaos.url}/items", timeout=5)
        response.raise_for_status()
        return response.status_code

    guarded = guard(fetch, **options)

    def call(times=1):
        for _ in range(times):
            with contextlib.suppress(*ERRORS):
                chaos.call(guarded)

    return call


def rulings(chaos, breaker=POLICY):
    """What the four laws say: a ruling, or the shape of what is broken."""
    with contextlib.suppress(LawsBroken):
        chaos.verify(breaker=breaker, ignore=("RT01",))
    verdict = chaos.verdict
    assert {finding.code for finding in verdict.findings} <= {*LAWS}
    shapes = {finding.code: finding.shape for finding in verdict.findings}
    return [shapes.get(code, verdict.of(code).ruling.value) for code in LAWS]


HELD, NOT_ASKED = "held", "does not apply"


@pytest.mark.parametrize("guard", BLOCKING)
@pytest.mark.parametrize("script", ["down=40s:503", "down=40s", "503 x4", "reset x4"])
def test_a_breaker_that_opens_probes_and_closes_is_right(chaos, guard, script):
    """Through an outage that its first probe still meets."""
    chaos.script(script)
    call = client(chaos, guard)
    call(5)
    chaos.clock.advance(31)
    call(2)
    chaos.clock.advance(31)
    call(3)

    assert rulings(chaos) == [HELD, HELD, NOT_ASKED, HELD]
    chaos.assert_breaker_opened()
    chaos.assert_breaker_opened(after=3)
    chaos.assert_no_traffic_while_open()
    chaos.assert_breaker_closed()


@pytest.mark.asyncio
@pytest.mark.parametrize("guard", ASYNC)
async def test_an_async_breaker_that_opens_probes_and_closes_is_right(chaos, guard):
    """The same on an event loop, by httpx."""
    chaos.script("down=40s:503")
    async with httpx.AsyncClient(timeout=5) as http:

        async def fetch():
            (await http.get(f"{chaos.url}/items")).raise_for_status()

        guarded = guard(fetch)
        for pause in (0, 0, 0, 0, 31, 0, 31, 0):
            await asyncio.sleep(pause)
            await asyncio.gather(chaos.call_async(guarded), return_exceptions=True)

    assert rulings(chaos) == [HELD, HELD, NOT_ASKED, HELD]


@pytest.mark.parametrize("guard", BLOCKING)
@pytest.mark.parametrize(("threshold", "shape"), [(2, "CB01/early"), (4, "CB01/late")])
def test_a_breaker_with_another_threshold_is_caught(chaos, guard, threshold, shape):
    """It opens one failure before or after."""
    chaos.script("503 x4", strict=False)
    client(chaos, guard, threshold=threshold)(6)

    assert rulings(chaos)[0] == shape


@pytest.mark.parametrize("guard", BLOCKING)
def test_a_breaker_with_a_shorter_cooldown_is_caught(chaos, guard):
    """It lets a call through after ten seconds."""
    chaos.script("503 x4")
    call = client(chaos, guard, cooldown=10)
    call(4)
    chaos.clock.advance(11)
    call()

    assert rulings(chaos) == [HELD, "CB02", NOT_ASKED, NOT_ASKED]


@pytest.mark.parametrize("guard", BLOCKING)
def test_a_breaker_with_a_longer_cooldown_is_caught(chaos, guard):
    """It turns a call away that should have been the probe."""
    chaos.script("503 x3")
    call = client(chaos, guard, cooldown=60)
    call(4)
    chaos.clock.advance(45)
    call()

    assert rulings(chaos)[2] == "CB03/no-probe"


@pytest.mark.parametrize(
    ("guard", "third"),
    [
        (with_engine, HELD),
        (with_pybreaker, NOT_ASKED),  # a lock lets one call run at a time, in whatever state
        (with_circuitbreaker, "CB03/two-probes"),
        (with_purgatory, "CB03/two-probes"),
        (with_aiobreaker, "CB03/two-probes"),
    ],
)
def test_what_breakers_do_with_three_threads_after_the_cooldown(chaos, guard, third):
    """Three of five let all of them through."""
    chaos.script("503 x3, slow=2s")
    call = client(chaos, guard)
    call(4)
    chaos.clock.advance(31)
    threads = [threading.Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert rulings(chaos)[2] == third


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("guard", "third"),
    [
        (with_engine, HELD),
        (with_circuitbreaker, "CB03/two-probes"),
        (with_purgatory_async, "CB03/two-probes"),
        (with_aiobreaker, "CB03/two-probes"),
    ],
)
async def test_what_breakers_do_with_three_tasks_after_the_cooldown(chaos, guard, third):
    """Three of four let all of them through."""
    chaos.script("503 x3, slow=2s")
    async with httpx.AsyncClient(timeout=5) as http:

        async def fetch():
            (await http.get(f"{chaos.url}/items")).raise_for_status()

        guarded = guard(fetch)
        for _ in range(4):
            await asyncio.gather(chaos.call_async(guarded), return_exceptions=True)
        await asyncio.sleep(31)
        await asyncio.gather(*[chaos.call_async(guarded) for _ in range(3)], return_exceptions=True)

    assert rulings(chaos)[2] == third


@pytest.mark.parametrize("guard", BLOCKING)
def test_retries_inside_a_breaker_are_one_call_to_it(chaos, guard):
    """Three calls of two attempts open it."""
    chaos.script("503 x6")

    @retry(stop=stop_after_attempt(2), wait=wait_fixed(1), reraise=True)
    def fetch():
        requests.get(f"{chaos.url}/items", timeout=5).raise_for_status()

    call = client(chaos, lambda _: guard(fetch))
    call(5)

    assert rulings(chaos)[:2] == [HELD, HELD]
    chaos.assert_breaker_opened(after=3)


@pytest.mark.parametrize("guard", BLOCKING)
def test_retries_around_a_breaker_are_many_calls_to_it(chaos, guard):
    """The second operation's first attempt opens it, and ends that operation."""
    chaos.script("503 x3")

    def around(fetch):
        is_failure = retry_if_exception_type((requests.HTTPError, requests.ConnectionError))
        return retry(stop=stop_after_attempt(2), wait=wait_fixed(1), retry=is_failure, reraise=True)(guard(fetch))

    call = client(chaos, around)
    call(4)

    assert rulings(chaos)[:2] == [HELD, HELD]


@pytest.mark.parametrize("guard", BLOCKING)
def test_an_answer_that_is_not_raised_is_no_failure_to_a_breaker(chaos, guard):
    """The usual mistake: requests returns a 503, and the breaker takes it for a success."""
    chaos.script("503 x5")
    call = client(chaos, lambda _: guard(lambda: requests.get(f"{chaos.url}/items", timeout=5).status_code))
    call(5)

    assert rulings(chaos)[0] == "CB01/late"
    with pytest.raises(LawsBroken, match="CB01 the breaker did not open: a call was sent after 4 failures in a row"):
        chaos.assert_breaker_opened()


def test_a_function_that_is_no_request_is_judged_too(chaos):
    """A breaker around `chaos.faulty`."""
    chaos.script("timeout x3, ok")
    guarded = with_pybreaker(chaos.faulty(lambda: 7))
    for pause in (0, 0, 0, 0, 61, 0):
        chaos.clock.advance(pause)
        with contextlib.suppress(TimeoutError, pybreaker.CircuitBreakerError):
            chaos.call(guarded)

    assert rulings(chaos, BreakerPolicy(threshold=3, cooldown=30)) == [HELD, HELD, NOT_ASKED, HELD]


@pytest.mark.parametrize(
    "breaker",
    [
        pybreaker.CircuitBreaker(fail_max=3, reset_timeout=30),
        aiobreaker.CircuitBreaker(fail_max=3, timeout_duration=timedelta(seconds=30)),
        CircuitBreaker(threshold=3, cooldown=30),
    ],
    ids=lambda breaker: type(breaker).__module__,
)
def test_the_promise_is_read_off_the_breaker_itself(chaos, breaker):
    """Where its attributes are public."""
    chaos.script("503 x3")
    client(chaos, breaker)(4)

    assert rulings(chaos, breaker)[:2] == [HELD, HELD]


@pytest.mark.parametrize(
    ("breaker", "error", "words"),
    [
        (circuitbreaker.CircuitBreaker(), TypeError, "what it promises cannot be read; say it by hand: breaker="),
        (5, TypeError, "breaker=5: what it promises cannot be read"),
    ],
    ids=["circuitbreaker", "number"],
)
def test_a_breaker_that_cannot_be_read_is_refused(chaos, breaker, error, words):
    """By name, with the way out."""
    requests.get(f"{chaos.url}/items", timeout=5)

    with pytest.raises(error, match=words):
        chaos.verify(breaker=breaker)
