"""CB01 to CB04: breakers that keep their promise, breakers that do not, and what the wire cannot tell."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_retrychaos.engine.breaker_policy import BreakerPolicy
from pytest_retrychaos.trace import Raised, Told

THREE = BreakerPolicy(threshold=3, cooldown=30)
OPEN = Told(None, None, (Raised("pybreaker.CircuitBreakerError", ("builtins.Exception",), "open"),))
FAILED = Told(None, None, (Raised("requests.exceptions.HTTPError", ("builtins.OSError",), "503"),))
DONE = Told(True, "200")


def call(run, *faults, told=None, path="/items", **changes):
    """One call of the code under test, in a scope of its own; without a fault, it sends nothing."""
    run.open("fetch", told or (DONE if faults and faults[-1] == "ok" else FAILED))
    for number, fault in enumerate(faults):
        if number == 0:
            run.new()
        run.send(fault, "GET", path, **changes)
    return run.close()


def refused(run, told=OPEN):
    """One call that the breaker turned away."""
    return call(run, told=told)


def refused_late(run, seconds):
    """One call that tried for so long, and was turned away at last."""
    return run.open("fetch", OPEN).wait(seconds).close()


def failed(run, times, fault="503"):
    """Calls that fail, one after the other."""
    for _ in range(times):
        call(run, fault)
    return run


def opened(run):
    """A breaker that opened at its threshold and turned a call away."""
    return refused(failed(run, 3))


@pytest.fixture
def cb(run, ruling):
    """Build a run and give what the four laws say of it."""

    def judge(build, breaker=THREE):
        one = build(run())
        return [ruling(one, code, breaker=breaker) for code in ("CB01", "CB02", "CB03", "CB04")]

    return judge


HELD, NOT_ASKED = ("held",), ("does not apply",)


def broken(shape):
    """Broken, by one finding."""
    return ("broken", shape)


# without a policy


def test_no_law_of_breakers_applies_without_a_policy(cb):
    """Nothing is known of its threshold."""
    assert cb(opened, None) == [NOT_ASKED] * 4


# opening


def test_a_breaker_that_opens_at_its_threshold_is_right(cb):
    """Three failures, and nothing is sent any more."""
    assert cb(opened) == [HELD, HELD, NOT_ASKED, NOT_ASKED]


def test_a_breaker_that_says_so_at_the_call_that_opens_it_is_right(cb):
    """pybreaker raises its own error already for the failure that reaches the threshold."""
    assert cb(lambda one: call(failed(one, 2), "503", told=OPEN)) == [HELD, NOT_ASKED, NOT_ASKED, NOT_ASKED]


def test_a_breaker_that_never_opens_is_late(cb):
    """The fourth call is sent after three failures."""
    assert cb(lambda one: failed(one, 4)) == [broken("CB01/late"), NOT_ASKED, NOT_ASKED, NOT_ASKED]


def test_a_breaker_that_opens_one_failure_too_late_is_late(cb):
    """A comparison with the wrong sign."""
    assert cb(lambda one: refused(failed(one, 4)))[0] == broken("CB01/late")


def test_a_breaker_that_opens_one_failure_too_early_is_early(cb):
    """Two failures, and the next call is turned away."""
    assert cb(lambda one: refused(failed(one, 2)))[0] == broken("CB01/early")


def test_a_breaker_that_says_too_early_that_it_opened_is_early(cb):
    """The same, told by the error of the second call."""
    assert cb(lambda one: call(failed(one, 1), "503", told=OPEN))[0] == broken("CB01/early")


def test_a_success_begins_the_count_anew(cb):
    """Two failures, a success, two failures: every call is sent."""
    assert cb(lambda one: call(failed(call(failed(one, 2), "ok"), 2), "ok"))[0] == NOT_ASKED


def test_a_count_that_a_success_does_not_clear_is_early(cb):
    """Failures are added up for ever."""
    assert cb(lambda one: refused(failed(call(failed(one, 2), "ok"), 1)))[0] == broken("CB01/early")


@pytest.mark.parametrize("fault", ["404", "429", "501", "truncate"])
def test_what_only_the_breaker_knows_counts_either_way(cb, fault):
    """With it or without it, both are right."""
    assert cb(lambda one: refused(failed(failed(one, 2), 1, fault)))[0] == NOT_ASKED
    assert cb(lambda one: failed(failed(one, 2), 1, fault))[0] == NOT_ASKED
    assert cb(lambda one: refused(failed(failed(one, 2, fault), 3)))[0] == HELD


@pytest.mark.parametrize("status", [302, 404])
def test_an_answer_that_is_no_success_counts_either_way_though_it_is_no_failure(cb, status):
    """A service's own refusal, or a redirect that is not followed."""

    def with_answer(one, more):
        return failed(call(failed(one, 2), "ok", status=status), more)

    assert cb(lambda one: refused(with_answer(one, 1)))[0] == NOT_ASKED
    assert cb(lambda one: refused(with_answer(one, 3)))[0] == HELD


@pytest.mark.parametrize("fault", ["500", "502", "timeout", "reset", "eof", "refuse"])
def test_every_sure_failure_counts(cb, fault):
    """A breaker that does not see them is late."""
    assert cb(lambda one: failed(one, 4, fault))[0] == broken("CB01/late")


