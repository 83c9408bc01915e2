"""BK06 on traces that keep it, break it, or say nothing of it."""

from __future__ import annotations

NOT_APPLIED = ("does not apply",)


def test_bk06_is_held_where_a_task_waited_without_blocking(run, ruling):
    """The wait left the loop to others."""
    assert ruling(run().on_loop().send("503").wait(1).again(), "BK06") == ("held",)


def test_bk06_is_broken_by_a_sleep_on_the_loop(run, ruling):
    """Whatever else held."""
    one = run().on_loop().send("503").stall(1).again().new().send("503").wait(1).again()

    assert ruling(one, "BK06") == ("broken", "BK06")


def test_bk06_is_broken_before_anything_is_sent(run, ruling):
    """A start-up sleep blocks as well."""
    assert ruling(run().on_loop().stall(1).send(), "BK06") == ("broken", "BK06")


def test_bk06_does_not_apply_off_event_loops(run, ruling, reason):
    """A thread may sleep as it likes."""
    one = run().send("503").wait(1).again()

    assert ruling(one, "BK06") == NOT_APPLIED
    assert reason(one, "BK06") == "nothing on an event loop waited between attempts"


def test_bk06_does_not_apply_where_a_task_did_not_wait(run, ruling):
    """Nothing was put to the test."""
    assert ruling(run().on_loop().send("503").again(), "BK06") == NOT_APPLIED


def test_bk06_does_not_apply_to_a_sleep_of_next_to_nothing(run, ruling, reason):
    """As in a loop that lets other threads run."""
    one = run().on_loop().send("503").stall(0.0005).wait(1).again()

    assert ruling(one, "BK06") == NOT_APPLIED
    assert reason(one, "BK06") == "a sleep of less than 1 ms lets others run rather than waits"


def test_bk06_does_not_apply_to_a_blocking_request(run, ruling, reason):
    """It is noted, and is no sleep."""
    one = run().on_loop().stall(0, kind="request").send("503").wait(1).again()

    assert ruling(one, "BK06") == NOT_APPLIED
    assert reason(one, "BK06") == (
        "app.py:12 charge made a blocking request inside a running event loop, which stands still meanwhile:"
        " that is no sleep, and how long it lasts is the network's doing"
    )


def test_bk06_tells_each_place_once(run, text):
    """With what it slept in all."""
    one = run("503 x2, ok").on_loop().send("503", key="key-1").stall(1).again("503").stall(2).again()

    assert text(one, "BK06") == (
        "BK06 event loop blocked: app.py:12 charge slept 3 s in 2 sleeps inside a running event loop\n"
        "  t+0.00s  #1  POST /payments  key K1   503              ◄ then the loop was blocked for 1 s\n"
        "  t+1.00s  #2  POST /payments  key K1   503\n"
        "  t+3.00s  #3  POST /payments  key K1   201, committed\n"
        "  why   while it sleeps, nothing else on that loop goes on: no other request, no timer, no cancellation\n"
        "  fix   await asyncio.sleep(…) (trio.sleep, anyio.sleep), or run blocking code by asyncio.to_thread\n"
        '  again @pytest.mark.chaos("503 x2, ok", seed=42)'
    )


def test_bk06_without_an_attempt_before_it_shows_no_timeline(run, text):
    """Another task's attempts say nothing of it."""
    one = run("ok").on_loop().stall(0.25, "app.py:3 start").send()

    assert text(one, "BK06") == (
        "BK06 event loop blocked: app.py:3 start slept 0.25 s inside a running event loop\n"
        "  why   while it sleeps, nothing else on that loop goes on: no other request, no timer, no cancellation\n"
        "  fix   await asyncio.sleep(…) (trio.sleep, anyio.sleep), or run blocking code by asyncio.to_thread\n"
        '  again @pytest.mark.chaos("ok", seed=42)'
    )
