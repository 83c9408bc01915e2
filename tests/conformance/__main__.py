"""Run the conformance tables: all of them, or one cell, ``python -m tests.conformance LIBRARY ROW``."""

from __future__ import annotations

import logging
import sys
import warnings

from tests.conformance.tables import TABLES, expected, find, sentence


def main(names: list[str]) -> int:
    """Print what is seen; 1 where a cell is not as expected."""
    logging.disable(logging.CRITICAL)  # the libraries tell of every retry
    warnings.simplefilter("ignore")
    if names:
        table, column, row = find(*names) if len(names) == 2 else find(names[0], "")
        print(f"{column.name}, set up as {column.setup}: {sentence(row)}?\n{row(column)}")
        return 0
    changed = 0
    for table, (columns, rows, _) in TABLES.items():
        for row in rows:
            print(f"\n{sentence(row)}")
            for column in columns:
                cell, before = row(column), expected(table, column, row)
                changed += cell != before
                print(f"  {column.name:<18} {cell}{'' if cell == before else f'   (the table says: {before})'}")
    print(f"\n{changed} cells are not as docs/CONFORMANCE.md says" if changed else "\nas docs/CONFORMANCE.md says")
    return 1 if changed else 0


sys.exit(main(sys.argv[1:]))