def test_nothing_tried_after_the_threshold_tells_nothing(cb):
    """The test stopped, or the breaker: that is not known."""
    assert cb(lambda one: failed(one, 3)) == [NOT_ASKED] * 4


def test_calls_without_a_scope_tell_nothing_of_what_was_turned_away(cb):
    """Nothing on the wire, nothing in the record."""
    assert cb(lambda one: one.send("503").wait(1).again("503").wait(1).again("503").wait(60).again())[0] == NOT_ASKED


def test_attempts_without_a_scope_show_a_breaker_that_never_opens(cb):
    """What was sent is on the wire."""
    assert cb(lambda one: one.send("503").new().send("503").new().send("503").new().send("503"))[0] == (
        broken("CB01/late")
    )


def test_a_breaker_that_is_open_from_the_start_tells_nothing(cb):
    """It is older than the test."""
    assert cb(refused) == [NOT_ASKED] * 4
    assert cb(lambda one: call(refused(one), "ok")) == [NOT_ASKED] * 4


def test_a_call_that_sends_nothing_for_a_reason_of_its_own_is_no_early_opening(cb):
    """A wrong argument, say."""
    assert cb(lambda one: call(failed(one, 1), told=FAILED))[0] == NOT_ASKED


def test_a_call_that_falls_back_counts_as_turned_away_after_the_threshold(cb):
    """A breaker's fallback gives a value."""
    assert cb(lambda one: refused(failed(one, 3), told=Told(None, "[]")))[:2] == [HELD, HELD]


# where it stands


def test_a_breaker_around_the_retries_counts_calls(cb):
    """Three calls of three attempts each."""

    def around(one):
        for _ in range(3):
            call(one, "503", "503", "503")
        return refused(one)

    assert cb(around)[:2] == [HELD, HELD]


def test_a_breaker_inside_the_retries_counts_attempts(cb):
    """It ends the second call after its first attempt."""
    assert cb(lambda one: refused(call(call(one, "503", "503"), "503", told=OPEN)))[:2] == [HELD, HELD]


def test_a_breaker_that_fits_neither_count_is_caught(cb):
    """Four attempts in two calls."""
    assert cb(lambda one: refused(call(call(one, "503", "503"), "503", "503")))[0][0] == "broken"


def test_a_breaker_that_fits_neither_count_is_told_in_the_one_that_explains_more(cb):
    """By attempts it is late at the fourth, by calls early after the second: four events against six."""
    assert cb(lambda one: refused(call(call(one, "503", "503"), "503", "503")))[0] == broken("CB01/late")


def test_one_breaker_for_each_host_is_right(cb):
    """Each host has its own count."""

    def two_hosts(one):
        for _ in range(2):
            call(one, "503", host="a.test")
            call(one, "503", host="b.test")
        call(one, "503", host="a.test")
        return call(one, "503", host="b.test")

    assert cb(two_hosts)[0] == NOT_ASKED


def test_one_breaker_for_each_function_is_right(cb):
    """A decorator on each of two functions that call the same host."""

    def two_functions(one):
        for _ in range(2):
            call(one, "503", path="/items/7")
            call(one, "503", path="/orders")
        call(one, "503", path="/items/8")
        return call(one, "503", path="/orders")

    assert cb(two_functions)[0] == NOT_ASKED


def test_one_breaker_for_each_function_of_two_below_one_item_is_right(cb):
    """What an item is called by is no part of a function; the words before and after it are."""

    def two_functions(one):
        for number in (7, 8):
            call(one, "503", path=f"/items/{number}/lines")
            call(one, "503", path=f"/items/{number}/notes")
        return call(one, "503", path="/items/9/lines")

    assert cb(two_functions)[0] == NOT_ASKED


def test_one_breaker_for_a_whole_client_is_right(cb):
    """Failures at three hosts open it."""

    def client(one):
        for host in "abc":
            call(one, "503", host=f"{host}.test")
        return refused(one)

    assert cb(client)[0] != broken("CB01/early")


# while open


def test_traffic_while_open_is_caught(cb):
    """It opened, as is seen, and lets a call through after ten seconds."""
    assert cb(lambda one: failed(opened(one).wait(10), 1)) == [HELD, broken("CB02"), NOT_ASKED, NOT_ASKED]


def test_a_retry_that_goes_around_the_breaker_is_caught(cb):
    """The call that was told that the circuit is open goes on."""
    assert cb(lambda one: call(opened(one), "503"))[1] == broken("CB02")


def test_a_call_that_was_under_way_when_the_circuit_opened_is_no_traffic(cb):
    """It began before."""

    def under_way(one):
        failed(one, 2)
        one.open("fetch", FAILED).new().send("503", "GET", "/items", lineage=2, lasts=5, joined="began")
        one.close()
        one.now -= 4_000_000_000
        failed(one, 1)
        return refused(one)

    assert cb(under_way)[0][0] != "broken"


def test_a_call_of_another_thread_at_the_same_moment_tells_nothing(cb):
    """Before or after the opening? Nobody can say."""

    def same_moment(one):
        return failed(one, 3).new().send("503", "GET", "/items", lineage=2)

    assert cb(same_moment) == [NOT_ASKED] * 4


