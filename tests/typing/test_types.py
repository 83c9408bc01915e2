"""mypy --strict accepts what users may write, and refuses what they may not."""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def check(*files: str) -> tuple[str, int]:
    """Run mypy in strict mode on files of this directory: its output and exit status."""
    from mypy import api

    arguments = [
        "--config-file=",
        "--strict",
        "--no-error-summary",
        "--no-pretty",
        f"--cache-dir={ROOT / '.mypy_cache'}",
    ]
    output, errors, status = api.run([*arguments, *(str(HERE / name) for name in files)])
    assert not errors
    return output, status


@pytest.fixture(autouse=True)
def _at_the_root(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run mypy where its paths begin, and undo what it does to the collector of the whole process."""
    monkeypatch.chdir(ROOT)
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


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
