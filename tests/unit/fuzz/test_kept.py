"""What is kept of a history in Hypothesis's database."""

from __future__ import annotations

import pytest
from hypothesis import Phase, settings
from hypothesis.database import InMemoryExampleDatabase

from pytest_retrychaos.faults import parse
from pytest_retrychaos.fuzz.history import Cancel, History
from pytest_retrychaos.fuzz.kept import Kept, from_script, read_history, write_history

SHORT, LONG = from_script(parse("503 x2, ok, reset after-commit *")), from_script(parse('503 retry-after="soon"'))
OTHER = History(LONG.faults, cancel=Cancel(2, 1_500_000), timezone="Asia/Tokyo", keep_alive=False, switches=(3,))


@pytest.mark.parametrize("history", [SHORT, LONG, OTHER, History(cancel=Cancel(1)), History(keep_alive=False)])
def test_a_history_reads_back_from_its_text(history: History) -> None:
    """Faults, and what else was chosen."""
    assert read_history(write_history(history)) == history


def test_faults_alone_are_kept_as_the_script_that_they_are() -> None:
    """Whoever looks into the database can read it."""
    assert write_history(SHORT) == "503 x2, ok, reset after-commit *"


def test_what_passed_is_taken_out_and_what_cannot_be_read_too() -> None:
    """What failed stays, the shortest first."""
    database = InMemoryExampleDatabase()
    kept = Kept(settings(database=database), "test_it")
    kept.keep([LONG, OTHER, SHORT], [])
    database.save(b"pytest-retrychaos test_it", b"\xff")
    database.save(b"pytest-retrychaos test_it", b'{"script": ""}')

    before = kept.histories()
    assert before == [LONG, SHORT, OTHER]
    kept.keep([SHORT], before)
    assert kept.histories() == [SHORT]
    assert list(database.fetch(b"pytest-retrychaos test_it")) == [b"503 x2, ok, reset after-commit *"]


def test_another_test_a_run_without_a_database_and_one_that_does_not_reuse_know_nothing() -> None:
    """As Hypothesis has it."""
    database = InMemoryExampleDatabase()
    Kept(settings(database=database), "test_it").keep([SHORT], [])

    assert Kept(settings(database=database), "test_other").histories() == []
    assert Kept(settings(database=database, phases=[Phase.generate]), "test_it").histories() == []
    assert Kept(settings(database=None), "test_it").histories() == []
