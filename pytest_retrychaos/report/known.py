"""Which findings a baseline lets pass, asked while tests run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from pytest_retrychaos.laws import Finding
from pytest_retrychaos.report import baseline
from pytest_retrychaos.report.asked import UPDATE_OPTION
from pytest_retrychaos.report.declared import declared_by
from pytest_retrychaos.report.document import Identity
from pytest_retrychaos.report.identity import Reading
from pytest_retrychaos.service import Service
from pytest_retrychaos.trace import Trace


def known_by(listed: Iterable[Identity], *, knows_all: bool) -> Callable[[Service, Trace, Finding], bool]:
    """Make what tells whether a finding is listed; ``knows_all`` lets everything pass, to list it afterwards."""
    entries = frozenset(listed)

    def is_known(service: Service, trace: Trace, finding: Finding) -> bool:
        if finding.code == baseline.NEVER_KNOWN:
            return False
        if knows_all:
            return True
        route, fault = Reading(trace, declared_by(service.answering.router)).of(finding)
        return Identity(finding.code, finding.shape, route, fault) in entries

    return is_known


def read_baseline(path: Path, *, may_be_missing: bool, option: str) -> tuple[Identity, ...]:
    """Read the baseline that an option names; `pytest.UsageError` says what is wrong with it, and the way out."""
    try:
        return baseline.from_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        if may_be_missing:
            return ()
        reason = f"there is no such file: write it with pytest's {UPDATE_OPTION}"
        raise pytest.UsageError(f"{option}={path}: {reason}") from error
    except UnicodeDecodeError as error:
        raise pytest.UsageError(f"{option}={path}: it is no text ({error.reason})") from error
    except OSError as error:
        raise pytest.UsageError(f"{option}={path}: cannot read it: {error.strerror}") from error
    except ValueError as error:
        way_out = f"Mend it, or delete it and write it anew with pytest's {UPDATE_OPTION}"
        raise pytest.UsageError(f"{option}={path}: {error}. {way_out}") from error
