"""The strategies for parts of a script: what they give is valid, prints as Python, and shrinks to the plain."""

from __future__ import annotations

import contextlib
import re

import pytest
import requests
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

from pytest_retrychaos import Chaos, faults
from pytest_retrychaos.engine.retry_after import find_retry_after, retry_after
from pytest_retrychaos.faults import Script, ScriptError, Step, parse
from pytest_retrychaos.fuzz import strategies
from pytest_retrychaos.fuzz.strategies import delays, outages, retry_after_values, scripts

NAMESPACE = {name: getattr(faults, name) for name in faults.__all__}
STEPS = (
    strategies.faults()
    | strategies.faults("hostile", for_method="POST", for_scheme="https")
    | retry_after_values()
    | outages()
    | delays().map(faults.slow)
    | delays(min_value=0.05, max_value=0.06).map(faults.drip)
)
UNSHRUNK = settings(database=None, suppress_health_check=[HealthCheck.too_slow])


@given(STEPS)
def test_a_generated_fault_reads_back_from_its_text_and_from_its_repr(step: Step) -> None:
    """Every value can stand in a script, and be pasted."""
    assert parse(str(step)).steps == (step,)
    assert eval(repr(step), dict(NAMESPACE)) == step


@given(scripts() | scripts("hostile", max_size=3) | scripts(retry_after_values(), endless=False) | scripts(outages()))
def test_a_generated_script_reads_back_from_its_text_and_from_its_repr(script: Script) -> None:
    """Every value is a whole script."""
    assert parse(str(script)) == script
    assert eval(repr(script), dict(NAMESPACE)) == script


@settings(max_examples=30)
@given(scripts("hostile"))
def test_a_script_is_met_by_a_client_under_a_plain_given(script: Script) -> None:
    """Without the plugin's fixture, one run an example."""
    with Chaos(script) as chaos:
        for _ in range(3):
            with contextlib.suppress(requests.RequestException):
                requests.get(f"{chaos.url}/orders", timeout=5)

    assert len(chaos.attempts) >= 3  # more where it follows a redirect, or comes again after a stale connection


@pytest.mark.parametrize(
    ("strategy", "plainest"),
    [
        (strategies.faults(), "503"),
        (strategies.faults(["eof", "reset", "429"]), "429"),
        (scripts(), "ok"),
        (scripts(min_size=2), "ok, ok"),
        (retry_after_values(), "503 retry-after=2"),
        (outages(), "down=1s"),
        (outages(min_value=0.5, statuses=[502]), "down=1s:502"),
        (delays(), "1"),
        (delays(min_value=0.02, max_value=0.5), "0.02"),
    ],
)
def test_a_value_shrinks_to_the_plainest(strategy: st.SearchStrategy[object], plainest: str) -> None:
    """The order of the vocabulary; fewer steps before all else."""
    assert str(find(strategy, lambda _: True, settings=UNSHRUNK)) == plainest


@pytest.mark.parametrize(
    ("sought", "plainest"),
    [
        (lambda script: any(step.count is None for step in script.steps), "503 *"),
        (lambda script: any(step.after_commit for step in script.steps), "timeout after-commit"),
        (lambda script: sum(step.is_fault for step in script.steps) == 2, "503, 503"),
    ],
)
def test_a_script_shrinks_to_fewer_and_plainer_faults(sought: object, plainest: str) -> None:
    """As a failing test's would."""
    assert str(find(scripts(), sought, settings=UNSHRUNK)) == plainest  # type: ignore[arg-type]


def test_every_kind_of_value_that_asks_to_wait_is_generated() -> None:
    """0, 1.5, 2, 30, 90, dates in three forms, 1e8, 1e14, negative, malformed, repeated, ms, rate limits."""
    given_values = {tail for tails in strategies.ASKED.values() for tail in tails}
    found: set[str] = set()

    @settings(max_examples=2000, database=None, phases=[Phase.generate])
    @given(retry_after_values())
    def collect(step: Step) -> None:
        found.add(str(step).partition(" ")[2])

    collect()
    assert found == {str(parse(f"503 {tail}")).partition(" ")[2] for tail in given_values}