def test_a_call_in_a_scope_that_was_opened_after_another_had_ended_came_after_it(cb):
    """Each in a task of its own, one after the other."""
    assert cb(lambda one: call(failed(one, 3), "503", lineage=2))[0] == broken("CB01/late")


def test_a_call_that_waited_for_a_connection_since_before_tells_nothing(cb):
    """The breaker had let it through, and the pool made it wait."""

    def queued(one):
        one.open("fetch", FAILED)
        waiting = one.scope
        one.scope = None
        failed(one.wait(1), 3)
        one.wait(5).new().send("503", "GET", "/items", lineage=2, scope=waiting)
        return one

    assert cb(queued)[0] == NOT_ASKED


def test_a_circuit_that_may_have_opened_earlier_may_probe_earlier(cb):
    """A success and a failure at one moment: in which order is not known."""

    def mixed(one):
        call(one, "ok", lineage=2)
        call(one, "503", lineage=3)
        one.open("fetch", FAILED).new().send("timeout", "GET", "/items", lineage=4, lasts=5, joined="began")
        one.attempts[-1] = replace(one.attempts[-1], scope=0)
        one.close()
        return call(one.wait(5), "ok")

    assert cb(mixed, BreakerPolicy(threshold=1, cooldown=10))[0][0] != "broken"


def beside(one, *calls):
    """Calls that begin at this moment, each in a thread of its own; the run goes on at the same moment."""
    began, ended = one.now, one.ended_scopes
    for lineage, (fault, lasts) in enumerate(calls, start=2):
        call(one, fault, lineage=lineage, lasts=lasts)
        one.scopes[-1] = replace(one.scopes[-1], came_after=ended)
        one.now = began
    return one


def test_a_success_in_a_crowd_of_failures_leaves_open_how_many_came_in_a_row(cb):
    """Five threads at one moment, one of which got a 404: it may have come in the middle."""

    def crowd(one):
        return failed(beside(one, ("404", 0), *[("503", 0)] * 4).wait(1), 1)

    assert cb(crowd)[0] == NOT_ASKED


def test_a_success_at_the_moment_of_two_failures_may_have_come_before_them(cb):
    """Three threads without a scope, the success seen last: with one more failure there may be three in a row."""

    def at_once(one):
        for lineage, fault in ((2, "503"), (3, "503"), (4, "ok")):
            one.new().send(fault, "GET", "/items", lineage=lineage)
        return refused(failed(one.wait(1), 1))

    assert cb(at_once)[0] == NOT_ASKED


def test_a_late_success_does_not_close_a_circuit_that_may_have_opened(cb):
    """It had been let through before, and tells nothing of what came since: ten seconds later a probe is due."""

    def late(one):
        beside(one, ("ok", 0), ("503", 0), ("ok", 3), ("timeout", 5))
        return call(one.wait(10.5), "ok")

    assert "broken" not in [verdict[0] for verdict in cb(late, BreakerPolicy(threshold=1, cooldown=10))]


def test_what_began_before_the_circuit_closed_may_count_no_more(cb):
    """Three calls that outlast the whole outage and time out; then two failures, which are too few, and a third."""

    def late(one):
        opened(beside(one, *[("timeout", 60)] * 3))
        failed(call(one.wait(31), "ok"), 2)
        return failed(one.wait(40), 1)

    assert cb(late)[0] == HELD


def test_what_began_before_a_probe_that_tells_nothing_may_count_no_more(cb):
    """A call outlasts the outage and times out after a 404: with two failures more there are not surely three."""

    def late(one):
        opened(beside(one, ("timeout", 60)))
        failed(one.wait(31), 1, "404")
        return failed(one.wait(40), 3)

    assert cb(late)[0] == HELD


CANCELLED = Told(None, None, (Raised("asyncio.exceptions.CancelledError", ("builtins.BaseException",), ""),))
LATE = Told(None, None, (Raised("httpx.ReadTimeout", ("builtins.Exception",), ""),))
CLOSED = "timeout: closed by the client while the service was silent"


@pytest.mark.parametrize(("told", "verdict"), [(CANCELLED, NOT_ASKED), (LATE, ("broken", "CB01/late"))])
def test_a_deadline_around_the_breaker_is_no_failure_to_it(cb, told, verdict):
    """It is told of a cancellation only; of the client's own time limit it is told."""

    def cut(one):
        for _ in range(4):
            call(one, "timeout", told=told, error=CLOSED)
        return one

    assert cb(cut)[0] == verdict


def test_a_limit_that_a_call_told_of_is_the_limit_of_its_other_attempts(cb):
    """Each of four calls retried inside of itself, and told of the last one only."""

    def patient(one):
        for _ in range(4):
            call(one, "timeout", "timeout", told=LATE, error=CLOSED)
        return one

    assert cb(patient)[0] == broken("CB01/late")


def test_a_deadline_after_an_answer_that_never_came_is_a_failure_all_the_same(cb):
    """The service was at fault, and the breaker was told so before."""

    def late(one):
        for _ in range(4):
            call(one, "timeout", told=Told(None, None, (Raised("builtins.TimeoutError", (), ""),)))
        return one

    assert cb(late)[0] == broken("CB01/late")


GROUP = Told(None, None, (Raised("builtins.BaseExceptionGroup", ("builtins.BaseException",), ""),))


