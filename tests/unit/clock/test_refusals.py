"""What virtual time does not cover is refused by name before it runs."""

from __future__ import annotations

import asyncio
import re
import threading

import pytest

from pytest_retrychaos.clock import Refused, VirtualClock, install


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


class OwnLoop(asyncio.AbstractEventLoop):
    """A loop that is none of asyncio's own."""


def test_a_loop_that_keeps_its_own_time_is_refused(clock: VirtualClock) -> None:
    """A loop written in C reads the system's clock by itself."""
    with pytest.raises(Refused) as caught:
        asyncio._set_running_loop(OwnLoop())
    place, _, rest = str(caught.value).partition(" runs ")
    assert "test_refusals.py:" in place
    assert re.fullmatch(
        r"an event loop \(.*test_refusals\.OwnLoop\) that keeps its own time: only asyncio's own loops and trio are on "
        r"virtual time\. Use asyncio's loop in this test, or transport='loopback', a real server on real time\.",
        rest,
    )
    assert asyncio._get_running_loop() is None
