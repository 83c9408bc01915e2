"""What pytest was asked for: report files, the coverage gate and the baseline, checked before a test runs."""

from __future__ import annotations

import importlib.util
import os
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final, NamedTuple

import pytest

REPORT_OPTION: Final = "--chaos-report"
FAIL_UNDER_OPTION: Final = "--chaos-fail-under"
BASELINE_OPTION: Final = "--chaos-baseline"
BASELINE_INI: Final = "chaos_baseline"
UPDATE_OPTION: Final = "--chaos-update-baseline"

NO_JINJA: Final = "a .html report needs Jinja2: python -m pip install 'pytest-retrychaos[report]'"

FORMATS: Final = {
    ".json": "the whole document, by the schema in the package",
    ".html": "one page to be looked at, from disk or as an artifact; needs the extra report",
    ".md": "for a job summary or a comment on a merge request",
    ".sarif": "SARIF 2.1.0: each finding at the line of its test",
}
"""By suffix."""


class Asked(NamedTuple):  # a data class takes four times as long to make, in every run of pytest
    """What a run is to leave behind, and what it has to pass."""

    reports: tuple[Path, ...] = ()
    fail_under: Decimal | None = None
    baseline: Path | None = None
    baseline_by: str = BASELINE_OPTION
    """Where that one was written, for what is wrong with it."""
    updates: bool = False
    """The baseline is written anew."""
    routes: tuple[str, ...] = ()
    omitted: tuple[str, ...] = ()

    @property
    def draws(self) -> bool:
        """Whether some file shows timelines."""
        return any(path.suffix in (".json", ".html") for path in self.reports)

    @property
    def draws_page(self) -> bool:
        """Whether some file has them drawn as pictures."""
        return any(path.suffix == ".html" for path in self.reports)


def add_options(group: pytest.OptionGroup, parser: pytest.Parser) -> None:
    """Add the options of reports and gates, and their ini twins."""
    known = ", ".join(FORMATS)
    group.addoption(
        REPORT_OPTION,
        action="append",
        default=[],
        metavar="PATH",
        help=f"write a report of the chaos tests; the suffix says the format ({known}); may be given several times",
    )
    group.addoption(
        FAIL_UNDER_OPTION,
        metavar="PERCENT",
        help="fail the run if fewer of the cells route × fault class were judged, and list what is missing",
    )
    group.addoption(
        BASELINE_OPTION,
        metavar="FILE",
        help="let the findings that this file lists pass; fail on new ones, and on fixed ones that it still lists",
    )
    group.addoption(
        UPDATE_OPTION,
        action="store_true",
        help=f"write every finding of this run to the file of {BASELINE_OPTION}, and let them pass",
    )
    parser.addini("chaos_report", f"report files, one a line, as {REPORT_OPTION}", type="linelist", default=[])
    parser.addini("chaos_fail_under", f"percent, as {FAIL_UNDER_OPTION}", default="")
    parser.addini(BASELINE_INI, f"a file, relative to the configuration, as {BASELINE_OPTION}", default="")
    parser.addini(
        "chaos_routes",
        "the routes that fault coverage is about, one a line, as `POST /payments/{id}` (default: those that were seen)",
        type="linelist",
        default=[],
    )
    parser.addini(
        "chaos_omit",
        "what fault coverage leaves out, one a line: a fault class (`stale`), a route (`GET /health`), or one cell "
        "(`POST /payments stale`)",
        type="linelist",
        default=[],
    )


