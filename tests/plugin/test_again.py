"""The line ``again``: pasted over the test, it gives the same run."""

from __future__ import annotations

import re

import pytest

from tests.plugin.inner import run

CLIENT = """
import random, time
import requests


def fetch(url):
    for _ in range(3):
        try:
            answer = requests.get(url + "/rates", timeout=5)
        except requests.RequestException:
            answer = None
        if answer is not None and answer.status_code == 200:
            return answer
        time.sleep(random.random())
    raise LookupError(time.strftime("%H"))
"""


def failure(pytester: pytest.Pytester, marker: str, body: str) -> tuple[str, str]:
    """Run a test that fails; give what stands under it, and the marker that runs it again."""
    pytester.makepyfile(
        client=CLIENT,
        test_it=f"""
import pytest
from client import fetch

{marker}
def test_it(chaos):
{body}
""",
    )
    result = run(pytester)
    result.assert_outcomes(failed=1)
    shown = str(result.stdout).partition("retrychaos -")[2]
    found = re.search(r"^again  (.*)$", shown, re.MULTILINE)
    assert found is not None
    return shown.partition("\n===")[0], found[1]


@pytest.mark.parametrize(
    ("marker", "again"),
    [
        ('@pytest.mark.chaos("503 x3", seed=4)', '@pytest.mark.chaos("503 x3", seed=4)'),
        (
            '@pytest.mark.chaos("503 x3, ok", profile="stripe", timezone="Asia/Tokyo", hosts="a.test", seed=4)',
            ('@pytest.mark.chaos("503 x3, ok", profile="stripe", timezone="Asia/Tokyo", hosts=("a.test",), seed=4)'),
        ),
        (
            '@pytest.mark.chaos("timeout*", strict=False, entropy="seeded", transport="network", seed=4)',
            '@pytest.mark.chaos("timeout *", strict=False, entropy="seeded", seed=4)',
        ),
        (
            '@pytest.mark.chaos("503 x3", expect=("BK04", "RT05"), transport="responses", seed=4)',
            '@pytest.mark.chaos("503 x3", transport="responses", expect=("BK04", "RT05"), seed=4)',
        ),
    ],
)
def test_it_names_all_that_was_not_the_default(pytester: pytest.Pytester, marker: str, again: str) -> None:
    """Pasted in the marker's place it fails in the same way."""
    first = failure(pytester, marker, "    fetch(chaos.url)")

    assert first[1] == again
    assert failure(pytester, again, "    fetch(chaos.url)") == first


@pytest.mark.parametrize("binding", ["", ', route="GET /rates"', ', host="service.test"'])
def test_a_script_that_the_test_sets_stands_in_no_marker(pytester: pytest.Pytester, binding: str) -> None:
    """It would be one too many; the line says where it is."""
    body = f'    chaos.script("503 x3"{binding})\n    fetch(chaos.url)'

    first = failure(pytester, '@pytest.mark.chaos(timezone="Asia/Tokyo", seed=4)', body)

    assert first[1] == '@pytest.mark.chaos(timezone="Asia/Tokyo", seed=4)  # the test sets the script itself'
    assert failure(pytester, first[1], body) == first


def test_a_markers_script_is_named_beside_the_tests_own(pytester: pytest.Pytester) -> None:
    """Each stands where it stood."""
    body = '    chaos.script("503 x3", route="GET /rates")\n    fetch(chaos.url)'

    first = failure(pytester, '@pytest.mark.chaos("ok", seed=4)', body)

    assert first[1] == '@pytest.mark.chaos("ok", seed=4)'
    assert failure(pytester, first[1], body) == first
