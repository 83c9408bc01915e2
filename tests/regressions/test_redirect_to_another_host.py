"""A download that is redirected to another host and fails there: who asks again where it had begun is no failover."""

from __future__ import annotations

import time

import pytest
import requests

from pytest_retrychaos import LawsBroken


def redirect(chaos) -> None:
    """Let one host send all who ask to another."""
    chaos.service.route("GET", "api.test/file", lambda _: (302, "", {"Location": "http://cdn.test/file"}))


def download(attempts: int, wait: float) -> None:
    """Ask from the beginning each time."""
    for _ in range(attempts):
        if requests.get("http://api.test/file", timeout=5).ok:
            return
        time.sleep(wait)


@pytest.mark.parametrize(
    ("script", "wait", "shape"),
    [("503 x4, ok", 0, "BK01 no wait"), ("503 retry-after=30, ok", 1, "BK04 Retry-After"), ("400, ok", 1, "RT02 ")],
)
def test_a_leg_that_failed_elsewhere_excuses_nothing(chaos, script, wait, shape):
    """The same request is asked for at the same host, and leads to the same leg."""
    redirect(chaos)
    chaos.script(script, host="cdn.test")
    download(5, wait)

    with pytest.raises(LawsBroken, match=rf"^{shape}"):
        chaos.verify()


@pytest.mark.parametrize("script", ["503 retry-after=30, ok", "503 x4, ok"])
def test_who_waits_is_right(chaos, script):
    """As long as was asked for, wherever it was asked."""
    redirect(chaos)
    chaos.script(script, host="cdn.test")
    download(5, 30)

    chaos.verify()


def test_credentials_that_the_other_host_was_not_told_are_no_login(chaos):
    """They are those of before: requests keeps them from another host."""
    redirect(chaos)
    chaos.script("403 x2, ok", host="cdn.test")
    for _ in range(2):
        requests.get("http://api.test/file", headers={"Authorization": "Bearer a-token"}, timeout=5)
        time.sleep(1)

    with pytest.raises(LawsBroken, match=r"^RT02 "):
        chaos.verify()


def test_an_address_that_is_signed_anew_may_be_asked_for(chaos):
    """The first had run out."""
    signed = iter(["1", "2"])
    location = "http://cdn.test/file?until="
    chaos.service.route("GET", "api.test/file", lambda _: (302, "", {"Location": location + next(signed)}))
    chaos.script("403, ok", host="cdn.test")
    download(2, 1)

    assert chaos.verify().of("RT02").ruling.value == "does not apply"


@pytest.mark.parametrize("script", ["503 retry-after=30, ok", "503, ok", "400, ok"])
def test_a_redirect_to_one_mirror_after_the_other_is_failover(chaos, script):
    """Who sends the client on knows of more than one, and each is asked once."""
    mirrors = iter(["a.test", "b.test", "c.test"])
    chaos.service.route("GET", "api.test/file", lambda _: (302, "", {"Location": f"http://{next(mirrors)}/file"}))
    for mirror in ("a.test", "b.test"):
        chaos.script(script, host=mirror)
    download(3, 0)

    assert [attempt.host for attempt in chaos.attempts[1::2]] == ["a.test", "b.test", "c.test"]
    chaos.verify(ignore=["NV01"])


def test_the_same_request_at_a_third_host_is_failover(chaos):
    """It had asked for nothing."""
    redirect(chaos)
    chaos.script("503 retry-after=30, ok", host="cdn.test")
    chaos.service.route("GET", "mirror.test/file", lambda _: {"size": 1})
    if not requests.get("http://api.test/file", timeout=5).ok:
        requests.get("http://mirror.test/file", timeout=5)

    assert chaos.verify().of("BK04").ruling.value == "does not apply"
