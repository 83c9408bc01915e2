"""Built-in functions and C types changed in place, and put back to the byte."""

from __future__ import annotations

import _queue
import functools
import os
import pickle
import select
import sys
import time
from collections.abc import Callable, Iterator
from time import gmtime as imported_gmtime

import pytest

from pytest_retrychaos.clock import Unsupported, cpython
from pytest_retrychaos.clock.cpython import BuiltinSwap, TypePatch, following_twin, polled_descriptors, real_twin


@pytest.fixture
def swapped() -> Iterator[Callable[..., BuiltinSwap]]:
    """Swap built-ins until the test ends."""
    swaps = []

    def swap(builtin: Callable[..., object], function: Callable[..., object]) -> BuiltinSwap:
        made = BuiltinSwap(builtin, function)
        swaps.append(made)
        made.on()
        return made

    yield swap
    for made in swaps:
        made.off()


def in_default(function: Callable[..., object] = time.gmtime) -> object:
    return function()


def test_every_reference_follows(swapped) -> None:
    """Name, from-import, default argument, partial, dictionary and a warm call site all see the new function."""
    partial, table = functools.partial(time.gmtime), {"now": time.gmtime}

    def warm() -> object:
        return time.gmtime()

    for _ in range(10_000):
        warm()
    swapped(time.gmtime, lambda: "new")
    seen = [time.gmtime(), imported_gmtime(), in_default(), partial(), table["now"](), warm()]
    assert seen == ["new"] * 6


def test_what_is_replaced_is_named(swapped) -> None:
    """By it a tear-down can be checked: nothing is named that has been put back."""
    swap, patch = swapped(time.gmtime, lambda: "new"), TypePatch(_queue.SimpleQueue, "qsize", len)
    patch.on()
    assert cpython.in_place() == ["_queue.SimpleQueue.qsize", "time.gmtime"]
    patch.off()
    swap.off()
    assert cpython.in_place() == []


CONVENTIONS = {
    "no argument": (time.process_time, (), {}),
    "one argument": (time.pthread_getcpuclockid, (5,), {}),
    "positional arguments": (time.gmtime, (5,), {}),
    "an array of arguments": (select.select, (1, 2, 3), {}),
    "an array of arguments and keywords": (os.stat, ("x",), {"dir_fd": 3}),
}


@pytest.mark.parametrize("form", CONVENTIONS)
def test_every_calling_convention_passes_its_arguments(form: str, swapped) -> None:
    """The new function gets what was given, however the C code takes it."""
    builtin, args, kwargs = CONVENTIONS[form]
    swap = swapped(builtin, lambda *args, **kwargs: (args, kwargs))
    answer = builtin(*args, **kwargs)
    swap.off()
    assert answer == (args, kwargs)


def test_keywords_reach_the_new_function(swapped) -> None:
    """A built-in that takes keywords hands them on."""
    swapped(os.stat, lambda *args, **kwargs: (args, kwargs))
    assert os.stat("x", follow_symlinks=False) == (("x",), {"follow_symlinks": False})


def test_exceptions_pass(swapped) -> None:
    """What the new function raises arrives, even an interrupt."""

    def interrupt() -> None:
        raise KeyboardInterrupt("now")

    swapped(time.process_time, interrupt)
    with pytest.raises(KeyboardInterrupt, match="now"):
        time.process_time()


def test_repr_pickling_and_arity_errors_stay(swapped) -> None:
    """A swapped built-in looks as before."""
    swapped(time.process_time, lambda: 0.0)
    assert repr(time.process_time) == "<built-in function process_time>"
    assert pickle.loads(pickle.dumps(time.process_time)) is time.process_time
    with pytest.raises(TypeError) as caught:
        time.process_time(1)  # type: ignore[call-arg]  # that is the point
    assert str(caught.value) == "time.process_time() takes no arguments (1 given)"


def test_calls_leak_nothing(swapped) -> None:
    """References of arguments and results are balanced."""
    thing = object()
    swapped(time.gmtime, lambda given: given)
    before = sys.getrefcount(thing)
    for _ in range(1_000):
        time.gmtime(thing)  # type: ignore[arg-type]  # any object will do
    assert sys.getrefcount(thing) == before


def test_putting_back_is_exact(picture) -> None:
    """After `off`, done twice, every byte is as before."""
    before = picture()
    swap = BuiltinSwap(select.select, lambda *args: args)
    swap.on()
    assert select.select(1) == (1,)  # type: ignore[call-overload, comparison-overlap]  # it is swapped
    swap.off()
    swap.off()
    assert picture() == before


def test_a_real_twin_stays(swapped) -> None:
    """A twin goes on as the built-in was."""
    twin = real_twin(time.process_time)
    swapped(time.process_time, lambda: -1.0)
    assert twin() > 0


def test_a_real_twin_stays_under_time_machine() -> None:
    """A twin is not moved when time-machine changes the C definition; one that follows is."""
    import time_machine

    real, follows = real_twin(time.time), following_twin(time.time)
    with time_machine.travel(86_400, tick=False):
        assert follows() == 86_400
        assert real() > 1_700_000_000


def test_only_builtins_are_swapped() -> None:
    """What has been replaced by a Python function is refused."""
    with pytest.raises(TypeError, match="is no built-in function: only those are swapped in place"):
        BuiltinSwap(lambda: None, lambda: None)


def test_a_method_of_an_immutable_type_is_patched_and_put_back() -> None:
    """Objects that were there before follow, and the type is as it was afterwards."""
    queue: _queue.SimpleQueue[int] = _queue.SimpleQueue()
    original = _queue.SimpleQueue.__dict__["get"]
    patch = TypePatch(_queue.SimpleQueue, "get", lambda _queue: "patched")
    patch.on()
    try:
        assert queue.get() == "patched"
    finally:
        patch.off()
    queue.put(3)
    assert queue.get() == 3
    assert _queue.SimpleQueue.__dict__["get"] is original
    with pytest.raises(TypeError, match="immutable type"):
        _queue.SimpleQueue.get = None  # type: ignore[method-assign, assignment]  # that is the point


def test_the_descriptors_of_a_poll_object_are_seen() -> None:
    """Which descriptors a poll object watches, and for what, is read from its insides."""
    poll = select.poll()
    assert polled_descriptors(poll) == []
    poll.register(0)
    poll.register(7, select.POLLIN)
    assert polled_descriptors(poll) == [(0, select.POLLIN | select.POLLPRI | select.POLLOUT), (7, select.POLLIN)]


def test_another_interpreter_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """The interpreter, its version and the way out are named."""
    monkeypatch.setattr(sys.implementation, "name", "pypy")
    with pytest.raises(Unsupported) as caught:
        cpython.check.__wrapped__()
    version = ".".join(map(str, sys.version_info[:3]))
    assert str(caught.value) == (
        f"virtual time does not work on pypy {version}: it is not CPython. Use CPython 3.11, 3.12 or 3.13"
    )


def test_a_layout_that_differs_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flags that are not where they are expected end it before the first write."""
    monkeypatch.setattr(cpython, "TP_FLAGS", 160)
    with pytest.raises(Unsupported, match="the flags of 'int' are not where they are expected"):
        cpython.check.__wrapped__()
