"""``@chaos_explore`` on a test, as a user sees it."""

from __future__ import annotations

import json
import re
import textwrap

import pytest

from tests.plugin import inner

HEAD = """
import requests
from pytest_retrychaos import chaos_explore

def charge(url):
    for _ in range(2):
        try:
            return requests.post(f"{url}/payments", json={"amount": 1}, timeout=5).status_code
        except requests.ConnectionError:
            pass
"""


def run(pytester: pytest.Pytester, test: str, *options: str) -> pytest.RunResult:
    pytester.makepyfile(HEAD + textwrap.dedent(test))
    return inner.run(pytester, *options)


def told(result: pytest.RunResult) -> str:
    return "\n".join(result.outlines)


def test_a_failure_shows_the_shortest_script_and_what_stood_beside_it(pytester: pytest.Pytester) -> None:
    """From an ordinary test to the line to paste."""
    result = run(
        pytester,
        """
        @chaos_explore(faults=["503", "reset after-commit"])
        def test_a_charge(chaos):
            charge(chaos.url)
            chaos.verify(only=["ID04"])
        """,
        "--chaos-seed=3",
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
            "*  beside no fault: the same up to attempt 1; then nothing more was sent",
            "*explored up to 2 faults: 7 histories run*",
        ],
        consecutive=False,
    )


@pytest.mark.parametrize(
    ("arguments", "outcome"),
    [
        ('expect=["ID04"]', {"passed": 1}),
        ('expect=["ID"]', {"passed": 1}),
        ('expect=["ID04", "ID02"]', {"failed": 1}),
        ('expect=["ID04", "ID02"], budget=2', {"passed": 1}),
    ],
)
@pytest.mark.parametrize("judged", ["verify(only=['ID04'])", "assert_no_duplicates()"])
def test_what_is_expected_and_no_history_breaks_is_said(
    pytester: pytest.Pytester, arguments: str, outcome: dict[str, int], judged: str
) -> None:
    """Of a search that came to its end; one that was cut off cannot tell."""
    result = run(
        pytester,
        f"""
        @chaos_explore(depth=1, faults=["reset after-commit"], {arguments})
        def test_a_charge(chaos):
            charge(chaos.url)
            chaos.{judged}
        """,
    )

    result.assert_outcomes(**outcome)
    if "failed" in outcome:
        result.stdout.fnmatch_lines(["*LawsBroken: ID02 expected to be broken, but it is not: take it out of expect="])


def test_the_printed_line_reproduces_it_in_a_new_process(pytester: pytest.Pytester) -> None:
    """The same finding, by an ordinary marker."""
    first = run(pytester, "@chaos_explore(depth=1)\ndef test_a_charge(chaos):\n    charge(chaos.url)\n")
    marker = re.search(r"again (@pytest.mark.chaos\(\"reset after-commit\".*\))", told(first))
    assert marker is not None

    again = run(
        pytester,
        f"import pytest\n\n{marker[1]}\ndef test_a_charge(chaos):\n    charge(chaos.url)\n    chaos.verify()\n",
    )

    again.assert_outcomes(failed=1)
    again.stdout.fnmatch_lines(["*ID04 duplicate effect: POST /payments was carried out 2 times for one operation"])


def test_a_test_that_passes_says_how_far_it_looked(pytester: pytest.Pytester) -> None:
    """Under -v."""
    result = run(
        pytester,
        """
        @chaos_explore(depth=1)
        def test_a_read(chaos):
            from pytest_retrychaos.engine import Retry
            Retry().call(requests.get, f"{chaos.url}/orders", timeout=5)
        """,
        "-v",
    )

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*explored up to 1 fault: 39 histories run, *left out as equivalent (*"])


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_an_async_test_with_fixtures_and_parameters_is_explored(pytester: pytest.Pytester, loop: str) -> None:
    """In a loop of its own each time; the fixtures are made once."""
    result = run(
        pytester,
        f"""
        import httpx, pytest

        @pytest.fixture
        def path(request):
            return "/orders"

        class TestReading:
            @pytest.mark.parametrize("tries", [1, 2])
            @chaos_explore(depth=1, faults=["503", "reset"], loop="{loop}")
            async def test_reads(self, chaos, path, tries):
                async with httpx.AsyncClient() as client:
                    for _ in range(tries):
                        try:
                            if (await client.get(chaos.url + path)).status_code == 200:
                                break
                        except httpx.HTTPError:
                            pass
        """,
    )

    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*RT01/503, RT01/reset broken: the shortest script for each"])


def test_a_test_that_fails_without_a_fault_is_told_so(pytester: pytest.Pytester) -> None:
    """Nothing was found yet."""
    result = run(pytester, "@chaos_explore\ndef test_it(chaos):\n    assert charge(chaos.url) == 200\n")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*the test fails without any fault:", "*the test's own assertion in line 12: assert 201 == 200"]
    )


