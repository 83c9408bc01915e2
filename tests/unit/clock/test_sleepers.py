"""Threads older than the clock: those that sleep all the while are not waited for, the others are."""

from __future__ import annotations

import _queue
import asyncio
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from pytest_retrychaos import Chaos
from pytest_retrychaos.clock import sleepers
from pytest_retrychaos.clock.functions import real
from pytest_retrychaos.clock.install import GRACE, current, install
from pytest_retrychaos.clock.outside import Outside
from pytest_retrychaos.clock.sleepers import Sleepers
from pytest_retrychaos.clock.virtual import VirtualClock
from pytest_retrychaos.run import NoTimeout


class Worker:
    """A thread that does what it is handed, and waits for more."""

    def __init__(self) -> None:
        self.work = _queue.SimpleQueue()
        self.done = threading.Semaphore(0)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        while (act := self.work.get()) is not None:
            act()
            self.done.release()

    def sleeps(self) -> None:
        """Wait until it sleeps, whatever else this machine does."""
        status = os.open(f"/proc/self/task/{self.thread.native_id}/status", os.O_RDONLY)
        while sleepers._ASLEEP not in os.pread(status, 4096, 0):
            time.sleep(0.001)
        os.close(status)

    def do(self, act: Callable[[], object]) -> None:
        """Have it do something, and fall asleep again."""
        self.work.put(act)
        assert self.done.acquire(timeout=10)
        self.sleeps()


@pytest.fixture
def worker(monkeypatch):
    """A thread that sleeps, the only other one: a test runner's own may wake at any time."""
    worker = Worker()
    worker.sleeps()
    numbers = [str(threading.get_native_id()), str(worker.thread.native_id)]
    every = os.listdir
    monkeypatch.setattr(os, "listdir", lambda path: numbers if path == "/proc/self/task" else every(path))
    yield worker
    worker.work.put(None)
    worker.thread.join(10)


@pytest.fixture
def found():
    """What tells who sleeps on."""
    found = Sleepers()
    yield found
    found.close()


def test_a_thread_that_was_not_woken_sleeps_on(worker, found):
    """However often it is asked."""
    found.settle()
    assert found.sleep_on()
    assert found.sleep_on()


def test_a_thread_that_is_done_with_what_it_was_handed_sleeps_on(worker, found):
    """It waits again where it waited at first."""
    found.settle()
    worker.do(int)
    assert found.sleep_on()


@pytest.mark.parametrize("wait", [lambda lock: lock.acquire(timeout=10), lambda lock: lock.acquire()])
def test_a_thread_that_waits_in_the_middle_of_what_it_was_handed_does_not_sleep_on(worker, found, wait):
    """It may be waiting for what another one brings, with a limit or without."""
    lock = threading.Lock()
    lock.acquire()
    found.settle()
    worker.work.put(lambda: wait(lock))
    while not worker.work.empty():
        time.sleep(0.001)
    worker.sleeps()
    assert not found.sleep_on()
    lock.release()
    assert worker.done.acquire(timeout=10)


def test_a_thread_that_reads_in_the_middle_of_what_it_was_handed_does_not_sleep_on(worker, found):
    """As one that talks to a real database does."""
    one, other = os.pipe()
    found.settle()
    worker.work.put(lambda: os.read(one, 1))
    while not worker.work.empty():
        time.sleep(0.001)
    worker.sleeps()
    assert not found.sleep_on()
    os.write(other, b"x")
    assert worker.done.acquire(timeout=10)
    os.close(one)
    os.close(other)


def test_a_thread_that_was_awake_at_first_is_not_taken_for_asleep(worker, found, monkeypatch):
    """What it was doing then may be what is waited for."""
    monkeypatch.setattr(sleepers, "_FUTEX", b"?")
    monkeypatch.setattr(sleepers, "_ASLEEP", b"nobody sleeps")
    found.settle()
    assert not found.sleep_on()


