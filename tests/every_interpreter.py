"""Run the suite on every supported interpreter that is found, and the long runs: ``make test-all``.

Interpreters come from ``PATH`` and, where there is one, from pyenv. Each gets an environment of its own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
VERSIONS = ("3.11", "3.12", "3.13")


def find(version: str) -> str | None:
    """Find an interpreter of a version that runs."""
    candidates = [shutil.which(f"python{version}")]
    pyenv = shutil.which("pyenv")
    if pyenv:
        root = subprocess.run([pyenv, "root"], capture_output=True, text=True, check=False).stdout.strip()
        candidates += [str(path) for path in sorted(Path(root).glob(f"versions/{version}.*/bin/python"), reverse=True)]
    for candidate in filter(None, candidates):
        probe = subprocess.run(
            [candidate, "-c", "import sys; print(sys.version_info[:2])"], capture_output=True, text=True
        )
        if probe.stdout.strip() == f"({version.replace('.', ', ')})":
            return candidate
    return None


def run(version: str, python: str) -> bool:
    """Run the whole suite, in random order, side by side, with the long runs."""
    place = ROOT / ".venvs" / version
    own = place / "bin" / "python"
    if not own.exists():
        subprocess.run([python, "-m", "venv", str(place)], check=True)
    subprocess.run([str(own), "-m", "pip", "install", "-q", "-e", ".[test]"], cwd=ROOT, check=True)
    command = [str(own), "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider"]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, "RETRYCHAOS_LONG": "1"}).returncode == 0


def main() -> int:
    """Run on all, and say which failed or are missing."""
    results = {}
    for version in VERSIONS:
        python = find(version)
        results[version] = "not found" if python is None else "passed" if run(version, python) else "FAILED"
    for version, result in results.items():
        print(f"CPython {version}: {result}")
    return int("FAILED" in results.values())


if __name__ == "__main__":
    sys.exit(main())
