"""Breakers that a threshold and a cooldown do not describe: with what else there is to say, right ones are right."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time

import httpx
import purgatory
import pybreaker
import pytest
import requests

from pytest_retrychaos import LawsBroken
from pytest_retrychaos.engine import BreakerPolicy, CircuitBreaker, CircuitOpen
from tests.clients.test_breakers import ERRORS, HELD, LAWS, NOT_ASKED, client, rulings


class Growing:
    """A breaker whose cooldown doubles with each failed probe, up to a most."""

    def __init__(self, threshold: int, least: float, most: float) -> None:
        self.threshold, self.least, self.most = threshold, least, most
        self.failures, self.cooldown, self.until = 0, least, 0.0

    def __call__(self, fn):
        """Guard a function."""

        def guarded():
            if time.monotonic() < self.until:
                raise CircuitOpen("items", self.until - time.monotonic())
            try:
                result = fn()
            except Exception:
                self.failures += 1
                if self.failures >= self.threshold:
                    self.until = time.monotonic() + self.cooldown
                    self.cooldown = min(self.most, 2 * self.cooldown)
                raise
            self.failures, self.cooldown = 0, self.least
            return result

        return guarded


def through_an_outage(chaos, breaker, policy, pauses=(11, 11, 11, 31, 11, 11)):
    """Fail until it opens, then call twice after each pause."""
    chaos.script("503*")
    call = client(chaos, breaker)
    call(4)
    for seconds in pauses:
        chaos.clock.advance(seconds)
        call(2)
    return rulings(chaos, policy)


GROWS = BreakerPolicy(threshold=3, cooldown=(10, 40))


def test_a_growing_cooldown_within_its_range_is_right(chaos):
    """Ten seconds, twenty, forty, forty: the end of each is met by a probe."""
    assert through_an_outage(chaos, Growing(3, 10, 40), GROWS) == [HELD, HELD, NOT_ASKED, HELD]


@pytest.mark.parametrize(
    ("breaker", "shape", "words"),
    [
        (Growing(3, 5, 40), "CB02", "was sent 6 s after the circuit had opened, its cooldown is 10 s to 40 s"),
        (
            Growing(3, 10, 400),
            "CB03/no-probe",
            "was turned away 45 s after the circuit had opened, its cooldown is 10 s to",
        ),
    ],
    ids=["too short", "too long"],
)
def test_a_growing_cooldown_out_of_its_range_is_caught(chaos, breaker, shape, words):
    """One comes back too soon, the other grows on and on."""
    found = through_an_outage(chaos, breaker, GROWS, (6, 6, 11, 21, 41, 45))

    assert shape in found
    assert words in chaos.verdict.findings[0].headline


def with_pybreaker(successes):
    """A pybreaker that closes after so many."""
    return pybreaker.CircuitBreaker(fail_max=3, reset_timeout=30, success_threshold=successes)


def after_one_probe(chaos, breaker, policy, script="503 x3, ok, 503, ok*"):
    """Open, probe well, fail at once, and call again."""
    chaos.script(script, strict=False)
    call = client(chaos, breaker)
    call(4)
    chaos.clock.advance(31)
    call(4)
    return rulings(chaos, policy)


TWICE = BreakerPolicy(threshold=3, cooldown=30, successes=2)


def test_a_breaker_that_closes_after_two_successes_is_right(chaos):
    """One success, one failure: it is open again; and pybreaker's own word for it is read."""
    breaker = with_pybreaker(2)
    assert after_one_probe(chaos, breaker, TWICE) == [HELD, HELD, NOT_ASKED, HELD]
    assert rulings(chaos, breaker) == [HELD, HELD, NOT_ASKED, HELD]


def test_a_breaker_that_closes_after_the_second_success_is_right(chaos):
    """From then on it takes three failures again."""
    found = after_one_probe(chaos, with_pybreaker(2), TWICE, "503 x3, ok x2, 503 x2, ok")
    assert found == [HELD, HELD, NOT_ASKED, HELD]