def read_asked(config: pytest.Config) -> Asked:
    """Read and check the options; `pytest.UsageError` names the value, the rule and the way out."""
    here = config.invocation_params.dir
    root = config.rootpath if config.inipath is None else config.inipath.parent
    given: list[str] = config.getoption(REPORT_OPTION)
    reports = [report_path(text, here) for text in given] or [
        report_path(text, root, "ini chaos_report") for text in config.getini("chaos_report")
    ]
    baseline: str | None = config.getoption(BASELINE_OPTION)
    by_ini = str(config.getini(BASELINE_INI))
    asked = Asked(
        reports=tuple(dict.fromkeys(reports)),
        fail_under=_percent(config),
        baseline=here / baseline if baseline else root / by_ini if by_ini else None,
        baseline_by=BASELINE_OPTION if baseline else f"ini {BASELINE_INI}",
        updates=bool(config.getoption(UPDATE_OPTION)),
        routes=tuple(route(text, "ini chaos_routes") for text in config.getini("chaos_routes")),
        omitted=tuple(omitted(text, "ini chaos_omit") for text in config.getini("chaos_omit")),
    )
    if asked.updates and asked.baseline is None:
        raise pytest.UsageError(
            f"{UPDATE_OPTION} without a file: name it by {BASELINE_OPTION}=FILE or ini {BASELINE_INI}"
        )
    return asked


def report_path(text: str, base: Path, option: str = REPORT_OPTION) -> Path:
    """Check the path of a report."""
    path = base / text
    known = ", ".join(FORMATS)
    if path.is_dir():
        raise pytest.UsageError(f"{option}={text}: that is a folder; name a file in it that ends in {known}")
    if path.suffix not in FORMATS:
        raise pytest.UsageError(f"{option}={text}: no format has the suffix {path.suffix!r}; it is {known}")
    if path.suffix == ".html" and importlib.util.find_spec("jinja2") is None:
        raise pytest.UsageError(f"{option}={text}: {NO_JINJA}")
    problem = unwritable(path)
    if problem is not None:
        raise pytest.UsageError(f"{option}={text}: cannot write there: {problem}; name another place")
    return path


def unwritable(path: Path) -> str | None:
    """Say why a file cannot be written, as far as that can be told beforehand; missing folders are made."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = path.resolve().parent if path.is_symlink() else path.parent
        target = path if path.exists() and not path.is_file() else folder
        return None if os.access(target, os.W_OK) else "no permission"
    except OSError as error:
        return error.strerror or str(error)
    except RuntimeError as error:  # a link to itself, up to Python 3.12
        return str(error)


def _percent(config: pytest.Config) -> Decimal | None:
    option: str | None = config.getoption(FAIL_UNDER_OPTION)
    if option is not None:
        return percentage(option, FAIL_UNDER_OPTION)
    text = str(config.getini("chaos_fail_under"))
    return percentage(text, "ini chaos_fail_under") if text.strip() else None


def percentage(text: str, option: str) -> Decimal:
    """Check a percentage."""
    try:
        percent = Decimal(text.strip())
    except InvalidOperation:
        percent = Decimal("nan")
    if not percent.is_finite() or not 0 <= percent <= 100:
        raise pytest.UsageError(f"{option}={text} is no percentage: give a number from 0 to 100")
    return percent


def route(text: str, option: str) -> str:
    """Check a route; that of a function is ``CALL`` and its name, as the matrix lists it."""
    method, blank, rest = text.strip().partition(" ")
    is_place = "/" in rest or (method.upper() == "CALL" and rest)
    if not blank or not method.isalpha() or not is_place or " " in rest:
        raise pytest.UsageError(f"{option}: {text!r} is no route: write method and path, as in POST /payments/{{id}}")
    return f"{method.upper()} {rest}"


def omitted(text: str, option: str) -> str:
    """Check what fault coverage is to leave out: a fault class, a route, or one cell."""
    from pytest_retrychaos.report.document import FAULT_CLASSES

    text = text.strip()
    place, _, last = text.rpartition(" ")
    if text in FAULT_CLASSES:
        return text
    try:
        return f"{route(place, option)} {last}" if last in FAULT_CLASSES else route(text, option)
    except pytest.UsageError as error:
        classes = ", ".join(FAULT_CLASSES)
        raise pytest.UsageError(
            f"{option}: {text!r} is neither a route (GET /health) nor a fault class ({classes})"
        ) from error
