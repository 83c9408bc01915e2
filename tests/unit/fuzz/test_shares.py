"""Spreading a search: the shares find together what one process finds."""

from __future__ import annotations

import pytest

from examples.payments import wrong
from pytest_retrychaos.fuzz import words
from pytest_retrychaos.fuzz.shares import Share, report, together, whole_name
from tests.unit.fuzz.exploring import explore


@pytest.mark.parametrize("client", [wrong.no_key, wrong.loses_the_body])
def test_shares_find_together_what_one_process_finds(client):
    """By the same scripts, in the same number of runs."""
    faults = ["503", "503 retry-after=date+30s", "timeout", "reset after-commit", "refuse", "down=30s"]
    whole = explore(client, faults=faults)
    shares = [explore(client, faults=faults, is_mine=Share(number, 3).has) for number in range(3)]

    ((name, text),) = together(report("test_it", one, 2) for one in shares)

    ordered = sorted(whole.worst.items(), key=lambda item: (item[1].history.order, item[0]))
    lines = [f"{shape}: {played.history}" for shape, played in ordered]
    assert (name, text.splitlines()) == ("test_it", [*lines, words.coverage(whole, 2)])


@pytest.mark.parametrize(
    ("item", "test"),
    [
        ("a.py::test_it[share1of4]", "a.py::test_it"),
        ("a.py::test_it[share12of16-x-y]", "a.py::test_it[x-y]"),
        ("a.py::test_it[x-share2of4]", "a.py::test_it[x]"),
        ("a.py::test_share1of4[x]", "a.py::test_share1of4[x]"),
    ],
)
def test_a_share_has_the_name_of_its_test(item, test):
    """The seed comes from it."""
    assert whole_name(item) == test
