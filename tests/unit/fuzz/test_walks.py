"""Walks through the histories of a client, and the shortest script from a longer one, without Hypothesis."""

from __future__ import annotations

import asyncio
import threading
import time

import httpx
import pytest
import requests

from examples.payments import wrong
from pytest_retrychaos.faults import parse
from pytest_retrychaos.fuzz.faultlist import read_faults
from pytest_retrychaos.fuzz.history import Cancel, History
from pytest_retrychaos.fuzz.playing import Test
from pytest_retrychaos.fuzz.search import Found
from pytest_retrychaos.fuzz.shrinking import shortest
from pytest_retrychaos.fuzz.walk import Walks

FEW = read_faults(["503", "404", "reset after-commit", "down=30s"])


def twice(url: str) -> None:
    """Pay two sums, each in up to two attempts, without a key."""
    for amount in (1, 2):
        for _ in range(2):
            try:
                if requests.post(f"{url}/payments", json={"amount": amount}, timeout=5).ok:
                    break
            except requests.ConnectionError:
                pass


def side_by_side(url: str) -> None:
    """Three threads that wait for the same moment, after a request."""
    threads = [threading.Thread(target=time.sleep, args=(1,)) for _ in range(3)]
    requests.get(url, timeout=5)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def walks(client=twice, faults=FEW, switches=0) -> Walks:
    def body(chaos) -> None:
        chaos.call(client, chaos.url)

    return Walks(Test(body, body.__code__, "test", {"seed": 7, "entropy": "seeded"}).play, faults, Found(), switches)


def walked(through: Walks, *tape: int) -> str:
    """Walk by a tape; what it does not say is 0, and what is too much is cut down."""
    left = list(tape)
    asked: list[int] = []

    def choose(most: int) -> int:
        asked.append(most)
        return min(left.pop(0), most) if left else 0

    runs = [str(played.history) for played in through.walk(choose)]
    return " | ".join(runs) or "no fault"


@pytest.mark.parametrize(
    ("tape", "runs"),
    [
        ((), "no fault"),
        ((0, 3, 3), "no fault"),
        ((1,), "503"),
        ((2, 1), "ok, 404"),
        ((1, 2), "reset after-commit"),
        ((1, 0, 1, 2), "503 | 503, reset after-commit"),
        ((2, 2, 1, 0, 1), "ok, reset after-commit | ok, reset after-commit, 503"),
        ((1, 0, 0, 3), "503 | 503 *"),
        ((1, 3), "down=30s"),
        ((9, 9, 9, 9, 9, 9), "ok, down=30s"),
    ],
)
def test_any_tape_is_a_walk_and_nought_is_the_plain_choice(tape: tuple[int, ...], runs: str) -> None:
    """Place and fault, place and fault; a choice only where the run before has shown an attempt."""
    assert walked(walks(), *tape) == runs


def test_a_walk_has_at_most_so_many_switches() -> None:
    """One after the other, each behind the last."""
    always = (0, *(3, 0) * 5)

    assert walked(walks(side_by_side, switches=0), *always) == "no fault"
    assert walked(walks(side_by_side, switches=3), *always) == (
        "no fault with switches=(1,) | no fault with switches=(1, 2) | no fault with switches=(1, 2, 3)"
    )


def test_what_was_run_is_not_run_again() -> None:
    """Two walks that begin alike share the run."""
    through = walks()
    walked(through, 1, 0, 1, 2)
    walked(through, 1, 0, 1, 0)

    assert through.found.runs == 4


def test_a_flow_shrinks_to_the_one_fault_that_matters_at_its_earliest() -> None:
    """Whatever it was found by."""
    through = walks()
    longest = through.run(History(((1, parse("503").steps[0]), (3, parse("reset after-commit").steps[0])), True))
    assert str(longest.history) == "503, ok, reset after-commit *"

    found = shortest(longest, "ID01", through.run, FEW)

    assert str(found.history) == "reset after-commit"


def test_a_fault_that_is_left_out_lets_the_later_ones_come_earlier() -> None:
    """The attempt that it made is not made any more."""
    through = walks()
    longer = through.run(History(((1, parse("503").steps[0]), (3, parse("reset after-commit").steps[0]))))
    assert set(longer.breaches) >= {"ID04"}

    assert str(shortest(longer, "ID04", through.run, FEW).history) == "reset after-commit"


def test_of_faults_that_are_equally_plain_the_first_is_the_shortest_script() -> None:
    """There is one answer."""
    hostile = read_faults("hostile")
    through = walks(lambda url: wrong.crashes_on_a_date(url, amount=1), hostile)
    text = '503 retry-after="soon"'
    found = shortest(through.run(History(((1, parse(text).steps[0]),))), "RT06/ValueError", through.run, hostile)

    assert str(found.history) == "503 retry-after=date+30s"


async def goes_on(chaos) -> None:
    """Take a cancellation for one more failure."""
    async with httpx.AsyncClient() as client:
        for _ in range(3):
            try:
                if (await client.get(f"{chaos.url}/payments", timeout=5)).is_success:
                    return
                await asyncio.sleep(1)
            except asyncio.CancelledError:
                pass


@pytest.mark.parametrize("late", [Cancel(2), Cancel(2, 1_500_000_000)])
def test_a_cancellation_comes_earlier_where_a_fault_before_it_is_left_out(late: Cancel) -> None:
    """The attempt and the wait that it stood at are not made any more."""

    def body(chaos) -> None:
        chaos.recorded.caller.run("asyncio", lambda: goes_on(chaos))

    run = Test(body, goes_on.__code__, "test", {"seed": 7, "entropy": "seeded", "loop": "asyncio"})
    fault = parse("503").steps[0]
    longer = run.play(History(((1, fault), (2, fault)), cancel=late))
    assert set(longer.breaches) == {"RT08"}

    assert str(shortest(longer, "RT08", run.play, FEW).history) == "no fault with cancel='#1'"
