"""Faults found by the machine: every history of a test explored, and the shortest script for each way to fail."""

from __future__ import annotations

from pytest_retrychaos.fuzz.exploring import chaos_explore

__all__ = ["chaos_explore"]
