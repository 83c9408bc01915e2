"""The marker and the options: parametrizing, checking what is written, seeds."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest

from pytest_retrychaos.options import Options
from pytest_retrychaos.plugin import MARKER
from tests.plugin.inner import run


def test_several_scripts_parametrize_the_test(pytester: pytest.Pytester) -> None:
    """The ids are the scripts."""
    pytester.makepyfile(
        """
        import pytest, requests

        @pytest.mark.chaos("503, ok", "429 retry-after=2")
        def test_it(chaos):
            while requests.get(chaos.url, timeout=1).status_code != 200:
                pass
        """
    )

    result = run(pytester, "-v")

    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*::test_it?503, ok? PASSED*", "*::test_it?429 retry-after=2? PASSED*"])


def test_the_marker_alone_brings_the_fixture(pytester: pytest.Pytester) -> None:
    """A test that needs nothing of ``chaos`` but its faults does not have to name it."""
    pytester.makepyfile(
        """
        import pytest, requests

        @pytest.mark.chaos("503")
        def test_it():
            assert requests.get("https://api.example.com/", timeout=1).status_code == 503
        """
    )

    run(pytester).assert_outcomes(passed=1)


def test_markers_of_class_and_module_count_too(pytester: pytest.Pytester) -> None:
    """The scripts of the nearest that has any; each option of the nearest that gives it."""
    pytester.makepyfile(
        """
        import pytest, requests

        pytestmark = pytest.mark.chaos(profile="stripe", timezone="Asia/Tokyo")

        def seen(chaos):
            statuses = [requests.get(chaos.url, timeout=1).status_code for _ in range(2)]
            return statuses, chaos.service.profile, chaos.trace.seed

        @pytest.mark.chaos("503")
        def test_function(chaos):
            assert seen(chaos)[:2] == ([503, 200], "stripe")

        @pytest.mark.chaos("502", profile="naive")
        class TestOf:
            @pytest.mark.chaos(seed=7)
            def test_options(self, chaos):
                assert seen(chaos) == ([502, 200], "naive", 7)

            @pytest.mark.chaos("429, 500")
            def test_scripts(self, chaos):
                assert seen(chaos)[:2] == ([429, 500], "naive")

        @pytest.mark.chaos("500")
        class TestInherited(TestOf):
            @pytest.mark.chaos(seed=7)
            def test_options(self, chaos):
                assert seen(chaos) == ([500, 200], "naive", 7)
        """
    )

    run(pytester).assert_outcomes(passed=5)


@pytest.mark.parametrize(
    ("module", "test"),
    [
        ("loop='asyncio'", "cancel='#2', strict=False"),
        ("cancel='#2', strict=False", "loop='asyncio'"),
        ("transport='loopback'", "listen='127.0.0.1:0'"),
    ],
)
def test_an_option_may_need_one_of_another_marker(pytester: pytest.Pytester, module: str, test: str) -> None:
    """What the module says holds for its tests, so that a test need not say it again."""
    pytester.makepyfile(
        f"""
        import pytest

        pytestmark = pytest.mark.chaos({module})

        @pytest.mark.chaos({test})
        {"async " if "loop=" in module + test else ""}def test_it(chaos):
            assert {{**dict({module}), **dict({test})}}.items() <= {{
                name: getattr(chaos.options, name) for name in chaos.options.__slots__
            }}.items()
        """
    )

    run(pytester).assert_outcomes(passed=1)


def test_a_bad_option_is_refused_where_a_nearer_marker_hides_it(pytester: pytest.Pytester) -> None:
    """Nothing that is written is passed over in silence."""
    pytester.makepyfile(
        """
        import pytest

        pytestmark = pytest.mark.chaos(transport="netwrok")

        @pytest.mark.chaos(transport="network")
        def test_it(chaos):
            pass
        """
    )

    run(pytester).stdout.fnmatch_lines(["@pytest.mark.chaos: transport='netwrok' is unknown, did you mean 'network'?*"])


def test_the_marker_of_parameters_brings_a_script(pytester: pytest.Pytester) -> None:
    """One; several would make tests of their own."""
    pytester.makepyfile(
        """
        import pytest, requests

        sets = [
            pytest.param(503, marks=pytest.mark.chaos("503")),
            pytest.param(502, marks=pytest.mark.chaos("502", "504")),
        ]

        @pytest.mark.parametrize("status", sets)
        def test_it(chaos, status):
            assert requests.get(chaos.url, timeout=1).status_code == status
        """
    )

    result = run(pytester)

    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*the marker of a set of parameters (pytest.param(*)) has one script, not 2: *"])


TWO = """@pytest.mark.chaos("503, ok")
@pytest.mark.chaos("502")
"""


@pytest.mark.parametrize(
    "source",
    [
        f"{TWO}def test_it(chaos): pass",
        f"{TWO}class TestIt:\n    def test_it(self, chaos): pass",
        'pytestmark = [pytest.mark.chaos("502"), pytest.mark.chaos("503, ok")]\ndef test_it(chaos): pass',
    ],
)
def test_two_markers_with_scripts_at_one_place_are_refused(pytester: pytest.Pytester, source: str) -> None:
    """One of them would be passed over, and its faults never fire."""
    pytester.makepyfile(f"import pytest\n\n{source}\n")

    result = run(pytester)

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["@pytest.mark.chaos: two markers at one place have scripts, *: @pytest.mark.chaos(*50?*, *50?*)"]
    )


def test_the_marker_of_a_class_takes_the_place_of_what_it_inherits(pytester: pytest.Pytester) -> None:
    """Each has one script."""
    pytester.makepyfile(
        """
        import pytest, requests

        @pytest.mark.chaos("503")
        class TestBase:
            status = 503

            def test_it(self, chaos):
                assert requests.get(chaos.url, timeout=1).status_code == self.status

        @pytest.mark.chaos("502")
        class TestOther(TestBase):
            status = 502
        """
    )

    run(pytester).assert_outcomes(passed=2)


def test_a_marker_brings_its_faults_to_a_test_case(pytester: pytest.Pytester) -> None:
    """A method of a `unittest.TestCase` takes no fixture, and calls its service by the service's own address."""
    pytester.makepyfile(
        """
        import unittest
        import pytest, requests

        class TestIt(unittest.TestCase):
            @pytest.mark.chaos("503")
            def test_own(self):
                self.assertEqual(requests.get("https://api.example.com/rates", timeout=1).status_code, 503)

            @pytest.mark.chaos("503", "502")
            def test_two(self):
                pass

        @pytest.mark.chaos("502")
        class TestMarked(unittest.TestCase):
            def test_it(self):
                self.assertEqual(requests.get("https://api.example.com/rates", timeout=1).status_code, 502)
        """
    )

    result = run(pytester)

    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*a method of a unittest.TestCase takes no parameters, and has one script, not 2: *"])


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        (
            '"503 x2, tiemout"',
            [
                "@pytest.mark.chaos: unknown fault 'tiemout' in the script, did you mean 'timeout'?",
                "  503 x2, tiemout",
                "          ^^^^^^^",
            ],
        ),
        ("profle='stripe'", ["@pytest.mark.chaos: unknown chaos option 'profle', did you mean 'profile'? *"]),
        ("transport='netwrok'", ["@pytest.mark.chaos: transport='netwrok' is unknown, did you mean 'network'? *"]),
        ("seed=-1", ["@pytest.mark.chaos: seed=-1: a seed is a whole number, 0 or more"]),
        ("hosts=7", ["@pytest.mark.chaos: hosts=7: give a text or several, as in hosts=('…', '…')"]),
        ("strict='no'", ["@pytest.mark.chaos: strict='no' is of type str: it has to be of type bool"]),
        (
            "timezone='Mars/Olympus'",
            [
                (
                    "@pytest.mark.chaos: timezone='Mars/Olympus': no time zone known here; "
                    "give an IANA name such as 'Asia/Tokyo' or 'UTC'"
                )
            ],
        ),
    ],
)
def test_a_bad_marker_is_told_at_collection(pytester: pytest.Pytester, arguments: str, lines: list[str]) -> None:
    """The error names the value, the rule and the way out, and no traceback hides it."""
    pytester.makepyfile(
        f"""
        import pytest

        @pytest.mark.chaos({arguments})
        def test_it(chaos):
            pass
        """
    )

    result = run(pytester)

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(lines, consecutive=True)
    result.stdout.fnmatch_lines(["on test_a_bad_marker_is_told_at_collection.py::test_it"])
    result.stdout.no_fnmatch_line("During handling of*")


