"""docs/clients.md: its form, and some of its rows found again."""

from __future__ import annotations

import re

import pytest

from tests.clients.defaults import SUBJECTS, with_versions
from tests.clients.searching import PAGE, history, page, replay, rows_of, search

BY_NAME = {subject.name: subject for subject in SUBJECTS}


def test_the_page_has_every_client_of_the_table():
    """Under the version that is installed, and is written as it would be again."""
    text = PAGE.read_text()

    assert [name for name, _, _ in rows_of(text)] == [with_versions(subject.name) for subject in SUBJECTS]
    assert text == page(rows_of(text))


def test_each_script_of_the_page_can_be_read():
    """As the command line reads it."""
    for _, broken, _ in rows_of(PAGE.read_text()):
        for text in re.findall(": `(.+?)`|, `(.+?)`", broken):
            script, *_ = "".join(text).split(" with ")
            assert str(history(script)) == script


@pytest.mark.parametrize("name", ["requests {requests}", "aiohttp {aiohttp}"])
def test_a_row_is_found_again(name):
    """The whole page: make clients."""
    assert search(BY_NAME[name]) in rows_of(PAGE.read_text())


def test_one_history_is_run_by_its_script():
    """With the timeline."""
    text = replay("requests {requests}", "503", {})

    assert text.splitlines()[:2] == [
        "RT01 not retried: POST /payments was given up after its first attempt, which met status 503",
        "  t+0.00s  #1  POST /payments  key –   503   ◄ given up",
    ]
