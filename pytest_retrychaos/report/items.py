"""What one test of pytest says of itself: the id that a report knows it by, its code, whether it asserts."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from types import CodeType

import pytest


def id_of(item: pytest.Item) -> str:
    """Give a test's id as one process has it.

    With its file where pytest leaves out a part of the path, so that two tests may have one id. It does so outside its
    root: ``pytest -c ci/pytest.ini unit/test_pay.py integration/test_pay.py``.
    """
    test = _unspread(item) if hasattr(item.config, "workerinput") else item.nodeid
    elsewhere = _outside(item.path, item.config.rootpath)
    return test if elsewhere is None else f"{elsewhere}::{test.partition('::')[2]}"


@lru_cache(maxsize=64)
def _outside(file: Path, root: Path) -> str | None:
    return None if file.is_relative_to(root) else os.path.relpath(file, root)


def _unspread(item: pytest.Item) -> str:
    """Take off what pytest-xdist is the reason for: its group behind the id, and the share of a search."""
    from pytest_retrychaos.fuzz.shares import share_of, whole_name

    if share_of(item).of > 1:
        return whole_name(item.nodeid)
    marker = item.get_closest_marker("xdist_group")
    group = None if marker is None else (marker.args or (marker.kwargs.get("name"),))[0]
    return item.nodeid.removesuffix(f"@{group}") if group else item.nodeid


def code_of(item: pytest.Item) -> CodeType | None:
    """Give a test function's code, under what was put around it (``@responses.activate``, ``@mock.patch``).

    ``None`` where a test is no function.
    """
    import inspect

    function = getattr(item, "function", None)
    code: CodeType | None = None if function is None else getattr(inspect.unwrap(function), "__code__", None)
    return code


@lru_cache(maxsize=64)
def asserts(code: CodeType | None) -> bool:
    """Whether a test has an assertion of its own: ``assert``, ``self.assertEqual``, ``pytest.raises``."""
    from opcode import opmap

    if code is None:
        return False
    names = (*code.co_names, *code.co_varnames)
    if any(name.startswith(("assert", "@py")) or name in ("raises", "AssertionError") for name in names):
        return True
    if opmap.get("LOAD_ASSERTION_ERROR") in {*code.co_code[::2]}:  # what pytest did not rewrite (--assert=plain)
        return True
    return any(asserts(one) for one in code.co_consts if isinstance(one, CodeType))
