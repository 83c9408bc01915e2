"""``@chaos_fuzz`` on a test, as a user sees it."""

from __future__ import annotations

import importlib
import re
import textwrap

import pytest

from tests.plugin import inner

for loaded in ("pytest_retrychaos.chaos", "pytest_retrychaos.fuzz.fuzzing", "pytest_retrychaos.fuzz.exploring"):
    importlib.import_module(loaded)  # else each run within this process loads its own, and forgets it

HEAD = """
import itertools
import pytest
import requests
from hypothesis import Phase, given, seed, settings, strategies as st
from pytest_retrychaos import chaos_explore, chaos_fuzz
from pytest_retrychaos.engine import Retry

numbers = itertools.count()

def charge(url):
    for _ in range(2):
        try:
            return requests.post(f"{url}/payments", json={"amount": 1}, timeout=5).status_code
        except requests.ConnectionError:
            pass

def read(url):
    return Retry().call(requests.get, f"{url}/orders", timeout=5)
"""


def run(pytester: pytest.Pytester, test: str, *options: str) -> pytest.RunResult:
    """Run tests within this process, and without Hypothesis's database but where they name one."""
    pytester.makepyfile(HEAD + textwrap.dedent(test))
    pytester.makeconftest(
        "from hypothesis import settings\nsettings.register_profile('plain', database=None, max_examples=60)\n"
    )
    without = ("asyncio", "randomly", "cacheprovider", "rerunfailures")  # the last leaves a thread behind
    plain = (*(f"-pno:{name}" for name in without), "--hypothesis-profile=plain")
    return pytester.runpytest_inprocess(*plain, *options, no_reraise_ctrlc=True)


def test_a_failure_shows_the_shortest_script_and_what_stood_beside_it(pytester: pytest.Pytester) -> None:
    """From an ordinary test to the line to paste, though Hypothesis came to it by a longer way."""
    result = run(
        pytester,
        """
        @chaos_fuzz(faults=["503", "reset", "reset after-commit"], also=["503, reset after-commit, reset after-commit"])
        def test_a_charge(chaos):
            charge(chaos.url)
            chaos.verify(only=["ID04"])
        """,
        "--chaos-seed=3",
        "--hypothesis-seed=0",
    )

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*ID04 duplicate effect: POST /payments was carried out 2 times for one operation",
            "*  t+0.00s  #1  POST /payments  key –   committed, then the response was lost   (reset after-commit)",
            "*  t+0.00s  #2  POST /payments  key –   201, committed                          ◄ second effect",
            "*  why   *",
            "*  fix   *",
            '*  again @pytest.mark.chaos("reset after-commit", entropy="seeded", seed=*)',
            "*  beside reset: sent the same, and broke nothing",
            "*drew * examples: * histories run*",
        ],
        consecutive=False,
    )


def test_each_way_to_fail_is_found_and_its_printed_line_reproduces_it(pytester: pytest.Pytester) -> None:
    """The drawing goes on after the first; an ordinary marker runs each again, in a new process."""
    first = run(
        pytester,
        """
        @chaos_fuzz(max_examples=300, faults=["503", "reset after-commit", "timeout"])
        def test_a_charge(chaos):
            charge(chaos.url)
        """,
    )
    told = "\n".join(first.outlines).partition("short test summary info")[0]  # under CI it says all of it again
    markers = re.findall(r"again (@pytest.mark.chaos\(.*\))", told)
    assert "RT01/503, ID01, ID04 broken: the shortest script for each" in told
    scripts = [re.findall('"([^"]*)"', marker)[0] for marker in markers]
    assert scripts == ["503", "reset after-commit", "reset after-commit"]

    tests = [
        f"{marker}\ndef test_{n}(chaos):\n    charge(chaos.url)\n    chaos.verify()\n"
        for n, marker in enumerate(markers)
    ]
    again = pytester.makepyfile(test_again=HEAD + "\n" + "\n".join(tests))
    result = inner.run(pytester, str(again))

    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines(["*test_0 - RT01 *", "*test_1 - ID01*", "*test_2 - ID01*"])


