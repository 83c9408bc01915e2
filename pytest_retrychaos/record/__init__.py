"""How a trace comes about: attempts noted as they happen, and joined into operations."""

from pytest_retrychaos.record.recorder import Recorder, Runaway
from pytest_retrychaos.record.sheet import Sheet

__all__ = ["Recorder", "Runaway", "Sheet"]
