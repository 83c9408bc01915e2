"""A herd in a test that fails: its arrivals are drawn, by a law's finding or beside the timeline."""

from __future__ import annotations

from tests.plugin.inner import run

CLIENT = """
import requests, pytest
from pytest_retrychaos.engine import Retry, fixed

@pytest.mark.chaos("down=1s", seed=1)
def test_herd(chaos):
    chaos.service.limit("10/s")
    retry = Retry(attempts=5, backoff=fixed(1))
    herd = chaos.herd(20, retry(lambda: requests.get(chaos.url, timeout=5)))
    JUDGE
"""
BAR = "░" * 25


def test_broken_law_draws_the_arrivals(pytester):
    """Once, though two laws are broken."""
    pytester.makepyfile(CLIENT.replace("JUDGE", "chaos.verify()"))

    result = run(pytester)

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E*BK03, LD03 broken: 2 findings",
            "E*BK03 no jitter: 20 copies waited 1 s each before retry 1",
            "E*  arrivals in every 1 s: █ answered, ░ failed, │ capacity 10",
            f"E*  +0 s  20  {BAR}│{BAR}",
            f"E*  +1 s  20  {'█' * 25}│{BAR}",
            f"E*  +2 s  10  {'█' * 25}│",
            "E*  20 copies, 50 attempts, 2.5 an operation, 3 at most",
            "E*  peak 20, 2 times the capacity; 20 once the cause had ended; over capacity for 1 s more",
            "E*LD03 synchronised retries: 20 clients that had failed together came back together, after 1 s",
        ]
    )
    failure, _, _ = result.stdout.str().partition("short test summary info")  # which repeats it all under CI
    assert failure.count("arrivals in every") == 1


def test_failing_assertion_draws_the_arrivals_beside_the_timeline(pytester):
    """What the test itself asked for is seen in the chart."""
    pytester.makepyfile(CLIENT.replace("JUDGE", "assert herd.arrivals.peak < 10"))

    result = run(pytester)

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*- retrychaos -*",
            "  t+0.00s  #1   connect to service.test   connection refused   (down=1s)",
            "  … 34 more attempts",
            "  arrivals in every 1 s: █ answered, ░ failed, │ capacity 10",
            f"  +0 s  20  {BAR}│{BAR}",
        ]
    )
