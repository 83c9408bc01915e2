"""``python -m pytest_retrychaos merge``: shards put together, with the reports and gates of one run."""

from __future__ import annotations

import argparse
import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_retrychaos.report.asked import Asked, omitted, percentage, report_path, route
from pytest_retrychaos.report.finish import Outcome, finish
from pytest_retrychaos.report.known import read_baseline
from pytest_retrychaos.report.merging import merged, read
from pytest_retrychaos.report.plain import visible
from pytest_retrychaos.report.terminal import missing_lines, summary_lines


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``merge`` takes."""
    parser.add_argument("shards", nargs="+", metavar="SHARD.json", help="the JSON reports of the shards")
    parser.add_argument(
        "--report", action="append", default=[], metavar="PATH", help="what to write, as pytest's --chaos-report"
    )
    parser.add_argument("--fail-under", metavar="PERCENT", help="as pytest's --chaos-fail-under, for all shards")
    parser.add_argument(
        "--baseline", metavar="FILE", help="as pytest's --chaos-baseline: what is new, and what is fixed"
    )
    parser.add_argument("--route", action="append", default=[], metavar="ROUTE", help="as ini chaos_routes")
    parser.add_argument("--omit", action="append", default=[], metavar="WHAT", help="as ini chaos_omit")


def merge(options: argparse.Namespace) -> Outcome:
    """Carry out ``merge``; `ValueError` says what cannot be, and the way out."""
    try:
        asked = Asked(
            reports=tuple([report_path(text, Path.cwd(), "--report") for text in options.report]),
            fail_under=None if options.fail_under is None else percentage(options.fail_under, "--fail-under"),
            baseline=None if options.baseline is None else Path(options.baseline),
            routes=tuple([route(text, "--route") for text in options.route]),
            omitted=tuple([omitted(text, "--omit") for text in options.omit]),
        )
        listed = (
            None if asked.baseline is None else read_baseline(asked.baseline, may_be_missing=False, option="--baseline")
        )
    except pytest.UsageError as error:
        raise ValueError(str(error)) from error
    was_enabled = gc.isenabled()
    gc.disable()  # the reports are no garbage, and grow: looking through them again and again takes a third of the time
    try:
        shards = [(path, read(path, draws=asked.draws_page)) for path in map(Path, options.shards)]
        return finish(asked, merged(shards, asked, listed))
    finally:
        if was_enabled:
            gc.enable()


def outcome_lines(outcome: Outcome) -> Iterator[str]:
    """Write what the merged run comes to."""
    yield from summary_lines(outcome.document)
    yield from (f"written       {path}" for path in outcome.files)
    yield from (f"FAILED        {visible(failure)}" for failure in outcome.failures)
    if any("fault coverage" in failure for failure in outcome.failures):
        yield from missing_lines(outcome.document.coverage)