def test_settings_fixtures_parameters_and_loops_work_together(pytester: pytest.Pytester) -> None:
    """``@settings`` above, below or as keywords; fixtures are made once, ``chaos`` each time; asyncio and trio."""
    result = run(
        pytester,
        """
        import httpx

        made, urls = [], []

        @pytest.fixture
        def path(request, tmp_path):
            made.append(request.node.name)
            return "/orders"

        @settings(max_examples=3)
        @chaos_fuzz
        def test_above(chaos, path):
            urls.append(id(chaos))
            read(chaos.url)

        @chaos_fuzz
        @settings(max_examples=3)
        def test_below(chaos, path):
            read(chaos.url)

        @seed(5)
        @chaos_fuzz(max_examples=3, entropy="real", profile="stripe", seed=9)
        def test_keywords(chaos, path, request):
            assert chaos.options.seed == 9
            read(chaos.url)

        class TestReading:
            @pytest.mark.parametrize("loop", ["a", "b"])
            @chaos_fuzz(max_examples=3, loop="trio")
            async def test_trio(self, chaos, path, loop):
                import trio
                await trio.sleep(3600)
                async with httpx.AsyncClient() as client:
                    await Retry().call_async(client.get, chaos.url + path)

            @chaos_fuzz(max_examples=3)
            async def test_asyncio(self, chaos, path):
                import asyncio
                await asyncio.sleep(3600)
                async with httpx.AsyncClient() as client:
                    await Retry().call_async(client.get, chaos.url + path)

        def test_all():
            assert made == ["test_above", "test_below", "test_keywords", "test_trio[a]", "test_trio[b]", "test_asyncio"]
            assert len(urls) >= 3
        """,
        "-v",
    )

    result.assert_outcomes(passed=7)
    for name in ("test_above", "test_below", "test_keywords", "test_trio*a*", "test_trio*b*", "test_asyncio"):
        result.stdout.fnmatch_lines([f"*{name}", "  drew 3 examples: * run"])


def test_what_failed_is_kept_and_run_first_the_next_time(pytester: pytest.Pytester) -> None:
    """In Hypothesis's own database, written by one process and read by another; what passes is taken out."""

    def test(phases: str, ignored: str = "BK") -> str:
        database = "database=DirectoryBasedExampleDatabase('kept')"
        return f"""
from hypothesis.database import DirectoryBasedExampleDatabase

@chaos_fuzz(max_examples=100, {database}, phases={phases}, faults=["503", "reset after-commit"])
def test_it(chaos):
    charge(chaos.url)
    chaos.verify(only=["ID"], ignore=["ID01", "{ignored}"])
"""

    where = pytester.makepyfile(test_kept=HEAD + test("list(Phase)"))
    inner.run(pytester, str(where)).assert_outcomes(failed=1)

    where.write_text(HEAD + test("[Phase.reuse]"))
    again = run(pytester, "", str(where))
    again.assert_outcomes(failed=1)
    again.stdout.fnmatch_lines(['*again @pytest.mark.chaos("reset after-commit"*', "*drew 0 examples: 2 histories run"])

    where.write_text(HEAD + test("[Phase.reuse]", "ID04"))
    run(pytester, "", str(where), "-v").stdout.fnmatch_lines(["  drew 0 examples: 2 histories run"])
    run(pytester, "", str(where), "-v").stdout.fnmatch_lines(["  drew 0 examples: 1 history run"])


def test_hypothesis_sees_no_virtual_time(pytester: pytest.Pytester) -> None:
    """An hour of waiting is within a deadline of seconds; real time that is too long is Hypothesis's own error."""
    result = run(
        pytester,
        """
        import time

        @chaos_fuzz(max_examples=5, deadline=20_000)
        def test_hour(chaos):
            time.sleep(3600)
            read(chaos.url)

        @chaos_fuzz(max_examples=5, deadline=1)
        def test_real(chaos):
            read(chaos.url)
        """,
    )

    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["E *hypothesis.errors.DeadlineExceeded: Test took *"])


