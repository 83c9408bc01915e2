"""Count what a POST and a reported test take, by cachegrind: the same on a busy machine. Run by ``make bench-counted``.

Cachegrind (of Valgrind, https://valgrind.org) runs a program on a simulated processor and counts its instructions and
how often they missed its caches. A figure is what a long run takes more than a short one, for each of what it has more:
starting Python and importing a client are in none. Time is instructions and misses together, in a proportion that only
a real machine tells; what is in no figure is what the system does for the process.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import posts
import reporting
import run

HERE = Path(__file__).parent
CACHES = ["--cache-sim=yes", "--I1=32768,8,64", "--D1=32768,8,64", "--LL=524288,8,64"]
"""32 KB each nearest to the processor, and 512 KB behind them: one core of many a server."""
POSTS, TESTS = (100, 600), (200, 800)
"""Of the short run, and of the long one: one of few tests has a full pass of Python's collector more or less."""
RIVALS = ("stub", "least service", "on virtual time", "retrychaos")
A_POST = """
import os, sys, posts

def timed(count, act):
    for number in range(count):
        act(number)
    os._exit(0)  # to take down what is kept is no part of a POST

posts.timed = timed
posts.on(sys.argv[1], posts.CLIENTS[sys.argv[2]], int(sys.argv[3]))
"""


@dataclass(frozen=True, slots=True)
class Count:
    """What a run took."""

    instructions: float
    near_misses: float
    """Of both nearest caches, instructions and data."""
    far_misses: float
    """Of the cache behind them."""


def counted(command: list[str], folder: str, caches: list[str] = CACHES) -> Count:
    """Run a command of Python on the simulated processor."""
    out = Path(folder, "cachegrind.out")
    environment = {
        **os.environ,
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": str(HERE),
        "PYTHONPYCACHEPREFIX": str(Path(tempfile.gettempdir(), "retrychaos-counted")),
    }
    environment.pop("GITHUB_STEP_SUMMARY", None)
    python = [sys.executable, *command]
    subprocess.run(python, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)  # compiles, if need be
    subprocess.run(
        ["valgrind", "--quiet", "--tool=cachegrind", *caches, f"--cachegrind-out-file={out}", *python],
        cwd=folder,
        env=environment,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    lines = out.read_text(errors="replace").splitlines()
    events = next(line for line in lines if line.startswith("events:")).split()[1:]
    totals = next(line for line in lines if line.startswith("summary:")).split()[1:]
    found = {event: int(total) for event, total in zip(events, totals, strict=True)}
    return Count(
        found["Ir"],
        sum(found.get(one, 0) for one in ("I1mr", "D1mr", "D1mw")),
        sum(found.get(one, 0) for one in ("ILmr", "DLmr", "DLmw")),
    )


def each(sizes: tuple[int, int], run_of: Callable[[int], Count]) -> Count:
    """Give what one of many takes, once all is warm."""
    short, long = map(run_of, sizes)
    more = sizes[1] - sizes[0]
    return Count(
        (long.instructions - short.instructions) / more,
        (long.near_misses - short.near_misses) / more,
        (long.far_misses - short.far_misses) / more,
    )


def one_post() -> Iterator[str]:
    """One POST by each client, to each of what it may meet."""

    def measure(which: tuple[str, str]) -> Count:
        client, rival = which

        def run_of(number: int) -> Count:
            with tempfile.TemporaryDirectory() as folder:
                return counted(["-c", A_POST, rival, client, str(number)], folder)

        return each(POSTS, run_of)

    cells = list(product(posts.CLIENTS, RIVALS))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = dict(zip(cells, pool.map(measure, cells), strict=True))
    yield "| client | | thousand instructions | thousand misses of 32 KB | thousand misses of 512 KB |"
    yield "|---|---|---|---|---|"
    for client, rival in cells:
        yield f"| {client} | {rival} | {_cells(found[client, rival], found[client, 'stub'])} |"


def _cells(one: Count, base: Count) -> str:
    pairs = (
        (one.instructions, base.instructions),
        (one.near_misses, base.near_misses),
        (one.far_misses, base.far_misses),
    )
    return " | ".join(f"{a / 1000:.1f}, {a / b:.3f}" for a, b in pairs)


def reports() -> Iterator[str]:
    """One test of a suite, with and without reports."""

    def measure(options: list[str]) -> Count:
        def run_of(number: int) -> Count:
            with tempfile.TemporaryDirectory() as folder:
                Path(folder, "test_suite.py").write_text(reporting.SUITE.format(tests=number))
                command = ["-m", "pytest", "-q", *reporting.PLUGINS, *options, "test_suite.py"]
                return counted(command, folder, ["--cache-sim=no"])  # without them it is several times as fast

        return each(TESTS, run_of)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = dict(zip(reporting.RUNS, pool.map(measure, reporting.RUNS.values()), strict=True))
    yield "| one test of a suite | thousand instructions | by no report asked for | by no collector |"
    yield "|---|---|---|---|"
    for name, one in found.items():
        times = [
            one.instructions / found[base].instructions for base in ("no report asked for", "without the collector")
        ]
        yield f"| {name} | {one.instructions / 1000:.0f} | {times[0]:.3f} | {times[1]:.3f} |"


SECTIONS: dict[str, tuple[Callable[[], Iterator[str]], str, str]] = {
    "One POST, counted": (one_post, "At most 1.5 times the stub.", ""),
    "Reporting, counted": (reports, "Under 5 % more for a suite of 2 000 chaos tests.", ""),
}


if __name__ == "__main__":
    run.tell(SECTIONS)
