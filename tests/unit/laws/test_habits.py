"""Ordinary right habits: no law accuses them."""

from __future__ import annotations

import pytest

from pytest_retrychaos.engine import Retry, exponential

OLD, NEW = {"Authorization": "Bearer old-token"}, {"Authorization": "Bearer new-token"}


def login(one):
    """A token is refreshed after 401."""
    one.new().send("401", headers=OLD)
    one.new().send("ok", target="/token", is_read=True, content=b"grant_type=refresh_token")
    return one.new().send("ok", headers=NEW)


def login_joined(one):
    """The same in one operation, the new token kept from before."""
    return one.send("401", headers=OLD).again(headers=NEW)


def poll_404(one):
    """A resource is asked for until it is there."""
    for _ in range(40):
        one.new().send("ok", "GET", "/jobs/1", status=404, failed=False).wait(0.1)
    return one.new().send("ok", "GET", "/jobs/1")


def poll_202(one):
    """A job is asked for as the server says."""
    one.new().send("202", answer={"Retry-After": "2"})
    for _ in range(3):
        one.wait(2).new().send("ok", "GET", "/jobs/1", status=202, answer={"Retry-After": "2"})
    return one


def pagination(one):
    """Pages follow each other at once."""
    for page in range(30):
        one.new().send("ok", "GET", f"/items?page={page}")
    return one


def conditional_write(one):
    """A guarded write is repeated without a key."""
    changes = {"method": "PUT", "headers": {"If-Match": '"1"'}, "is_guarded": True}
    return one.send("reset after-commit", **changes).wait(1).again("ok", **changes, status=412, effects=0)


def resumed_upload(one):
    """What is missing is sent after a reset."""
    one.new().send("reset", "PUT", "/upload", headers={"Content-Range": "bytes 0-9/20"})
    return one.new().send("ok", "PUT", "/upload", headers={"Content-Range": "bytes 10-19/20"}, content=b"rest")


def token_fetch(one):
    """A token is fetched by POST, which changes nothing."""
    return one.send("timeout", target="/token", is_read=True).wait(1).again(is_read=True, effects=0)


def batch(one):
    """Twenty customers, one of whom is refused for good."""
    for number in range(20):
        fault = "402" if number == 7 else "ok"
        one.new().send(fault, content=f'{{"customer":{number},"amount":1000}}'.encode(), key=f"key-{number}x")
    return one


def failover(one):
    """A second host is asked at once."""
    return one.send("503", "GET", host="a.test").again(host="b.test")


def read_modify_write(one):
    """A conflict is read again and written anew."""
    for version in range(3):
        one.new().send("ok", "GET", "/doc")
        status = 412 if version < 2 else 200
        one.new().send(
            "ok",
            "PUT",
            "/doc",
            headers={"If-Match": f'"{version}"'},
            status=status,
            is_guarded=True,
            effects=int(status == 200),
            content=str(version).encode(),
        )
    return one


def health_check(one):
    """A server is waited for."""
    one.send("refuse")
    for _ in range(30):
        one.wait(1).again("refuse")
    return one.wait(1).send("ok", "GET", "/health")


def hedge(one):
    """A second copy under the same key, while the first is still out."""
    one.send("slow=3s", key="key-1", lasts=3, cut=True)
    one.now -= 2_000_000_000
    return one.again(effects=0, replayed=True)


def redirect(one):
    """A redirect is followed at once, method and all."""
    return one.send("307", failed=False, key="key-1").again(target="/v2/payments", joined="leg")


def keyed_retry(one):
    """The textbook client."""
    one.send("503", key="key-1", answer={"Retry-After": "2"}).wait(2)
    return one.again("reset after-commit").wait(1).again(replayed=True, effects=0)


HABITS = [
    login,
    login_joined,
    poll_404,
    poll_202,
    pagination,
    conditional_write,
    resumed_upload,
    token_fetch,
    batch,
    failover,
    read_modify_write,
    health_check,
    hedge,
    redirect,
    keyed_retry,
]


@pytest.mark.parametrize("habit", HABITS, ids=lambda habit: habit.__name__)
def test_a_right_habit_is_not_accused(run, broken, habit):
    """Without a policy no law is broken."""
    assert broken(habit(run())) == ()


@pytest.mark.parametrize("habit", [login, login_joined, poll_404, poll_202, pagination, batch, failover, hedge])
def test_a_right_habit_is_not_accused_under_a_policy(run, broken, habit):
    """Nor with one that the client follows where it retries."""
    policy = Retry(attempts=5, backoff=exponential(1), timeout=60)

    assert broken(habit(run()), policy) == ()
