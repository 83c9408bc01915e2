"""Child processes under virtual time: they finish in real time and no jump times them out."""

from __future__ import annotations

import contextlib
import errno
import multiprocessing
import multiprocessing.resource_tracker
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from pytest_retrychaos.clock import Deadlock, VirtualClock, install
from pytest_retrychaos.clock.children import _has_descriptors

SECOND = 1_000_000_000
QUICK = [sys.executable, "-c", "import time; time.sleep(0.1); print('done')"]
FOR_EVER = [sys.executable, "-c", "import time; time.sleep(600)"]


@pytest.mark.parametrize("timeout", [None, 60])
def test_a_child_finishes_while_others_sleep(timeout: float | None, clock: VirtualClock) -> None:
    """A thread's hour of sleep does not pass before the child has ended."""
    woke: list[str] = []

    def sleep() -> None:
        time.sleep(3600)
        woke.append("slept")

    thread = threading.Thread(target=sleep)
    thread.start()
    done = subprocess.run(QUICK, capture_output=True, text=True, timeout=timeout)
    assert (done.stdout, woke) == ("done\n", [])
    assert subprocess.run(QUICK, stdout=subprocess.DEVNULL, timeout=timeout).returncode == 0
    assert (subprocess.check_output(QUICK, timeout=timeout), woke) == (b"done\n", [])
    thread.join()
    assert woke == ["slept"]


