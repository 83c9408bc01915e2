"""Threads on virtual time: they cost what the longest costs, in an order that the seed decides."""

from __future__ import annotations

import queue
import random
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed

import pytest

from pytest_retrychaos.clock import Deadlock, VirtualClock, install
from pytest_retrychaos.clock.functions import real

SECOND = 1_000_000_000
POOL = ThreadPoolExecutor(2)
OLD_CONDITION = threading.Condition()


def run(*works: Callable[[], object]) -> None:
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_sleeps_side_by_side_cost_the_longest(clock: VirtualClock) -> None:
    """Three threads that sleep ten seconds cost ten seconds."""
    run(*[lambda: time.sleep(10)] * 3)
    assert clock.now_ns == 10 * SECOND


def test_a_thread_reads_virtual_clocks(clock: VirtualClock) -> None:
    """Wall clock, monotonic clock and thread-locals are those of a thread on virtual time."""
    seen: list[object] = []
    own = threading.local()
    own.value = "main"

    def look() -> None:
        began = time.monotonic()
        time.sleep(3600)
        seen.extend([time.monotonic() - began, time.gmtime()[:4], hasattr(own, "value")])

    run(look)
    assert seen == [3600.0, (2030, 1, 1, 1), False]


def test_a_pool_hands_out_work_as_time_goes_by(clock: VirtualClock) -> None:
    """Two workers take eight jobs of five seconds in twenty, and results come in order."""
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(lambda n: (time.sleep(5), n)[1], range(8))) == list(range(8))
    assert clock.now_ns == 20 * SECOND


def test_a_limit_that_has_to_be_over_is_no_polling(clock: VirtualClock) -> None:
    """``as_completed`` waits for no time, again and again, until its limit lies behind it."""
    with ThreadPoolExecutor(1) as pool:
        work = pool.submit(time.sleep, 9)
        with pytest.raises(TimeoutError):
            next(as_completed([work], timeout=1))
        assert (clock.notes, round(clock.now_ns / SECOND, 7)) == ([], 1.0)


