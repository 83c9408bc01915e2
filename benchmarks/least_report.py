"""The least that a report of a suite has to do: the floor under what one can cost where it is asked for.

It takes the record of each test, hides what is secret in it, keeps a line of each attempt as one text, and writes all
of them at the end. It knows no route, no coverage, no outcome and no law, draws nothing, and has no baseline.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path

import pytest

WRITTEN: list[str] = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None]:
    """Take what a test has recorded, as it is shown."""
    attempts = item.funcargs["chaos"].trace.shown().attempts  # type: ignore[attr-defined]  # of a function
    lines = [(one.method, one.target, one.status, one.fault, one.began_ns, one.ended_ns) for one in attempts]
    WRITTEN.append(json.dumps([item.nodeid, lines]))
    yield


def pytest_sessionfinish() -> None:
    """Write all of it."""
    Path("least.json").write_text("[\n" + ",\n".join(WRITTEN) + "\n]\n")
