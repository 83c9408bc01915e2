"""Child processes: they finish in real time, and a limit on them is one of real seconds; and signals to our own.

A thread that waits for a child gives the turn away, so that a server in another thread can answer it. A forked
child is on real time: nothing of what is replaced does anything there.
"""

from __future__ import annotations

import _posixsubprocess
import _signal  # type: ignore[import-not-found]  # `signal` is Python, and may be mocked
import contextlib
import errno
import functools
import itertools
import math
import os
import posix
import select
import subprocess
import sys
import threading
from _thread import get_ident
from collections.abc import Callable
from typing import Any

from pytest_retrychaos.clock.active import ACTIVE
from pytest_retrychaos.clock.backstage import real_starter
from pytest_retrychaos.clock.cpython import BuiltinSwap, TypePatch, following_twin
from pytest_retrychaos.clock.genuine import genuine
from pytest_retrychaos.clock.outside import REAL_POLL
from pytest_retrychaos.clock.waits import Readiness, await_ready, deadline, running

Function = Callable[..., Any]  # Any: a built-in of any signature
_ENDLESS = 2e6
"""Seconds that stand for no limit, the most that poll(2) takes: with one, ``communicate`` waits on its pipes."""
_TO_END = "a child process to end"
_STARTERS = ("fork", "forkpty", "posix_spawn", "posix_spawnp")
_NO_END = os.WUNTRACED | os.WCONTINUED
"""Of waits for a child that is stopped or goes on, of which its descriptor tells nothing (pidfd_open(2))."""


def note_child(pid: int) -> None:
    """Let time not jump while a child process is awaited, until `forget_child`: an event loop calls it."""
    running().outside.children.add(pid)


def forget_child(pid: int) -> None:
    """End what `note_child` began; harmless when done twice, and once the clock has gone."""
    if ACTIVE.turns is not None:
        ACTIVE.turns.outside.children.discard(pid)


def _starts(real: Function) -> Function:
    def start(*args: Any, **kwargs: Any) -> Any:  # Any: as the caller gives it
        if get_ident() == ACTIVE.owner:
            _await_pools()
        started = real(*args, **kwargs)
        if get_ident() == ACTIVE.owner:  # not in the child
            running().outside.started.add(started[0] if isinstance(started, tuple) else started)
        return started

    return start


def _await_pools() -> None:
    # A fork takes the lock under which pools start a worker, by a method from before, which would wait for real: that
    # for whoever hands in the first item, where the worker that begins with it forks.
    pools = sys.modules.get("concurrent.futures.thread")
    if pools is not None:
        with pools._global_shutdown_lock:
            pass


@functools.cache
def _has_descriptors() -> bool:
    # Linux 5.3 has them; sandboxes that know of no such call say so, or that it is not permitted.
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError as error:
        return error.errno not in (errno.ENOSYS, errno.EPERM)
    return True


def _await_end(pid: int, until_ns: int | None = None) -> bool | None:
    """Wait for one child, or with nought or less for any; `None` where there is nothing to wait for by."""
    pids = [pid] if pid > 0 else _all_children()
    numbers = []
    try:
        for one in pids:
            numbers.append(os.pidfd_open(one))
        if not numbers:
            return None
        watched = [(number, select.POLLIN) for number in numbers]
        return await_ready(Readiness(watched, math.inf), until_ns, _TO_END)
    except (ProcessLookupError, PermissionError):
        return None
    finally:
        for number in numbers:
            os.close(number)


def _all_children() -> list[int]:
    # Of every thread, those that have ended and wait to be reaped included: proc_pid_task_children(5).
    found: list[int] = []
    for task in os.listdir("/proc/self/task"):
        with contextlib.suppress(OSError), open(f"/proc/self/task/{task}/children", encoding="ascii") as text:
            found += map(int, text.read().split())
    return found


def _waits(real: Function, pid_of: Callable[..., int], options_at: int) -> Function:
    def wait_(*args: Any) -> Any:  # Any: a process and its status, in several shapes
        if get_ident() == ACTIVE.owner and all(isinstance(one, int) for one in args):
            options = args[options_at] if 0 <= options_at < len(args) else 0
            if options & _NO_END and not options & os.WNOHANG:
                return aside(lambda: real(*args), "a child process to stop or go on")
            if not options & os.WNOHANG and len(args) > options_at:
                if not _has_descriptors():
                    return aside(lambda: real(*args), _TO_END)
                _await_end(pid_of(*args))
        return real(*args)

    return wait_


