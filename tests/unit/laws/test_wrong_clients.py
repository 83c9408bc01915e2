"""Wrong clients: each is caught by its law and by no unrelated one."""

from __future__ import annotations

import pytest

from pytest_retrychaos.trace import Told


def new_key_per_attempt(one):
    """To the service each attempt is a new payment."""
    return one.send("reset after-commit", key="key-1").wait(1).again(key="key-2")


def no_key(one):
    """The service cannot tell a retry."""
    return one.send("timeout after-commit").wait(1).again()


def ignores_retry_after(one):
    """Half a second instead of two."""
    return one.send("503", key="key-1", answer={"Retry-After": "2"}).wait(0.5).again()


def retries_400(one):
    """The same request gets the same answer."""
    return one.send("400", key="key-1").wait(1).again("400")


def hot_loop(one):
    """Thirty attempts in no time."""
    one.send("503", key="key-1")
    for _ in range(29):
        one.again("503")
    return one


def swallows_the_last_error(one):
    """The caller believes that it is paid."""
    one.open(told=Told(True, "{'status': 'succeeded'}")).send("503", key="key-1").wait(1).again("503")
    return one.close()


def loses_the_body(one):
    """The second attempt sends nothing."""
    return one.send("503", key="key-1").wait(1).again(body_relation="rest", content=b"")


def reads_a_date_as_local_time(one):
    """Nine hours late."""
    answer = {"Retry-After": "Thu, 01 Jan 2026 00:00:30 GMT"}
    return one.send("503", key="key-1", answer=answer).wait(9 * 3600 + 30).again()


def gives_up_at_once(one):
    """One retry would have done."""
    return one.send("503", key="key-1")


def sends_a_success_again(one):
    """Retry-After on a 201 is taken for a request to retry."""
    one.open().send("201", key="key-1", answer={"Retry-After": "1"}).wait(1)
    return one.again(replayed=True, effects=0).close()


@pytest.mark.parametrize(
    ("client", "codes"),
    [
        (new_key_per_attempt, ("ID02", "ID04")),
        (no_key, ("ID01", "ID04")),
        (ignores_retry_after, ("BK04",)),
        (retries_400, ("RT02",)),
        (hot_loop, ("RT03", "BK01")),
        (swallows_the_last_error, ("RT05", "ID05")),
        (loses_the_body, ("RT04",)),
        (reads_a_date_as_local_time, ("BK04",)),
        (gives_up_at_once, ("RT01",)),
        (sends_a_success_again, ("RT07",)),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_wrong_client_breaks_its_law_and_no_other(run, broken, client, codes):
    """The codes, exactly."""
    assert broken(client(run())) == codes
