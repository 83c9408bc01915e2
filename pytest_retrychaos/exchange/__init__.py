"""Where a request meets the script and the service: the script picks the fault, the service may commit."""

from pytest_retrychaos.exchange.board import Board
from pytest_retrychaos.exchange.exchange import Exchange

__all__ = ["Board", "Exchange"]
