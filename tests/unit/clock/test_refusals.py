"""What virtual time for one thread does not cover is refused by name before it runs."""

from __future__ import annotations

import _thread
import asyncio
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from pytest_retrychaos.clock import Refused, VirtualClock, current, install

LOOP = (
    " runs an event loop (asyncio.unix_events._UnixSelectorEventLoop) while chaos runs: only blocking code is on "
    "virtual time, and the loop's timers would take real time. Test the blocking client, or run the loop outside "
    "chaos."
)


def nothing() -> None:
    pass


def by_pool() -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(nothing)


STARTS: dict[str, tuple[Callable[[], object], str]] = {
    "Thread": (lambda: threading.Thread(target=nothing, name="worker").start(), "worker"),
    "Timer": (lambda: threading.Timer(1, nothing).start(), r"Thread-\d+"),
    "pool": (by_pool, r"ThreadPoolExecutor-\d+_0"),
    "_thread": (lambda: _thread.start_new_thread(nothing, ()), "nothing"),
}


@pytest.mark.parametrize("form", STARTS)
def test_starting_a_thread_is_refused(form: str, clock: VirtualClock) -> None:
    """Which thread, where, why and the way out are named, and no thread is left behind."""
    start, name = STARTS[form]
    before = threading.enumerate()
    with pytest.raises(Refused) as caught:
        start()
    place, _, rest = str(caught.value).partition(" starts a thread ")
    assert "test_refusals.py:" in place
    assert re.fullmatch(
        rf"\({name}\) while chaos runs: only the test's own thread is on virtual time, and what another one "
        r"does would take real time. Run the work in the test's thread, or start the thread before chaos begins "
        r"if it is to stay on real time\.",
        rest,
    )
    assert threading.enumerate() == before


def test_threads_can_be_allowed() -> None:
    """A driver that needs threads in real time may start them."""
    ran = threading.Event()
    with install(VirtualClock(), forbid_threads=False, patience=10):
        thread = threading.Thread(target=ran.set)
        thread.start()
        thread.join()
    assert ran.is_set()


def test_another_thread_may_start_threads() -> None:
    """Only the test's own thread is refused."""
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