def test_a_test_without_a_request_cannot_tell(pytester: pytest.Pytester) -> None:
    """No fault has anything to strike."""
    result = run(pytester, "@chaos_explore\ndef test_it(chaos):\n    pass\n")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*cannot tell: the test makes no request, so there is nothing that a fault could strike"]
    )


def test_code_that_is_not_the_same_each_time_cannot_be_told(pytester: pytest.Pytester) -> None:
    """State that an earlier run left behind, with both histories at the first difference."""
    result = run(
        pytester,
        """
        import itertools
        numbers = itertools.count()

        @chaos_explore(depth=1)
        def test_it(chaos):
            for _ in range(2):
                requests.get(f"{chaos.url}/orders/{next(numbers)}", timeout=5)
        """,
    )

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*cannot tell: after the same faults the code did something else at attempt 1, *",
            "*  under no fault: t+0.00s GET /orders/0",
            "*  under ok, 503: t+0.00s GET /orders/*",
        ]
    )


def test_a_search_that_is_cut_off_says_what_is_left_out(pytester: pytest.Pytester) -> None:
    """A budget that the test names is its own choice."""
    result = run(
        pytester,
        """
        @chaos_explore(budget=5)
        def test_it(chaos):
            requests.get(f"{chaos.url}/orders", timeout=5)
            chaos.assert_attempts(1)
        """,
        "-v",
    )

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*explored up to 2 faults: 5 histories run, 17 more and what grows from them cut off"])


def test_a_depth_that_cannot_be_met_says_how_many_runs_it_takes(pytester: pytest.Pytester) -> None:
    """Before it begins."""
    result = run(
        pytester,
        """
        @chaos_explore(depth=4)
        def test_it(chaos):
            for number in range(5):
                requests.get(f"{chaos.url}/orders/{number}", timeout=5)
        """,
    )

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*cannot tell: depth=4 takes about * runs, as the first * show, and unasked no more than 20 000 are made. *"]
    )


@pytest.mark.parametrize(
    ("decorator", "message"),
    [
        ("@chaos_explore(depth=0)", "ValueError: depth=0: it is how many faults a history may have, 1 or more"),
        ("@chaos_explore(faults=[])", "ValueError: faults=[[][]]: there is nothing to try; *"),
        ("@chaos_explore(faults='evil')", "ValueError: faults='evil': it is 'default' or 'hostile', *"),
        ("@chaos_explore(faults=['503 x2'])", "*faults= holds single faults, and '503 x2' is none*"),
        ("@chaos_explore(faults=['ok'])", "*faults= holds single faults, and 'ok' is none*"),
        ("@chaos_explore(budget=0)", "ValueError: budget=0: it is the most runs, *"),
        ("@chaos_explore(loop='uvloop')", "ValueError: loop='uvloop': it is 'asyncio' or 'trio'"),
        ("@chaos_explore(colour='red')", "TypeError: unknown chaos option 'colour'*"),
    ],
)
def test_bad_arguments_are_refused_where_they_are_written(
    pytester: pytest.Pytester, decorator: str, message: str
) -> None:
    """At collection, in the test's own line."""
    result = run(pytester, f"{decorator}\ndef test_it(chaos):\n    charge(chaos.url)\n")

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"E   *{message}"])


def test_a_method_of_a_testcase_is_refused_by_name(pytester: pytest.Pytester) -> None:
    """It is given no fixtures, so that nothing could be run."""
    test = "    @chaos_explore\n    def test_it(self, chaos):\n        pass\n"
    result = run(pytester, f"import unittest\nclass Test(unittest.TestCase):\n{test}")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E *TypeError: @chaos_explore on Test.test_it: a unittest.TestCase gives *"])


