"""What virtual time does not cover is refused by name before it runs."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest

from pytest_retrychaos.clock import Refused, VirtualClock, current, install

LOOP = (
    " runs an event loop (asyncio.unix_events._UnixSelectorEventLoop) while chaos runs: only blocking code is on "
    "virtual time, and the loop's timers would take real time. Test the blocking client, or run the loop outside "
    "chaos."
)


def test_another_thread_may_start_threads() -> None:
    """What an older thread starts lives in real time, as it does."""
    go, done = threading.Event(), threading.Event()

    def run() -> None:
        go.wait()
        inner = threading.Thread(target=done.set)
        inner.start()
        inner.join()

    older = threading.Thread(target=run)
    older.start()
    with install(VirtualClock(), patience=10):
        go.set()
        assert done.wait()
    older.join()


async def reply() -> int:
    raise AssertionError("the loop ran")


def test_running_an_event_loop_is_refused(clock: VirtualClock) -> None:
    """A loop made before or after the clock does not take its first step."""
    loop = asyncio.new_event_loop()
    try:
        with pytest.raises(Refused) as caught:
            loop.run_forever()
    finally:
        loop.close()
    place, _, rest = str(caught.value).partition(" runs ")
    assert "test_refusals.py:" in place
    assert " runs " + rest == LOOP


def test_a_loop_runs_again_afterwards(clock: VirtualClock) -> None:
    """The refusal leaves the loop fit for use once the clock has gone."""
    loop = asyncio.new_event_loop()
    with pytest.raises(Refused):
        loop.run_forever()
    installed = current()
    assert installed is not None
    installed.remove()

    async def answer() -> int:
        await asyncio.sleep(0.001)
        return 3

    assert loop.run_until_complete(answer()) == 3
    loop.close()


def test_installing_inside_a_running_loop_is_refused() -> None:
    """A coroutine cannot put its own thread on virtual time."""

    async def inside() -> None:
        install(VirtualClock())

    with pytest.raises(Refused, match="runs an event loop"):
        asyncio.run(inside())
    assert current() is None


LATE = """
import sys
from pytest_retrychaos.clock import Refused, VirtualClock, install
assert "asyncio" not in sys.modules, "asyncio is loaded already"
with install(VirtualClock()):
    import asyncio
    loop = asyncio.new_event_loop()
    try:
        loop.run_forever()
    except Refused as error:
        print("refused", "event loop (asyncio" in str(error))
    loop.close()
"""


def test_a_loop_imported_during_the_test_is_refused() -> None:
    """An asyncio that was not loaded when the clock began is met at its first wait."""
    child = subprocess.run([sys.executable, "-c", LATE], capture_output=True, text=True, check=False)
    assert (child.stdout, child.stderr) == ("refused True\n", "")


def test_trio_is_refused(clock: VirtualClock) -> None:
    """Trio's own loop is refused where it sets up a run."""
    trio = pytest.importorskip("trio")
    with pytest.raises(Refused, match=r"runs an event loop \(trio\)"):
        trio.run(reply)