def test_pytest_lists_every_option_of_the_marker() -> None:
    """``pytest --markers`` says what the README says."""
    for option in fields(Options):
        assert f"{option.name}={option.default!r}" in MARKER


def test_the_header_line_says_the_seed(pytester: pytest.Pytester) -> None:
    """A run can be repeated from its output."""
    pytester.makepyfile("def test_it(): pass")

    run(pytester, "--chaos-seed=7").stdout.fnmatch_lines(["retrychaos: --chaos-seed=7"])


def test_the_seed_of_the_ini_file_holds_unless_the_option_is_given(pytester: pytest.Pytester) -> None:
    """The option has an ini twin."""
    pytester.makeini("[pytest]\nchaos_seed = 9")
    pytester.makepyfile("def test_it(): pass")

    run(pytester).stdout.fnmatch_lines(["retrychaos: --chaos-seed=9"])
    run(pytester, "--chaos-seed=2").stdout.fnmatch_lines(["retrychaos: --chaos-seed=2"])


def test_each_test_has_a_seed_of_its_own_that_follows_the_run(pytester: pytest.Pytester) -> None:
    """It comes from the option and the test's id, never from chance."""
    pytester.makepyfile(
        """
        def test_one(chaos):
            print("seed of one", chaos.trace.seed)

        def test_two(chaos):
            print("seed of two", chaos.trace.seed)
        """
    )

    def seeds(*arguments: str) -> list[str]:
        return re.findall(r"seed of (\w+ \d+)", run(pytester, "-s", *arguments).stdout.str())

    assert seeds() == seeds()
    assert len(set(seeds())) == 2
    assert seeds() != seeds("--chaos-seed=1")


