"""What a test has mocked when the first run of a process begins: what is replaced for runs is looked up then."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import time, unittest.mock
with unittest.mock.patch("{name}"):
    from pytest_retrychaos import Chaos
    with Chaos() as chaos:
        time.sleep(60)
import subprocess
with Chaos() as again:
    subprocess.run(["true"], check=True)
    time.sleep(60)
print(chaos.clock.elapsed, again.clock.elapsed)
"""


@pytest.mark.parametrize(
    "name", ["subprocess.Popen", "concurrent.futures.thread.ThreadPoolExecutor", "signal.raise_signal", "os.kill"]
)
def test_a_mock_is_no_matter_of_the_clocks(name: str) -> None:
    """Neither for that run nor for the next, without the mock."""
    done = subprocess.run([sys.executable, "-c", CODE.format(name=name)], capture_output=True, text=True, check=False)

    assert (done.stdout, done.stderr) == ("60.0 60.0\n", "")