def test_a_function_without_chaos_and_a_marker_beside_are_refused(pytester: pytest.Pytester) -> None:
    """Neither has a meaning."""
    result = run(pytester, "@chaos_explore\ndef test_it():\n    pass\n")
    result.stdout.fnmatch_lines(["E   TypeError: @chaos_explore on test_it: it has to take chaos, *"])

    result = run(
        pytester,
        'import pytest\n\n@pytest.mark.chaos("503")\n@chaos_explore\ndef test_it(chaos):\n    charge(chaos.url)\n',
    )
    result.stdout.fnmatch_lines(["*test_it has both @chaos_explore and @pytest.mark.chaos: *"])


@pytest.mark.parametrize("decorator", ["@chaos_explore", "@chaos_fuzz", "@chaos_explore(depth=1)"])
def test_the_options_of_a_module_and_a_class_count(pytester: pytest.Pytester, decorator: str) -> None:
    """As for any other chaos test; what the decorator says comes first."""
    run(
        pytester,
        f"""
        import pytest
        from pytest_retrychaos import chaos_fuzz

        pytestmark = pytest.mark.chaos(profile="stripe", timezone="Asia/Tokyo", expect=["ID01", "ID04"])

        {decorator}
        def test_it(chaos):
            assert (chaos.service.profile, chaos.options.timezone) == ("stripe", "Asia/Tokyo")
            charge(chaos.url)
            chaos.verify(only=["ID"])

        @pytest.mark.chaos(loop="trio", profile="naive")
        class TestInner:
            @chaos_explore(depth=1, faults=["503"], profile="ietf", expect=())
            async def test_it(self, chaos):
                import sniffio
                assert (sniffio.current_async_library(), chaos.service.profile) == ("trio", "ietf")
                charge(chaos.url)
                chaos.verify(only=["BK07"])
        """,
    ).assert_outcomes(passed=2)


def test_an_interrupt_loses_nothing_that_was_found(pytester: pytest.Pytester) -> None:
    """Ctrl-C in the middle: what was found by then stands at the end."""
    result = run(
        pytester,
        """
        seen = []

        @chaos_explore(faults=["reset after-commit", "503"])
        def test_a_charge(chaos):
            seen.append(1)
            if len(seen) == 5:
                raise KeyboardInterrupt
            charge(chaos.url)
            chaos.verify(only=["ID04"])
        """,
        "--chaos-seed=3",
    )

    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(
        [
            "*retrychaos: found before the interrupt*",
            "test_an_interrupt_loses_nothing_that_was_found.py::test_a_charge",
            "  ID04 duplicate effect: POST /payments was carried out 2 times for one operation",
            '*  again @pytest.mark.chaos("reset after-commit", *',
            "  explored up to 2 faults: 4 histories run, the others cut off",
        ]
    )
    assert not list(pytester.path.glob(".pytest_cache/d/retrychaos/*"))


DEADLY = """
import os

@chaos_explore(faults=["503", "reset after-commit"])
def test_a_charge(chaos):
    try:
        charge(chaos.url)
        chaos.verify(only=["ID04"])
    finally:
        if os.path.exists("deadly") and [one.fault for one in chaos.attempts] == ["reset after-commit", "503"]:
            {end}
"""
"""A test that one of its histories ends, and the process with it, as long as there is a file ``deadly``."""


def test_a_history_that_kills_the_interpreter_is_named_by_the_next_run(pytester: pytest.Pytester) -> None:
    """With what was found before; once: the run after that searches again."""
    test = DEADLY.format(end="os._exit(3)")
    pytester.path.joinpath("deadly").touch()
    assert run(pytester, test).ret == 3
    pytester.path.joinpath("deadly").unlink()

    told_once = run(pytester, test)

    told_once.assert_outcomes(failed=1)
    told_once.stdout.fnmatch_lines(
        [
            "*cannot tell: the search of this test before this one never came to its end: *",
            '*  again @pytest.mark.chaos("reset after-commit, 503", entropy="seeded", seed=*)',
            "*Before that it had found",
            "*  ID04: reset after-commit",
            "*This is said once: *",
        ],
        consecutive=True,
    )
    run(pytester, test).stdout.fnmatch_lines(["*explored up to 2 faults: 7 histories run*"])


