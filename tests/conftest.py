"""What all tests share: pytest's own fixture for running pytest inside pytest, and a watch on what is left behind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from pytest_retrychaos.clock.cpython import in_place
from pytest_retrychaos.clock.imports import Imports
from pytest_retrychaos.transports.network import _INSTALLED
from tests.watch import added_names, changed_names, patched_state

settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")  # how fast this machine is just now is no property of the code

pytest_plugins = ["pytester"]


@pytest.fixture(autouse=True)
def _nothing_stays_patched() -> Iterator[None]:
    """Fail a test that leaves a name, a type or a built-in function patched behind."""
    before = patched_state()
    yield
    assert in_place() == []
    assert _INSTALLED == []
    assert [one for one in sys.meta_path if isinstance(one, Imports)] == []
    after = patched_state()
    if after != before:
        assert not changed_names(before, after)
        assert all(name.endswith("__abstractmethods__") for name in added_names(before, after))


def pytest_configure(config: pytest.Config) -> None:
    """Register the suite's own markers, and let Ctrl-C mean what it means.

    A shell's background job ignores SIGINT and so do its children, among them those that tests interrupt.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "leaves_threads: daemon threads go on after the test, which is about them")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Spare the collector all that was there before the first test: a collection after a test then costs little."""
    _spare_the_collector()


@pytest.fixture(scope="module", autouse=True)
def _what_stays_is_spared() -> Iterator[None]:
    """Spare it what a module of tests leaves behind for good: libraries of clients, a quarter of a million objects."""
    yield
    _spare_the_collector()


def _spare_the_collector() -> None:
    gc.collect()
    gc.freeze()


POOLED = ("ThreadPoolExecutor-", "asyncio_", "AnyIO worker thread", "Trio thread")
"""Names of workers that idle in pools of modules and libraries: they belong to no test."""


def open_descriptors() -> dict[int, str]:
    """List the open descriptors, each with what it leads to."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the one of the listing itself
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")
    return found


def kept_descriptors() -> set[int]:
    """Give those that the package keeps for the whole process."""
    from pytest_retrychaos.transports.sockets import _hung_up_descriptor

    return {_hung_up_descriptor()} if _hung_up_descriptor.cache_info().currsize else set()


def _belongs_to_library(thread: threading.Thread) -> bool:
    return thread.name.startswith(POOLED) or "_run_safe_shutdown_loop" in thread.name  # the latter: pycares


def left_threads(before: set[threading.Thread]) -> list[str]:
    """Name the threads that are new and go on, after a second in which they may end."""
    new = [thread for thread in threading.enumerate() if thread not in before and not _belongs_to_library(thread)]
    for thread in new:
        thread.join(1.0)
    return [thread.name for thread in new if thread.is_alive()]


def left_descriptors(before: dict[int, str]) -> list[str]:
    """Name what new descriptors lead to, after a second in which threads that end may close theirs.

    It is looked at five times at least: on a busy machine one collection may take the second. The first are of what
    is young, as nearly all that a test leaves is: to go through all the rest takes a hundred times as long.
    """
    end, looks = time.monotonic() + 1.0, 0
    while True:
        new = {number: to for number, to in open_descriptors().items() if before.get(number) != to}
        left = sorted(to for number, to in new.items() if number not in kept_descriptors())
        looks += 1
        if not left or (looks >= 5 and time.monotonic() > end):
            return left
        gc.collect(min(looks, 2))  # what hangs in a cycle, as a traceback does
        time.sleep(0.001 if looks == 1 else 0.01)


@pytest.fixture(autouse=True)
def _nothing_goes_on(
    request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture, _nothing_stays_patched: None
) -> Iterator[None]:
    """Fail a test that leaves a thread, an open descriptor, a running loop or an exception that is handled behind."""
    threads, descriptors = set(threading.enumerate()), open_descriptors()
    yield
    assert sys.exception() is None  # or it is the context of every error from here on
    assert asyncio._get_running_loop() is None
    if request.node.get_closest_marker("leaves_threads") is None:
        assert left_threads(threads) == []
    for phase in ("setup", "call"):
        caplog.get_records(phase).clear()  # they keep errors, which keep connections
    assert left_descriptors(descriptors) == []