@pytest.mark.parametrize(("told", "verdict"), [(GROUP, NOT_ASKED), (LATE, ("broken", "CB01/late"))])
def test_a_deadline_may_end_a_connect_on_an_event_loop(cb, told, verdict):
    """trio's cancellation comes in a group; where the client told of its own limit it was none."""

    def cut(one):
        for _ in range(4):
            call(one, "connect-timeout", told=told, timeout_ns=None)
        return one

    assert cb(cut)[0] == verdict


def test_a_deadline_may_end_a_call_in_its_wait(cb):
    """The attempts have failed, and a breaker around them was told of a cancellation only."""

    def cut(one):
        for _ in range(4):
            call(one, "503", told=CANCELLED)
        return one

    assert cb(cut)[0] == NOT_ASKED


# half open


def test_a_failed_probe_opens_the_circuit_again(cb):
    """One probe, then nothing for another cooldown."""
    assert cb(lambda one: refused(failed(opened(one).wait(30), 1))) == [HELD, HELD, NOT_ASKED, HELD]


def test_a_probe_at_the_end_of_the_cooldown_is_none_too_early(cb):
    """To the millisecond."""
    assert cb(lambda one: failed(opened(one).wait(29.9995), 1))[1] == HELD


def test_a_breaker_that_is_closed_by_time_alone_is_caught(cb):
    """After the cooldown it lets everything through until the threshold."""
    assert cb(lambda one: failed(opened(one).wait(30), 2)) == [HELD, HELD, NOT_ASKED, broken("CB04/stays-closed")]


def test_a_loop_that_had_begun_within_the_cooldown_may_be_turned_away_after_it(cb):
    """When it asked is not seen: another call may have been the probe by then."""
    assert cb(lambda one: refused_late(opened(one).wait(28), 5))[2] == NOT_ASKED
    assert cb(lambda one: refused_late(opened(one).wait(31), 5))[2] == broken("CB03/no-probe")


def test_a_successful_probe_closes_the_circuit(cb):
    """What follows is sent."""
    assert cb(lambda one: call(call(opened(one).wait(31), "ok"), "ok")) == [HELD, HELD, NOT_ASKED, HELD]


def test_a_breaker_that_does_not_close_is_caught(cb):
    """It turns calls away after a probe that succeeded."""
    assert cb(lambda one: refused(call(opened(one).wait(31), "ok")))[3] == broken("CB04/stays-open")


def test_a_loop_that_had_begun_beside_the_probe_may_be_turned_away_after_it(cb):
    """When it asked is not seen: the circuit may have been half open still."""

    def beside(one, since):
        call(opened(one).wait(31), "ok", lasts=0.9)
        one.now += round(since * 1_000_000_000)
        return refused_late(one, 5)

    assert cb(lambda one: beside(one, -0.5))[3] == NOT_ASKED
    assert cb(lambda one: beside(one, 0.1))[3] == broken("CB04/stays-open")


def test_a_breaker_that_keeps_its_count_after_closing_is_caught(cb):
    """The first failure after the recovery opens it."""
    assert cb(lambda one: refused(failed(call(opened(one).wait(31), "ok"), 1)))[0] == broken("CB01/early")


def test_a_slow_probe_may_be_a_failure_to_the_breaker(cb):
    """Some count calls that take too long; the circuit stays open, and opens again after its cooldown."""
    assert cb(lambda one: refused(call(opened(one).wait(31), "ok", lasts=3)))[3] == NOT_ASKED
    assert cb(lambda one: refused(call(opened(one).wait(31), "ok", lasts=0.9)))[3] == broken("CB04/stays-open")


def test_slow_successes_may_count_towards_the_threshold(cb):
    """Two that took three seconds, and a failure."""
    assert cb(lambda one: refused(failed(call(call(one, "ok", lasts=3), "ok", lasts=3), 1)))[0] == NOT_ASKED


def test_two_probes_side_by_side_are_caught(cb):
    """The second call is sent while the first has not ended."""

    def two_probes(one):
        call(opened(one).wait(31), "ok", lasts=2)
        one.now -= 2_000_000_000
        return call(one, "ok", lineage=2, lasts=2)

    assert cb(two_probes) == [HELD, HELD, broken("CB03/two-probes"), NOT_ASKED]


def test_a_call_turned_away_beside_the_probe_is_right(cb):
    """One call goes through, the others wait for what it finds."""

    def one_probe(one):
        call(opened(one).wait(31), "ok", lasts=2)
        one.now -= 1_000_000_000
        refused(one)
        return one.wait(1)

    assert cb(one_probe) == [HELD, HELD, HELD, NOT_ASKED]


def test_a_call_turned_away_before_the_probe_has_sent_anything_is_right(cb):
    """Two tasks at one moment: the first has the place, and still connects."""

    def beside(one):
        opened(one).wait(31).open("fetch", DONE)
        probe = one.scope
        refused(one)
        return one.new().send("ok", "GET", "/items", scope=probe)

    assert cb(beside) == [HELD, HELD, HELD, NOT_ASKED]


