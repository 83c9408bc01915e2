"""Fuzzing: Hypothesis's examples a second with ``chaos``, beside the same test whose body does nothing."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import requests
from hypothesis import Phase, given, settings

from pytest_retrychaos import Chaos
from pytest_retrychaos.clock.cpython import real_twin
from pytest_retrychaos.engine import Retry
from pytest_retrychaos.faults import Script
from pytest_retrychaos.fuzz import scripts
from pytest_retrychaos.fuzz.drawing import draw_walks, settings_for
from pytest_retrychaos.fuzz.faultlist import read_faults
from pytest_retrychaos.fuzz.playing import Test
from pytest_retrychaos.fuzz.search import Found
from pytest_retrychaos.fuzz.walk import Walks

NOW = real_twin(time.process_time)
RETRY = Retry(attempts=3)
KEY = {"Idempotency-Key": "order-7"}
EXAMPLES = 500
ASKED = settings(
    max_examples=EXAMPLES, database=None, deadline=None, derandomize=True, phases=[Phase.generate],
    suppress_health_check=settings_for(None, {}).suppress_health_check,
)  # fmt: skip


def nothing(_: Script) -> None:
    """Do nothing with a script."""


def begun(script: Script) -> None:
    """Begin and end a run, and send nothing."""
    with Chaos(script, seed=1, entropy="seeded"):
        pass


def paid(script: Script) -> None:
    """Charge through requests, and judge."""
    with Chaos(script, seed=1, entropy="seeded") as chaos:
        with contextlib.suppress(requests.RequestException):
            charge(chaos)
        chaos.verify(ignore=["NV01"])


def charge(chaos: Chaos) -> None:
    """Charge through requests, in a session of its own."""
    RETRY.call(requests.post, f"{chaos.url}/payments", json={"amount": 1}, headers=KEY, timeout=10)


def fuzzed() -> list[str]:
    """Draw as many examples each way, of which the second time counts."""
    lines = ["| test | examples a second | histories a second | ms an example |", "|---|---|---|---|"]
    rows: dict[str, Callable[[Script], None]] = {
        "`@given(scripts())`, a body that does nothing": nothing,
        "the same, a run without a request": begun,
        "the same, a payment through requests, judged": paid,
    }
    for name, body in rows.items():
        spent = [_drawn(body) for _ in range(2)][-1]
        lines.append(f"| {name} | {EXAMPLES / spent:.0f} | {EXAMPLES / spent:.0f} | {1e3 * spent / EXAMPLES:.2f} |")
    examples, runs, spent = _walked()
    lines.append(
        f"| `@chaos_fuzz`, the payment | {examples / spent:.0f} | {runs / spent:.0f} | {1e3 * spent / examples:.2f} |"
    )
    return lines


def _drawn(body: Callable[[Script], None]) -> float:
    test = ASKED(given(scripts())(lambda script: body(script)))
    began = NOW()
    test()
    return NOW() - began


def _walked() -> tuple[int, int, float]:
    examples: list[int] = []
    test = Test(charge, charge.__code__, "benchmark", {"seed": 1, "entropy": "seeded"})
    found = Found()
    began = NOW()
    draw_walks(Walks(test.play, read_faults("default"), found), ASKED, None, lambda: examples.append(1))
    spent = NOW() - began
    assert not found.worst, found.worst
    return len(examples), found.runs, spent


SECTIONS = {
    "Fuzzing": (
        fuzzed,
        "Hypothesis examples a second with `chaos` beside the same test with a body that does nothing.",
        """
An example of `@chaos_fuzz` is a walk of several histories, of which those that were run before are not run again.
Hypothesis's own part is the first row; the second is what it costs to begin and end virtual time and the network.
""",
    )
}
