"""Fixtures of the law tests: the trace builder, and judging a trace together with its JSON twin."""

from __future__ import annotations

import pytest

from pytest_retrychaos.laws import judge
from pytest_retrychaos.text import failure_text
from pytest_retrychaos.trace import Trace
from tests.unit.laws.traces import Run


@pytest.fixture
def run():
    """Make a new, empty run."""
    return Run


@pytest.fixture
def ruling():
    """Judge a run by one law: the ruling and its shapes or reason, the same for the trace read back from JSON."""

    def ask(run, code, policy=None, **terms):
        trace = run.trace()
        verdict = judge(trace, policy, **terms)
        assert judge(Trace.from_json(trace.to_json()), policy, **terms) == verdict
        result = verdict.of(code)
        return result.ruling.value, *(finding.shape for finding in result.findings)

    return ask


@pytest.fixture
def reason():
    """Judge a run by one law and return the reason for its ruling."""
    return lambda run, code, policy=None, **terms: judge(run.trace(), policy, **terms).of(code).reason


@pytest.fixture
def text():
    """Judge a run by one law and return the failure text, whole."""

    def tell(run, code, policy=None, **terms):
        trace = run.trace()
        return failure_text(trace, judge(trace, policy, only=[code], **terms))

    return tell


@pytest.fixture
def broken():
    """The codes of all laws that a run breaks."""
    return lambda run, policy=None: judge(run.trace(), policy).codes