def test_a_history_that_kills_a_worker_is_named_at_once(pytester: pytest.Pytester) -> None:
    """By pytest-xdist's controller, which lives on, with what was found before; the next run searches again."""
    test = DEADLY.format(end="os.kill(os.getpid(), 9)")
    pytester.path.joinpath("deadly").touch()

    told = run(pytester, test, "-n1", "--max-worker-restart=0", "--chaos-report=r.json")

    marker = '@pytest.mark.chaos("reset after-commit, 503", entropy="seeded", seed=*)'
    told.stdout.fnmatch_lines(
        [
            f"worker 'gw0' crashed while running '*::test_a_charge', in the middle of {marker}",
            "Before that it had found",
            "  ID04: reset after-commit",
        ],
        consecutive=True,
    )
    (problem, _) = json.loads(pytester.path.joinpath("r.json").read_text())["problems"]
    assert '\', in the middle of @pytest.mark.chaos("reset after-commit, 503", ' in problem
    pytester.path.joinpath("deadly").unlink()
    run(pytester, test).stdout.fnmatch_lines(["*explored up to 2 faults: 7 histories run*"])


CHOSEN = """
import asyncio, time
from email.utils import parsedate

import httpx

async def sent(client, url):
    try:
        return (await client.get(f"{url}/orders", timeout=5)).status_code == 200
    except (httpx.HTTPError, asyncio.CancelledError):
        return False

async def cancelled(chaos):
    async with httpx.AsyncClient(verify=False) as client:
        while not await sent(client, chaos.url):
            await asyncio.sleep(1)

def in_a_zone(chaos):
    answer = requests.get(f"{chaos.url}/orders", timeout=5)
    date = parsedate(answer.headers.get("Retry-After", ""))
    if date:
        time.sleep(max(0, time.mktime(date) - time.time()))
        requests.get(f"{chaos.url}/orders", timeout=5)

def closed(chaos):
    with requests.Session() as session:
        for _ in range(2):
            assert session.get(f"{chaos.url}/orders", timeout=5).headers.get("Connection") != "close"

async def switched(chaos):
    told = []

    async def tell(number):
        await asyncio.sleep(1)
        told.append(number)

    await asyncio.gather(tell(1), tell(2))
    requests.get(f"{chaos.url}/orders", timeout=5)
    assert told == [1, 2]

TESTS = {"cancelled": cancelled, "in_a_zone": in_a_zone, "closed": closed, "switched": switched}
"""


def test_what_was_chosen_beside_faults_is_reproduced_by_the_printed_line(pytester: pytest.Pytester) -> None:
    """In a new process: a cancellation, a zone, connections that are closed, an order."""
    found = run(
        pytester,
        CHOSEN
        + """
@chaos_explore(depth=1, faults=["stale"])
async def test_cancelled(chaos):
    await cancelled(chaos)

@chaos_explore(faults=["503 retry-after=date+30s"], timezone="UTC")
def test_in_a_zone(chaos):
    in_a_zone(chaos)

@chaos_explore(depth=1, faults=["stale"])
def test_closed(chaos):
    closed(chaos)

@chaos_explore(depth=1, faults=["stale"], switches=1, seed=4)
async def test_switched(chaos):
    await switched(chaos)
""",
        "--chaos-seed=3",
    )

    found.assert_outcomes(failed=4)
    lines = dict(re.findall(r"again +(@pytest.mark.chaos\(.*(cancel|Tokyo|keep_alive|switches).*\))", told(found)))
    names = {"cancel": "cancelled", "Tokyo": "in_a_zone", "keep_alive": "closed", "switches": "switched"}
    assert sorted(lines.values()) == sorted(names)
    tests = [
        f"{line}\n{'async ' if 'loop=' in line else ''}def test_{names[key]}(chaos):\n"
        f"    {'await ' if 'loop=' in line else ''}{names[key]}(chaos)\n"
        for line, key in lines.items()
    ]

    again = run(pytester, CHOSEN + "\nimport pytest\n\n" + "\n".join(tests), "-o", "chaos_verify=auto")

    again.assert_outcomes(failed=4)


def test_the_processes_of_xdist_share_a_search(pytester: pytest.Pytester) -> None:
    """An item for each, and one result."""
    result = run(
        pytester,
        """
        @chaos_explore(faults=["503", "reset", "reset after-commit"])
        def test_a_charge(chaos):
            charge(chaos.url)
        """,
        "-n2",
        "-k",
        "test_a_charge",
    )

    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            "*retrychaos: explored in shares*",
            "test_the_processes_of_xdist_share_a_search.py::test_a_charge",
            "  RT01/503: 503",
            "  ID01: reset",
            "  ID04: reset after-commit",
            "  explored up to 2 faults: 13 histories run",
        ],
        consecutive=True,
    )