@pytest.mark.parametrize("ini", ["chaos_seed = x", "chaos_verify = always"])
def test_a_bad_ini_value_is_a_usage_error(pytester: pytest.Pytester, ini: str) -> None:
    """It is named before any test runs."""
    pytester.makeini(f"[pytest]\n{ini}")
    pytester.makepyfile("def test_it(): pass")

    result = run(pytester)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*ERROR: ini {ini.split(' ')[0]} = *"])


def test_verifying_by_itself_judges_every_law(pytester: pytest.Pytester) -> None:
    """``chaos_verify = auto`` judges at the end of a test that did not."""
    pytester.makeini("[pytest]\nchaos_verify = auto")
    pytester.makepyfile(
        """
        import pytest, requests

        def pay(chaos):
            for _ in range(2):
                try:
                    return requests.post(chaos.url + "/payments", json={"amount": 5}, timeout=1)
                except requests.RequestException:
                    pass

        @pytest.mark.chaos("reset after-commit, ok")
        def test_unjudged(chaos):
            pay(chaos)

        @pytest.mark.chaos("reset after-commit, ok")
        def test_judged(chaos):
            pay(chaos)
            chaos.assert_attempts(2)
        """
    )

    result = run(pytester)

    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["ID01, ID04 broken: *"])


def test_an_expected_breach_is_not_raised_until_it_is_mended(pytester: pytest.Pytester) -> None:
    """``expect=`` keeps a known bug from failing the suite, and says when it is gone."""
    pytester.makepyfile(
        """
        import pytest, requests

        @pytest.mark.chaos("503, ok", expect=("ID01", "ID04"))
        def test_mended(chaos):
            while requests.get(chaos.url, timeout=1).status_code != 200:
                pass
            chaos.verify()

        @pytest.mark.chaos("reset after-commit, ok", expect=("ID01", "ID04"))
        def test_known(chaos):
            for _ in range(2):
                try:
                    requests.post(chaos.url + "/payments", json={"amount": 5}, timeout=1)
                except requests.RequestException:
                    pass
            chaos.verify()
        """
    )

    result = run(pytester)

    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["*ID01, ID04 expected to be broken, but*"])


