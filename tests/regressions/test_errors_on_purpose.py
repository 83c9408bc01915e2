"""A plain error may be the code's own word for a failure, or its retry loop breaking: where it was raised tells."""

from __future__ import annotations

import time

import pytest
import requests

from pytest_retrychaos import LawsBroken


def gives_up(url: str) -> None:
    """Say in a plain error that nothing came of it."""
    for _ in range(2):
        if requests.get(url, timeout=5).ok:
            return
        time.sleep(1)
    raise ValueError("no answer from the service")


def translates(url: str) -> None:
    """Raise a plain error from the client's own."""
    for last in (False, True):
        try:
            requests.get(url, timeout=5).raise_for_status()
        except requests.HTTPError as error:
            if last:
                raise KeyError("rates") from error
        time.sleep(1)


def sleeps_backwards(url: str) -> None:
    """Compute a wait that is no wait."""
    for wait in (1, -1):
        if requests.get(url, timeout=5).ok:
            return
        time.sleep(wait)


def reads_a_number(url: str) -> None:
    """Take whatever the service says for a number."""
    for _ in range(2):
        answer = requests.get(url, timeout=5)
        if answer.ok:
            return
        time.sleep(1)
        int(answer.text)


def reads_a_date(url: str) -> None:
    """Let the standard library read what is no date."""
    from email.utils import parsedate_to_datetime

    for _ in range(2):
        answer = requests.get(url, timeout=5)
        if answer.ok:
            return
        time.sleep(1)
        parsedate_to_datetime(answer.text)


@pytest.mark.chaos("503 x2, ok", strict=False)
@pytest.mark.parametrize("client", [gives_up, translates])
def test_an_error_that_the_code_raises_itself_is_its_word_for_failure(chaos, client):
    """It broke nothing."""
    with pytest.raises((ValueError, KeyError)):
        chaos.call(client, chaos.url)

    assert chaos.verify().of("RT06").ruling.value == "held"


@pytest.mark.chaos("503 x2, ok", strict=False)
@pytest.mark.parametrize("client", [sleeps_backwards, reads_a_number, reads_a_date])
def test_an_error_that_a_call_ended_in_is_the_loop_breaking(chaos, client):
    """Nobody meant it."""
    with pytest.raises((ValueError, TypeError)):
        chaos.call(client, chaos.url)

    with pytest.raises(LawsBroken, match="RT06 retry loop broke"):
        chaos.verify()
