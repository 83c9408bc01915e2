"""The assertions about breakers, where nothing is known of them but what they send."""

from __future__ import annotations

import pytest

from pytest_retrychaos.laws import breaker_seen as ask
from pytest_retrychaos.trace import Raised, Told, Trace

OPEN = Told(None, None, (Raised("pybreaker.CircuitBreakerError", ("builtins.Exception",), "open"),))
EMPTY = Trace("t", 0, "")
UNSEEN = "a call that a breaker turns away leaves nothing on the wire: call the code by chaos.call"


def call(run, *faults, told=None):
    """One call in a scope of its own; without a fault, it sends nothing."""
    run.open("fetch", told)
    for fault in faults:
        run.new().send(fault, "GET", "/items")
    return run.close()


def calls(run, *faults):
    """One call for each fault; ``open`` stands for one that is turned away."""
    for fault in faults:
        call(run, told=OPEN) if fault == "open" else call(run, fault)
    return run


def headline(found):
    """The finding's first line, or None."""
    return None if found is None else found.headline


@pytest.mark.parametrize("question", [ask.breaker_opened, ask.breaker_closed, ask.no_traffic_while_open])
def test_nothing_passes_when_nothing_was_sent(question):
    """An empty run proves nothing."""
    assert headline(question(EMPTY)) == "NV01 cannot tell: nothing was sent"


def test_opened_passes_when_a_call_was_turned_away_after_failures(run):
    """With the right number, or none."""
    trace = calls(run(), "503", "503", "503", "open").trace()

    assert ask.breaker_opened(trace) is None
    assert ask.breaker_opened(trace, 3) is None


def test_opened_fails_with_the_number_that_it_took(run):
    """Earlier or later than expected."""
    trace = calls(run(), "503", "503", "503", "open").trace()

    assert headline(ask.breaker_opened(trace, 5)) == ("CB01 the breaker opened after 3 failures in a row, 5 expected")
    assert headline(ask.breaker_opened(trace, 2)) == ("CB01 the breaker opened after 3 failures in a row, 2 expected")


def test_opened_counts_what_may_be_a_failure_either_way(run):
    """A 404 counts to some breakers."""
    trace = calls(run(), "404", "503", "503", "open").trace()

    assert ask.breaker_opened(trace, 2) is None
    assert ask.breaker_opened(trace, 3) is None
    assert headline(ask.breaker_opened(trace, 4)) == (
        "CB01 the breaker opened after 2 to 3 failures in a row, 4 expected"
    )


def test_opened_fails_when_calls_went_on(run):
    """Each was sent."""
    assert headline(ask.breaker_opened(calls(run(), "503", "503", "503").trace())) == (
        "CB01 the breaker did not open: a call was sent after 2 failures in a row"
    )


def test_opened_cannot_tell_when_nothing_was_tried_again(run):
    """A single failure, calls without a scope, or none that failed."""
    assert headline(ask.breaker_opened(calls(run(), "503").trace())) == (
        "NV01 cannot tell: nothing was tried after a failure"
    )
    assert headline(ask.breaker_opened(run().send("503").new().send("503").trace())) == f"NV01 cannot tell: {UNSEEN}"


def test_closed_passes_when_the_last_call_succeeded(run):
    """After an outage."""
    assert ask.breaker_closed(calls(run(), "503", "503", "open", "ok").trace()) is None


def test_closed_fails_when_the_last_call_was_turned_away(run):
    """It is open."""
    assert headline(ask.breaker_closed(calls(run(), "503", "open").trace())) == (
        "CB04 the breaker is open: the last call (fetch) was turned away"
    )


def test_closed_cannot_tell_after_a_failure_or_without_a_scope(run):
    """It may have opened it; or what followed is not seen."""
    assert headline(ask.breaker_closed(calls(run(), "503").trace())) == (
        "NV01 cannot tell: the last call did not succeed (failed): the next one shows what it did"
    )
    assert headline(ask.breaker_closed(run().send("ok", "GET").trace())) == f"NV01 cannot tell: {UNSEEN}"


def test_no_traffic_passes_when_calls_were_turned_away(run):
    """A probe later is none."""
    assert ask.no_traffic_while_open(calls(run(), "503", "open", "open").trace()) is None
    assert ask.no_traffic_while_open(calls(calls(run(), "503", "open").wait(30), "503", "open").trace()) is None
    assert ask.no_traffic_while_open(calls(calls(run(), "503", "open").wait(30), "ok", "ok").trace()) is None


def test_no_traffic_fails_when_a_call_was_sent_at_the_same_moment(run):
    """No cooldown is that short."""
    assert headline(ask.no_traffic_while_open(calls(run(), "503", "open", "503").trace())) == (
        "CB02 traffic while open: GET /items was sent 0 s after the circuit was seen to be open"
    )
    assert headline(ask.no_traffic_while_open(calls(calls(run(), "503", "open").wait(30), "503", "503").trace())) == (
        "CB02 traffic while open: GET /items was sent 0 s after the circuit was seen to be open"
    )


def test_no_traffic_cannot_tell_when_none_was_turned_away(run):
    """The breaker was never seen open."""
    assert headline(ask.no_traffic_while_open(calls(run(), "503", "ok").trace())) == (
        f"NV01 cannot tell: no call was seen to be turned away; {UNSEEN}"
    )


def test_opened_counts_at_each_host(run):
    """A breaker has one circuit for each, whatever is asked of it there; and another host's failures are not its."""
    one = run()
    for host, path in (("a.test", "/items"), ("b.test", "/items"), ("a.test", "/orders")):
        one.open(host).new().send("503", "GET", path, host=host).close()
    trace = one.open("a.test", OPEN).close().trace()

    assert ask.breaker_opened(trace, 2) is None
    assert headline(ask.breaker_opened(trace, 3)) == "CB01 the breaker opened after 2 failures in a row, 3 expected"


def test_opened_counts_attempts_or_calls(run):
    """A breaker stands around the retries of a call, or within them."""
    trace = call(call(call(run(), "503", "503"), "503", "503"), told=OPEN).trace()

    assert ask.breaker_opened(trace, 4) is None
    assert ask.breaker_opened(trace, 2) is None


def test_opened_counts_the_attempts_of_calls_that_went_on(run):
    """Three had failed, two of them in one call, when the last call was sent."""
    assert headline(ask.breaker_opened(call(call(call(run(), "503", "503"), "503"), "503").trace())) == (
        "CB01 the breaker did not open: a call was sent after 3 failures in a row"
    )


def test_no_traffic_is_told_whole(run):
    """With what to do about it."""
    found = ask.no_traffic_while_open(calls(run(), "503", "open", "503").trace())

    assert (found.marks, found.why, found.fix) == (
        ((2, "sent all the same"),),
        "the service gets no rest, and who has to be told at once waits instead",
        "ask the breaker before every request, and keep one breaker for all who call the service",
    )


def test_closed_is_told_whole(run):
    """With what to do about it."""
    found = ask.breaker_closed(calls(run(), "503", "open").trace())

    assert (found.marks, found.why, found.fix) == (
        ((1, "the next call was turned away"),),
        "callers are cut off until it closes",
        "advance the clock by the cooldown (chaos.clock.advance), and let a call succeed",
    )


def test_no_traffic_names_a_connection_that_was_refused(run):
    """It was tried, though no request went out."""
    assert headline(ask.no_traffic_while_open(calls(run(), "503", "open", "refuse").trace())) == (
        "CB02 traffic while open: a connection api.test was sent 0 s after the circuit was seen to be open"
    )