def test_a_thread_that_has_ended_brings_nothing(worker, found):
    """Its last act has been seen, or never will be."""
    found.settle()
    worker.work.put(None)
    worker.thread.join(10)
    while os.path.exists(f"/proc/self/task/{worker.thread.native_id}"):
        time.sleep(0.001)
    assert found.sleep_on()


@pytest.mark.parametrize("names", [{"_TASKS": "/nowhere"}, {"_MOST": 0}, {"_FUTEX": b"?", "_SWITCHES": b"?"}])
def test_nobody_is_taken_for_asleep_where_it_cannot_be_told(worker, found, monkeypatch, names):
    """On systems without procfs or that do not count switches, and beside very many threads."""
    for name, value in names.items():
        monkeypatch.setattr(sleepers, name, value)
    found.settle()
    assert not found.sleep_on()


def _sleep_beside_another(times: int) -> float:
    """Sleep on virtual time, beside another thread on it; give the grace that is left for older threads."""
    with install(VirtualClock()) as installation:
        end = threading.Event()
        other = threading.Thread(target=end.wait)
        other.start()
        for _ in range(times):
            time.sleep(1)
        end.set()
        other.join()
        return installation._outside._grace_left


def test_time_jumps_at_once_beside_older_threads_that_sleep(worker):
    """The real seconds for which they would be waited for are left as they were."""
    assert _sleep_beside_another(3) == GRACE


def test_time_does_not_jump_before_an_older_thread_at_work_has_had_its_grace(worker):
    """Here it brings nothing, so that less is left."""
    lock = threading.Lock()
    lock.acquire()
    with install(VirtualClock()) as installation:
        end = threading.Event()
        other = threading.Thread(target=end.wait)
        other.start()
        worker.work.put(lambda: lock.acquire(timeout=10))
        time.sleep(1)
        end.set()
        other.join()
        lock.release()
        assert installation._outside._grace_left < GRACE


def test_time_jumps_at_once_beside_an_older_thread_that_is_done(worker):
    """What it was handed it has brought, by then."""
    with install(VirtualClock()) as installation:
        other = threading.Thread(target=time.sleep, args=(5,))
        other.start()
        for _ in range(3):
            done = threading.Event()
            worker.work.put(done.set)
            done.wait()
            end = real("monotonic")() + 10
            while not installation._outside._sleepers.sleep_on() and real("monotonic")() < end:
                real("sleep")(0.001)  # on a machine at work it is not back at once
            time.sleep(1)
        other.join()
        assert installation._outside._grace_left == GRACE


def test_silence_is_told_at_once_beside_older_threads_that_sleep(worker):
    """Nothing can come of them, so the real seconds that they would get are not spent."""

    async def call() -> None:
        async with httpx.AsyncClient(timeout=None) as client:
            await client.get("http://api.test/")

    patience: list[float] = []
    with pytest.raises(NoTimeout), Chaos("timeout") as chaos:  # noqa: PT012 - what is left is known only within
        installation = current()
        try:
            asyncio.run(call())
        finally:
            patience.append(installation._outside._grace_left)
    assert patience == [GRACE]
    assert len(chaos.attempts) == 1


def test_threads_of_the_run_itself_are_none_of_them(worker, found):
    """Counted again, in the middle of a run."""
    found.settle()
    own = Worker()
    own.sleeps()
    found.count()
    lock = threading.Lock()
    lock.acquire()
    own.work.put(lock.acquire)
    while not own.work.empty():
        time.sleep(0.001)
    assert found.sleep_on()
    lock.release()
    own.work.put(None)
    own.thread.join(10)


def test_an_older_thread_that_answers_and_sleeps_again_is_heard(worker):
    """However fast it is: no virtual time passes, in any of many runs."""
    moved = []
    for _ in range(200):
        clock, done = VirtualClock(), threading.Event()
        with install(clock, grace=5.0):
            worker.work.put(done.set)
            assert done.wait(60)
        moved.append(clock.now_ns)
    assert moved == [0] * 200


