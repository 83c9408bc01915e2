"""What importing the engine loads."""

from __future__ import annotations

import subprocess
import sys

LOADED = """
import sys
import pytest_retrychaos
before = set(sys.modules)
import pytest_retrychaos.engine
after = set(sys.modules) - before
print(sorted(name for name in after if name.split(".")[0] not in sys.stdlib_module_names))
print(sorted(after & {"asyncio", "dataclasses", "datetime", "email", "http", "random", "re", "ssl", "typing"}))
"""

PATHED = f"import sys; sys.path[:0] = {[entry for entry in sys.path if entry]!r}\n"


def test_the_engine_loads_the_standard_library_only_and_little_of_it():
    """Production code pays for every module at every start."""
    run = subprocess.run([sys.executable, "-I", "-c", PATHED + LOADED], capture_output=True, text=True, check=True)
    own, heavy = run.stdout.splitlines()
    assert all(name.split("'")[1].startswith("pytest_retrychaos") for name in own.strip("[]").split(", "))
    assert heavy == "[]"
