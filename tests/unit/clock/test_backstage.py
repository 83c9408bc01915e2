"""Threads that stay on real time though one on virtual time starts them: what an ASGI app lives in."""

from __future__ import annotations

import _thread
import contextvars
import threading
import time
from datetime import UTC, datetime

from pytest_retrychaos.clock.backstage import Backstage
from pytest_retrychaos.clock.functions import real
from pytest_retrychaos.clock.install import install
from pytest_retrychaos.clock.virtual import VirtualClock


def run_backstage(function):
    """Run a function in a thread of the backstage and give what it returns."""
    done = _thread.allocate_lock()
    done.acquire()
    values = []

    def run():
        values.append(function())
        done.release()

    backstage = Backstage()
    backstage.start(run, "app")
    assert backstage.wait(done, 10)
    return values[0]


def test_a_thread_is_started_and_waited_for_on_virtual_time():
    """Though threads are refused to the code under test, and no virtual time passes in the wait."""
    clock = VirtualClock()
    with install(clock):
        name = run_backstage(lambda: threading.current_thread().name)

    assert name == "app"
    assert clock.now_ns == 0
    assert clock.refused == []


def test_its_sleeps_and_timers_are_real():
    """The monotonic clock of the thread is the machine's."""
    clock = VirtualClock()
    with install(clock):
        time.sleep(3600)
        before = real("monotonic")()
        there = run_backstage(time.monotonic)
        after = real("monotonic")()

    assert before <= there <= after


def test_its_wall_clock_is_the_runs():
    """What it stamps agrees with what the client reads, in every thread that its context is handed to."""

    def read():
        context, seen = contextvars.copy_context(), []
        helper = threading.Thread(target=lambda: seen.append(context.run(time.time)))
        helper.start()
        helper.join()
        return [time.time(), datetime.now(UTC).timestamp(), *seen]

    with install(VirtualClock()):
        time.sleep(90)
        there = run_backstage(read)
        here = time.time()

    assert there == [here] * 3
    assert here == datetime(2030, 1, 1, 0, 1, 30, tzinfo=UTC).timestamp()


def test_its_wall_clock_is_real_once_the_run_is_over():
    """A thread that goes on reads what everybody reads."""
    assert datetime.fromtimestamp(run_backstage(time.time), UTC).year < 2030


def test_a_wait_that_is_in_vain_ends():
    """In bounded real time, and says so."""
    held = _thread.allocate_lock()
    held.acquire()
    with install(VirtualClock()):
        assert not Backstage().wait(held, 0.01)
