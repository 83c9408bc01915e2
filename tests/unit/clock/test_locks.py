"""Waits on locks, events, conditions and queues: virtual for the test's thread, with grace for older threads."""

from __future__ import annotations

import _queue
import _thread
import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future

import pytest

from pytest_retrychaos.clock import Deadlock, VirtualClock, install
from pytest_retrychaos.clock.functions import real

SECOND = 1_000_000_000


@pytest.fixture
def older() -> Iterator[Callable[[Callable[[], object]], None]]:
    """A thread, started before the clock, that runs what it is handed over a plain pipe of locks."""
    work: list[Callable[[], object]] = []
    go, stop = _thread.allocate_lock(), threading.Event()
    go.acquire()

    def run() -> None:
        while True:
            go.acquire()
            if stop.is_set():
                return
            work.pop()()

    thread = threading.Thread(target=run, name="older")
    thread.start()

    def hand(function: Callable[[], object]) -> None:
        work.append(function)
        go.release()

    yield hand
    stop.set()
    go.release()
    thread.join()


WAITS: dict[str, Callable[[], object]] = {
    "lock": lambda: held_lock().acquire(timeout=3600),
    "positional lock": lambda: held_lock().acquire(True, 3600),
    "event": lambda: threading.Event().wait(3600),
    "condition": lambda: wait_on(threading.Condition()),
    "condition over a lock": lambda: wait_on(threading.Condition(threading.Lock())),
    "semaphore": lambda: threading.Semaphore(0).acquire(timeout=3600),
    "queue": lambda: nothing_from(queue.Queue()),
    "simple queue": lambda: nothing_from(queue.SimpleQueue()),
    "future": lambda: no_result(Future()),
}


def held_lock() -> _thread.LockType:
    lock = threading.Lock()
    lock.acquire()
    return lock


def wait_on(condition: threading.Condition) -> bool:
    with condition:
        return condition.wait(3600)


def nothing_from(source: queue.Queue[int] | queue.SimpleQueue[int]) -> bool:
    with pytest.raises(queue.Empty):
        source.get(timeout=3600)
    return False


def no_result(future: Future[int]) -> bool:
    with pytest.raises(TimeoutError):
        future.result(timeout=3600)
    return False


@pytest.mark.parametrize("kind", WAITS)
def test_a_wait_with_a_limit_ends_in_virtual_time(kind: str, clock: VirtualClock) -> None:
    """Nobody comes, so the wait fails after its hour, for which no test would wait."""
    assert not WAITS[kind]()
    assert clock.now_ns == 3600 * SECOND


def test_a_free_lock_costs_nothing(clock: VirtualClock) -> None:
    """What need not be waited for is had at once."""
    lock = threading.Lock()
    assert lock.acquire(timeout=5)
    assert not lock.acquire(blocking=False)
    lock.release()
    with lock:
        pass
    reentrant = threading.RLock()
    with reentrant, reentrant:
        assert reentrant.acquire(timeout=1)
        reentrant.release()
    source: queue.SimpleQueue[int] = queue.SimpleQueue()
    source.put(3)
    assert source.get(timeout=5) == 3
    assert clock.now_ns == 0


BAD = [
    ((False, 1), {}),
    ((True, -2), {}),
    ((True, 1e10), {}),
    ((True, "x"), {}),
    ((1, 2, 3), {}),
    ((), {"timeout": None}),
    ((), {"block": True}),
]


@pytest.mark.parametrize(("args", "kwargs"), BAD, ids=repr)
@pytest.mark.parametrize("make", [threading.Lock, threading.RLock])
def test_bad_arguments_raise_what_the_real_lock_raises(make, args, kwargs) -> None:
    """Type and text of the error are the real method's."""
    with pytest.raises(Exception) as expected:  # noqa: PT011 (compared with the virtual one below)
        make().acquire(*args, **kwargs)
    with install(VirtualClock()), pytest.raises(type(expected.value)) as caught:
        make().acquire(*args, **kwargs)
    assert str(caught.value) == str(expected.value)