@pytest.mark.parametrize(
    ("kind", "seconds"),
    [
        ("seconds", [2, 30, 90]),
        ("zero", [0]),
        ("fraction", [1.5]),
        ("date", [30, 90, 90]),
        ("past", ["past"] * 3),
        ("huge", [1e8, 2.0**31]),
        ("negative", ["negative"]),
        ("malformed", ["unreadable"] * 3),
        ("repeated", ["repeated"] * 2),
        ("milliseconds", [1.5]),
    ],
)
def test_each_kind_says_what_its_name_says(kind: str, seconds: list[object]) -> None:
    """Read by the engine from what a client gets at the start of a run."""
    read = []
    for tail in strategies.ASKED[kind]:
        with Chaos(f"503 {tail}") as chaos:
            fields = list(requests.get(chaos.url, timeout=5).raw.headers.iteritems())
            now = chaos.clock.now.timestamp()
        found = find_retry_after(fields, now=now)
        asked = retry_after(fields, now=now)
        read.append(asked.seconds if asked is not None else getattr(found, "why", None))

    assert read == seconds


def test_faults_are_those_that_make_sense() -> None:
    """On the method, and on the scheme of the requests."""

    def all_of(strategy: st.SearchStrategy[Step]) -> set[str]:
        return {str(step) for step in strategy.elements}  # type: ignore[attr-defined]  # a sampled_from

    reads, posts = (all_of(strategies.faults(for_method=method)) for method in ("get", "POST"))
    assert posts - reads == {"404", "422", "201 retry-after=1"}
    assert "tls" not in all_of(strategies.faults("hostile"))
    assert "tls" in all_of(strategies.faults("hostile", for_scheme="https"))


def test_a_falsifying_example_is_a_line_to_paste() -> None:
    """Hypothesis prints a script as the call that makes it."""

    @settings(max_examples=300, database=None, print_blob=False)
    @given(scripts(retry_after_values(kinds=["date"])), retry_after_values(), outages(), strategies.faults())
    def check(script: Script, asking: Step, outage: Step, fault: Step) -> None:
        assert not script.steps[0].is_fault

    with pytest.raises(AssertionError) as caught:
        check()

    notes = "\n".join(caught.value.__notes__)
    assert "script=parse([status(503, retry_after='date+30s')])" in notes
    assert "asking=status(503, retry_after=2)" in notes
    assert "outage=down(1)" in notes
    assert "fault=status(503)" in notes


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: strategies.faults("evil"), "vocabulary='evil': it is 'default' or 'hostile', or a list of faults, as"),
        (lambda: strategies.faults([]), "vocabulary=[]: there is nothing to try; name a fault, or leave vocabulary="),
        (lambda: strategies.faults(7), "vocabulary=7: it is a list of faults, as in vocabulary=['503', 'reset after-"),
        (lambda: strategies.faults(["503 x2"]), "vocabulary= holds single faults, and '503 x2' is none"),
        (lambda: strategies.faults(["404"], for_method="GET"), "vocabulary=['404'] has nothing for for_method='GET'"),
        (lambda: strategies.faults(for_method="G/T"), "for_method='G/T': it is a method, as in for_method='POST'"),
        (lambda: strategies.faults(for_scheme="ftp"), "for_scheme='ftp': it is 'http' or 'https'"),
        (lambda: scripts(min_size=0), "min_size=0: it is a whole number, 1 or more"),
        (lambda: scripts(min_size=3, max_size=2), "min_size=3 is more than max_size=2: swap them, or leave one out"),
        (lambda: scripts(endless=1), "endless=1: it is True or False"),
        (lambda: scripts(["503", "nonsense"]), "unknown fault 'nonsense' in the script"),
        (lambda: delays(min_value=0), "min_value=0: it is a number of seconds, 0.001 to 3600000000"),
        (lambda: delays(min_value="1s"), "min_value='1s': it is a number of seconds, 0.001 to 3600000000"),
        (lambda: delays(max_value=float("nan")), "max_value=nan: it is a number of seconds, 0.001 to 3600000000"),
        (lambda: delays(min_value=5, max_value=2), "min_value=5 is more than max_value=2: swap them, or leave one out"),
        (lambda: outages(statuses=[200]), "statuses=200: it is a whole number, 300 to 599"),
        (lambda: outages(statuses=[]), "statuses=[]: it is a list with at least one value"),
        (lambda: retry_after_values(kinds=["dates"]), "kinds=['dates']: 'dates' is none of seconds, zero, fraction, "),
        (lambda: retry_after_values(kinds="date"), "kinds='date': it is a list with at least one value"),
        (lambda: retry_after_values(statuses=[True]), "statuses=True: it is a whole number, 300 to 599"),
    ],
)
def test_a_bad_argument_is_refused_where_it_is_written(make: object, message: str) -> None:
    """With its name, its value, the rule and the way out."""
    with pytest.raises((TypeError, ValueError, ScriptError), match=re.escape(message)):
        make()  # type: ignore[operator]
