"""Timelines, failure texts and verdicts, as they are printed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_retrychaos.laws import judge
from pytest_retrychaos.laws.words import counted, listed, seconds, singular
from pytest_retrychaos.text import failure_text, finding_text, moment, timeline, verdict_text
from tests.unit.laws.traces import Run


@pytest.fixture
def run():
    """The trace builder of the law tests."""
    return Run


def test_timeline_numbers_keys_and_aligns_columns(run):
    """Keys become K1 and K2, in order of first appearance."""
    one = run().send("503 retry-after=2", key="5a-key", answer={"Retry-After": "2"}).wait(62)
    one.again("reset after-commit", key="7b-key").wait(40).again("ok", key="5a-key", replayed=True, effects=0)

    assert timeline(one.trace()) == (
        "  t+0.00s    #1  POST /payments  key K1   503, Retry-After: 2                     (503 retry-after=2)\n"
        "  t+62.00s   #2  POST /payments  key K2   committed, then the response was lost   (reset after-commit)\n"
        "  t+102.00s  #3  POST /payments  key K1   201, replayed"
    )


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("refuse", "connection refused"),
        ("dns", "host name not resolved"),
        ("connect-timeout", "no connection in time"),
        ("tls", "TLS handshake failed"),
        ("timeout", "no answer in 5 s"),
        ("timeout after-commit", "committed, then no answer in 5 s"),
        ("reset", "connection reset"),
        ("reset after-commit", "committed, then the response was lost"),
        ("eof", "connection closed with no answer"),
        ("eof after-commit", "committed, then the response was lost"),
        ("stale", "kept-alive connection was closed"),
        ("truncate", "committed, then 200, cut short"),
        ("garbage", "committed, then an answer that is no HTTP"),
        ("502 after-commit", "committed, then 502"),
        ("404", "404"),
        ("ok", "201, committed"),
        ("duplicate", "201, committed 2 times"),
        ("slow=3s", "201, committed"),
        ("down=30s", "connection refused"),
    ],
)
def test_timeline_describes_every_fault(run, fault, words):
    """What the client saw, in words."""
    changes = {"method": None, "target": None, "failed": True} if fault == "down=30s" else {}
    trace = run().send(fault).trace()
    if changes:
        trace = replace(trace, attempts=(replace(trace.attempts[0], effects=0, committed=False, **changes),))

    assert words in [cell.strip() for cell in timeline(trace).split("   ")]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ended_ns": None}, "in flight"),
        ({"cut": True, "failed": True, "committed": False}, "closed by the client"),
        ({"effects": 0}, "201, nothing new"),
        ({"replayed": True, "effects": 0}, "201, replayed"),
        ({"status": None}, "done, committed"),
    ],
)
def test_timeline_describes_other_ends(run, changes, words):
    """An attempt under way, cut, without news, replayed, or without a status."""
    assert words in timeline(run().send("ok", **changes).trace())


def test_timeline_of_reads_has_no_key_column(run):
    """A read needs no key."""
    assert timeline(run().send("ok", "GET").trace()) == "  t+0.00s  #1  GET /payments   200"


def test_timeline_names_hosts_where_there_are_several(run):
    """Failover shows where it went."""
    one = run().send("503", "GET", host="a.test").again("ok", host="b.test")

    assert timeline(one.trace()) == (
        "  t+0.00s  #1  GET a.test/payments   503\n  t+0.00s  #2  GET b.test/payments   200"
    )


def test_timeline_of_one_operation_leaves_others_out(run):
    """Only its own attempts, and those that are marked."""
    one = run().new().send().new().send("ok", "GET", "/items")

    assert timeline(one.trace(), 1) == "  t+0.00s  #2  GET /items   200"
    assert timeline(one.trace(), 1, [(1, "here")]).splitlines()[0].endswith("◄ here")


def test_timeline_loses_its_middle_when_long(run):
    """Marked attempts stay, with the one before."""
    one = run()
    for _ in range(2000):
        one.send("503", "GET").wait(1)

    lines = timeline(one.trace(), 0, [(26, "attempt 26")]).splitlines()

    assert len(lines) == 20
    assert [line for line in lines if "more attempt" in line] == ["  … 16 more attempts", "  … 1 966 more attempts"]
    assert "  t+25.00s    #26    GET /payments   503   ◄ attempt 26" in lines


def test_timeline_shortens_long_targets(run):
    """A long query would push the rest out of sight."""
    line = timeline(run().send("ok", "GET", "/items?q=" + "x" * 100).trace())

    assert "/items?q=" + "x" * 50 + "…  " in line + "  "
    assert len(line) < 100


def test_failure_text_begins_with_all_codes_when_there_are_several(run):
    """The first line makes sense alone."""
    trace = run("reset after-commit, ok").send("reset after-commit").wait(1).again().trace()
    blocks = failure_text(trace, judge(trace)).split("\n\n")

    assert blocks[0] == "ID01, ID04 broken: 2 findings"
    assert [block.split(" ")[0] for block in blocks[1:]] == ["ID01", "ID04"]


def test_failure_text_shows_three_findings_of_a_law(run):
    """And counts the rest."""
    one = run()
    for _ in range(100):
        one.new().send("reset after-commit").wait(1).again()
    trace = one.trace()
    blocks = failure_text(trace, judge(trace, only=["ID04"])).split("\n\n")

    assert blocks[0] == "ID04 broken: 100 findings"
    assert len(blocks) == 5
    assert blocks[-1] == "ID04 and 97 more"


def test_failure_text_is_refused_when_nothing_is_broken(run):
    """There is no failure to tell."""
    trace = run().send().trace()

    with pytest.raises(ValueError, match="no law is broken"):
        failure_text(trace, judge(trace))


def test_failure_text_is_the_same_for_other_random_keys(run):
    """Only what was seen first counts."""
    texts = set()
    for first, second in (("0a-one", "0b-two"), ("ff-one", "00-two")):
        trace = run().send("503", key=first).wait(1).again(key=second).trace()
        texts.add(failure_text(trace, judge(trace)))

    assert len(texts) == 1


def test_finding_text_writes_one_finding(run):
    """As failure_text does."""
    trace = run().send("503", "GET").trace()
    verdict = judge(trace)

    assert finding_text(trace, verdict.findings[0]) == failure_text(trace, verdict)


def test_verdict_text_lists_every_law_with_its_reason(run):
    """What is broken first, then what held, then what does not apply."""
    verdict = judge(run().send("400").wait(1).again().trace(), only=["RT02", "RT03", "BK07"])

    assert verdict_text(verdict) == (
        "RT02  broken          broken 1 time\n"
        "RT03  held            1 operation stayed within the maximum\n"
        "BK07  does not apply  no silence was met"
    )


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [(0, "t+0.00s"), (250_000_000, "t+0.25s"), (1_001_000_000, "t+1.001s"), (3_600_000_000_000, "t+3600.00s")],
)
def test_moment_is_in_seconds(nanoseconds, text):
    """To the hundredth, or to the millisecond."""
    assert moment(nanoseconds) == text


def test_words_have_right_plurals_and_units():
    """One attempt, two retries, a list, a duration."""
    assert (counted(1, "attempt"), counted(2, "retry"), counted(1960, "attempt")) == (
        "1 attempt",
        "2 retries",
        "1 960 attempts",
    )
    assert (listed(["a"]), listed(["a", "b", "c"])) == ("a", "a, b and c")
    assert (seconds(2_000_000_000), seconds(1_500_000)) == ("2 s", "0.002 s")


@pytest.mark.parametrize(
    ("collection", "noun"),
    [
        ("payments", "payment"),
        ("entries", "entry"),
        ("skies", "sky"),
        ("ties", "tie"),
        ("cookies", "cookie"),
        ("boxes", "box"),
        ("dishes", "dish"),
        ("batches", "batch"),
        ("passes", "pass"),
        ("status", "status"),
        ("address", "address"),
        ("analysis", "analysis"),
    ],
)
def test_one_of_a_collection_has_its_singular(collection, noun):
    """As English spells it; a word that only ends in s stays as it is."""
    assert singular(collection) == noun
