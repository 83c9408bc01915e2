"""What a step says of itself."""

from __future__ import annotations

import pytest

from pytest_retrychaos.faults import Kind, RetryAfter, ScriptError, Step, ok, parse, slow, status, timeout

COMMITTING = ["ok", "200", "204 retry-after=1", "truncate", "garbage", "slow=3s", "slow=3s before-commit"]
COMMITTING += ["drip=3s", "duplicate", "503 after-commit", "409 after-commit", "timeout after-commit"]
COMMITTING += ["reset after-commit", "eof after-commit", "stale after-commit"]
NOT_COMMITTING = ["302", "404", "503", "timeout", "reset", "eof", "refuse", "dns", "connect-timeout", "tls"]
NOT_COMMITTING += ["stale", "down=30s", "down=30s:503"]

PLAINEST_FIRST = [
    *("ok", "503", "503 retry-after=2", "429", "500", "timeout", "reset", "eof", "refuse"),
    *("timeout after-commit", "reset after-commit", "eof after-commit", "503 after-commit", "stale"),
    *("stale after-commit", "truncate", "garbage", "slow=3s", "slow=3s before-commit", "drip=3s"),
    *("down=30s", "down=30s:503", "dns", "connect-timeout", "tls", "duplicate"),
]


def only(text):
    (step,) = parse(text).steps
    return step


@pytest.mark.parametrize("text", COMMITTING)
def test_the_service_takes_effect(text):
    """The commits column of the vocabulary: yes."""
    assert only(text).commits


@pytest.mark.parametrize("text", NOT_COMMITTING)
def test_the_service_takes_no_effect(text):
    """The commits column of the vocabulary: no."""
    assert not only(text).commits


def test_only_a_plain_ok_is_no_fault():
    """An `ok` that never fired hides nothing; a scripted 200 does."""
    assert [only(text).is_fault for text in ("ok", "ok x3", "200", "503", "down=3s")] == [
        *(False, False, True, True, True)
    ]


def test_not_sent_are_the_faults_of_connecting():
    """Refused, unresolved, no handshake, no TLS."""
    not_sent = {kind for kind in Kind if _step(kind).is_not_sent}

    assert not_sent == {Kind.REFUSE, Kind.DNS, Kind.CONNECT_TIMEOUT, Kind.TLS}


def _step(kind):
    lasting = {Kind.SLOW, Kind.DRIP, Kind.DOWN}
    return Step(kind, status=503 if kind is Kind.STATUS else None, duration_ns=1 if kind in lasting else None)


def test_plainness_orders_steps_for_shrinking():
    """The order of the contract, options breaking ties."""
    ranks = [only(text).plainness for text in PLAINEST_FIRST]

    assert ranks == sorted(ranks)
    assert len(set(ranks)) == len(ranks)


def test_times_repeats_a_step():
    """`*` with a number multiplies the count, from either side."""
    assert str(status(503) * 3) == "503 x3"
    assert str(2 * (status(503) * 3)) == "503 x6"
    assert (status(503) * 3).once() == status(503)


@pytest.mark.parametrize("times", [1.5, True, "2"])
def test_a_step_is_repeated_by_whole_numbers_only(times):
    """Python's own error for operands that do not go together."""
    with pytest.raises(TypeError, match=r"unsupported operand|can't multiply"):
        timeout() * times


def test_a_step_for_ever_cannot_be_repeated():
    """There is nothing beyond for ever."""
    with pytest.raises(TypeError):
        ok().forever() * 2


def test_once_of_a_step_for_ever_strikes_once():
    """The count is the only thing that changes."""
    assert timeout(after_commit=True).forever().once() == timeout(after_commit=True)


REPRS = [
    ("503", "status(503)"),
    ("503 retry-after=1.5", "status(503, retry_after=1.5)"),
    ("503 retry-after=date-60s", "status(503, retry_after='date-1m')"),
    ('503 retry-after="2"', "status(503, retry_after='2')"),
    ('503 body="x" header="A: 1"', "status(503, body='x', header='A: 1')"),
    ('503 header="A: 1" header="B: 2"', "status(503, header=['A: 1', 'B: 2'])"),
    ("connect-timeout x2", "connect_timeout() * 2"),
    ("slow=1500ms before-commit", "slow(1.5, before_commit=True)"),
    ("down=30s:503", "down(30, status=503)"),
    ("drip=999999h", "drip(3599996400)"),
    ("drip=3599996400000.000001ms", 'drip("3599996400000.000001ms")'),
    ("timeout after-commit *", "timeout(after_commit=True).forever()"),
]


@pytest.mark.parametrize(("text", "source"), REPRS)
def test_repr_is_the_constructor_call(text, source):
    """What a test would write in Python for the same step."""
    assert repr(only(text)) == source


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"kind": "ok"}, "a step's kind is a Kind, not 'ok'\nwrite ok(), status(503), …"),
        ({"kind": Kind.STATUS}, "a status is a number, not None\nwrite status(503)"),
        ({"kind": Kind.RESET, "status": 503}, "reset has no status, but 503 was given"),
        ({"kind": Kind.RESET, "duration_ns": 1}, "reset has no duration\nslow, drip and down have one"),
        (
            {"kind": Kind.STATUS, "status": 503, "retry_after": 2},
            "a step's retry_after is a RetryAfter, not 2",
        ),
        (
            {"kind": Kind.SLOW},
            "slow needs a duration: slow=3s\ndurations are 300ms, 2s, 5m, 1h; a bare number is seconds",
        ),
    ],
)
def test_a_step_built_by_hand_meets_the_same_rules(fields, text):
    """`Step` checks itself, however it is made."""
    with pytest.raises(ScriptError) as caught:
        Step(**fields)

    assert str(caught.value) == text


def test_retry_after_is_one_thing():
    """Not seconds and a text at once."""
    with pytest.raises(ScriptError, match=r"^retry-after is one of seconds, a date and a text"):
        RetryAfter(seconds=2, text="soon")


def test_a_step_without_retry_after_has_no_value_for_the_header():
    """The caller then sends none."""
    assert slow(3).retry_after_value(0) is None