def test_a_test_that_proves_nothing_is_told_so(pytester: pytest.Pytester) -> None:
    """It fails without a fault, sends nothing, is another one each time; a script never strikes."""
    result = run(
        pytester,
        """
        @chaos_fuzz
        def test_fails(chaos):
            assert charge(chaos.url) == 200

        @chaos_fuzz
        def test_raises(chaos):
            {}["payment"]

        @chaos_fuzz
        def test_none(chaos):
            pass

        @chaos_fuzz
        def test_other(chaos):
            for _ in range(2):
                requests.get(f"{chaos.url}/orders/{next(numbers)}", timeout=5)

        verdicts = []

        @chaos_fuzz
        def test_verdict(chaos):
            requests.get(f"{chaos.url}/orders", timeout=5)
            chaos.assert_attempts(1)
            assert len(verdicts) != 3 or verdicts.append(1)
            verdicts.append(0)

        @chaos_fuzz(max_examples=5, also=["503", "503, 503, 503, 503"])
        def test_unfired(chaos):
            read(chaos.url)

        @chaos_fuzz(max_examples=5, also=["503, 503, 503, 503"], strict=False)
        def test_not_strict(chaos):
            read(chaos.url)
        """,
        "--hypothesis-seed=0",
    )

    result.assert_outcomes(failed=6, passed=1)
    result.stdout.fnmatch_lines(
        [
            "E*the test fails without any fault:",
            "E*the test's own assertion in line 22: assert 201 == 200",
            "E*KeyError: 'payment'",
            "E*cannot tell: the test makes no request, so there is nothing that a fault could strike",
            "E*cannot tell: after the same faults the code did something else at attempt 1, *",
            "E*cannot tell: under * it broke * once and * the next time, having sent the same",
            "E*what differs comes from outside the run: *",
            "E*cannot tell: not every fault of also= met an attempt. Take out what the code never comes to, or say *",
            "E*  503, 503, 503, 503",
        ]
    )


def test_what_is_no_failure_of_the_code_ends_it_at_once(pytester: pytest.Pytester) -> None:
    """A handler that fails, a skip, a fixture that fails, an interrupt: what was found until then is told."""
    result = run(
        pytester,
        """
        asked = []

        @chaos_fuzz
        def test_handler(chaos):
            @chaos.service.route("GET", "/orders")
            def orders(request):
                asked.append(1)
                if len(asked) == 2:
                    raise ZeroDivisionError("the handler's own")
                return []
            requests.get(f"{chaos.url}/orders", timeout=5)

        @chaos_fuzz
        def test_skips(chaos):
            if next(numbers) == 3:
                pytest.skip("enough")
            read(chaos.url)

        @pytest.fixture
        def broken():
            raise OSError("no such fixture today")

        @chaos_fuzz
        def test_fixture(chaos, broken):
            pass

        @chaos_fuzz(also=["reset after-commit"])
        def test_interrupted(chaos):
            if next(numbers) == 20:
                raise KeyboardInterrupt
            charge(chaos.url)
            chaos.verify(only=["ID04"])
        """,
    )

    result.assert_outcomes(failed=1, skipped=1, errors=1)
    result.stdout.fnmatch_lines(
        [
            "*HandlerFailed: the handler for GET /orders failed, not the client: ZeroDivisionError: the handler's own",
            "*retrychaos: found before the interrupt*",
            "*test_interrupted",
            "  ID04 duplicate effect: POST /payments was carried out 2 times for one operation",
            "*KeyboardInterrupt*",
        ]
    )


