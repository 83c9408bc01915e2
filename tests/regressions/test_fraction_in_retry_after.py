"""``Retry-After: 1.5`` is no number of RFC 9110: a client may read it or take it for unreadable."""

from __future__ import annotations

import time

import pytest
import requests

from pytest_retrychaos import LawsBroken


@pytest.mark.chaos("503 retry-after=1.5, ok")
@pytest.mark.parametrize(("wait", "ruling"), [(0.5, "does not apply"), (1.5, "held")])
def test_a_fraction_may_be_obeyed_or_ignored(chaos, wait, ruling):
    """Coming sooner is not judged."""
    for _ in range(2):
        requests.get(f"{chaos.url}/rates", timeout=5)
        time.sleep(wait)

    assert chaos.verify().of("BK04").ruling.value == ruling


@pytest.mark.chaos("503 retry-after=2, ok")
def test_a_whole_number_has_to_be_obeyed(chaos):
    """As ever."""
    for _ in range(2):
        requests.get(f"{chaos.url}/rates", timeout=5)
        time.sleep(0.5)

    with pytest.raises(LawsBroken, match=r"^BK04 "):
        chaos.verify()