_WAITS: dict[str, tuple[Callable[..., int], int]] = {
    "waitpid": (lambda pid, _: pid, 1),
    "wait4": (lambda pid, _: pid, 1),
    "wait3": (lambda _: -1, 0),
    "wait": (lambda: -1, -1),
    "waitid": (lambda kind, pid, _: pid if kind == os.P_PID else -1, 2),
}
"""Of each function: which child it waits for, and where its options stand."""


def _popen_wait(real: Function) -> Function:
    def wait_(popen: Any, timeout: float | None) -> Any:  # Any: a Popen; a status
        if get_ident() == ACTIVE.owner and popen.returncode is None and (timeout is None or timeout > 0):
            if not _has_descriptors():
                return aside(lambda: real(popen, timeout), _TO_END)
            ended = _await_end(popen.pid, None if timeout is None else deadline(timeout))
            if ended is False and timeout is not None:
                raise subprocess.TimeoutExpired(popen.args, timeout)
        return real(popen, timeout)

    return wait_


def _communicate(real: Function) -> Function:
    def communicate(popen: Any, input: Any = None, timeout: float | None = None) -> Any:  # noqa: A002  # Any: as given
        if get_ident() != ACTIVE.owner:
            return real(popen, input, timeout)
        note_child(popen.pid)
        try:
            return real(popen, input, _ENDLESS if timeout is None else timeout)
        finally:
            forget_child(popen.pid)

    return communicate


def _system(real: Function) -> Function:
    def system(*args: Any, **kwargs: Any) -> Any:  # Any: as the caller gives it
        if get_ident() != ACTIVE.owner:
            return real(*args, **kwargs)
        return aside(lambda: real(*args, **kwargs), "a command of the shell to end")

    return system


def aside(function: Callable[[], Any], waits_for: str) -> Any:  # Any: what the function gives
    """Call a function that blocks in a thread on real time, while the others go on."""
    result: list[Any] = []
    errors: list[BaseException] = []
    done = os.eventfd(0, os.EFD_CLOEXEC)
    leavers = itertools.count()

    def leave() -> None:
        if next(leavers):  # the second: an interrupted wait leaves first
            os.close(done)

    def run() -> None:
        try:
            result.append(function())
        except BaseException as error:
            errors.append(error)
        os.eventfd_write(done, 1)
        leave()

    real_starter()(run, ())
    watched = Readiness([(done, select.POLLIN)], math.inf)
    try:
        if await_ready(watched, None, waits_for) is None:
            poll = select.poll()
            poll.register(done, select.POLLIN)
            REAL_POLL(poll)
    finally:
        leave()
    for error in errors:
        raise error
    return result[0]


def _sends(real: Function, is_for_main: Callable[..., bool]) -> Function:
    def send(*args: Any) -> Any:  # Any: as the caller gives it; None
        result = real(*args)
        turns = ACTIVE.turns
        if turns is not None and get_ident() == ACTIVE.owner and is_for_main(*args):
            turns.turn.let_main_hear()
        return result

    return send


def _in_child() -> None:
    # The one thread that a fork leaves is this one. Everything replaced stays where it is and passes calls on.
    ACTIVE.owner = 0
    ACTIVE.turns = None


@functools.cache
def child_swaps() -> tuple[BuiltinSwap | TypePatch, ...]:
    """Make the swaps of what starts child processes and waits for them, once in a process."""
    os.register_at_fork(after_in_child=_in_child)
    starters = [_posixsubprocess.fork_exec, *(getattr(posix, name) for name in _STARTERS)]
    swaps: list[BuiltinSwap | TypePatch] = [BuiltinSwap(one, _starts(following_twin(one))) for one in starters]
    for name, rest in _WAITS.items():
        builtin = getattr(posix, name)
        swaps.append(BuiltinSwap(builtin, _waits(following_twin(builtin), *rest)))
    swaps.append(BuiltinSwap(posix.system, _system(following_twin(posix.system))))
    to_us: tuple[tuple[Function, Callable[..., bool]], ...] = (
        (posix.kill, lambda pid, _: pid == os.getpid()),
        (_signal.pthread_kill, lambda ident, _: ident == threading.main_thread().ident),
        (_signal.raise_signal, lambda _: True),
    )
    swaps += [BuiltinSwap(builtin, _sends(following_twin(builtin), is_for_main)) for builtin, is_for_main in to_us]
    popen = genuine(subprocess, "Popen")
    swaps.append(TypePatch(popen, "_wait", _popen_wait(vars(popen)["_wait"])))
    swaps.append(TypePatch(popen, "communicate", _communicate(vars(popen)["communicate"])))
    return tuple(swaps)