@pytest.mark.parametrize(("args", "kwargs"), [((True, -2), {}), ((True, "x"), {}), ((1, 2, 3), {})], ids=repr)
def test_bad_arguments_raise_what_the_real_queue_raises(args, kwargs) -> None:
    """Type and text of the error are the real method's."""
    with pytest.raises(Exception) as expected:  # noqa: PT011 (compared with the virtual one below)
        _queue.SimpleQueue().get(*args, **kwargs)
    with install(VirtualClock()), pytest.raises(type(expected.value)) as caught:
        _queue.SimpleQueue().get(*args, **kwargs)
    assert str(caught.value) == str(expected.value)


def test_a_wait_that_nothing_can_end_is_a_deadlock(clock: VirtualClock) -> None:
    """What is waited for, where, and the way out are named, and no `except Exception` swallows it."""
    lock = held_lock()
    with pytest.raises(Deadlock) as caught, lock:
        pass
    text = str(caught.value)
    assert "test_locks.py:" in text
    assert " test_a_wait_that_nothing_can_end_is_a_deadlock waits for a lock that is held without a limit" in text
    assert text.endswith("Wait with a timeout.")
    assert not isinstance(caught.value, Exception)


@pytest.mark.parametrize(
    "wait",
    [lambda: threading.Event().wait(), lambda: queue.Queue().get(), lambda: queue.SimpleQueue().get()],
    ids=["event", "queue", "simple queue"],
)
def test_every_endless_wait_is_a_deadlock(wait: Callable[[], object], clock: VirtualClock) -> None:
    """Events and queues are reported as locks are."""
    with pytest.raises(Deadlock):
        wait()


def test_an_older_thread_that_answers_in_its_grace_is_heard(older) -> None:
    """A thread from before the clock sets the event in real time, so no virtual time passes."""
    clock, event = VirtualClock(), threading.Event()
    with install(clock, grace=5.0):
        older(event.set)
        assert event.wait(60)
    assert clock.now_ns == 0


def test_an_older_thread_may_end_a_wait_without_limit(older) -> None:
    """With another thread alive an endless wait is no deadlock before the patience is over."""
    clock, event = VirtualClock(), threading.Event()
    with install(clock, patience=5.0):
        older(event.set)
        assert event.wait()
    assert clock.now_ns == 0


def test_an_older_thread_that_does_not_come_is_a_deadlock_after_the_patience(older) -> None:
    """The real seconds that were waited are named."""
    with install(VirtualClock(), patience=0.01), pytest.raises(Deadlock) as caught:
        threading.Event().wait()
    assert "no other thread has ended the wait within 0.01 s of real time" in str(caught.value)


def test_other_threads_live_in_real_time(older) -> None:
    """An older thread reads real clocks, sleeps and waits for real while the test's thread is in 2030."""
    clock, done, seen = VirtualClock(), threading.Event(), []

    def look() -> None:
        began = time.monotonic()
        time.sleep(0.02)
        threading.Event().wait(0.02)
        seen.append((time.monotonic() - began, time.time(), time.gmtime().tm_year, time.ctime()[-4:]))
        done.set()

    with install(clock, patience=5.0):
        time.sleep(3600)
        older(look)
        done.wait()
        assert time.gmtime().tm_year == 2030
    took, moment, year, text = seen[0]
    assert 0.04 <= took < 3600
    assert abs(moment - real("time")()) < 60
    assert year == int(text) == time.gmtime().tm_year
    assert clock.now_ns == 3600 * SECOND


def test_an_older_thread_is_joined_in_virtual_time(older) -> None:
    """Joining a thread that does not end takes its limit in virtual time."""
    clock = VirtualClock()
    thread = next(each for each in threading.enumerate() if each.name == "older")
    with install(clock, grace=0.01):
        thread.join(7)
    assert clock.now_ns == 7 * SECOND


def test_objects_born_under_the_clock_work_for_real_afterwards() -> None:
    """Locks, events, conditions and queues made under the clock wait in real time once it has gone."""
    with install(VirtualClock()):
        lock, event, source = held_lock(), threading.Event(), queue.SimpleQueue()
        condition = threading.Condition(threading.Lock())
    began = time.monotonic()
    assert not lock.acquire(timeout=0.02)
    assert not event.wait(0.02)
    with condition:
        assert not condition.wait(0.02)
    with pytest.raises(queue.Empty):
        source.get(timeout=0.02)
    assert condition.acquire(timeout=0.02)
    assert not condition.acquire(timeout=0.02)
    assert time.monotonic() - began >= 0.1
