"""A clock installed for the test's thread, and a picture of everything that installing touches."""

from __future__ import annotations

import _posixsubprocess
import _queue
import _socket
import _ssl
import _thread
import asyncio
import asyncio.selector_events
import ctypes
import os
import posix
import select
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.thread import _WorkItem
from datetime import datetime
from types import BuiltinFunctionType

import pytest
import time_machine

from pytest_retrychaos.clock import VirtualClock, current, install

TYPES = (
    asyncio.BaseEventLoop,
    asyncio.selector_events.BaseSelectorEventLoop,
    asyncio.SelectorEventLoop,
    _socket.socket,
    _ssl._SSLSocket,
    subprocess.Popen,
    ThreadPoolExecutor,
    _WorkItem,
    threading.Thread,
    getattr(_thread, "_ThreadHandle", _thread.LockType),
    _thread.LockType,
    _thread.RLock,
    _queue.SimpleQueue,
    select.epoll,
    type(select.poll()),
    time_machine.Traveller,
    datetime,
)
WATCHED = ("_pytest.timing", "_pytest.runner", "hypothesis.core", "hypothesis.internal.conjecture.data")


def _words(function: BuiltinFunctionType) -> tuple[int, ...]:
    # The built-in's object after its head, and the definition that it points to.
    words = tuple((ctypes.c_size_t * 5).from_address(id(function) + 16))
    return words[:3] + words[4:] + tuple((ctypes.c_size_t * 4).from_address(words[0]))


def take_picture() -> dict[str, object]:
    """Describe all that installing a clock may change, down to the bytes of the built-in functions."""
    picture: dict[str, object] = {}
    for module in (time, select, _thread, posix, _posixsubprocess, sys.modules.get("_asyncio")):
        for name, value in vars(module).items() if module else ():
            picture[f"{module.__name__}.{name}"] = value if isinstance(value, tuple) else id(value)
            if isinstance(value, BuiltinFunctionType):
                picture[f"{module.__name__}.{name} words"] = (_words(value), repr(value), hash(value))
    for kind in TYPES:
        picture[f"{kind.__name__} flags"] = kind.__flags__ & (1 << 8)
        picture[f"{kind.__name__} names"] = {name: id(value) for name, value in vars(kind).items()}
    for name in WATCHED:
        module = sys.modules.get(name)
        if module is not None:
            picture[name] = {key: id(value) for key, value in vars(module).items()}
    picture["uuid"] = (uuid._generate_time_safe, uuid._UuidCreate)
    picture["travellers"] = list(time_machine.traveller_stack)
    picture["zone"] = (os.environ.get("TZ"), time.tzname, time.timezone)
    picture["installed"] = current()
    return picture


@pytest.fixture
def picture() -> Callable[[], dict[str, object]]:
    """The function that takes a picture of all that installing touches."""
    return take_picture


@pytest.fixture
def clock() -> Iterator[VirtualClock]:
    """A clock that the test's thread is on."""
    virtual = VirtualClock()
    with install(virtual, grace=0.01, patience=0.1):
        yield virtual
