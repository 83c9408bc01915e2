"""Where threads are in their code, asked while the collector has much to do."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading

import pytest

from pytest_retrychaos.frames import thread_frames

BUSY_COLLECTOR = """
import gc, threading
from pytest_retrychaos.frames import thread_frames

def leave_garbage():
    local = threading.local()
    local.value = 1
    cycle = [local]
    cycle.append(cycle)

gc.set_threshold(1)
for _ in range(2000):
    leave_garbage()
    thread_frames()
"""


def test_every_thread_has_its_frame():
    """By its identifier."""
    assert thread_frames()[threading.get_ident()].f_code.co_name == "thread_frames"


@pytest.mark.parametrize("is_enabled", [True, False])
def test_the_collector_is_as_it_was(is_enabled):
    """On or off."""
    before = gc.isenabled()
    (gc.enable if is_enabled else gc.disable)()
    try:
        thread_frames()
        assert gc.isenabled() is is_enabled
    finally:
        (gc.enable if before else gc.disable)()


def test_garbage_that_waits_for_the_interpreters_lock_does_not_hang():
    """Without the collector's rest CPython 3.11 hangs at the first such piece."""
    subprocess.run([sys.executable, "-c", BUSY_COLLECTOR], check=True, timeout=60)
