"""This is a project of its own: the suite of pytest-retrychaos, around it, runs it as its user would."""

from pathlib import Path


def pytest_ignore_collect(config):
    return True if config.rootpath != Path(__file__).parent else None
