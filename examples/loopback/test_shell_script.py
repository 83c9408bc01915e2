"""A program in another language, tested against the real server."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

CHARGE = Path(__file__).with_name("charge.sh")


@pytest.mark.chaos("503, ok", "reset after-commit, ok", transport="loopback")
def test_a_shell_script_charges_once(chaos):
    """It is a process of its own, and curl a client in C."""
    subprocess.run(["sh", CHARGE, "order-7"], env={**os.environ, "RETRYCHAOS_URL": chaos.url}, check=True)

    assert len(chaos.ledger) == 1
    chaos.verify()
