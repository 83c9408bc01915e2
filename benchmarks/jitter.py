"""BK03: how often a right client is accused, and from how many waits on each wrong one is found.

Chance is Python's own, seeded, and each sample is judged by the law's own function, so the figures are the same on
every machine. As a script it prints them; a number after its name is the trials of each cell, for a quick look.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from random import Random

from pytest_retrychaos.engine import Backoff, exponential
from pytest_retrychaos.laws.jitter import LEAST_WAITS, Waited, fit

RIGHT_TRIALS, WRONG_TRIALS = 100_000, 1_000
KINDS = ("full", "equal", "proportional", "decorrelated")
SIZES = (1, 2, 3, 5, 8, 10, 15, 20, 25, 30, 40, 50, 60, 80, 100, 150, 200, 300, 500, 700, 1000)
FOUND = 0.99

Delay = Callable[[int, Random, float | None], float]
"""Draws the wait before a retry, given its number and the wait before."""


def _backoff(jitter: str, cap: float = 1000) -> Backoff:
    return exponential(1, cap=cap, jitter=jitter)


def _of(backoff: Backoff) -> Delay:
    return lambda retry, chance, previous: backoff.delay(retry, random=chance, previous=previous)


def _over_the_cap(retry: int, chance: Random, previous: float | None) -> float:
    """Add a fifth at most to waits that were capped before: a bug of many hand-written backoffs."""
    return min(8.0, 2.0 ** (retry - 1)) * (0.8 + 0.4 * chance.random())


def _operations(delay: Delay, waits: int, chance: Random, retries: int) -> list[list[Waited]]:
    """Draw so many waits, of operations with so many retries each."""
    drawn: list[list[Waited]] = []
    while waits > 0:
        one: list[Waited] = []
        previous = None
        for retry in range(1, min(retries, waits) + 1):
            previous = delay(retry, chance, previous)
            one.append(Waited(retry, previous))
        drawn.append(one)
        waits -= len(one)
    return drawn


def _share_found(claimed: Backoff, real: Delay, size: int, trials: int, retries: int) -> float:
    chance = Random(f"wrong {size}")
    found = 0
    for _ in range(trials):
        judged = fit(claimed, _operations(real, size, chance, retries))
        found += bool(judged.over_cap) or not judged.is_right
    return found / trials


def _least(claimed: Backoff, real: Delay, trials: int, retries: int = 3) -> str:
    """Find the size from which on the wrong client is found 99 times in 100."""
    least = f"over {SIZES[-1]}"
    for size in reversed(SIZES):
        if _share_found(claimed, real, size, trials, retries) < FOUND:
            break
        least = str(size)
    return least


def jitter(trials: int | None = None) -> list[str]:
    """Right clients of each kind, and each kind under the claim of each other."""
    lines = ["| claimed | samples of 50 waits by right clients | accused |", "|---|---|---|"]
    for kind in KINDS:
        chance, backoff, count = Random(f"right {kind}"), _backoff(kind), trials or RIGHT_TRIALS
        accused = sum(
            not fit(backoff, _operations(_of(backoff), LEAST_WAITS, chance, 3)).is_right for _ in range(count)
        )
        lines.append(f"| {kind} | {count:,} | {accused} |".replace(",", " "))
    lines += ["", f"| claimed | {' | '.join(('none', *KINDS))} |", f"|---|{'---|' * 5}"]
    for claimed in KINDS:
        cells = [
            "–" if real == claimed else _least(_backoff(claimed), _of(_backoff(real)), trials or WRONG_TRIALS)
            for real in ("none", *KINDS)
        ]
        lines.append(f"| {claimed} | {' | '.join(cells)} |")
    over = _least(_backoff("proportional", cap=8), _over_the_cap, trials or WRONG_TRIALS, retries=8)
    return [*lines, "", f"Chance added to a capped wait, eight retries an operation: found from {over} waits on."]


SECTIONS = {
    "Jitter, told from waits": (
        jitter,
        "A right client accused once in 10 000 at most; none, full and equal jitter told apart from 50 waits on.",
        """
The law asks for 50 waits, or 100 where decorrelated jitter is claimed. The first table is of right clients, a hundred
thousand samples of 50 waits each; the second says from how many waits on a client that really has the jitter of the
column is found 99 times in 100 under the claim of the row (three retries an operation, base 1 s, cap 1 000 s; the sizes
tried are 1, 2, 3, 5, 8, 10, 15, 20, 25, 30, 40, 50, 60, 80, 100 and more). Every cell is seeded and the same on every
machine.
""",
    ),
}

if __name__ == "__main__":
    print("\n".join(jitter(int(sys.argv[1]) if len(sys.argv) > 1 else None)))
