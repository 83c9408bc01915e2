"""Pytest inside pytest."""

from __future__ import annotations

import pytest

ASYNCIO = "pytest_asyncio.plugin"
XDIST = "xdist.plugin"


def run(pytester: pytest.Pytester, *arguments: str, plugins: tuple[str, ...] = ()) -> pytest.RunResult:
    """Run pytest in a process of its own, in file order, with this plugin and those named.

    Without the dozen others that are installed for the tests a run begins in a quarter of the time.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        patch.setenv("PYTEST_PLUGINS", ",".join(("pytest_retrychaos.plugin", *plugins)))
        return pytester.runpytest_subprocess("-p", "no:cacheprovider", *arguments)
