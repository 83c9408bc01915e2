"""A watch on everything that a run patches. Many a new process loads this file: it imports no more than it needs."""

from __future__ import annotations

import datetime
import gc
import os
import select
import socket
import ssl
import sys
import threading
import time
from typing import Any

from pytest_retrychaos.clock.outsiders import OUTSIDERS

TIME_NAMES = ("sleep", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "time", "time_ns", "_time")
"""Under which modules that stay on real time hold functions of `time`, or `time` itself."""

State = dict[str, dict[str, Any]]
"""The names of each owner, a type or a module, and what they stand for."""


def patched_state() -> State:
    """Take down everything that a run patches, to compare before and after: two are equal if nothing has changed."""
    import _queue
    import _socket
    import _thread
    import selectors

    state: State = {}
    for owner in (
        socket.socket, _socket.socket, ssl.SSLContext, ssl.SSLSocket, threading.Thread,
        type(_thread.allocate_lock()), _thread.RLock, _queue.SimpleQueue, selectors.EpollSelector,
        selectors.PollSelector, selectors.SelectSelector,
    ):  # fmt: skip
        state[f"{owner.__module__}.{owner.__qualname__}"] = dict(vars(owner))
    for module in (time, datetime, socket, ssl, select, os, threading, _socket, _thread):
        state[module.__name__] = dict(vars(module))
    for name in OUTSIDERS:
        held = vars(sys.modules[name]) if name in sys.modules else {}
        state.setdefault(name, {}).update({key: held[key] for key in TIME_NAMES if key in held})
    state["collector"] = {"threshold": gc.get_threshold()}
    state["zone"] = {"TZ": os.environ.get("TZ"), "tzname": time.tzname}
    environment = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    state["os"]["environment"] = environment  # as one, so that what was taken out is a change, too
    return state


def changed_names(before: State, after: State) -> list[str]:
    """List what stands for something else than before."""
    return [
        f"{owner}.{name}"
        for owner, names in before.items()
        for name, value in names.items()
        if name in after[owner] and after[owner][name] is not value and after[owner][name] != value
    ]


def added_names(before: State, after: State) -> list[str]:
    """List what was not there before."""
    return [f"{owner}.{name}" for owner, names in after.items() for name in names if name not in before[owner]]