@pytest.mark.parametrize("last", ["share1of2", "share2of2"])
def test_the_report_of_a_shared_search_is_that_of_all_shares(pytester: pytest.Pytester, last: str) -> None:
    """It failed where one share did, which ever ends last; real time is that of all, each with its set-up."""
    pytester.makeconftest(
        f"""
        from pathlib import Path

        class Told:
            def pytest_runtest_logreport(self, report):
                if report.when == "teardown" and "{last}" not in report.nodeid:
                    Path("the-other-has-ended").touch()

        def pytest_configure(config):
            if not hasattr(config, "workerinput"):  # who waits begins once the process that reports has been told
                config.pluginmanager.register(Told())
        """
    )
    result = run(
        pytester,
        f"""
        import pytest, time
        from pathlib import Path

        @pytest.fixture
        def slow_to_set_up(request):
            began = time.perf_counter_ns()
            time.sleep(0.5)  # for real: it has to be in the report
            while "{last}" in request.node.name and not Path("the-other-has-ended").exists():
                time.sleep(0.01)
            Path(request.node.name + ".ns").write_text(str(time.perf_counter_ns() - began))

        @chaos_explore(depth=1, faults=["503", "reset after-commit"])
        def test_a_charge(chaos, slow_to_set_up):
            charge(chaos.url)
            chaos.verify(only=["ID04"])
        """,
        "-n2",
        "--chaos-report=r.json",
    )

    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["FAILED *::test_a_charge*share2of2*"])
    (test,) = json.loads(pytester.path.joinpath("r.json").read_text())["tests"]
    assert (test["outcome"], test["message"]) == ("failed", "ID04 broken")
    set_ups = [int(written.read_text()) for written in pytester.path.glob("*.ns")]
    assert len(set_ups) == 2
    assert test["real_ns"] >= sum(set_ups)


def test_bad_company_is_named(pytester: pytest.Pytester) -> None:
    """A fixture that fails; a client without an end; one that works in a thread from before, which sleeps for real."""
    result = run(
        pytester,
        """
        import queue, threading, time
        import pytest

        jobs = queue.Queue()

        def work():
            while True:
                url, is_done = jobs.get()
                time.sleep(0.01)
                try:
                    charge(url)
                except Exception:
                    pass
                is_done.set()

        threading.Thread(target=work, name="sender", daemon=True).start()

        @pytest.fixture
        def broken():
            raise RuntimeError("no database")

        @chaos_explore(depth=1)
        def test_fixture(chaos, broken):
            charge(chaos.url)

        @pytest.mark.timeout(2, method="signal")
        @chaos_explore(depth=1, faults=["reset", "503"])
        def test_endless(chaos):
            while charge(chaos.url) != 201:
                while True:
                    time.sleep(1)

        @chaos_explore(depth=1)
        def test_thread(chaos):
            is_done = threading.Event()
            jobs.put((chaos.url, is_done))
            is_done.wait(5)
        """,
        "--chaos-seed=3",
        "-p",
        "pytest_timeout",
    )

    result.assert_outcomes(failed=2, errors=1)
    result.stdout.fnmatch_lines(
        [
            "E*RuntimeError: no database",
            "E*cannot tell: Timeout (>2.0s) from pytest-timeout., in the middle of 503",
            'E*  again @pytest.mark.chaos("503", entropy="seeded", seed=*)',
            "E*explored up to 1 fault: 1 history run*",
            "E*Refused: the thread 'sender', which was there before chaos began, called service.test: *",
        ]
    )


def test_an_option_that_finds_nothing_to_act_on_cannot_tell(pytester: pytest.Pytester) -> None:
    """A cancellation that never came, a switch that never could; and a loop for a test that needs none."""
    result = run(
        pytester,
        """
        import pytest

        class TestLate:
            @pytest.mark.chaos(loop="asyncio", cancel="#2")
            async def test_late(self, chaos):
                assert charge(chaos.url) == 201

        @pytest.mark.chaos(switches=(9,))
        def test_alone(chaos):
            assert charge(chaos.url) == 201

        @pytest.mark.chaos(loop="trio")
        def test_blocking(chaos):
            assert charge(chaos.url) == 201
        """,
    )

    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines(
        [
            "*the moment of cancel='#2' never came: cannot tell. *",
            "*a moment of switches=(9,) never came: cannot tell. *",
            "*test_blocking: loop='trio' is for an async test, and this is none: leave it out",
        ]
    )