def test_a_queue_is_waited_for(clock: VirtualClock) -> None:
    """A consumer gets what a producer puts, when it puts it, and its limit passes in virtual time."""
    source: queue.Queue[int] = queue.Queue(maxsize=1)

    def produce() -> None:
        for number in range(3):
            time.sleep(2)
            source.put(number)

    got: list[tuple[int, int]] = []

    def consume() -> None:
        for _ in range(3):
            got.append((source.get(timeout=5), clock.now_ns // SECOND))
        with pytest.raises(queue.Empty):
            source.get(timeout=5)

    run(produce, consume)
    assert got == [(0, 2), (1, 4), (2, 6)]
    assert clock.now_ns == 11 * SECOND


def test_a_timer_fires_and_can_be_cancelled(clock: VirtualClock) -> None:
    """It waits in virtual time."""
    fired: list[int] = []
    timer = threading.Timer(60, lambda: fired.append(clock.now_ns // SECOND))
    cancelled = threading.Timer(30, lambda: fired.append(-1))
    timer.start()
    cancelled.start()
    cancelled.cancel()
    timer.join()
    cancelled.join()
    assert fired == [60]


def test_a_lock_held_across_a_sleep_makes_others_wait(clock: VirtualClock) -> None:
    """Who waits for it gets it when it is free, and a limit ends before."""
    lock = threading.RLock()
    got: list[int] = []

    def hold() -> None:
        with lock, lock:
            time.sleep(10)

    def want() -> None:
        assert not lock.acquire(timeout=3)
        with lock:
            got.append(clock.now_ns // SECOND)

    run(hold, want)
    assert got == [10]


def test_conditions_barriers_and_semaphores_work(clock: VirtualClock) -> None:
    """What the standard library builds on locks follows."""
    barrier, semaphore, condition = threading.Barrier(2), threading.Semaphore(1), threading.Condition()
    ready: list[str] = []

    def first() -> None:
        time.sleep(1)
        barrier.wait()
        with semaphore:
            time.sleep(1)
        with condition:
            ready.append("first")
            condition.notify_all()

    def second() -> None:
        barrier.wait()
        with condition:
            assert condition.wait_for(lambda: ready, timeout=5)
        with semaphore:
            ready.append("second")

    run(first, second)
    assert ready == ["first", "second"]
    assert clock.now_ns == 2 * SECOND


def test_a_condition_from_before_works(clock: VirtualClock) -> None:
    """It keeps bound methods of its lock from before the clock."""
    done: list[int] = []

    def tell() -> None:
        time.sleep(4)
        with OLD_CONDITION:
            done.append(1)
            OLD_CONDITION.notify()

    def wait() -> None:
        with OLD_CONDITION:
            assert OLD_CONDITION.wait_for(lambda: done)

    run(wait, tell)
    assert clock.now_ns == 4 * SECOND


@pytest.mark.leaves_threads
def test_a_daemon_thread_holds_nothing_up(clock: VirtualClock) -> None:
    """A refresher that sleeps for ever in a loop does not keep the test from its end."""
    ticks: list[int] = []

    def refresh() -> None:
        while True:
            time.sleep(60)
            ticks.append(clock.now_ns // SECOND)

    threading.Thread(target=refresh, daemon=True).start()
    time.sleep(150)
    assert ticks == [60, 120]


def test_joining_with_a_limit_ends_in_virtual_time(clock: VirtualClock) -> None:
    """The thread goes on, and is joined at its end."""
    thread = threading.Thread(target=lambda: time.sleep(10))
    thread.start()
    thread.join(3)
    assert (thread.is_alive(), clock.now_ns) == (True, 3 * SECOND)
    thread.join()
    assert (thread.is_alive(), clock.now_ns) == (False, 10 * SECOND)


if sys.version_info >= (3, 13):  # which brought handles

    @pytest.mark.parametrize("given", ["none", "by position", "by name"])
    def test_a_thread_is_joined_by_its_handle_when_nobody_made_it_a_thread_object(
        given: str, clock: VirtualClock
    ) -> None:
        """Whether the handle was given or is the call's own."""
        import _thread

        handle = _thread._ThreadHandle()
        args, kwargs = {"none": ((), {}), "by position": ((handle,), {}), "by name": ((), {"handle": handle})}[given]
        begun = _thread.start_joinable_thread(lambda: time.sleep(10), *args, **kwargs)
        begun.join(3)
        assert (begun.is_done(), clock.now_ns) == (False, 3 * SECOND)
        begun.join()
        assert (begun.is_done(), clock.now_ns) == (True, 10 * SECOND)


def test_an_error_in_a_thread_reaches_its_future(clock: VirtualClock) -> None:
    """As it does in real time."""
    with ThreadPoolExecutor(1) as pool, pytest.raises(ZeroDivisionError):
        pool.submit(lambda: 1 // 0).result(timeout=5)


def test_a_loop_that_spins_lets_others_run(clock: VirtualClock) -> None:
    """One that waits for a flag by empty sleeps or by looking at a lock gives the turn away."""
    flag = threading.Event()
    lock = threading.Lock()
    lock.acquire()

    def spin() -> None:
        while not flag.is_set():
            time.sleep(0)
        while not lock.acquire(blocking=False):
            pass

    def set_it() -> None:
        time.sleep(0.001)
        flag.set()
        time.sleep(0.001)
        lock.release()

    run(spin, set_it)
    assert flag.is_set()


def test_one_that_polls_the_clock_does_not_move_another_past_its_moment(clock: VirtualClock) -> None:
    """Time goes on for the loop; who sleeps meanwhile wakes when it wanted to, and its first look is no poll."""
    seen: list[float] = []

    def sleep() -> None:
        began = time.monotonic()
        for _ in range(3):
            time.sleep(5)
            seen.append(round(time.monotonic() - began, 6))

    sleeper = threading.Thread(target=sleep)
    sleeper.start()
    while len(seen) < 3 and time.monotonic():
        pass
    sleeper.join()

    assert seen == [5, 10, 15]


def order(seed: int) -> list[int]:
    """Say in which order eight threads come out of a sleep, again and again."""
    came: list[int] = []

    def work(number: int) -> None:
        for _ in range(3):
            time.sleep(1)
            came.append(number)

    with install(VirtualClock(), chooser=random.Random(seed)):
        run(*[lambda number=number: work(number) for number in range(8)])  # type: ignore[misc]  # bound early
    return came


def test_the_seed_decides_the_order() -> None:
    """One seed gives one interleaving; others give others."""
    assert order(1) == order(1)
    assert len({tuple(order(seed)) for seed in range(5)}) == 5


@pytest.mark.leaves_threads
def test_a_deadlock_is_reported_at_once() -> None:
    """Who waits for what is said of every thread, with its stack."""
    one, other = threading.Lock(), threading.Lock()

    def work(first: threading.Lock, second: threading.Lock) -> None:
        with first:
            time.sleep(1)
            with second:
                pass

    threads = [
        threading.Thread(target=work, args=pair, name=name, daemon=True)
        for name, pair in (("left", (one, other)), ("right", (other, one)))
    ]
    with install(VirtualClock()):
        for thread in threads:
            thread.start()
        with pytest.raises(Deadlock) as caught:
            threads[0].join()
    lines = str(caught.value).splitlines()
    assert lines[0] == "3 threads wait for each other without a limit, and nothing can wake one of them:"
    assert lines[1].endswith("test_a_deadlock_is_reported_at_once waits for the thread left to end")
    assert lines[2].startswith("  left: ")
    assert lines[2].endswith(" work waits for a lock that is held")
    assert lines[4] == "Release what is held before waiting, take locks in one order, or wait with a timeout."
    assert any("with second:" in line for line in lines)


def test_a_pool_from_before_has_workers_on_virtual_time() -> None:
    """Its own work on for real afterwards."""
    before = POOL.submit(threading.get_ident).result()
    clock = VirtualClock()
    with install(clock):
        assert POOL.submit(lambda: (time.sleep(3600), threading.get_ident())[1]).result() != before
        assert clock.now_ns == 3600 * SECOND
    assert POOL.submit(threading.get_ident).result() == before


def test_a_worker_that_is_left_at_work_ends_when_it_has_done() -> None:
    """An older pool that it worked for has its own workers, and starts as many as it ever would."""
    with ThreadPoolExecutor(2) as pool:
        pool.submit(int).result()
        with install(VirtualClock()):
            work = pool.submit(time.sleep, 0.1)
            [worker] = pool._threads
        worker.join(10)
        assert work.done()
        assert not worker.is_alive()
        come = threading.Event()
        waits = pool.submit(come.wait, 10)
        pool.submit(come.set)
        assert waits.result()


def test_a_pool_from_before_that_is_shut_down_under_the_clock_keeps_no_worker() -> None:
    """Those that it had before end too."""
    pool = ThreadPoolExecutor(1)
    worker = pool.submit(threading.current_thread).result()
    with install(VirtualClock()):
        pool.submit(int).result()
        pool.shutdown()
    worker.join(10)
    assert not worker.is_alive()


def test_a_pool_born_under_the_clock_works_for_real_afterwards() -> None:
    """Its idle workers wait for real once the clock has gone."""
    with install(VirtualClock()):
        pool = ThreadPoolExecutor(2)
        assert pool.submit(lambda: 1).result() == 1
    assert pool.submit(lambda: 2).result(timeout=10) == 2
    assert type(pool._threads) is set
    pool.shutdown()


def test_a_thousand_threads_sleep(clock: VirtualClock) -> None:
    """Ten naps each, all at the same moments."""
    run(*[lambda: [time.sleep(0.1) for _ in range(10)]] * 1000)
    assert clock.now_ns == SECOND


def test_an_interrupt_is_raised_where_the_test_waits(clock: VirtualClock) -> None:
    """Also while another thread has the turn; the others go on."""
    import _thread

    done: list[int] = []

    def interrupt() -> None:
        time.sleep(1)
        _thread.interrupt_main()
        began = real("monotonic")()
        while real("monotonic")() - began < 0.05:
            pass  # has the turn, and the interrupt is waiting
        time.sleep(1)
        done.append(1)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        thread.join()
    thread.join()
    assert done == [1]
    assert clock.now_ns == 2 * SECOND
