"""The tables."""

from __future__ import annotations

import pytest

from pytest_retrychaos.faults import (
    DEFAULT_VOCABULARY,
    FAULTS,
    HOSTILE_VOCABULARY,
    ON_POST,
    ON_WRITES,
    OPTIONS,
    Kind,
    parse,
)


@pytest.mark.parametrize("text", HOSTILE_VOCABULARY)
def test_every_step_of_the_vocabularies_is_written_as_it_prints(text):
    """Exploration can compare texts."""
    assert str(parse(text)) == text


def test_the_default_vocabulary_stands_from_the_plainest_on():
    """The first choice is the plainest."""
    ranks = [parse(text).steps[0].plainness for text in DEFAULT_VOCABULARY]

    assert ranks == sorted(ranks)


def test_the_hostile_vocabulary_begins_with_the_default_one_and_repeats_nothing():
    """It adds to it."""
    assert HOSTILE_VOCABULARY[: len(DEFAULT_VOCABULARY)] == DEFAULT_VOCABULARY
    assert len(set(HOSTILE_VOCABULARY)) == len(HOSTILE_VOCABULARY)


def test_the_hostile_vocabulary_has_every_fault():
    """But for a plain `ok`, which exploration always has."""
    assert {parse(text).steps[0].kind for text in HOSTILE_VOCABULARY} == set(Kind) - {Kind.OK}


def test_restricted_steps_stand_in_the_default_vocabulary():
    """A restriction on a step that is not there would restrict nothing."""
    assert set(DEFAULT_VOCABULARY) >= ON_WRITES | ON_POST


def test_every_kind_has_one_row_whose_usage_parses():
    """What the documentation shows can be written."""
    assert set(FAULTS) == set(Kind)
    for fault in FAULTS.values():
        usage = "503" if fault.kind is Kind.STATUS else fault.usage
        assert parse(usage).steps[0].kind is fault.kind


def test_every_option_example_parses_with_each_fault_that_lists_it():
    """The rows name only options that exist, and the examples are right."""
    for fault in FAULTS.values():
        usage = "503" if fault.kind is Kind.STATUS else fault.usage
        for word in fault.options:
            assert str(parse(f"{usage} {OPTIONS[word].example}")) == f"{usage} {OPTIONS[word].example}"
