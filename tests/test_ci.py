"""docs/ci.md and the project in examples/ci_gate: every recipe is parsed, and what it runs is run."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_retrychaos.report.merging import read

ROOT = Path(__file__).parents[1]
RECIPES = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
PARTS = ("payments", "refunds")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the demo project, as its team has it."""
    place = tmp_path_factory.mktemp("ci") / "project"
    shutil.copytree(ROOT / "examples" / "ci_gate", place, ignore=shutil.ignore_patterns("__pycache__", ".pytest_cache"))
    return place


def run(project: Path, line: str) -> subprocess.CompletedProcess[str]:
    """Run a command line of the recipes by this interpreter, without the plugins that the project does not have."""
    words = shlex.split(line)
    assert words[:2] == ["python", "-m"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV_", "GITHUB_"))}
    environment = {
        **kept,
        "PYTEST_ADDOPTS": "-p no:cacheprovider",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTEST_PLUGINS": "pytest_retrychaos.plugin",
        "GITHUB_STEP_SUMMARY": str(project / "summary.md"),
    }
    command = [sys.executable, *words[1:]]
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)


def command_lines() -> Iterator[str]:
    """Give every command of docs/ci.md, a matrix written out; `yaml.YAMLError` for a recipe that is none."""
    for language, text in re.findall(r"^```(\w+)\n(.*?)^```$", RECIPES, re.M | re.S):
        found = list(_runs(yaml.safe_load(text))) if language == "yaml" else text.splitlines()
        for line in found:
            if "${{ matrix.part }}" in line:
                yield from (line.replace("${{ matrix.part }}", part) for part in PARTS)
            else:
                yield line


def _runs(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, part in value.items():
            if name == "run":
                yield part.strip()
            elif name == "script":
                yield from (line.strip() for line in part)
            else:
                yield from _runs(part)
    elif isinstance(value, list):
        for part in value:
            yield from _runs(part)


def test_every_command_of_the_recipes_ends_well(project: Path) -> None:
    """Each once, in the order in which they stand there; what they install is what the project asks for."""
    lines = list(dict.fromkeys(command_lines()))
    installs = [line for line in lines if line.startswith("python -m pip")]
    assert installs == ["python -m pip install -r requirements.txt"]
    assert (project / "requirements.txt").read_text().split() == ["pytest-retrychaos[report]", "requests"]
    before = (project / "chaos-baseline.json").read_text()

    for line in lines:
        if line not in installs:
            ended = run(project, line)
            assert ended.returncode == 0, f"{line}\n{ended.stdout}\n{ended.stderr}"

    assert len(lines) == 8
    assert (project / "chaos-baseline.json").read_text() == before
    assert "❌" in (project / "summary.md").read_text()
    assert {path.name for path in (project / "out").iterdir()} == {
        *("retrychaos.html", "retrychaos.md", "retrychaos.sarif", "payments.json", "refunds.json", "junit.xml")
    }
    counted = [
        (len(found.tests), found.is_whole) for found in (read(project / "out" / f"{part}.json") for part in PARTS)
    ]
    assert counted == [(7, True), (2, True)]


def test_the_demo_suite_is_red_for_a_finding_and_for_too_little_coverage(project: Path) -> None:
    """Between them stands the run with the baseline, which is one of the recipes."""
    new = run(project, "python -m pytest -q")
    little = run(project, "python -m pytest -q --chaos-baseline=chaos-baseline.json --chaos-fail-under=60")

    assert (new.returncode, little.returncode) == (1, 1)
    assert "ID01, ID04 broken: 2 findings" in new.stdout
    assert "1 failed, 8 passed" in new.stdout
    assert "FAILED        fault coverage of 45 % is under 60 % (9 of 20 cells judged)" in little.stdout
    assert "9 passed" in little.stdout


PASTED = """
import contextlib, requests
from shop import pay

def _pay(chaos):
    with contextlib.suppress(requests.RequestException):
        pay(chaos.url, order="A", amount=1)

"""


def test_what_is_missing_can_be_pasted(project: Path) -> None:
    """A line of the list, in a test for its route, judges the cell that it was listed for."""
    listed = run(project, "python -m pytest -q --chaos-baseline=chaos-baseline.json --chaos-fail-under=60").stdout
    lines = [line for line in listed.splitlines() if line.startswith("  chaos.script(") and "POST /payments" in line]
    tests = [f"def test_{number}(chaos):\n  {line}\n    _pay(chaos)\n" for number, line in enumerate(lines)]
    pasted = project / "tests" / "test_pasted.py"
    pasted.write_text("\n".join([PASTED, *tests]))

    again = run(project, "python -m pytest -q --chaos-baseline=chaos-baseline.json --chaos-fail-under=100").stdout

    pasted.unlink()
    missing = again.partition("= retrychaos =")[2]
    assert len(lines) == 3
    assert "# damaged answer: POST /refunds" in missing
    assert "POST /payments" not in missing