@pytest.mark.parametrize(
    ("decorators", "message"),
    [
        ("@chaos_fuzz(faults=[])", "ValueError: faults=[[][]]: there is nothing to try; *"),
        ("@chaos_fuzz(faults='evil')", "ValueError: faults='evil': it is 'default' or 'hostile', *"),
        ("@chaos_fuzz(also='503')", "TypeError: also='503': it is a list of scripts, as in also=[[]'503, reset *"),
        ("@chaos_fuzz(also=['ok'])", "*also= holds 'ok', which has no fault*"),
        ("@chaos_fuzz(also=['503 x2001'])", "*also= holds '503 x2001', which is for more than 2000 attempts*"),
        ("@chaos_fuzz(also=['50x'])", "*ScriptError: *"),
        ("@chaos_fuzz(max_example=5)", "TypeError: unknown option 'max_example' of chaos_fuzz, did you mean *"),
        ("@chaos_fuzz(max_examples=-1)", "*InvalidArgument: max_examples=-1 *"),
        ("@chaos_fuzz(profile='strip')", "ValueError: profile='strip' is unknown, did you mean 'stripe'?*"),
        ("@chaos_fuzz(loop='uvloop')", "ValueError: loop='uvloop': it is 'asyncio' or 'trio'"),
        ("@given(n=st.integers())\n@chaos_fuzz", "@given stands on top of @chaos_fuzz, which draws by itself: *"),
        ("@chaos_fuzz\n@given(n=st.integers())", "TypeError: @chaos_fuzz on test_it, which is a test of @given: *"),
        (
            "@chaos_explore\n@chaos_fuzz",
            "TypeError: @chaos_explore on test_it: @chaos_fuzz stands below it, *: take one",
        ),
        (
            "@pytest.mark.chaos('503')\n@chaos_fuzz",
            "*test_it has both @chaos_fuzz and @pytest.mark.chaos: the search chooses a script; *",
        ),
        (
            "@pytest.mark.chaos(switches=(1,))\n@chaos_fuzz",
            "*test_it has both @chaos_fuzz and @pytest.mark.chaos: the search chooses switches=; *",
        ),
        ("@chaos_fuzz(transport='loopback')", "ValueError: @chaos_fuzz on transport='loopback': there time is real, *"),
        ("@pytest.mark.chaos(transport='loopback')\n@chaos_fuzz", "*@chaos_fuzz on transport='loopback': there *"),
    ],
)
def test_what_makes_no_sense_is_refused(pytester: pytest.Pytester, decorators: str, message: str) -> None:
    """In the test's own line, where that can be."""
    arguments = "chaos, n" if "@given" in decorators else "chaos"
    result = run(pytester, f"{decorators}\ndef test_it({arguments}):\n    charge(chaos.url)\n")

    assert result.ret != 0
    result.stdout.fnmatch_lines([f"*{message}"])


def test_a_function_without_chaos_is_refused(pytester: pytest.Pytester) -> None:
    """There is nothing to run anew."""
    result = run(pytester, "@chaos_fuzz\ndef test_it():\n    pass\n")

    result.stdout.fnmatch_lines(["E   TypeError: @chaos_fuzz on test_it: it has to take chaos, *"])


def test_other_choices_than_faults_are_drawn_too(pytester: pytest.Pytester) -> None:
    """The caller cancels, and the client goes on: the printed line has it as an option."""
    result = run(
        pytester,
        """
        import asyncio, httpx

        async def stubborn(url):
            async with httpx.AsyncClient(timeout=5) as client:
                for _ in range(3):
                    try:
                        return (await client.get(url)).status_code
                    except (asyncio.CancelledError, httpx.HTTPError):
                        await asyncio.sleep(1)

        @chaos_fuzz(max_examples=200, faults=["slow=2s"])
        async def test_it(chaos):
            await stubborn(chaos.url + "/orders")
            chaos.verify(only=["RT08"])
        """,
        "--hypothesis-seed=0",
    )

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*RT08 *", "*again @pytest.mark.chaos(*cancel=*"])
