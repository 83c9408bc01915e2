"""Installing and removing: exact, once at a time, and safe against an interrupt at any line."""

from __future__ import annotations

import contextlib
import gc
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest

from pytest_retrychaos.clock import Refused, VirtualClock, current, install


class Interrupt:
    """Raise KeyboardInterrupt at the nth line that runs in the clock's or time-machine's code.

    A line that runs for one switch after the other counts at its first six visits.
    """

    def __init__(self, nth: int) -> None:
        self.left = nth
        self.visits: Counter[tuple[str, int]] = Counter()

    def __call__(self, frame: FrameType, event: str, _argument: Any) -> Interrupt | None:  # Any: by the protocol
        name = frame.f_code.co_filename
        if "pytest_retrychaos/clock/" not in name and "time_machine" not in name:
            return None
        if event == "line":
            line = (name, frame.f_lineno)
            self.visits[line] += 1
            if self.visits[line] > 6:
                return self
            self.left -= 1
            if self.left == 0:
                sys.settrace(None)
                raise KeyboardInterrupt
        return self

    @property
    def struck(self) -> bool:
        return self.left <= 0


def strike(interrupt: Interrupt, act: Callable[[], object]) -> None:
    """Do something until the interrupt, which is raised on, or to its end.

    In a generator: CPython 3.11 to 3.13 goes on handling the exception of an `except` block where a trace function
    raises as that block is left, in a thread's own frames for good. What a generator handles ends with it.
    """

    def traced() -> Iterator[None]:
        sys.settrace(interrupt)
        try:
            act()
        finally:
            sys.settrace(None)
        yield

    next(traced())


def test_everything_is_as_before(picture) -> None:
    """Names, types, bytes of functions, zone and travellers are untouched afterwards."""
    before = picture()
    with install(VirtualClock()):
        assert picture() != before
        time.sleep(5)
    assert picture() == before


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_everything_is_as_before_after_an_error(error: type[BaseException], picture) -> None:
    """However the block ends, everything is put back."""
    before = picture()
    with pytest.raises(error), install(VirtualClock(), timezone="Asia/Tokyo"):
        raise error
    assert picture() == before


def test_removing_twice_is_harmless(picture) -> None:
    """A second removal does nothing, even to a later clock."""
    before = picture()
    first = install(VirtualClock())
    first.remove()
    with install(VirtualClock()) as second:
        first.remove()
        assert current() is second
    assert picture() == before


def test_a_hundred_in_a_row(picture) -> None:
    """Coming and going leaves nothing behind, and each clock begins at nought."""
    before = picture()
    for _ in range(100):
        clock = VirtualClock()
        with install(clock):
            time.sleep(1)
        assert clock.now_ns == 1_000_000_000
    assert picture() == before


def test_a_second_clock_is_refused(clock: VirtualClock) -> None:
    """A process has one at a time; the first goes on."""
    first = current()
    with pytest.raises(Refused) as caught:
        install(VirtualClock())
    assert str(caught.value) == (
        "a second virtual clock was to be installed while one is active: a process has one at a time. End the "
        "first chaos before the second begins, or use the one that is there."
    )
    assert current() is first
    time.sleep(1)
    assert clock.now_ns == 1_000_000_000


def test_an_interrupt_at_any_line_leaves_it_removable(picture) -> None:
    """Wherever Ctrl-C strikes while a clock is put in or taken out, removing what is there restores all."""
    with install(VirtualClock(), timezone="UTC"):
        pass
    before = picture()
    for nth in range(1, 5_000):
        interrupt = Interrupt(nth)
        with contextlib.suppress(KeyboardInterrupt):
            strike(interrupt, lambda: install(VirtualClock(), timezone="UTC").remove())
        left = current()
        if left is not None:
            left.remove()
        assert picture() == before, f"line {nth}"
        if not interrupt.struck:
            break
    assert 300 < nth < 4_999


def test_an_interrupt_while_removing_is_raised_when_all_is_back(picture) -> None:
    """The interrupt is not lost, and neither is what came after it."""
    before = picture()
    installation = install(VirtualClock())
    interrupt = Interrupt(20)
    gc.collect()
    gc.disable()  # Python itself swallows what is raised in a finalizer, and finalizers release locks
    try:
        with pytest.raises(KeyboardInterrupt):
            strike(interrupt, installation.remove)
    finally:
        gc.enable()
    assert picture() == before


def test_it_can_be_installed_from_another_thread() -> None:
    """The thread that installs is the one on virtual time; the main thread stays in real time."""
    clock, seen = VirtualClock(), []

    def run() -> None:
        with install(clock):
            time.sleep(3600)
            seen.append(time.gmtime().tm_year)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert (clock.now_ns, seen) == (3_600_000_000_000, [2030])


REPLACED = """
import time
time.monotonic_ns = lambda: 1
from pytest_retrychaos.clock import Refused, VirtualClock, install
try:
    install(VirtualClock())
except Refused as error:
    print(str(error).partition("<")[0] + str(error).rpartition(">")[2])
"""


def test_a_function_that_was_replaced_before_is_refused() -> None:
    """A stand-in of the test's own hides the function that has to be followed."""
    child = subprocess.run([sys.executable, "-c", REPLACED], capture_output=True, text=True, check=True)
    assert child.stdout == (
        "time.monotonic_ns has been replaced by , so virtual time cannot follow it. Start chaos first, or drop "
        "that replacement: under chaos sleeps cost no real time.\n"
    )


def test_a_sleep_that_the_test_had_replaced_is_still_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mock over the name `time.sleep` hides nothing: other references are virtual."""
    real_name = time.sleep
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    clock = VirtualClock()
    with install(clock):
        real_name(5)
    assert clock.now_ns == 5_000_000_000


LAZY = """
import sys
import pytest_retrychaos.clock
print(sorted(name for name in ("time_machine", "pytest", "hypothesis", "asyncio") if name in sys.modules))
"""


def test_importing_loads_nothing_heavy() -> None:
    """Time-machine comes with the first installation only."""
    child = subprocess.run([sys.executable, "-c", LAZY], capture_output=True, text=True, check=True)
    assert child.stdout == "[]\n"
