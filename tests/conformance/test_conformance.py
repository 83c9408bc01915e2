"""Every cell of docs/CONFORMANCE.md, run."""

from __future__ import annotations

import pytest

from tests.conformance.cells import BREAKING, RETRYING
from tests.conformance.tables import TABLES, expected, find

CELLS = [
    pytest.param(table, column, row, id=f"{column.name}-{row.__name__}".replace(", ", "-"))
    for table, (columns, rows, _) in TABLES.items()
    for column in columns
    for row in rows
]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of datetime.utcnow, and of asyncio's own inspection
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # clients are left to the collector, as most programs do
@pytest.mark.parametrize(("table", "column", "row"), CELLS)
def test_a_library_does_what_its_cell_says(table, column, row):
    """Behaviour seen, in the version that is installed."""
    assert row(column) == expected(table, column, row)


@pytest.mark.parametrize("table", TABLES)
def test_the_cells_are_of_libraries_and_rows_that_there_are(table):
    """No cell is of a behaviour that nobody runs."""
    columns, rows, cells = TABLES[table]
    assert list(cells) == [column.name for column in columns]
    assert {name for one in cells.values() for name in one} <= {row.__name__ for row in rows}


def test_our_breaker_has_no_bad_cell():
    """What others get wrong is a test that it passes."""
    assert BREAKING["ours"] == BREAKING["ours, async"] == {}


def test_our_retry_cannot_know_what_a_function_does():
    """Of a plain function nobody can tell whether it may be repeated; of a request an adapter can."""
    assert RETRYING["ours"] == {"posts_once": "no: done 2 times"}
    assert RETRYING["ours in a client"] == {}


def test_a_cell_is_found_by_names():
    """As the document writes them."""
    table, column, row = find("tenacity", "obeys_seconds")
    assert (table, column.name, row.__name__) == ("retrying", "tenacity", "obeys_seconds")
    with pytest.raises(SystemExit, match="no cell tenacity obeys_second: libraries are"):
        find("tenacity", "obeys_second")
