"""The watch on a thread that holds the turn in a real blocking call."""

from __future__ import annotations

import ctypes
import fcntl
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from pytest_retrychaos.clock import VirtualClock, install
from pytest_retrychaos.clock.errors import Stuck
from pytest_retrychaos.clock.functions import real

pytestmark = pytest.mark.leaves_threads

SLEEP = ctypes.CDLL(None).poll
"""Blocks in C, unseen: poll(2) with no descriptors, for so many milliseconds."""


def block() -> None:
    SLEEP(None, 0, 3000)


@pytest.fixture
def watched() -> Iterator[VirtualClock]:
    """A clock with a watch that barks after a fifth of a second."""
    virtual = VirtualClock()
    with install(virtual, watchdog=0.2, patience=0.1):
        yield virtual


def with_company(act: Callable[[], object]) -> None:
    """Do something while another thread sleeps."""
    thread = threading.Thread(target=lambda: time.sleep(1), daemon=True)
    thread.start()
    act()


def test_a_thread_that_blocks_is_reported_in_the_test(watched: VirtualClock) -> None:
    """By its name, with its stack, and the test goes on."""
    thread = threading.Thread(target=block, name="blocker", daemon=True)
    with pytest.raises(Stuck) as caught:
        thread.start()  # waits until it has begun
    text = str(caught.value)
    assert text.startswith("blocker has had the turn for 0.2 s of real time without giving it back: ")
    assert "test_watchdog.py" in text.splitlines()[0]
    assert " block blocks in a call that virtual time does not cover, or computes" in text.splitlines()[0]
    assert any("SLEEP(None, 0, 3000)" in line for line in text.splitlines())
    assert watched.stops == [caught.value]
    time.sleep(5)  # the test has the turn
    assert watched.now_ns == 5_000_000_000
    thread.join(60)


def test_the_tests_own_thread_is_interrupted(watched: VirtualClock) -> None:
    """In the middle of a system call."""
    with tempfile.NamedTemporaryFile() as file, open(file.name) as mine:
        code = "import fcntl, sys, time; f = open(sys.argv[1]); fcntl.flock(f, 2); print(flush=True); time.sleep(60)"
        with subprocess.Popen([sys.executable, "-c", code, file.name], stdout=subprocess.PIPE) as other:
            assert other.stdout is not None
            other.stdout.readline()
            with pytest.raises(Stuck, match="the test's own thread has had the turn"):
                with_company(lambda: fcntl.flock(mine, fcntl.LOCK_EX))
            other.kill()


def test_a_loop_that_waits_for_nothing_is_ended(watched: VirtualClock) -> None:
    """It never gives the turn away."""
    flag: list[int] = []

    def spin() -> None:
        while not flag:
            pass

    with pytest.raises(Stuck):
        with_company(spin)


def test_a_test_in_another_thread_than_the_main_one_is_ended() -> None:
    """Without a signal, where it runs Python."""
    raised: list[BaseException] = []

    def test() -> None:
        with install(VirtualClock(), watchdog=0.2):
            try:
                with_company(lambda: [None for _ in iter(int, 1)])
            except BaseException as error:
                raised.append(error)

    thread = threading.Thread(target=test)
    thread.start()
    thread.join()
    assert isinstance(raised[0], Stuck)
    assert "has had the turn" in str(raised[0])


def test_a_child_process_may_take_longer(watched: VirtualClock) -> None:
    """It is waited for as long as it takes."""
    code = [sys.executable, "-c", "import time; time.sleep(0.6)"]
    with_company(lambda: subprocess.run(code, check=True))
    with_company(lambda: subprocess.run(code, check=True, capture_output=True))


def test_virtual_hours_and_progress_are_no_reason(watched: VirtualClock) -> None:
    """Only the turn is looked at."""
    began = real("monotonic")()
    while real("monotonic")() - began < 0.5:
        with_company(lambda: time.sleep(3600))


def test_nothing_is_left_of_it(picture: Callable[[], dict[str, object]]) -> None:
    """Neither handler nor thread; and a test with one thread has none to begin with."""
    before, threads = (picture(), signal.getsignal(signal.SIGURG)), sys._current_frames().keys()
    with install(VirtualClock(), watchdog=0.2):
        time.sleep(1)
        assert signal.getsignal(signal.SIGURG) is signal.SIG_DFL
        with_company(lambda: time.sleep(2))
        assert signal.getsignal(signal.SIGURG) is not signal.SIG_DFL
    assert (picture(), signal.getsignal(signal.SIGURG)) == before
    assert sys._current_frames().keys() <= threads  # those that an earlier test has left may end meanwhile


def test_no_older_thread_is_missed_because_of_its_own() -> None:
    """Its own is known to the interpreter, which counts both, when the first thread of the test is started."""
    done = threading.Event()
    older = threading.Thread(target=done.wait)
    older.start()
    with install(VirtualClock()) as installation:
        outside, turn = installation.turns.outside, installation.turns.turn
        before = outside.older_threads(turn)
        installation.turns.company()
        after = outside.older_threads(turn)
    done.set()
    older.join()
    assert after == before


def test_a_signal_that_is_used_is_left_alone() -> None:
    """The test's own handler stays."""
    heard: list[int] = []
    before = signal.signal(signal.SIGURG, lambda number, _: heard.append(number))
    try:
        with install(VirtualClock(), watchdog=0.2):
            with_company(lambda: signal.raise_signal(signal.SIGURG))
    finally:
        signal.signal(signal.SIGURG, before)
    assert heard == [signal.SIGURG]


def test_it_can_be_switched_off() -> None:
    """By nought seconds."""
    with install(VirtualClock(), watchdog=0):
        with_company(lambda: SLEEP(None, 0, 300))
        assert signal.getsignal(signal.SIGURG) is signal.SIG_DFL