def test_a_call_turned_away_at_the_moment_when_the_probe_succeeds_is_right(cb):
    """The answer has come, and the breaker has not seen it yet."""

    def beside(one):
        opened(one).wait(31).open("fetch", DONE)
        probe = one.scope
        one.new().send("ok", "GET", "/items", lasts=2)
        refused(one)
        one.scopes[probe] = replace(one.scopes[probe], ended_ns=one.now, ended_after=4, ended_as=6)
        return one

    assert cb(beside) == [HELD, HELD, HELD, NOT_ASKED]


def test_a_probe_that_takes_too_long_leaves_its_place(cb):
    """The policy says for how long it is waited for."""

    def overdue(one):
        call(opened(one).wait(31), "ok", lasts=20)
        one.now -= 9_000_000_000
        return call(one, "ok", lineage=2)

    assert cb(overdue, BreakerPolicy(threshold=3, cooldown=30, probe_timeout=10))[2] == NOT_ASKED
    assert cb(overdue)[2] == broken("CB03/two-probes")


def test_a_breaker_that_sends_no_probe_is_caught(cb):
    """It stays open long after its cooldown."""
    assert cb(lambda one: refused(opened(one).wait(45)))[2] == broken("CB03/no-probe")


def test_a_call_that_sent_nothing_before_the_probe_began_was_not_turned_away_beside_it(cb):
    """It proves nothing about probes."""
    assert cb(lambda one: call(refused(opened(one).wait(45), FAILED), "ok"))[2] == NOT_ASKED


def test_a_breaker_of_another_name_that_sends_no_probe_is_not_said_to_be_caught(run, reason):
    """What stopped the call may have been something else; the reason says what would settle it."""
    one = refused(opened(run()).wait(45), told=Told(None, None, (Raised("app.Resting", ("builtins.Exception",), ""),)))

    assert reason(one, "CB03", breaker=THREE) == (
        "a call sent nothing once the cooldown was over, and nothing says that it was a breaker that stopped it:"
        " let its error have circuit or breaker in its name"
    )


def test_a_probe_that_tells_nothing_leaves_open_what_comes(cb):
    """A 404: closed, half open or open again, all may be right."""
    assert cb(lambda one: failed(failed(opened(one).wait(31), 1, "404"), 1))[3] == NOT_ASKED
    assert cb(lambda one: refused(failed(opened(one).wait(31), 1, "404")))[3] == NOT_ASKED


def test_a_circuit_that_turns_away_after_such_a_probe_may_have_been_open_all_along(cb):
    """The cooldown is over since then, perhaps: six seconds later a probe is none too early."""

    def all_along(one):
        return failed(refused(failed(opened(one).wait(30), 1, "404").wait(1)).wait(5), 1)

    assert cb(all_along)[:2] == [HELD, HELD]


def test_a_call_at_the_moment_when_a_circuit_is_seen_to_be_open_tells_nothing(cb):
    """In another thread: before or after?"""

    def same_moment(one):
        return refused(failed(failed(one, 2), 1, "404")).new().send("503", "GET", "/items", lineage=2)

    assert cb(same_moment)[1] == NOT_ASKED


def test_a_late_success_of_a_call_from_before_leaves_open_what_comes(cb):
    """Some breakers close at it, and some take no notice."""

    def late(one):
        call(one, "ok", lineage=2, lasts=9)
        one.now -= 8_000_000_000
        failed(one, 3)
        refused(one)
        one.wait(10)
        return failed(one, 1)

    assert [verdict[0] for verdict in cb(late)] == ["held", "held", "does not apply", "does not apply"]


def test_a_call_that_took_time_before_it_was_turned_away_may_have_failed_unseen(cb):
    """It waited for a full pool, and that counted."""

    def waited(one):
        failed(one, 2).open("fetch", OPEN)
        return one.wait(5).close()

    assert cb(waited)[0] == NOT_ASKED


def test_calls_side_by_side_may_have_failed_unseen(cb):
    """Two at once, one of them in a pool that was full."""

    def crowded(one):
        call(one, "timeout", lineage=2)
        one.now -= 5_000_000_000
        return refused(call(one, "timeout", lineage=3))

    assert cb(crowded)[0] == NOT_ASKED


def test_a_breakers_error_beneath_the_last_one_is_no_trip(cb):
    """The call failed over to another host, whose breaker is closed."""
    chain = (Raised("requests.exceptions.ConnectionError", ("builtins.OSError",), "reset"), *OPEN.raised)

    assert cb(lambda one: call(one, "reset", told=Told(None, None, chain)))[0] == NOT_ASKED


def test_an_error_derived_from_a_breakers_is_one(cb):
    """The code's own class for it."""
    derived = Raised("app.Unavailable", ("pybreaker.CircuitBreakerError", "builtins.Exception"), "open")

    assert cb(lambda one: refused(failed(one, 2), told=Told(None, None, (derived,))))[0] == broken("CB01/early")


def test_a_success_that_the_code_takes_for_a_failure_counts_either_way(cb):
    """A 200 with a body that it could not read."""

    def unread(one):
        call(failed(one, 1), "ok", told=FAILED)
        return refused(failed(one, 1))

    assert cb(unread)[0][0] != "broken"


def test_a_function_that_calls_two_hosts_does_not_tell_whose_circuit_is_open(cb):
    """Each may have failed before the test knew."""

    def two_hosts(one):
        call(one, "503", host="a.test")
        return refused(call(one, "503", host="b.test"))

    assert cb(two_hosts)[0] == NOT_ASKED


