"""How a trace comes about: attempts noted as they happen, and joined into operations."""

from pytest_retrychaos.record.operations import operation_of
from pytest_retrychaos.record.recorder import Recorder
from pytest_retrychaos.record.sheet import Sheet
from pytest_retrychaos.record.streaks import Runaway

__all__ = ["Recorder", "Runaway", "Sheet", "operation_of"]
