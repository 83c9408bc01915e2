"""The house: a module imports only from floors below its own, and importing costs nothing."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "pytest_retrychaos"

FLOORS: dict[str, int] = {
    "packing": 0,
    "frozen": 0,
    "redact": 1,
    "model": 2,
    "volatile": 2,
    "frames": 2,
    "engine": 2,
    "clock": 3,
    "faults": 3,
    "service": 3,
    "trace": 3,
    "record": 4,
    "laws": 4,
    "chart": 4,
    "text": 5,
    "policies": 5,
    "transports": 5,
    "options": 5,
    "settings": 5,
    "blame": 5,
    "entropy": 5,
    "command": 5,
    "exchange": 6,
    "markers": 6,
    "views": 6,
    "run": 7,
    "judging": 8,
    "herd": 8,
    "chaos": 9,
    "fuzz": 10,
    "serving": 10,
    "report": 11,
    "explaining": 11,
    "showing": 12,
    "standalone": 12,
    "plugin": 13,
    "cli": 13,
    "__main__": 14,
    "__init__": 15,
}
"""The floors, the lowest first. Packages may import within themselves; no one imports from above or beside."""

OWN_DEPENDENCIES = {
    "engine": set(),
    "packing": set(),
    "model": {"packing", "redact", "frozen"},
    "faults": {"model", "redact"},
    "service": {"model", "frames", "packing", "volatile"},
    "redact": {"packing"},
    "trace": {"model", "volatile", "redact", "frozen"},
    "laws": {"trace", "engine", "model", "volatile", "packing"},
}
"""What the rooms that must stay pure may import at most."""


def _room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _imports(path: Path) -> set[str]:
    """List the rooms that a module imports from, wherever in it the import stands; types apart."""
    tree = ast.parse(path.read_text())
    rooms: set[str] = set()
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [node.module or ""]
            if node.module == "pytest_retrychaos":
                names = [f"pytest_retrychaos.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        rooms |= {name.split(".")[1] for name in names if name.startswith("pytest_retrychaos.")}
    return rooms


MODULES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_from_floors_below(path: Path) -> None:
    """An import from above or beside is named."""
    own = _room(path)

    upward = {room for room in _imports(path) if room != own and FLOORS[room] >= FLOORS[own]}

    assert not upward, f"{own} (floor {FLOORS[own]}) imports {upward}, which is not below it"


@pytest.mark.parametrize("room", sorted(OWN_DEPENDENCIES))
def test_a_pure_room_knows_only_what_it_needs(room: str) -> None:
    """The engine imports nothing of the package; laws know traces and the engine."""
    found = {name for path in MODULES if _room(path) == room for name in _imports(path)} - {room}

    assert found <= OWN_DEPENDENCIES[room]


@pytest.mark.parametrize("module", ["pytest_retrychaos", "pytest_retrychaos.plugin"])
def test_importing_loads_nothing_but_the_standard_library_and_pytest(module: str) -> None:
    """Heavy parts are imported where they are used."""
    code = (
        "import sys, pytest; before = set(sys.modules); "
        f"import {module}; "
        "new = {name.split('.')[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names); "
        "print(sorted(new))"
    )

    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert loaded.strip() == "['pytest_retrychaos']"


HOOKS = {
    "",
    "blame",
    "markers",
    "plugin",
    "redact",
    "redact.current",
    "report",
    "report.asked",
    "report.collecting",
    "report.items",
    "report.part",
    "settings",
    "showing",
}


def test_a_run_of_pytest_without_a_chaos_test_loads_no_more_than_its_hooks(tmp_path: Path) -> None:
    """Every run pays for what is loaded here, whether it uses the plugin or not."""
    (tmp_path / "test_plain.py").write_text("import sys\n\ndef test_nothing():\n    print(*sys.modules)\n")
    command = [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", "-p", "no:randomly", str(tmp_path)]

    said = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path).stdout

    loaded = {name.partition(".")[2] for name in said.split() if name.startswith("pytest_retrychaos")}
    assert loaded == HOOKS


def test_the_engine_loads_only_the_standard_library() -> None:
    """People import it in production."""
    code = (
        "import sys; before = set(sys.modules); import pytest_retrychaos.engine; "
        "new = {name.split('.')[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names); "
        "print(sorted(new))"
    )

    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert loaded.strip() == "['pytest_retrychaos']"


def test_who_mounts_no_asgi_app_does_not_load_asyncio() -> None:
    """It takes longer to load than the rest of a run."""
    code = "import sys; import pytest_retrychaos.service; print('asyncio' in sys.modules)"

    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert loaded.strip() == "False"
