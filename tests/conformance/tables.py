"""The two tables of docs/CONFORMANCE.md: libraries across, behaviours down, and how to see each bad cell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import version

from tests.conformance import breaking, retrying
from tests.conformance.breakers import BREAKERS, Breaker
from tests.conformance.cells import BREAKING, RETRYING
from tests.conformance.engines import ENGINES, Engine
from tests.conformance.retrying import NONE, YES

Column = Engine | Breaker
Row = Callable[..., str]

TABLES: dict[str, tuple[Sequence[Column], Sequence[Row], dict[str, dict[str, str]]]] = {
    "retrying": (ENGINES, retrying.ROWS, RETRYING),
    "breaking": (BREAKERS, breaking.ROWS, BREAKING),
}
"""Columns, rows, and the cells that are not ``yes``."""


def expected(table: str, column: Column, row: Row) -> str:
    """Tell what a cell says."""
    return TABLES[table][2][column.name].get(row.__name__, YES)


def rows(table: str) -> list[list[str]]:
    """List the table's lines, the head first."""
    columns, behaviours, _ = TABLES[table]
    head = ["", *(f"{column.name} {version(column.package)}" for column in columns)]
    body = [[sentence(row), *(expected(table, column, row) for column in columns)] for row in behaviours]
    return [head, *body]


def setups(table: str) -> list[list[str]]:
    """List how each column is set up."""
    return [["", "set up as"], *([column.name, column.setup] for column in TABLES[table][0])]


def again(table: str) -> list[list[str]]:
    """List for each bad cell what shows it."""
    columns, behaviours, _ = TABLES[table]
    lines = [["", "does not", "what it does", "to see it"]]
    for column in columns:
        for row in behaviours:
            cell = expected(table, column, row)
            if cell not in (YES, NONE):
                name = column.name if " " not in column.name else f'"{column.name}"'
                command = f"`python -m tests.conformance {name} {row.__name__}`"
                lines.append([column.name, sentence(row), cell.removeprefix("no: "), command])
    return lines


def sentence(row: Row) -> str:
    """Give a row's words: its docstring."""
    return row.__doc__ or row.__name__


def find(column: str, row: str) -> tuple[str, Column, Row]:
    """Find a cell by names; `SystemExit` names the known ones."""
    for table, (columns, behaviours, _) in TABLES.items():
        for one in columns:
            for behaviour in behaviours:
                if one.name == column and behaviour.__name__ == row:
                    return table, one, behaviour
    known = {one.name for columns, _, _ in TABLES.values() for one in columns}
    names = {one.__name__ for _, behaviours, _ in TABLES.values() for one in behaviours}
    raise SystemExit(
        f"no cell {column} {row}: libraries are {', '.join(sorted(known))}; rows {', '.join(sorted(names))}"
    )