@pytest.mark.parametrize(
    ("successes", "script", "shape", "headline"),
    [
        (
            1,
            "503 x3, ok, 503, ok*",
            "CB04/stays-closed",
            "CB04 not opened again: GET /items was sent 0 s after the probe",
        ),
        (3, "503 x3, ok x2, 503", "CB01/early", "CB01 the breaker opened too early: "),
    ],
)
def test_a_breaker_that_closes_after_another_number_is_caught(chaos, successes, script, shape, headline):
    """One too soon, one too late."""
    found = after_one_probe(chaos, with_pybreaker(successes), TWICE, script)
    assert shape in found
    assert headline in chaos.verdict.findings[0].headline


class Shy(Growing):
    """One that turns the next call away after a good probe."""

    def __call__(self, fn):
        """Guard a function."""
        guarded = super().__call__(fn)

        def once_more():
            failed = self.failures
            result = guarded()
            if failed >= self.threshold:
                self.until = time.monotonic() + 5
            return result

        return once_more


def test_a_breaker_that_turns_calls_away_between_two_probes_is_caught(chaos):
    """A success is followed by the next probe, and not by a rest."""
    assert after_one_probe(chaos, Shy(3, 30, 30), TWICE, "503 x3, ok") == [HELD, HELD, NOT_ASKED, "CB04/stays-open"]


def by_tenant(chaos, guards):
    """Fetch for tenants in turn, each call named by its tenant."""

    def fetch(tenant):
        requests.get(f"{chaos.url}/items", headers={"X-Tenant": tenant}, timeout=5).raise_for_status()

    def call(*tenants):
        for tenant in tenants:
            guarded = functools.partial(guards(tenant)(fetch), tenant)
            guarded.__qualname__ = f"for tenant {tenant}"  # type: ignore[attr-defined]  # the name of the scope
            with contextlib.suppress(*ERRORS):
                chaos.call(guarded)

    return call


TENANTS = BreakerPolicy(threshold=3, cooldown=30, per=lambda attempt: attempt.headers.get("X-Tenant"))


@pytest.mark.parametrize("threshold", [3, 4])
def test_a_breaker_for_each_tenant_is_judged_for_each(chaos, threshold):
    """What one tenant met opens no circuit of another: right with three failures each, wrong with four."""
    chaos.script("503*")
    factory = purgatory.SyncCircuitBreakerFactory(default_threshold=threshold, default_ttl=30)
    call = by_tenant(chaos, factory)
    call("a", "b", "a", "b", "a", "b", "a", "b", "a", "b")

    assert rulings(chaos, TENANTS)[0] == (HELD if threshold == 3 else "CB01/late")
    assert rulings(chaos, BreakerPolicy(threshold=3, cooldown=30))[0] == "CB01/late"
    assert "BreakerPolicy(per=lambda attempt: …)" in str(chaos.verdict.findings[0].hint)


def test_one_breaker_for_all_tenants_is_caught(chaos):
    """A tenant with a single failure is turned away for another's."""
    chaos.script("503*")
    shared = CircuitBreaker(threshold=3)
    call = by_tenant(chaos, lambda _: shared)
    call("a", "b", "b", "a")

    assert rulings(chaos, TENANTS)[0] == "CB01/early"


def test_what_is_not_guarded_is_left_out(chaos):
    """A request that names no circuit may be sent at any time."""
    chaos.script("503*")
    breaker = CircuitBreaker(threshold=3)
    call = by_tenant(chaos, lambda tenant: breaker if tenant == "a" else lambda fn: fn)
    call("a", "a", "a", "a", "", "", "")
    policy = BreakerPolicy(threshold=3, cooldown=30, per=lambda attempt: attempt.headers.get("X-Tenant") or None)

    assert rulings(chaos, policy) == [HELD, HELD, NOT_ASKED, NOT_ASKED]


