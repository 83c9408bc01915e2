"""Reads that would block in C: the other threads go on, and time does not jump over what is on its way."""

from __future__ import annotations

import http.server
import io
import multiprocessing
import multiprocessing.resource_tracker
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from pytest_retrychaos.clock import VirtualClock, install
from pytest_retrychaos.clock.waits import running
from pytest_retrychaos.model import SECOND


@pytest.fixture
def clock() -> Iterator[VirtualClock]:
    clock = VirtualClock()
    with install(clock, patience=0.5, watchdog=5):
        yield clock


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Its reading end and its writing end."""
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def child(code: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def test_a_read_of_no_bytes_waits_for_none(clock: VirtualClock, pipe: tuple[int, int]) -> None:
    """It gives nothing at once, as the system does."""
    file = io.FileIO(pipe[0], closefd=False)
    assert os.read(pipe[0], 0) == b""
    assert file.read(0) == b""
    assert file.readinto(bytearray()) == 0


class Hello(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        time.sleep(2)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *_: object) -> None:
        pass


READS = {
    "readline": lambda process: process.stdout.readline(),
    "read": lambda process: process.stdout.read(),
    "os.read": lambda process: os.read(process.stdout.fileno(), 100),
    "communicate": lambda process: process.communicate()[0],
}


@pytest.mark.parametrize("how", READS)
def test_what_a_child_writes_may_depend_on_a_thread_of_the_test(how: str, clock: VirtualClock) -> None:
    """The child asks a server of the test, which answers while its output is waited for."""
    server = http.server.HTTPServer(("127.0.0.1", 0), Hello)
    thread = threading.Thread(target=server.handle_request)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}/"
    with child(f"import urllib.request as u; print(u.urlopen('{url}').read().decode())") as process:
        assert READS[how](process).strip() == b"hello"
    thread.join()
    server.server_close()
    assert clock.now_ns == 2 * SECOND


def test_time_does_not_jump_over_what_a_child_is_about_to_write(clock: VirtualClock) -> None:
    """Though another thread waits for a moment to come."""
    sleeper = threading.Thread(target=time.sleep, args=(3600,))
    sleeper.start()
    with child("import time; time.sleep(0.2); print('late')") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"late\n"
    assert clock.now_ns == 0
    sleeper.join()
    assert clock.now_ns == 3600 * SECOND


def test_a_child_takes_as_long_as_it_needs(clock: VirtualClock) -> None:
    """Longer than the patience with what may never come."""
    with child("import time; time.sleep(1.2); print('late')") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"late\n"
    assert clock.now_ns == 0


def test_a_child_that_says_nothing_does_not_hold_time_up(clock: VirtualClock) -> None:
    """A thread takes down what a server prints: it waits, and the test goes on."""
    lines: list[bytes] = []
    with child("print('ready', flush=True); input(); print('over')") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        output = process.stdout
        pump = threading.Thread(target=lambda: lines.extend(iter(output.readline, b"")))
        pump.start()
        time.sleep(86_400)
        time.sleep(86_400)
        assert lines == [b"ready\n"]
        process.stdin.write(b"\n")
        process.stdin.flush()
        pump.join()
    assert lines == [b"ready\n", b"over\n"]
    assert clock.now_ns == 2 * 86_400 * SECOND


def test_a_pipe_between_threads_is_waited_on_in_virtual_time(clock: VirtualClock, pipe: tuple[int, int]) -> None:
    """The reader waits until the writer has slept."""
    reader, writer = pipe

    def write() -> None:
        time.sleep(5)
        os.write(writer, b"abc")

    thread = threading.Thread(target=write)
    thread.start()
    assert os.read(reader, 100) == b"abc"
    thread.join()
    assert clock.now_ns == 5 * SECOND


def test_who_types_is_not_hurried(clock: VirtualClock, pipe: tuple[int, int]) -> None:
    """A debugger reads its commands from the standard input, for as long as it takes."""
    before, (reader, writer) = os.dup(0), pipe
    os.dup2(reader, 0)
    typist = subprocess.Popen(["sh", "-c", "sleep 1.2; echo next"], stdout=writer)
    running().outside.started.clear()  # it stands for somebody outside
    try:
        assert os.read(0, 100) == b"next\n"
    finally:
        os.dup2(before, 0)
        os.close(before)
        typist.wait()
    assert clock.now_ns == 0


def test_a_pipe_that_does_not_block_is_not_waited_on(clock: VirtualClock, pipe: tuple[int, int]) -> None:
    """Neither by its descriptor nor by a file over it."""
    reader, _ = pipe
    os.set_blocking(reader, False)
    with pytest.raises(BlockingIOError):
        os.read(reader, 100)
    with io.FileIO(reader, closefd=False) as file:
        assert file.read(10) is file.readall() is file.readinto(bytearray(10)) is None
    assert clock.now_ns == 0


def test_wrong_arguments_are_told_as_ever(clock: VirtualClock, pipe: tuple[int, int]) -> None:
    """By the functions themselves."""
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.read(-1, 5)
    with pytest.raises(TypeError):
        os.read("0", 5)  # type: ignore[arg-type]  # what is refused
    with pytest.raises(TypeError):
        os.read()  # type: ignore[call-arg]  # the same
    file = io.FileIO(pipe[0], closefd=False)
    file.close()
    for read in (file.read, file.readall):
        with pytest.raises(ValueError, match="I/O operation on closed file"):
            read()


def test_files_are_read_as_ever(clock: VirtualClock, tmp_path) -> None:
    """Whole, by pieces, by lines, and into a buffer."""
    path = tmp_path / "text"
    path.write_bytes(b"ab\ncd\n" * 50_000)
    assert path.read_bytes() == b"ab\ncd\n" * 50_000
    assert path.read_text().count("\n") == 100_000
    with open(path, "rb", buffering=0) as file:
        assert (file.read(2), file.readinto(bytearray(3)), len(file.read())) == (b"ab", 3, 299_995)
    with open(path, "rb") as lines:
        assert sum(1 for _ in lines) == 100_000


@pytest.fixture(scope="module")
def _tracker() -> None:
    """Start what multiprocessing keeps for the whole process."""
    multiprocessing.resource_tracker.ensure_running()


def put_late(results: multiprocessing.Queue[str]) -> None:
    time.sleep(0.2)
    results.put("late")


@pytest.mark.usefixtures("_tracker")
def test_a_queue_of_multiprocessing_is_waited_on(clock: VirtualClock) -> None:
    """Without a limit, while another thread waits for a moment to come."""
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    sleeper = threading.Thread(target=time.sleep, args=(3600,))
    sleeper.start()
    process = context.Process(target=put_late, args=(results,))
    process.start()
    assert results.get() == "late"
    process.join()
    results.close()
    sleeper.join()
