"""What pytest was told: the plugin's options and ini settings, and what follows from them for a test."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pytest_retrychaos.redact import Redaction

SEED_OPTION = "--chaos-seed"
WATCHDOG_OPTION = "--chaos-watchdog"
REDACT_OPTION = "--chaos-redact"
REDACTION_KEY = "retrychaos_redaction_key"
"""Under which a worker of xdist is given what marks of secrets are made with: one key for the whole run."""
SAID: pytest.StashKey[str] = pytest.StashKey()
"""What a test that passed has to say under ``-v``, kept with the test."""
WATCHING: pytest.StashKey[Callable[[pytest.Item, object], None]] = pytest.StashKey()
"""What takes in each of the many runs of an explored test, kept with the configuration."""
KNOWN: pytest.StashKey[Callable[[Any, Any, Any], bool]] = pytest.StashKey()  # Any: see `judging.Known`
"""What tells which findings are known, kept with the configuration."""
IS_EXPLORED = "chaos_is_explored"
"""The attribute of a test that `chaos_explore` decorated."""
REPEATED = "retrychaos_repeated"
"""The attribute of a test that holds the decorator which runs it again and again: `chaos_explore` or `chaos_fuzz`."""
EXPLORED: pytest.StashKey[dict[str, object]] = pytest.StashKey()
"""What one share of a search found, kept with its item."""
INTERRUPTED: pytest.StashKey[list[tuple[str, str]]] = pytest.StashKey()
"""What tests that were interrupted had found so far, kept with the configuration: each by its id."""
_EXPECTS_FAILURE = "__unittest_expecting_failure__"
"""The attribute that `unittest.expectedFailure` gives a method or a class."""


def main_seed(config: pytest.Config) -> int:
    """Give the seed of the whole run; `pytest.UsageError` for one that is none."""
    given: int | None = config.getoption(SEED_OPTION)
    if given is None:
        text = str(config.getini("chaos_seed"))
        if not text.strip().isdecimal():
            raise pytest.UsageError(f"ini chaos_seed = {text!r} is no seed: give a whole number, 0 or more")
        return int(text)
    if given < 0:
        raise pytest.UsageError(f"{SEED_OPTION}={given} is no seed: give a whole number, 0 or more")
    return given


def watchdog(config: pytest.Config) -> float:
    """Give the real seconds after which a thread that blocks is reported; `pytest.UsageError` as above."""
    given: float | None = config.getoption(WATCHDOG_OPTION)
    said = f"{WATCHDOG_OPTION}={given:g}" if given is not None else f"ini chaos_watchdog = {_ini(config)!r}"
    try:
        seconds = float(_ini(config)) if given is None else given
    except ValueError:
        seconds = -1
    if not 0 <= seconds < 1e9:
        raise pytest.UsageError(f"{said} is no number of seconds: give 0 (never) or more")
    return seconds


def _ini(config: pytest.Config) -> str:
    return str(config.getini("chaos_watchdog"))


def redaction(config: pytest.Config) -> Redaction | None:
    """Make what hides secrets in this run; `pytest.UsageError` for a regular expression that is none.

    ``None``: the usual one, made when something is to be printed.
    """
    by_ini: list[str] = config.getini("chaos_redact")
    given: list[str] = [*by_ini, *(config.getoption(REDACT_OPTION) or ())]
    key = getattr(config, "workerinput", {}).get(REDACTION_KEY)
    if not given and key is None:
        return None
    from pytest_retrychaos.redact import Redaction

    option = "ini chaos_redact"
    try:
        Redaction(by_ini)
        option = REDACT_OPTION
        return Redaction(given, None if key is None else bytes.fromhex(key))
    except ValueError as error:
        raise pytest.UsageError(
            f"{option}: {error}. Give the name of a header or field, or a regular expression"
        ) from error


def derived_seed(config: pytest.Config, test: str) -> int:
    """Mix the run's seed with a test's id, so that tests differ and each can be run alone."""
    import hashlib

    return int.from_bytes(hashlib.sha256(f"{main_seed(config)}:{test}".encode()).digest()[:4])


def known_of(item: pytest.Item) -> Callable[[Any, Any, Any], bool] | None:  # Any: see `judging.Known`
    """Give what tells which findings of a test a baseline lets pass; none of one that is to fail by what it finds.

    If it let that pass, the test would pass, which ``xfail(strict=True)`` forbids, and `unittest.expectedFailure`.
    """
    return None if _may_fail(item) else item.config.stash.get(KNOWN, None)


def _may_fail(item: pytest.Item) -> bool:
    """Whether a test is marked ``xfail`` without a condition, or with one that is true, or so by unittest."""
    if any(getattr(getattr(item, name, None), _EXPECTS_FAILURE, False) for name in ("function", "cls")):
        return True
    if item.config.getoption("runxfail", True):  # without pytest's own plugin (-p no:skipping) there is no xfail
        return False
    given = [mark.args or (mark.kwargs.get("condition", True),) for mark in item.iter_markers("xfail")]
    return any(one and not isinstance(one, str) for conditions in given for one in conditions)
