"""Tell whether a run was a part of the suite only, as far as it knows.

What such a run did not find another test may: nothing is called fixed by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from pytest_retrychaos.settings import REPEATED

KEY: Final = "retrychaos_is_part"
"""Under which a worker of pytest-xdist tells at its end that anything is missing."""
UNRUN_KEY: Final = "retrychaos_has_unrun"
"""Under which it tells of `Part.has_unrun`."""


def place_of(test: pytest.Item | pytest.TestReport) -> str:
    """Name a test among all of a run: outside of pytest's root two of them may have one id."""
    return f"{test.location[0]} {test.nodeid}"


class Part:
    """What is known to be missing of one run, in one process."""

    def __init__(self, config: pytest.Config) -> None:
        self._is_cut = bool(config.getoption("lf", False)) or any("::" in one for one in config.args)
        self._unrun: set[str] = set()

    def __bool__(self) -> bool:
        """Whether anything is missing."""
        return self._is_cut or self.has_unrun

    @property
    def has_unrun(self) -> bool:
        """Whether a chaos test that was to run left no record: no other shard has it, either."""
        return bool(self._unrun)

    def note_deselected(self, items: Iterable[pytest.Item]) -> None:
        """Note tests that were left out."""
        self._is_cut = self._is_cut or any(_is_chaos(item) for item in items)

    def note_end(self, item: pytest.Item, *, left_record: bool) -> None:
        """Note how a test ended: a chaos test without a record was skipped, say, or its set-up failed.

        One that is run again (pytest-rerunfailures) ends more than once.
        """
        test = place_of(item)
        if left_record:
            self._unrun.discard(test)
        elif _is_chaos(item):
            self._unrun.add(test)

    def note_skipped(self, node: str, path: Path) -> None:
        """Note a file that was skipped as a whole (`pytest.importorskip`), where it may have chaos tests."""
        try:
            source = path.read_text(encoding="utf-8", errors="replace")
        except OSError:  # no file: what it would have had is not known
            source = "chaos"
        if "chaos" in source:
            self._unrun.add(node)

    def tell(self, output: dict[str, Any]) -> None:  # Any: pytest-xdist's
        """Tell the controller of pytest-xdist, where this is a worker."""
        output[KEY] = bool(self)
        output[UNRUN_KEY] = self.has_unrun

    def note_worker(self, output: Mapping[str, Any]) -> None:  # Any: pytest-xdist's
        """Note what a worker told."""
        self._is_cut = self._is_cut or output.get(KEY, False)
        if output.get(UNRUN_KEY, False):
            self._unrun.add("of a worker")


def _is_chaos(item: pytest.Item) -> bool:
    """Whether a test uses the fixture, or is explored or fuzzed."""
    return "chaos" in getattr(item, "fixturenames", ()) or hasattr(getattr(item, "function", None), REPEATED)