@pytest.fixture
def no_descriptors(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the system have no descriptors of processes, as a Linux before 5.3 and some sandboxes have none."""

    def pidfd_open(pid: int, flags: int = 0) -> int:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(os, "pidfd_open", pidfd_open)
    _has_descriptors.cache_clear()
    yield
    _has_descriptors.cache_clear()


@pytest.mark.usefixtures("no_descriptors")
@pytest.mark.parametrize("wait", ["run", "Popen.wait", "waitpid"])
def test_a_child_is_awaited_where_processes_have_no_descriptors(wait: str, clock: VirtualClock) -> None:
    """In a thread aside: others go on meanwhile, and an hour does not pass before it has ended."""
    read, write = os.pipe()
    woke: list[str] = []

    def let_it_end() -> None:
        os.write(write, b"x")
        time.sleep(3600)
        woke.append("slept")

    thread = threading.Thread(target=let_it_end)
    command = [sys.executable, "-c", f"import os; os.read({read}, 1); exit(7)"]  # once the thread has had the turn
    try:
        child = None if wait == "run" else subprocess.Popen(command, pass_fds=[read])
        thread.start()
        if child is None:
            status = subprocess.run(command, pass_fds=[read]).returncode
        elif wait == "waitpid":
            status = child.returncode = os.waitstatus_to_exitcode(os.waitpid(child.pid, 0)[1])
        else:
            status = child.wait(60)
        assert (status, woke) == (7, [])
        thread.join()
    finally:
        os.close(read)
        os.close(write)


@pytest.mark.usefixtures("no_descriptors")
def test_a_limit_holds_where_processes_have_no_descriptors(clock: VirtualClock) -> None:
    """It is one of real seconds, as everywhere."""
    child = subprocess.Popen(FOR_EVER)
    with pytest.raises(subprocess.TimeoutExpired):
        child.wait(0.2)
    child.kill()
    assert child.wait() == -signal.SIGKILL


def test_a_signals_handler_may_sleep_in_the_middle_of_a_wait(clock: VirtualClock) -> None:
    """The wait that it interrupts goes on, and finds that the child has ended."""
    seen: list[str] = []

    def handle(number: int, frame: object) -> None:
        time.sleep(0.01)
        seen.append("handled")

    before = signal.signal(signal.SIGUSR1, handle)
    thread = threading.Thread(target=time.sleep, args=(5,))
    thread.start()
    code = "import os, signal, time; time.sleep(0.1); os.kill(os.getppid(), signal.SIGUSR1); time.sleep(0.1); exit(7)"
    try:
        assert subprocess.Popen([sys.executable, "-c", code]).wait(60) == 7
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert seen == ["handled"]
    thread.join()


def test_a_childs_limit_is_no_polling(clock: VirtualClock) -> None:
    """``communicate`` looks, again and again, until its limit lies behind it."""
    for timeout in (0.05, 0.1):
        with pytest.raises(subprocess.TimeoutExpired):
            subprocess.run(FOR_EVER, timeout=timeout, capture_output=True)
    assert clock.notes == []


def test_a_child_that_is_stopped_is_reported(clock: VirtualClock) -> None:
    """Who waits for that learns of it, and of its end."""
    code = "import os, signal; os.kill(os.getpid(), signal.SIGSTOP); input(); exit(3)"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as child:
        assert os.WIFSTOPPED(os.waitpid(child.pid, os.WUNTRACED)[1])
        os.kill(child.pid, signal.SIGCONT)
        went_on = os.waitid(os.P_PID, child.pid, os.WCONTINUED)
        assert went_on is not None
        assert went_on.si_code == os.CLD_CONTINUED
        child.communicate(b"\n")
        assert child.returncode == 3


def test_a_child_that_takes_too_long_is_timed_out(clock: VirtualClock) -> None:
    """By the limit that was given, and it is said as ever."""
    with pytest.raises(subprocess.TimeoutExpired, match="timed out after"):
        subprocess.run(FOR_EVER, timeout=0.1)
    with pytest.raises(subprocess.TimeoutExpired, match="timed out after"):
        subprocess.run(FOR_EVER, timeout=0.1, capture_output=True)
    with subprocess.Popen(FOR_EVER) as process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.1)
        process.kill()
        assert process.wait(timeout=60) == -signal.SIGKILL


def test_communicating_in_both_directions(clock: VirtualClock) -> None:
    """With one pipe or several, and more than a pipe holds."""
    shout = [sys.executable, "-c", "import sys; sys.stdout.write(sys.stdin.read().upper())"]
    text = "abc" * 100_000
    assert subprocess.run(shout, input=text, capture_output=True, text=True).stdout == text.upper()
    assert subprocess.run(shout, input=text, stdout=subprocess.DEVNULL, text=True).returncode == 0


def test_several_threads_wait_for_children(clock: VirtualClock) -> None:
    """They wait side by side."""
    codes: list[int] = []
    threads = [
        threading.Thread(target=lambda: codes.append(subprocess.run(QUICK, stdout=subprocess.DEVNULL).returncode))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [0] * 4


def spawn() -> int:
    return os.posix_spawn(sys.executable, [sys.executable, "-c", "import time; time.sleep(0.1)"], dict(os.environ))


def test_the_system_calls_wait_in_real_time(clock: VirtualClock) -> None:
    """For one child, for any, and in every shape."""
    ticks: list[int] = []
    thread = threading.Thread(target=lambda: (time.sleep(3600), ticks.append(1)))
    thread.start()
    pid = spawn()
    assert os.waitpid(pid, os.WNOHANG) == (0, 0)
    assert os.waitpid(pid, 0) == (pid, 0)
    pid = spawn()
    assert os.wait() == (pid, 0)
    pid = spawn()
    assert os.wait4(pid, 0)[:2] == (pid, 0)
    pid = spawn()
    assert os.wait3(0)[:2] == (pid, 0)
    pid = spawn()
    status = os.waitid(os.P_PID, pid, os.WEXITED)
    assert status is not None
    assert status.si_pid == pid
    with pytest.raises(ChildProcessError):
        os.waitpid(pid, 0)
    assert ticks == []
    thread.join()


def test_a_shell_command_is_waited_for(clock: VirtualClock) -> None:
    """While another thread does what the command waits for."""
    reader, writer = os.pipe()
    os.set_inheritable(reader, True)
    thread = threading.Thread(target=lambda: (time.sleep(1), os.write(writer, b"x\n")))
    thread.start()
    assert os.waitstatus_to_exitcode(os.system(f"read answer < /dev/fd/{reader}; exit 7")) == 7
    thread.join()
    os.close(reader)
    os.close(writer)
    with pytest.raises(TypeError):
        os.system()  # type: ignore[call-arg]  # the mistake


@pytest.mark.parametrize("name", ["kill", "pthread_kill", "raise_signal"])
@pytest.mark.parametrize("is_busy", [False, True])
def test_a_signal_that_a_thread_sends_is_handled_at_its_moment(name: str, is_busy: bool, clock: VirtualClock) -> None:
    """By the main thread, which waits meanwhile: a flag that it sets, or an error that it raises."""
    stop = threading.Event()
    main = threading.get_ident()
    send = {
        "kill": lambda: os.kill(os.getpid(), signal.SIGUSR1),
        "pthread_kill": lambda: signal.pthread_kill(main, signal.SIGUSR1),
        "raise_signal": lambda: signal.raise_signal(signal.SIGUSR1),
    }[name]

    def terminate() -> None:
        send()
        for _ in range(100_000 * is_busy):
            pass

    def handle(*_: object) -> None:
        if stop.is_set():
            raise ChildProcessError
        stop.set()

    before = signal.signal(signal.SIGUSR1, handle)
    try:
        for seconds in 25, 100:
            threading.Timer(seconds, terminate).start()
        while not stop.wait(10):
            pass
        assert clock.now_ns == 25 * SECOND
        with pytest.raises(ChildProcessError):
            time.sleep(1000)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert clock.now_ns == 100 * SECOND


def test_a_forked_child_is_on_real_time(clock: VirtualClock) -> None:
    """It sleeps, reads the clock and ends as if there were no virtual time."""
    thread = threading.Thread(target=lambda: time.sleep(3600))
    thread.start()
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            began = time.monotonic()
            time.sleep(0.05)
            thread = threading.Thread(target=lambda: os.write(writer, b"in " if time.time() < 1.8e9 else b"wrong "))
            thread.start()
            thread.join()
            os.write(writer, b"time" if 0.05 <= time.monotonic() - began < 60 else b"wrong")
            os._exit(5)
        os._exit(6)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 5
    os.close(writer)
    assert os.read(reader, 100) == b"in time"
    os.close(reader)
    assert clock.now_ns == 0
    thread.join()


@pytest.fixture(scope="module")
def _tracker() -> None:
    """Start what multiprocessing keeps for the whole process."""
    multiprocessing.resource_tracker.ensure_running()


@pytest.mark.usefixtures("_tracker")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_multiprocessing_works(method: str, clock: VirtualClock) -> None:
    """A process that is joined, with a limit."""
    context = multiprocessing.get_context(method)
    process = context.Process(target=time.sleep, args=(0.05,))
    process.start()
    process.join(60)
    assert process.exitcode == 0
    process.close()


@pytest.mark.parametrize("workers", [1, 3])
def test_the_workers_of_a_pool_fork_at_once(workers: int, clock: VirtualClock) -> None:
    """Whoever hands in the work still holds the lock of all pools, which a fork takes too."""

    def fork(_: int) -> int:
        pid = os.fork()
        if not pid:
            os._exit(7)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def run(_: int) -> int:
        return subprocess.run(["true"], preexec_fn=os.getpid, check=False).returncode

    for work, status in (fork, 7), (run, 0):
        with ThreadPoolExecutor(workers) as pool:
            assert list(pool.map(work, range(4))) == [status] * 4


def _later(item: int) -> int:
    time.sleep(0.2)
    return item


@pytest.mark.usefixtures("_tracker")
@pytest.mark.parametrize("name", ["imap", "imap_unordered"])
def test_what_a_pool_of_processes_gives_one_by_one_is_waited_for(name: str, clock: VirtualClock) -> None:
    """However long its work takes: it is no deadlock, and a thread's hour does not pass over it."""
    woke: list[str] = []
    thread = threading.Thread(target=lambda: (time.sleep(3600), woke.append("slept")))
    with multiprocessing.get_context("fork").Pool(1) as pool:
        results = getattr(pool, name)(_later, [1, 2])
        assert next(results) == 1
        thread.start()
        assert (results.next(60), woke) == (2, [])
    thread.join()


@pytest.mark.usefixtures("_tracker")
def test_work_of_processes_may_take_longer_than_threads_are_waited_for() -> None:
    """A pool's own thread hands over what a process has done."""
    done: queue.Queue[int] = queue.Queue()
    with install(VirtualClock(), patience=0.02), multiprocessing.get_context("fork").Pool(1) as pool:
        pool.apply_async(_later, [1], callback=done.put)
        assert done.get() == 1


@pytest.mark.usefixtures("_tracker")
def test_a_wait_that_no_process_ends_is_a_deadlock_after_the_watchdogs_time() -> None:
    """That they live does not say that they will ever do something for it."""
    nothing: queue.Queue[int] = queue.Queue()
    with (
        install(VirtualClock(), patience=0.02, watchdog=0.3),
        multiprocessing.get_context("fork").Pool(1),
        pytest.raises(Deadlock, match=r"no other thread has ended the wait within 0\.3 s of real time"),
    ):
        nothing.get()


def test_a_wait_that_no_process_ends_is_a_deadlock_soon_after_the_last_has_ended() -> None:
    """Also where the watchdog is off, and a wait for one that lives has no end."""
    code = """
import queue, subprocess, threading, time
from pytest_retrychaos.clock import Deadlock, VirtualClock, install
from pytest_retrychaos.clock.children import _has_descriptors
threading.Thread(target=threading.Event().wait, daemon=True).start()
with install(VirtualClock(), patience=0.02, watchdog=0):
    child = subprocess.Popen(["sleep", "0.2"])
    try:
        queue.Queue().get()
    except Deadlock as found:
        print(found)
    child.wait()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=30)
    assert "no other thread has ended the wait within 0.02 s of real time" in done.stdout


def test_nothing_is_left_of_a_child_that_ends_after_the_clock() -> None:
    """Its owner waits for it in real time."""
    with install(VirtualClock()):
        process = subprocess.Popen(QUICK, stdout=subprocess.DEVNULL)
    assert process.wait(timeout=60) == 0
