"""Reads that block in C: of a child's output, of a pipe between threads, of any descriptor that has nothing to give.

A thread that reads gives the turn away, as one does that waits for a child: by ``os.read``, which
`multiprocessing` uses too, or by a file (``process.stdout.readline()``), whose raw layer every buffer calls.
"""

from __future__ import annotations

import functools
import io
import os
import posix
import select
import stat
import subprocess
import sys
from _thread import get_ident
from collections.abc import Callable
from typing import Any

from pytest_retrychaos.clock.active import ACTIVE
from pytest_retrychaos.clock.cpython import BuiltinSwap, TypePatch, following_twin
from pytest_retrychaos.clock.genuine import genuine
from pytest_retrychaos.clock.waits import Readiness, await_ready, running

Function = Callable[..., Any]  # Any: a C function of any signature

_OWN = vars(io.FileIO)
_NUMBER: Callable[[io.FileIO], int] = _OWN["fileno"]
_KEYBOARD = 0
"""The descriptor by which a debugger reads: who types is not hurried."""
_CHUNK = 1 << 16
"""Bytes that a pipe holds (pipe(7))."""

_PROMPT = genuine(subprocess, "Popen")._execute_child.__code__  # it starts a child
"""Its read ends as soon as the child has started: a turn in between would depend on how fast that is."""


def _await(number: int) -> None:
    """Wait until a read of a descriptor would not block; a wrong one is the read's own business."""
    if number < 0:
        return
    poller = Readiness([(number, select.POLLIN)])
    if poller.look() or not os.get_blocking(number):
        return
    outside = running().outside
    poller.patience = outside.patience
    poller.is_endless = number == _KEYBOARD or os.isatty(number) or outside.has_children()
    await_ready(poller, None, "something to read from a pipe")
    ACTIVE.clock.note_traffic()


def _read(real: Function) -> Function:
    def read(*args: Any) -> Any:  # Any: a descriptor and a length
        may_wait = get_ident() == ACTIVE.owner and sys._getframe(1).f_code is not _PROMPT
        if may_wait and args and type(args[0]) is int and args[1:] != (0,):  # one of no bytes does not wait
            _await(args[0])
        return real(*args)

    return read


def _await_file(file: io.FileIO) -> bool:
    """Wait for what a file reads; whether it can be waited for by pieces: it is no regular file."""
    try:
        number = _NUMBER(file)
    except ValueError:  # closed: the read tells it
        return False
    _await(number)
    return not stat.S_ISREG(os.fstat(number).st_mode)


def _has_room(buffer: Any = None, *_: Any) -> bool:  # Any: as the caller gives it
    try:
        return memoryview(buffer).nbytes > 0
    except TypeError:  # no buffer: the read tells it
        return False


def _file_readinto(real: Function) -> Function:
    def readinto(file: io.FileIO, *args: Any) -> Any:  # Any: a buffer; a number of bytes
        if get_ident() == ACTIVE.owner and _has_room(*args):
            _await_file(file)
        return real(file, *args)

    return readinto


def _file_readall(real: Function, read: Function) -> Function:
    def readall(file: io.FileIO) -> Any:  # Any: bytes, or None where there is nothing yet
        if get_ident() != ACTIVE.owner or not _await_file(file):
            return real(file)
        parts: list[bytes] = []
        while piece := read(file, _CHUNK):
            parts.append(piece)
            _await_file(file)
        return piece if piece is None and not parts else b"".join(parts)

    return readall


def _file_read(real: Function, readall: Function) -> Function:
    def read(file: io.FileIO, *args: Any) -> Any:  # Any: a size; as `readall`
        if get_ident() != ACTIVE.owner:
            return real(file, *args)
        if not args or args[0] is None or (type(args[0]) is int and args[0] < 0):
            return readall(file)
        if args[0] != 0:
            _await_file(file)
        return real(file, *args)

    return read


@functools.cache
def pipe_swaps() -> tuple[BuiltinSwap | TypePatch, ...]:
    """Make the swaps of what reads a descriptor, once in a process."""
    own = dict(_OWN)
    readall = _file_readall(own["readall"], own["read"])
    return (
        BuiltinSwap(posix.read, _read(following_twin(posix.read))),
        TypePatch(io.FileIO, "readinto", _file_readinto(own["readinto"])),
        TypePatch(io.FileIO, "readall", readall),
        TypePatch(io.FileIO, "read", _file_read(own["read"], readall)),
    )
