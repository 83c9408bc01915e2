"""ID06: keys that the service turned away."""

from __future__ import annotations

from dataclasses import replace

import pytest

IN_FLIGHT = {"status": 409, "failed": False, "key_conflict": "in flight", "effects": 0, "committed": False}
MISMATCH = {"status": 422, "failed": False, "key_conflict": "mismatch", "effects": 0, "committed": False}


def conflicted(run):
    """A request that timed out while the service went on, and its retry, which finds the key in flight."""
    return run.send("timeout after-commit", key="key-1").wait(1).again("ok", joined="key", **IN_FLIGHT)


def test_a_key_in_flight_that_is_waited_for_is_handled(run, ruling):
    """The same key, a second later."""
    assert ruling(conflicted(run()).wait(1).again("ok", replayed=True, effects=0, joined="key"), "ID06") == ("held",)


def test_giving_up_while_the_key_is_in_flight_is_allowed(run, ruling, reason):
    """And no proof of anything."""
    assert ruling(conflicted(run()), "ID06") == ("does not apply",)
    assert reason(conflicted(run()), "ID06") == (
        "it was given up while the first request was still running, which is allowed"
    )


def test_one_retry_at_once_that_finds_the_first_ended_is_handled(run, ruling):
    """It got the answer."""
    assert ruling(conflicted(run()).again("ok", replayed=True, effects=0, joined="key"), "ID06") == ("held",)


def test_retries_without_a_wait_are_caught(run, ruling):
    """The first request needs time."""
    assert ruling(conflicted(run()).again("ok", joined="key", **IN_FLIGHT), "ID06") == ("broken", "ID06/no-wait")


@pytest.mark.parametrize("key", ["key-2", None])
def test_another_key_while_the_first_is_in_flight_is_caught(run, ruling, key):
    """To the service it is one more payment; its own 409 is no failure, so it is an operation of its own."""
    one = conflicted(run()).wait(1).new().send("ok", key=key)

    assert ruling(one, "ID06") == ("broken", "ID06/new-key")


def test_another_key_from_another_line_of_the_test_is_another_request_perhaps(run, ruling):
    """One operation or two?"""
    one = conflicted(run()).wait(1).new().send("ok", key="key-2", site=2)

    assert ruling(one, "ID06") == ("does not apply",)


@pytest.mark.parametrize("changes", [{"content": b'{"amount":7}'}, {"target": "/orders"}, {"lineage": 9}])
def test_another_request_after_a_conflict_is_none_of_it(run, ruling, changes):
    """It asks for something else, or is sent by somebody else."""
    one = conflicted(run()).wait(1).new().send("ok", key="key-2", **changes)

    assert ruling(one, "ID06") == ("does not apply",)


def test_a_mismatch_that_is_told_is_handled(run, ruling):
    """The request is not sent again."""
    assert ruling(run().send("ok", key="key-1", **MISMATCH), "ID06") == ("held",)


def test_a_mismatch_that_is_repeated_is_caught(run, ruling):
    """The same request gets the same answer."""
    one = run().send("ok", key="key-1", **MISMATCH).wait(1).again("ok", joined="key", **MISMATCH)

    assert ruling(one, "ID06") == ("broken", "ID06/mismatch")


def test_a_mismatch_that_gets_a_key_of_its_own_is_handled(run, ruling):
    """It is another payment, and now it says so."""
    one = run().send("ok", key="key-1", **MISMATCH).wait(1).new().send("ok", key="key-2")

    assert ruling(one, "ID06") == ("held",)


def test_another_order_that_was_under_way_before_is_no_sidestep(run, ruling):
    """Two equal orders side by side: the other one's own retry carries the key that it had."""
    one = run().send("timeout after-commit", key="key-2").new().send("timeout after-commit", key="key-1").wait(1)
    one.again("ok", joined="key", **IN_FLIGHT).wait(1).send("ok", key="key-2", operation=0)
    other, this = one.operations
    one.operations = [replace(other, attempts=(1, 4)), replace(this, attempts=(2, 3))]

    assert ruling(one, "ID06") == ("does not apply",)


@pytest.mark.parametrize("status", [409, 422])
def test_a_scripted_status_is_no_key_conflict(run, ruling, status):
    """Nobody knows what a 409 of a script is about."""
    assert ruling(run().send(str(status), key="key-1").wait(1).again(), "ID06") == ("does not apply",)


def test_a_conflict_that_never_reached_the_client_is_not_judged(run, ruling):
    """Its answer was lost."""
    one = run().send("reset after-commit", key="key-1", key_conflict="in flight").wait(1).again()

    assert ruling(one, "ID06") == ("does not apply",)


def test_a_conflict_sidestepped_is_told_whole(run, text):
    """With both requests in the timeline."""
    one = conflicted(run("slow=9s before-commit, ok")).wait(1).new().send("ok", key="key-2")

    assert text(one, "ID06") == (
        "ID06 conflict sidestepped: POST /payments was sent under another key while the first one was still running\n"
        "  t+0.00s  #1  POST /payments  key K1   committed, then no answer in 5 s   (timeout after-commit)\n"
        "  t+6.00s  #2  POST /payments  key K1   409                                ◄ its key is in flight\n"
        "  t+7.00s  #3  POST /payments  key K2   201, committed                     ◄ sent under another key\n"
        "  why   the first request is being carried out: under another key this is one more\n"
        "  fix   wait and send the same key again, or give up and say that the outcome is unknown\n"
        '  again @pytest.mark.chaos("slow=9s before-commit, ok", seed=42)\n'
        "  or    two operations? name them with chaos.operation"
    )