@pytest.mark.parametrize(("failures", "act", "shape"), [(1, "trip", "CB01/early"), (3, "reset", "CB02")])
def test_a_breaker_worked_by_hand_is_not_accused(chaos, failures, act, shape):
    """Tripped after one failure, or reset in its cooldown; told by the breaker itself, or by the test."""
    chaos.script("503*")
    breaker = CircuitBreaker(threshold=3, cooldown=30)
    call = client(chaos, breaker)
    call(failures + (act == "reset"))
    getattr(breaker, act)()
    call()

    said = BreakerPolicy(threshold=3, cooldown=30)
    assert shape in rulings(chaos, said)
    for one in (breaker, BreakerPolicy(threshold=3, cooldown=30, by_hand=True)):
        assert shape not in rulings(chaos, one)
        assert "broken" not in rulings(chaos, one)
        reasons = [chaos.verdict.of(code).reason for code in LAWS]
        assert act == "reset" or "tripped or reset by hand, which is right at any time" in reasons[0]


def test_a_call_in_the_cooldown_is_told_with_the_hint(chaos):
    """A reset by hand looks the same on the wire."""
    chaos.script("503*")
    breaker = CircuitBreaker(threshold=3, cooldown=30)
    call = client(chaos, breaker)
    call(4)
    breaker.reset()
    call()
    with pytest.raises(LawsBroken, match=r"or    was it reset by hand\? BreakerPolicy\(by_hand=True\)"):
        chaos.verify(breaker=BreakerPolicy(threshold=3, cooldown=30), ignore=("RT01",))


async def silences(chaos, breaker, *, calls=5, tries=2, limit=5, deadline=None, is_told=True):
    """Meet silence again and again, inside retries, on an event loop; perhaps under a deadline around the breaker."""
    async with httpx.AsyncClient(timeout=limit) as http:

        async def fetch():
            (await http.get(f"{chaos.url}/items")).raise_for_status()

        guarded = breaker(fetch)

        async def call():
            for left in reversed(range(tries)):
                try:
                    async with asyncio.timeout(deadline):
                        return await guarded()
                except (httpx.HTTPError, TimeoutError):
                    if not left and is_told:
                        raise
                await asyncio.sleep(1)
            return None

        for _ in range(calls):
            with contextlib.suppress(*ERRORS, httpx.HTTPError, TimeoutError):
                await chaos.call_async(call)


@pytest.mark.asyncio
@pytest.mark.parametrize(("threshold", "found"), [(3, HELD), (4, "CB01/late")])
async def test_a_clients_own_time_limit_is_a_failure_on_an_event_loop_too(chaos, threshold, found):
    """Of the retry it was told, so that the attempt before, which took as long, ended in the same way."""
    chaos.script("timeout*")
    await silences(chaos, CircuitBreaker(threshold=threshold))

    assert rulings(chaos, BreakerPolicy(threshold=3, cooldown=30))[0] == found


@pytest.mark.asyncio
@pytest.mark.parametrize("limit", [10, 5.0005], ids=["longer", "a little longer"])
async def test_a_deadline_around_a_breaker_tells_it_nothing_though_retries_stand_around_that(chaos, limit):
    """The breaker was told of cancellations alone, and never opens."""
    chaos.script("timeout*")
    breaker = CircuitBreaker(threshold=3)
    await silences(chaos, breaker, limit=limit, deadline=5)

    assert breaker.failures == 0
    assert rulings(chaos, BreakerPolicy(threshold=3, cooldown=30)) == [NOT_ASKED] * 4


@pytest.mark.asyncio
async def test_a_deadline_as_long_as_another_clients_own_limit_stays_unclear(chaos):
    """One call was told the one, one the other: after five seconds either may have ended it."""
    chaos.script("timeout*")
    breaker = CircuitBreaker(threshold=3)
    await silences(chaos, breaker, calls=1, tries=1)
    await silences(chaos, breaker, calls=1, tries=1, limit=10, deadline=5)
    await silences(chaos, breaker, tries=1, limit=10, deadline=5, is_told=False)

    assert breaker.failures == 1
    assert rulings(chaos, BreakerPolicy(threshold=3, cooldown=30)) == [NOT_ASKED] * 4