def test_a_scope_around_others_is_no_call_that_sent_nothing(cb):
    """What was sent inside belongs to the inner ones."""

    def nested(one):
        one.open("all")
        outer = one.scope
        failed(one, 1)
        one.scopes[outer] = replace(one.scopes[outer], ended_ns=one.now, ended_after=1, ended_as=2)
        return failed(one, 3)

    assert cb(nested)[0] == broken("CB01/late")


def test_a_call_of_another_thread_that_began_later_came_after(cb):
    """A second later is later."""
    assert cb(lambda one: call(failed(one, 3).wait(1), "503", lineage=2))[0] == broken("CB01/late")


def test_nothing_tried_within_the_cooldown_is_said_to_be_so(run, reason):
    """The next call is the probe."""
    assert reason(call(failed(run(), 3).wait(31), "ok"), "CB01", breaker=THREE) == (
        "nothing was tried while the circuit should have been open: call the code by chaos.call within the cooldown"
    )


def test_a_failure_from_before_may_begin_the_cooldown_anew(cb):
    """A call that was under way when the circuit opened fails five seconds later."""

    def late(one):
        one.open("fetch", FAILED).new().send("timeout", "GET", "/items", lineage=2, lasts=5, joined="began")
        one.close()
        one.now -= 5_000_000_000
        refused(failed(one, 3))
        return refused(one.wait(33))

    assert cb(late)[2] == NOT_ASKED


def test_a_hedge_of_the_probe_is_no_second_probe(cb):
    """It is the same call, sent twice."""

    def hedged(one):
        opened(one).wait(31).open("fetch", DONE).new().send("ok", "GET", "/items", lasts=2)
        one.now -= 1_000_000_000
        return one.send("ok", "GET", "/items", joined="hedge", lineage=2, lasts=2).close()

    assert cb(hedged)[2] == NOT_ASKED


def test_a_call_turned_away_when_a_late_success_comes_tells_nothing_of_what_follows(cb):
    """circuitbreaker closes at the success of a call from before: at one moment, what was first is not known."""

    def late(one):
        call(one, "ok", lineage=2, lasts=6)
        one.now -= 3_000_000_000
        failed(one, 3)
        one.wait(3)
        refused(one)
        return call(one, "503", lineage=3)

    assert cb(late)[1] == NOT_ASKED


# by a rate

HALF = BreakerPolicy(failure_rate=0.5, minimum_calls=4, window=60, cooldown=30)


def test_a_breaker_that_opens_by_its_rate_is_right(cb):
    """Two of four."""
    assert cb(lambda one: refused(failed(call(call(one, "ok"), "ok"), 2)), HALF)[:2] == [HELD, HELD]


def test_a_breaker_that_does_not_open_at_its_rate_is_late(cb):
    """Two of four, and the fifth is sent."""
    assert cb(lambda one: failed(call(call(one, "ok"), "ok"), 3), HALF)[0] == broken("CB01/late")


def test_a_breaker_that_opens_below_its_minimum_of_calls_is_early(cb):
    """Two of two."""
    assert cb(lambda one: refused(failed(one, 2)), HALF)[0] == broken("CB01/early")


def test_the_window_of_a_rate_slides_over_earlier_successes(cb):
    """Five failures after six successes of the same minute are less than half."""

    def dilute(one):
        call(one, "ok")
        one.wait(50)
        for _ in range(6):
            call(one, "ok")
        return call(failed(one.wait(11), 5), "ok")

    assert cb(dilute, HALF)[0] == NOT_ASKED


def test_the_window_of_a_rate_slides_over_earlier_failures(cb):
    """Four failures within a minute, though the last comes in the second one."""

    def slide(one):
        failed(one.wait(20), 2)
        failed(one.wait(39), 1)
        return refused(failed(one.wait(2), 1))

    assert cb(slide, HALF)[0] == HELD


def test_the_window_of_a_rate_forgets_earlier_failures(cb):
    """Three, and two minutes later three more: four were never in one window, so that every call is sent."""
    assert cb(lambda one: failed(failed(one, 3).wait(120), 3), HALF)[0] == NOT_ASKED


def test_the_window_of_a_rate_may_be_counted_in_tenths(cb):
    """The fourth failure comes 57 seconds after the first, whose tenth may be gone by then: the fifth may be sent."""
    assert cb(lambda one: failed(failed(one, 1).wait(57), 4), HALF)[0] == NOT_ASKED


# closing after more than one success


TWICE = BreakerPolicy(threshold=3, cooldown=30, successes=2)


def test_a_circuit_that_closes_after_two_probes_is_right(cb):
    """The second closes it, and the next call goes through."""
    assert cb(lambda one: failed(call(call(opened(one).wait(30), "ok"), "ok"), 1), TWICE) == [HELD] * 2 + [
        NOT_ASKED,
        HELD,
    ]


def test_a_call_turned_away_after_the_first_of_two_probes_is_caught(cb):
    """Half open, and none is under way: the next one is the second probe."""
    assert cb(lambda one: refused(call(opened(one).wait(30), "ok")), TWICE)[3] == broken("CB04/stays-open")


