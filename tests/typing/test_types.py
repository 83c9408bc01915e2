"""mypy --strict accepts what users may write, and refuses what they may not."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def check(*files: str) -> tuple[str, int]:
    """Run mypy in strict mode on files of this directory: its output and exit status.

    In a process of its own: what it keeps, a million objects, the collector would go through in every later test.
    """
    arguments = [
        "--config-file=",
        "--strict",
        "--no-error-summary",
        "--no-pretty",
        f"--cache-dir={ROOT / '.mypy_cache'}",
    ]
    command = [sys.executable, "-m", "mypy", *arguments, *(str(HERE / name) for name in files)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert not done.stderr
    return done.stdout, done.returncode


def test_mypy_accepts_the_public_api() -> None:
    """Fixture, scripts, scopes, assertions, handlers and engine, with the types that each gives."""
    assert check("api.py") == ("", 0)


def test_mypy_refuses_every_mistake() -> None:
    """On exactly the lines that say so, with the code that they name."""
    source = (HERE / "mistakes.py").read_text().splitlines()
    expected = {
        (number, found[1])
        for number, line in enumerate(source, start=1)
        if (found := re.search(r"# E: ([\w-]+)$", line)) is not None
    }

    output, status = check("mistakes.py")

    found = set(re.findall(r"mistakes\.py:(\d+): error: .*\[([\w-]+)\]", output))
    assert {(int(number), code) for number, code in found} == expected
    assert status == 1
