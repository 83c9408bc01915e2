"""What users install: the wheel holds the package whole, typed, licensed, with its entry point, and no more."""

from __future__ import annotations

import configparser
import email
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
INFO = f"pytest_retrychaos-{PROJECT['version']}.dist-info"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Build the wheel by its own backend, with nothing downloaded, in a process of its own."""
    place = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(place)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = place.iterdir()
    return zipfile.ZipFile(built)


def test_the_wheel_is_named_after_the_version(wheel: zipfile.ZipFile) -> None:
    """Pure Python, for every platform."""
    assert Path(str(wheel.filename)).name == f"pytest_retrychaos-{PROJECT['version']}-py3-none-any.whl"


def test_the_wheel_holds_the_package_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    """Every module, ``py.typed``, the report's schema and its page; no tests, examples or benchmarks."""
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "pytest_retrychaos").rglob("*.py")}

    names = {name for name in wheel.namelist() if not name.startswith(f"{INFO}/")}

    templates = {f"pytest_retrychaos/report/templates/{name}" for name in ("page.html.j2", "page.css", "page.js")}
    assert names == modules | templates | {"pytest_retrychaos/py.typed", "pytest_retrychaos/report/schema-1.json"}


def test_modules_are_the_ones_in_the_checkout(wheel: zipfile.ZipFile) -> None:
    """Byte for byte."""
    name = "pytest_retrychaos/__init__.py"

    assert wheel.read(name) == (ROOT / name).read_bytes()


def test_the_wheel_carries_its_license(wheel: zipfile.ZipFile) -> None:
    """The file, and the expression in the metadata."""
    metadata = email.message_from_bytes(wheel.read(f"{INFO}/METADATA"))

    assert wheel.read(f"{INFO}/licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()
    assert metadata["License-Expression"] == "MIT"


def test_pytest_finds_the_plugin_by_its_entry_point(wheel: zipfile.ZipFile) -> None:
    """One, named as ``-p no:retrychaos`` has it."""
    points = configparser.ConfigParser()
    points.read_string(wheel.read(f"{INFO}/entry_points.txt").decode())

    assert {section: dict(points[section]) for section in points.sections()} == {
        "pytest11": {"retrychaos": "pytest_retrychaos.plugin"}
    }


def test_the_metadata_say_what_pyproject_says(wheel: zipfile.ZipFile) -> None:
    """Name, version, Python, dependencies, and the README as the description."""
    metadata = email.message_from_bytes(wheel.read(f"{INFO}/METADATA"))
    required = [value for value in metadata.get_all("Requires-Dist", []) if "extra ==" not in value]

    assert metadata["Name"] == PROJECT["name"]
    assert metadata["Version"] == PROJECT["version"]
    assert metadata["Requires-Python"] == PROJECT["requires-python"]
    assert len(required) == len(PROJECT["dependencies"])
    assert {value.split(">")[0].strip() for value in required} == {
        value.split(">")[0].strip() for value in PROJECT["dependencies"]
    }
    assert (ROOT / "README.md").read_text().splitlines()[0] in str(metadata.get_payload())


def test_the_wheel_works_on_its_own(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    """Imported from where it was unpacked, not from the checkout, a run passes."""
    wheel.extractall(tmp_path)
    code = (
        "import pytest_retrychaos as rc, urllib.request, sys\n"
        "with rc.Chaos('503, ok') as chaos:\n"
        "    try: urllib.request.urlopen(chaos.url, timeout=5)\n"
        "    except OSError as error: print(error)\n"
        "print(rc.__file__.startswith(sys.argv[1]))\n"
    )

    command = [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, sys.argv[1])\n{code}", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)

    assert done.stdout.splitlines() == ["HTTP Error 503: Service Unavailable", "True"]