def test_a_call_turned_away_after_the_first_of_two_probes_is_told_whole(run, text):
    """With what opened the circuit, and the probe."""
    assert text(refused(call(opened(run()).wait(30), "ok")), "CB04", breaker=TWICE).splitlines()[:7] == [
        "CB04 not closed again: fetch was turned away although the probe #4 had succeeded",
        "  t+0.00s   #1  GET /items   503",
        "  t+0.00s   #2  GET /items   503",
        "  t+0.00s   #3  GET /items   503   ◄ the circuit is open from here on",
        "  t+0.00s  –   fetch sent nothing",
        "  t+30.00s  #4  GET /items   200   ◄ the probe; the next call was turned away",
        "  t+30.00s  –   fetch sent nothing",
    ]


def refused_beside_another(one, probes):
    """So many probes that succeeded; then one call that has sent nothing yet, and one that is turned away."""
    opened(one).wait(30)
    for _ in range(probes):
        call(one, "ok")
    one.open("fetch", DONE)
    next_one = one.scope
    refused(one.wait(1))
    return one.new().send("ok", "GET", "/items", scope=next_one)


@pytest.mark.parametrize("successes", [1, 2])
def test_a_breaker_that_may_want_one_success_more_is_told_how_to_say_so(run, text, cb, successes):
    """A call turned away beside another one may have met a circuit that was half open still: so it is judged then."""
    policy, wider = (BreakerPolicy(threshold=3, cooldown=30, successes=number) for number in (successes, successes + 1))

    assert text(refused_beside_another(run(), successes), "CB04", breaker=policy).splitlines()[-1] == (
        f"  or    does it close only after more successes? BreakerPolicy(successes={successes + 1})"
    )
    assert cb(lambda one: refused_beside_another(one, successes), wider)[3] == NOT_ASKED


@pytest.mark.parametrize(("policy", "probes"), [(THREE, 1), (TWICE, 1), (TWICE, 2)])
def test_a_call_turned_away_alone_after_a_probe_is_no_matter_of_more_successes(run, text, policy, probes):
    """A circuit that is half open has to let it through, however many it wants."""
    one = opened(run()).wait(30)
    for _ in range(probes):
        call(one, "ok")

    assert "successes" not in text(refused(one), "CB04", breaker=policy)


def test_an_early_opening_is_told_with_one_success_more_than_was_given(run, text, cb):
    """A breaker that wants three is half open after two, one failure opens it, and so judged it is right."""

    def fails_after_two(one):
        return refused(failed(call(call(opened(one).wait(30), "ok"), "ok"), 1))

    assert text(fails_after_two(run()), "CB01", breaker=TWICE).endswith(
        "if it closes only after more successes: BreakerPolicy(successes=3)"
    )
    assert cb(fails_after_two, BreakerPolicy(threshold=3, cooldown=30, successes=3)) == [HELD, HELD, NOT_ASKED, HELD]


def test_a_loop_that_had_begun_beside_the_first_of_two_probes_may_be_turned_away_after_it(cb):
    """It was turned away while the probe was under way."""

    def beside_the_probe(one):
        call(opened(one).wait(30), "ok", lasts=0.5)
        refused(one)
        one.scopes[-1] = replace(one.scopes[-1], came_after=one.scopes[-1].came_after - 1)
        return one

    assert cb(beside_the_probe, TWICE)[2:] == [HELD, NOT_ASKED]


def test_a_failure_after_the_first_of_two_probes_opens_the_circuit_again(cb):
    """And traffic after that is caught."""
    assert cb(lambda one: failed(call(opened(one).wait(30), "ok"), 2), TWICE)[3] == broken("CB04/stays-closed")


def test_a_slow_first_probe_may_be_a_failure_to_the_breaker(cb):
    """Then the circuit is open, and turns the next one away."""
    assert cb(lambda one: refused(call(opened(one).wait(30), "ok", lasts=2)), TWICE)[3] == NOT_ASKED


# the names of breakers' errors


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("shop.http.CircuitOpen", broken("CB01/early")),
        ("shop.http.BreakerOpen", broken("CB01/early")),
        ("purgatory.domain.model.OpenedState", broken("CB01/early")),
        ("shop.circuits.Overloaded", NOT_ASKED),
    ],
)
def test_a_breaker_is_known_by_the_name_of_its_error_or_of_its_package(cb, name, verdict):
    """A module's name says nothing."""
    told = Told(None, None, (Raised(name, ("builtins.Exception",), "no"),))

    assert cb(lambda one: refused(failed(one, 2), told))[0] == verdict


# texts


def test_a_late_opening_is_told_whole(run, text):
    """The timeline marks the failure that has to open it and the call that was sent."""
    assert text(failed(run("503 x4"), 4), "CB01", breaker=THREE) == (
        "CB01 the breaker did not open in time: GET /items was sent after 3 failures in a row\n"
        "  t+0.00s  #1  GET /items   503\n"
        "  t+0.00s  #2  GET /items   503\n"
        "  t+0.00s  #3  GET /items   503   ◄ the circuit has to open\n"
        "  t+0.00s  #4  GET /items   503   ◄ sent all the same\n"
        "  why   a service that is down is asked on and on, and every caller waits until that has failed\n"
        "  fix   let the breaker see every failure: an answer of 500 that is returned and not raised is none to it\n"
        '  again @pytest.mark.chaos("503 x4", seed=42)\n'
        "  or    has each tenant or client one of its own, or this request none? BreakerPolicy(per=lambda attempt: …)"
    )


