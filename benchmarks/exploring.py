"""Exploring: histories a minute, and whether one costs more the more there have been."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from math import comb
from typing import NamedTuple

import httpx
import requests

from examples.payments import wrong
from pytest_retrychaos import Chaos
from pytest_retrychaos.clock.cpython import real_twin
from pytest_retrychaos.engine import Retry, fixed
from pytest_retrychaos.faults import Kind, Step
from pytest_retrychaos.fuzz.faultlist import read_faults
from pytest_retrychaos.fuzz.history import History, Played
from pytest_retrychaos.fuzz.playing import Test
from pytest_retrychaos.fuzz.search import Search
from pytest_retrychaos.model import Headers
from pytest_retrychaos.trace.values import NO_BODY, Body

NOW = real_twin(time.process_time)
RETRY = Retry(attempts=3)
KEY = {"Idempotency-Key": "order-7"}


def by_requests(chaos: Chaos) -> None:
    """Charge through requests, in a session of its own."""
    RETRY.call(requests.post, f"{chaos.url}/payments", json={"amount": 1}, headers=KEY, timeout=10)


def by_httpx(chaos: Chaos) -> None:
    """Charge through httpx on asyncio, with certificates that are loaded once."""

    async def charge() -> None:
        async with httpx.AsyncClient(timeout=10, verify=False) as client:
            await RETRY.call_async(client.post, f"{chaos.url}/payments", json={"amount": 1}, headers=KEY)

    asyncio.run(charge())


def explored() -> list[str]:
    """Explore a right client to a depth of two, by halves."""
    lines = ["| client | histories | a minute | the first 200, each | the last 200, each |", "|---|---|---|---|---|"]
    for name, client in (("requests", by_requests), ("httpx, asyncio", by_httpx)):
        spent = _times(client)
        first, last = sum(spent[:200]) / 200 * 1e3, sum(spent[-200:]) / 200 * 1e3
        lines.append(f"| {name} | {len(spent)} | {60 * len(spent) / sum(spent):.0f} | {first:.1f} ms | {last:.1f} ms |")
    return lines


def _times(client: Callable[[Chaos], None]) -> list[float]:
    spent: list[float] = []
    test = Test(client, client.__code__, "benchmark", {"seed": 1, "entropy": "seeded"})

    def play(history: History) -> object:
        began = NOW()
        played = test.play(history)
        spent.append(NOW() - began)
        return played

    found = Search(play, read_faults("default"), 2, lambda _: False).run(test.play(History()))  # type: ignore[arg-type]
    assert not found.worst, found.worst
    return spent


class Failed(Exception):
    """What a client without a network is told of a status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Sent(NamedTuple):
    """What the search looks at in an attempt."""

    index: int
    fault: str | None
    began_ns: int
    method: str = "POST"
    scheme: str = "http"
    host: str = "service.test"
    target: str = "/payments"
    body: Body = NO_BODY
    is_read: bool = False
    replayed: bool = False
    timeout_ns: int | None = 10**10
    response_headers: Headers = Headers()


ERRORS: dict[Kind, type[Exception]] = {
    **dict.fromkeys((Kind.RESET, Kind.EOF, Kind.STALE, Kind.TRUNCATE), ConnectionResetError),
    **dict.fromkeys((Kind.REFUSE, Kind.DOWN), ConnectionRefusedError),
    Kind.TIMEOUT: TimeoutError,
}


def sans_io(attempts: int) -> Callable[[History], Played]:
    """Make what plays a history by the engine's policy alone: no service, no time but a number, no judge."""
    now = 0.0
    faults: dict[int, Step] = {}
    last: Step | None = None  # of a history whose last fault stays
    sent: list[Sent] = []

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    def send() -> None:
        step = faults.get(len(sent) + 1, last)
        sent.append(Sent(len(sent) + 1, None if step is None else str(step), round(now * 1e9)))
        if step is not None and step.kind in ERRORS:
            raise ERRORS[step.kind]
        if step is not None and (step.status or 0) >= 300:
            raise Failed(step.status or 0)

    policy = Retry(attempts=attempts, backoff=fixed(1), clock=lambda: now, sleep=sleep)

    def play(history: History) -> Played:
        nonlocal now, faults, last, sent
        now, faults, sent = 0.0, dict(history.faults), []
        last = history.faults[-1][1] if history.for_ever else None
        with contextlib.suppress(Failed, OSError):
            policy.call(send)
        return Played(history, tuple(sent))  # type: ignore[arg-type]  # as much of attempts as is looked at

    return play


def trees() -> list[str]:
    """Explore what retries so often at most to a depth of three, beside the scripts that could be listed."""
    steps = read_faults("default")
    lines = ["| attempts at most | histories | a second | of the full tree |", "|---|---|---|---|"]
    for attempts in (3, 4, 5):
        play = sans_io(attempts)
        began = NOW()
        found = Search(play, steps, 3, lambda _: False).run(play(History()))
        spent = NOW() - began
        full = sum(comb(attempts, count) * len(steps) ** count for count in range(4))
        lines.append(f"| {attempts} | {found.runs} | {found.runs / spent:.0f} | {found.runs / full:.1%} of {full} |")
    return lines


def reading(chaos: Chaos) -> None:
    """Read through requests."""
    RETRY.call(requests.get, f"{chaos.url}/orders", timeout=1)


def reduced() -> list[str]:
    """Explore clients with the reduction and without."""
    lines = ["| client, depth 2 | with the reduction | without | factor |", "|---|---|---|---|"]
    clients = {"reads, and waits 1 s for an answer": reading, "a right client that charges": by_requests}
    for name, client in (clients | {one.__name__: _charging(one) for one in WRONG}).items():
        test = Test(client, client.__code__, "benchmark", {"seed": 1, "entropy": "seeded"})
        runs = [
            Search(test.play, read_faults("default"), 2, lambda _: False, reduces).run(test.play(History())).runs
            for reduces in (True, False)
        ]
        lines.append(f"| {name} | {runs[0]} | {runs[1]} | {runs[1] / runs[0]:.2f} |")
    return lines


def _charging(client: Callable[..., object]) -> Callable[[Chaos], None]:
    def charge(chaos: Chaos) -> None:
        client(chaos.url, amount=1000)

    return charge


WRONG = (wrong.no_key, wrong.ignores_retry_after, wrong.gives_up_at_once, wrong.loses_the_body)

SECTIONS = {
    "Exploring": (
        explored,
        "3 000 histories a minute for a requests client at depth 2, at a cost that does not grow.",
        "",
    ),
    "Exploring, the search alone": (
        trees,
        "5 000 histories a second for a client of the engine without I/O, at depth 3.",
        "\nThe full tree is every script of up to three faults at any of the attempts.",
    ),
    "Exploring, reduction": (
        reduced,
        "what a client cannot tell from a run that was made is not run.",
        "",
    ),
}