EXPECTED = """
import pytest, requests
from pytest_retrychaos import Chaos

def charge(url, key=None):
    headers = {"Idempotency-Key": key} if key else {}
    for _ in range(2):
        try:
            return requests.post(url + "/payments", json={"amount": 5}, headers=headers, timeout=1)
        except requests.RequestException:
            pass

def part(chaos):
    charge(chaos.url, KEY)
    chaos.verify(only=["RT01"])

def asserts(chaos):
    charge(chaos.url, KEY)
    chaos.assert_retried()

def asserts_that_law(chaos):
    charge(chaos.url, KEY)
    chaos.assert_no_duplicates()

def twice(chaos):
    requests.get(chaos.url + "/rates", timeout=1)
    chaos.verify(ignore=["ID01"])
    charge(chaos.url, KEY)
    chaos.verify(ignore=["ID01"])

@pytest.mark.parametrize("test", [part, asserts, asserts_that_law])
@pytest.mark.chaos("reset after-commit, ok", expect=["ID04"])
def test_one(chaos, test):
    test(chaos)

@pytest.mark.chaos("ok, reset after-commit, ok", expect=["ID04"])
def test_twice(chaos):
    twice(chaos)

def test_alone():
    with Chaos("reset after-commit, ok", expect=["ID04"]) as chaos:
        asserts(chaos)
"""


def test_what_is_expected_is_asked_for_at_the_end_however_the_test_judges(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a part of the laws, by an assertion, in the middle: it is let pass, and said to be gone once it is."""
    monkeypatch.setenv("COLUMNS", "200")
    pytester.makepyfile(f"{EXPECTED}\nKEY = None\n")
    run(pytester).assert_outcomes(passed=5)

    pytester.makepyfile(f"{EXPECTED}\nKEY = 'k1'\n")
    mended = run(pytester, "-rf", "--tb=no", "-v")

    mended.assert_outcomes(failed=5)
    mended.stdout.fnmatch_lines(["FAILED *ID04 expected to be broken, but it is not: *"] * 5, consecutive=True)


def test_no_plugin_of_pytest_that_can_be_left_out_is_needed(pytester: pytest.Pytester) -> None:
    """Without that of ``xfail``, too."""
    pytester.makepyfile("def test_one(chaos):\n    pass\n")

    run(pytester, "-p", "no:skipping").assert_outcomes(passed=1)


def test_the_verdict_is_shown_when_pytest_is_verbose(pytester: pytest.Pytester) -> None:
    """Held, broken and does not apply, each with its reason."""
    pytester.makepyfile(
        """
        import pytest, requests

        @pytest.mark.chaos("503, ok")
        def test_it(chaos):
            while requests.get(chaos.url, timeout=1).status_code != 200:
                pass
            chaos.verify()
        """
    )

    result = run(pytester, "-v")

    result.stdout.fnmatch_lines(
        [
            "*= retrychaos verdicts =*",
            "test_the_verdict_is_shown_when_pytest_is_verbose.py::test_it",
            "  RT01  held *",
            "  BK02  does not apply *",
        ]
    )
    run(pytester).stdout.no_fnmatch_line("*retrychaos verdict*")


def test_a_verdict_is_shown_line_by_line_without_unicode(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where stdout has not every letter pytest writes escapes, and those of line ends would join the lines."""
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    pytester.makepyfile(
        """
        import pytest, requests

        @pytest.mark.chaos("ok")
        def test_it(chaos):
            requests.get(chaos.url, timeout=1)
            chaos.verify()
        """
    )

    result = run(pytester, "-v")

    assert "\\n" not in result.stdout.str()
