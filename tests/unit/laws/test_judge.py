"""Choosing laws, the law table, and verdicts as values."""

from __future__ import annotations

import sys

import pytest

from pytest_retrychaos.engine import Retry
from pytest_retrychaos.laws import LAWS, judge
from pytest_retrychaos.trace import Trace

DOUBLE = "reset after-commit"


def test_the_table_lists_the_laws_in_order():
    """Each code once."""
    assert [law.code for law in LAWS] == [
        *("RT01", "RT02", "RT03", "RT04", "RT05", "RT06", "RT07", "RT08", "RT09"),
        *("BK01", "BK02", "BK03", "BK04", "BK05", "BK06", "BK07"),
        *("ID01", "ID02", "ID03", "ID04", "ID05", "ID06"),
        *("CB01", "CB02", "CB03", "CB04", "LD01", "LD02", "LD03", "NV01"),
    ]


def test_every_law_has_a_statement_and_a_family():
    """A statement is one line and ends without a full stop."""
    assert {law.family for law in LAWS} == {"RT", "BK", "ID", "CB", "LD", "NV"}
    assert not [law for law in LAWS if not law.statement or "\n" in law.statement or law.statement.endswith(".")]


def test_nothing_applies_when_nothing_was_sent():
    """An empty run proves nothing."""
    verdict = judge(Trace("t", 0, ""))

    assert {result.reason for result in verdict.results if result.code != "NV01"} == {"nothing was sent"}
    assert len(verdict.does_not_apply) == len(LAWS)


def test_only_takes_codes_families_and_shapes(run):
    """And asks no other law."""
    trace = run().send(DOUBLE).wait(1).again().trace()

    assert [r.code for r in judge(trace, only=["ID04"]).results] == ["ID04"]
    assert [r.code for r in judge(trace, only=["NV", "BK04/early"]).results] == ["BK04", "NV01"]


def test_ignore_takes_codes_families_and_shapes(run):
    """What is left out does not apply, with the reason."""
    trace = run().send(DOUBLE).wait(1).again().trace()

    assert judge(trace, ignore=["ID01"]).codes == ("ID04",)
    assert judge(trace, ignore=["ID"]).ok
    assert judge(trace, ignore=["ID"]).of("ID04").reason == "left out by ignore"


def test_a_shape_that_is_left_out_leaves_the_law_without_a_ruling(run):
    """It neither holds nor is broken."""
    trace = run().send("503", answer={"Retry-After": "5"}).wait(1).again().trace()

    result = judge(trace, ignore=["BK04/early"]).of("BK04")

    assert (result.ruling.value, result.reason) == (
        "does not apply",
        "broken only as BK04/early, which was left out",
    )
    assert judge(trace, only=["BK04/late"]).of("BK04").ruling.value == "does not apply"
    assert judge(trace, only=["BK04/early"]).codes == ("BK04",)


@pytest.mark.parametrize(
    ("name", "near"), [("ID4", "ID04"), ("BK04/erly", "BK04/early"), ("rt01", "RT01"), ("bk04", "BK04")]
)
def test_an_unknown_law_is_refused_with_the_nearest(name, near):
    """The error names argument, value and rule."""
    with pytest.raises(ValueError, match="is no law") as caught:
        judge(Trace("t", 0, ""), ignore=[name])

    assert str(caught.value) == (
        f"ignore: {name!r} is no law; it has to be a code (RT01), a family (RT, BK, ID, CB, LD, NV)"
        f' or a shape (BK04/early); did you mean "{near}"?'
    )


def test_a_bare_string_is_refused():
    """Its letters would be taken for names."""
    with pytest.raises(TypeError, match=r'write only=\("RT01",\)'):
        judge(Trace("t", 0, ""), only="RT01")


@pytest.mark.parametrize("argument", ["only", "ignore"])
@pytest.mark.parametrize("value", [None, 5, True])
def test_what_is_no_collection_is_refused(argument, value):
    """Whoever has nothing to name leaves the argument out."""
    with pytest.raises(TypeError) as caught:
        judge(Trace("t", 0, ""), **{argument: value})

    assert str(caught.value) == (
        f'{argument}={value!r}: it has to be a collection of codes, as in {argument}=("RT01",); or leave it out'
    )


def test_a_name_that_is_no_text_is_refused():
    """A list within the list, say."""
    with pytest.raises(ValueError, match=r"^only: \['RT01'\] is no law; it has to be a code"):
        judge(Trace("t", 0, ""), only=[["RT01"]])


def test_scripts_takes_all_or_closed():
    """Another word is refused."""
    with pytest.raises(ValueError, match='it has to be "all" or "closed"'):
        judge(Trace("t", 0, ""), scripts="some")


def test_of_names_what_was_asked():
    """A law that was not asked has no ruling."""
    with pytest.raises(KeyError, match="RT01 was not asked; asked were: NV01"):
        judge(Trace("t", 0, ""), only=["NV01"]).of("RT01")


def test_the_first_reason_is_told_when_a_law_does_not_apply(run):
    """Later operations do not hide it."""
    one = run().new().send("reset").new().send("503", answer={"Retry-After": "90"}, host="b.test")

    assert judge(one.trace()).of("RT01").reason == (
        "the request is not safe to send again: it has no idempotency key and may have been carried out"
    )


def test_findings_quote_numbered_paths(run):
    """A random id in a path that is the key too reads the same on every machine."""
    one = run().send("404", "PUT", "/payments/9f8e7d6c", key="9f8e7d6c").wait(1).again()

    assert judge(one.trace()).findings[0].headline == (
        "RT02 permanent failure retried: PUT /payments/K1 was sent again after 404"
    )


def steps(trace, policy):
    """Count the calls that all laws together take; what a generator gives counts as one."""
    count = 0

    def tick(*_):
        nonlocal count
        count += 1

    sys.setprofile(tick)
    try:
        judge(trace, policy)
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("policy", [None, Retry(attempts=3)], ids=["no policy", "policy"])
@pytest.mark.parametrize("is_keyed", [True, False])
@pytest.mark.parametrize("fault", ["503", "reset", "reset after-commit", "refuse", "timeout", "400"])
def test_what_is_given_up_takes_time_in_proportion(run, fault, is_keyed, policy):
    """Each operation fails once: what came of it is found without a walk through all that followed."""

    def given_up(operations):
        made = run()
        for number in range(operations):
            made = (made.new() if number else made).send(fault, key=f"k{number}" if is_keyed else None)
        return made.trace()

    few, many = steps(given_up(100), policy), steps(given_up(400), policy)

    assert many < 5 * few
