"""What reporting costs: a suite with and without it, and shards that are put together."""

from __future__ import annotations

import contextlib
import io
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import page

from pytest_retrychaos.cli import main
from pytest_retrychaos.clock.cpython import real_twin
from pytest_retrychaos.report.jsonform import to_json

NOW = real_twin(time.process_time)
TESTS, ROUNDS = 2000, 5
SHARDS, EACH = 50, 200

SUITE = """
import pytest, requests, time

def charge(url):
    for _ in range(3):
        answer = requests.post(f"{{url}}/payments", json={{"amount": 1}}, headers={{"Idempotency-Key": "k"}}, timeout=5)
        if answer.status_code < 500:
            return answer
        time.sleep(1)

@pytest.mark.parametrize("number", range({tests}))
@pytest.mark.chaos("503, ok")
def test_a_charge(chaos, number):
    charge(chaos.url)
    chaos.verify()
"""

PLUGINS = ["-p", "no:cacheprovider", "-p", "no:randomly", "-p", "no:rerunfailures", "-p", "no:asyncio"]
RUNS = {
    "without the collector": ["-p", "no:retrychaos-report"],
    "the least report": ["-p", "no:retrychaos-report", "-p", "least_report"],
    "no report asked for": [],
    ".json": ["--chaos-report=r.json"],
    ".html": ["--chaos-report=r.html"],
}


def overhead(tests: int = TESTS, rounds: int = ROUNDS) -> Iterator[str]:
    """Run a suite with and without reports, interleaved, each second round in the opposite order."""
    spent: dict[str, list[float]] = {name: [] for name in RUNS}
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "test_suite.py").write_text(SUITE.format(tests=tests))
        for number in range(rounds):
            for name, options in list(RUNS.items())[:: -1 if number % 2 else 1]:
                spent[name].append(_run(folder, options))
    base = spent["without the collector"]
    yield "| suite of chaos tests | processor time | more, of each round | from | to |"
    yield "|---|---|---|---|---|"
    for name, times in spent.items():
        more = sorted([100 * (one / plain - 1) for one, plain in zip(times, base, strict=True)])
        shown = f"{statistics.median(more):+.1f} % | {more[0]:+.1f} % | {more[-1]:+.1f} %" if any(more) else "– | – | –"
        yield f"| {name} | {statistics.median(times):.2f} s | {shown} |"


def _run(folder: str, options: list[str]) -> float:
    """Give the processor time of one run."""
    command = [sys.executable, "-m", "pytest", "-q", *PLUGINS, *options, "test_suite.py"]
    environment = {name: value for name, value in os.environ.items() if name != "GITHUB_STEP_SUMMARY"}
    environment["PYTHONPATH"] = str(Path(__file__).parent)  # the least report's
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def merging() -> list[str]:
    """Put shards together, reading and writing included."""
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for number in range(SHARDS):
            made = page.document(EACH, 3)
            tests = tuple(replace(test, id=f"{test.id}[{number}]") for test in made.tests)
            paths.append(Path(folder, f"{number}.json"))
            paths[-1].write_text(to_json(replace(made, tests=tests)))
        size = sum(path.stat().st_size for path in paths) / 1e6
        times = []
        for _ in range(5):
            began = NOW()
            with contextlib.redirect_stdout(io.StringIO()):
                assert main(["merge", *map(str, paths), "--report", str(Path(folder, "all.json"))]) == 0
            times.append(NOW() - began)
    return [f"{SHARDS} shards of {EACH} tests, {size:.0f} MB: {statistics.median(times):.2f} s."]


Measure = Callable[[], Any]
SECTIONS: dict[str, tuple[Measure, str, str]] = {
    "Reporting": (
        overhead,
        "Under 5 % more for a suite of 2 000 chaos tests.",
        """
Whole runs of pytest, a process each, medians of five interleaved rounds; a test is a POST through `requests` that meets
a 503 and is sent again, and is judged by every law. On a machine where one suite takes a tenth more or less from round
to round this tells nothing: "Reporting, counted" does.
""",
    ),
    "Merging shards": (
        merging,
        "50 shards of 200 tests in under 2 s.",
        "\nThe median of five; a test has three attempts.\n",
    ),
}
