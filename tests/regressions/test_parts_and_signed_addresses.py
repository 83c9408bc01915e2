"""What a query names is a thing of its own, such as a part of an upload; an address may be signed for each attempt."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from pytest_retrychaos import Chaos, LawsBroken


def put(url: str, content: bytes, tries: int = 4) -> int:
    """Put what is at an address; ``{at}`` in it is when that is sent."""
    for attempt in range(tries):
        try:
            answer = requests.put(url.replace("{at}", f"{time.time():.0f}"), data=content, timeout=5)
            if answer.ok or answer.status_code not in (403, 503):
                return answer.status_code
        except requests.RequestException:
            pass
        time.sleep(2**attempt)
    return 0


@pytest.mark.parametrize("is_routed", [True, False])
@pytest.mark.parametrize("script", ["reset after-commit, ok", "ok, timeout after-commit, ok"])
def test_parts_side_by_side_are_put_again(chaos: Chaos, script: str, is_routed: bool) -> None:
    """As boto3 uploads them, in threads: others are written between a part and its repetition."""
    if is_routed:
        chaos.service.route("PUT", "/bucket/{key}", lambda _: (200, None, {"ETag": '"1"'}))
    chaos.script(script)

    with ThreadPoolExecutor(3) as pool:
        done = list(pool.map(lambda part: put(f"{chaos.url}/bucket/key?partNumber={part}", b"%d" % part), range(3)))

    assert all(done)
    assert len(chaos.ledger) == 3
    chaos.verify()


def test_what_was_written_over_has_an_effect_again(chaos: Chaos) -> None:
    """The whole is written between the two, or another content."""
    for place, content in [("?part=1", b"a"), ("", b"b"), ("?part=1", b"a"), ("?part=1", b"c"), ("?part=1", b"c")]:
        put(f"{chaos.url}/bucket/key{place}", content)

    assert len(chaos.ledger) == 4


SIGNED = [
    "X-Amz-Date={at}&X-Amz-Expires=300&X-Amz-Signature=sig{at}",
    "sv=2022-11-02&st={at}&se={at}9&sp=w&sig=sig{at}",
    "AWSAccessKeyId=AK&Expires={at}&Signature=sig{at}",
]


@pytest.mark.parametrize("query", SIGNED)
@pytest.mark.parametrize("script", ["503, ok", "reset after-commit, ok", "403, ok"])
def test_an_address_that_is_signed_anew_is_the_same(chaos: Chaos, query: str, script: str) -> None:
    """To be retried, to have one effect, and to be asked again once the first signature has expired."""
    chaos.script(script)

    assert put(f"https://bucket.test/key?{query}", b"content")
    assert len(chaos.operations) == len(chaos.ledger) == 1
    chaos.verify()


@pytest.mark.parametrize("query", ["X-Amz-Signature=sig", "nonce={at}"])
def test_a_refusal_with_the_same_signature_or_none_is_final(chaos: Chaos, query: str) -> None:
    """It is refused again."""
    chaos.script("403, ok")

    put(f"https://bucket.test/key?{query}", b"content")

    with pytest.raises(LawsBroken, match="RT02"):
        chaos.verify()


def test_without_a_signature_another_end_is_another_request(chaos: Chaos) -> None:
    """``expires`` may be what is asked for."""
    chaos.script("503, ok")

    put(f"{chaos.url}/key?expires={{at}}", b"content")

    assert len(chaos.operations) == 2
