"""Pytest inside pytest."""

from __future__ import annotations

import pytest

OWNERS = {"-n": "xdist", "--reruns": "rerunfailures", "--cov": "pytest_cov"}
"""The plugins that options belong to, by the names that others look for them by."""


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Run pytest in a process of its own, in file order, with this plugin and those that are asked for.

    Without the dozen others that are installed for the tests a run begins in a quarter of the time.
    """
    asked = [f"-p{plugin}" for option, plugin in OWNERS.items() if any(one.startswith(option) for one in arguments)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        patch.setenv("PYTEST_PLUGINS", "pytest_retrychaos.plugin")
        return pytester.runpytest_subprocess(*asked, *arguments)