def test_an_early_opening_is_told_whole(run, text):
    """A breaker that is shared by tests looks the same, and is named."""
    assert text(refused(failed(run("503 x2"), 2)), "CB01", breaker=THREE) == (
        "CB01 the breaker opened too early: fetch was turned away after 2 failures, it opens at 3 failures in a row\n"
        "  t+0.00s  #1  GET /items   503\n"
        "  t+0.00s  #2  GET /items   503   ◄ the next call was turned away\n"
        "  t+0.00s  –   fetch sent nothing\n"
        "  why   callers are cut off from a service that works\n"
        "  fix   count as the breaker is meant to: failures in a row, forgotten after each success\n"
        '  again @pytest.mark.chaos("503 x2", seed=42)\n'
        "  or    does it outlive its test, and bring its count along? make a new one for each; if it closes only after "
        "more successes: BreakerPolicy(successes=2)"
    )


def test_calls_that_sent_nothing_stand_in_the_timeline(run, text):
    """Where they came, and how many in a row."""
    one = failed(refused(refused(opened(run("503 x4")))).wait(10), 1)

    assert text(one, "CB02", breaker=THREE).splitlines()[3:6] == [
        "  t+0.00s   #3  GET /items   503   ◄ the circuit is open from here on",
        "  t+0.00s  –   fetch sent nothing, 3 times",
        "  t+10.00s  #4  GET /items   503   ◄ sent all the same",
    ]


@pytest.mark.parametrize(
    ("code", "build", "headline"),
    [
        (
            "CB02",
            lambda one: failed(opened(one).wait(10), 1),
            "traffic while open: GET /items was sent 10 s after the circuit had opened, its cooldown is 30 s",
        ),
        (
            "CB03",
            lambda one: refused(opened(one).wait(45)),
            "no probe: fetch was turned away 45 s after the circuit had opened, its cooldown is 30 s",
        ),
        (
            "CB04",
            lambda one: failed(opened(one).wait(30), 2),
            "not opened again: GET /items was sent 0 s after the probe had failed, the cooldown is 30 s",
        ),
        (
            "CB04",
            lambda one: refused(call(opened(one).wait(31), "ok")),
            "not closed again: fetch was turned away although the probe #4 had succeeded",
        ),
    ],
)
def test_what_is_broken_is_told_in_one_line(run, text, code, build, headline):
    """With the moment and the cooldown."""
    assert text(build(run()), code, breaker=THREE).splitlines()[0] == f"{code} {headline}"


UNTRIED = "nothing was tried while the circuit should have been open: call the code by chaos.call within the cooldown"
AT_ONE_MOMENT = (
    "a call in another thread or task began when the circuit opened: before or after? let the failures take time, by a"
    " timeout or slow=1s"
)


@pytest.mark.parametrize(
    ("code", "build", "expected"),
    [
        (
            "CB01",
            lambda one: refused(failed(one, 2), FAILED),
            "a call sent nothing, and nothing says that it was a breaker that stopped it",
        ),
        (
            "CB04",
            lambda one: refused(call(opened(one).wait(30), "ok", lasts=2)),
            "a success took a second or longer, and some breakers take a slow call for a failure",
        ),
        (
            "CB01",
            lambda one: failed(one, 3).new().send("503", "GET", "/items", lineage=2),
            AT_ONE_MOMENT,
        ),
        (
            "CB02",
            lambda one: failed(one, 3).new().send("503", "GET", "/items", lineage=2),
            AT_ONE_MOMENT,
        ),
        (
            "CB01",
            lambda one: failed(one, 2).open("fetch", OPEN).wait(5).close(),
            "a call that failed before it was sent, as in a full pool, may have counted",
        ),
        (
            "CB01",
            lambda one: refused(failed(call(one, "ok", lasts=3), 1)),
            "a success took a second or longer, and some breakers take a slow call for a failure",
        ),
        (
            "CB04",
            lambda one: failed(failed(opened(one).wait(31), 1, "404"), 1),
            "a call ended of which only the breaker knows whether it closed the circuit",
        ),
        ("CB01", lambda one: failed(one, 3), UNTRIED),
        ("CB04", lambda one: failed(opened(one).wait(30), 1), UNTRIED),
        ("CB01", lambda one: refused(failed(one, 3)), "1 circuit opened at the threshold"),
        ("CB02", lambda one: refused(refused(failed(one, 3))), "2 calls met an open circuit and sent nothing"),
        ("CB04", lambda one: failed(call(opened(one).wait(30), "ok"), 1), "1 probe decided what came after it"),
    ],
)
def test_a_ruling_says_its_reason(run, reason, code, build, expected):
    """What was counted, or why nothing was."""
    assert reason(build(run()), code, breaker=THREE) == expected


def test_a_rate_is_told_as_the_limit(run, text):
    """Where no number in a row opens it."""
    assert text(failed(run(), 5), "CB01", breaker=HALF).splitlines()[0] == (
        "CB01 the breaker did not open in time: GET /items was sent after a failure rate of 0.5"
    )
