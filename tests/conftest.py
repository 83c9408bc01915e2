"""What all tests share: pytest's own fixture for running pytest inside pytest, and a watch on what is left behind."""

from __future__ import annotations

import datetime
import os
import select
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")  # how fast this machine is just now is no property of the code

pytest_plugins = ["pytester"]


def patched_state() -> dict[str, Any]:
    """Take down everything that a run patches, to compare before and after."""
    import _queue
    import _socket
    import _thread
    import selectors

    state: dict[str, Any] = {}
    for owner in (
        socket.socket, _socket.socket, ssl.SSLContext, ssl.SSLSocket, threading.Thread,
        type(_thread.allocate_lock()), _thread.RLock, _queue.SimpleQueue, selectors.EpollSelector,
        selectors.PollSelector, selectors.SelectSelector,
    ):  # fmt: skip
        state.update({f"{owner.__module__}.{owner.__qualname__}.{name}": value for name, value in vars(owner).items()})
    for module in (time, datetime, socket, ssl, select, os, threading, _socket, _thread):
        state.update({f"{module.__name__}.{name}": value for name, value in vars(module).items()})
    for name in ("sleep", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "time", "time_ns"):
        state[f"repr of time.{name}"] = repr(getattr(time, name))
    state["zone"] = (os.environ.get("TZ"), time.tzname)
    state["environment"] = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    return state


@pytest.fixture(autouse=True)
def _nothing_stays_patched() -> Iterator[None]:
    """Fail a test that leaves anything patched behind."""
    before = patched_state()
    yield
    after = patched_state()
    changed = [
        name for name in before if name in after and before[name] is not after[name] and before[name] != after[name]
    ]
    assert not changed
    assert set(after) - set(before) <= {name for name in after if name.endswith("__abstractmethods__")}