@pytest.fixture
def restless():
    """A thread that wakes often."""
    end = threading.Event()

    def run() -> None:
        while not end.wait(0.0003):
            pass

    thread = threading.Thread(target=run)
    thread.start()
    yield
    end.set()
    thread.join()


@pytest.mark.usefixtures("restless")
def test_an_older_thread_at_work_is_heard_beside_one_that_wakes_often(worker):
    """They wait for each other, a moment, where both wait for the interpreter's lock."""
    moved = []
    for _ in range(200):
        clock, done = VirtualClock(), threading.Event()
        worker.work.put(int)
        with install(clock, grace=5.0):
            worker.work.put(done.set)
            assert done.wait(60)
        moved.append(clock.now_ns)
    assert moved == [0] * 200


_SLEEPS, _RUNS = (
    b"Name:\tx\nState:\tS (sleeping)\nvoluntary_ctxt_switches:\t7\n",
    b"Name:\tx\nState:\tR (running)\nvoluntary_ctxt_switches:\t7\n",
)
_LOCK = f"{sleepers._FUTEX.decode()} 0x10 0x189 0x0 0x0 0x0 0xffffffff 0x7f65b77 0x7f65b8".encode()


@pytest.mark.parametrize(
    ("status", "call", "wait"),
    [
        pytest.param(_SLEEPS, _LOCK, sleepers._FUTEX, id="asleep"),
        pytest.param(_RUNS, _LOCK, sleepers._AWAKE, id="being woken: the system shows the call that it was in"),
        pytest.param(_RUNS, b"running", sleepers._AWAKE, id="running"),
        pytest.param(_SLEEPS, _LOCK.replace(b"0x0 0x0", b"0x0 0x7f65b5", 1), sleepers._AWAKE, id="with a limit"),
        pytest.param(_SLEEPS, b"270 0x3", b"\nvoluntary_ctxt_switches:\t7\n", id="in another call"),
    ],
)
def test_what_a_thread_waits_in_is_told_by_its_state_and_its_call(tmp_path, status, call, wait):
    """As the system shows them, at moments that no test can wait for."""
    assert _shown(tmp_path, status, call) == wait


def test_a_wait_for_what_guards_the_interpreters_lock_is_none_of_a_program(tmp_path):
    """It is in the memory of the interpreter's own variables."""
    inside = sleepers._libraries()[0][8]
    assert _shown(tmp_path, _SLEEPS, _LOCK.replace(b"0x10", b"%#x" % inside)) == sleepers._AWAKE


def _shown(folder, status: bytes, call: bytes) -> bytes:
    (folder / "status").write_bytes(status)
    (folder / "syscall").write_bytes(call)
    descriptors = [os.open(folder / name, os.O_RDONLY) for name in ("status", "syscall")]
    try:
        return sleepers._Thread(*descriptors, ident=1).wait()
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def test_the_bell_is_kept_until_it_has_been_rung(monkeypatch):
    """An older thread may release a lock just when a run ends; the descriptor may be another file's by then."""
    outside = Outside(patience=1, grace=1)
    outside._bell = os.eventfd(0)
    ring, rung = os.eventfd_write, []

    def slowly(bell: int, value: int) -> None:
        closer.start()
        closer.join(0.05)
        ring(bell, value)
        rung.append(bell)

    monkeypatch.setattr(os, "eventfd_write", slowly)
    closer = threading.Thread(target=outside.close)
    outside.stir()
    closer.join()
    assert rung
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(rung[0])


def test_an_event_loop_hears_an_older_pool():
    """Its answer comes through the loop's own pipe."""

    async def ask(pool: ThreadPoolExecutor) -> None:
        for _ in range(200):
            await asyncio.wait_for(asyncio.get_running_loop().run_in_executor(pool, int), 60)

    clock = VirtualClock()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(int).result()
        with install(clock, grace=5.0):
            asyncio.run(ask(pool))
    assert clock.now_ns == 0
