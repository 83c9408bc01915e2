"""`Attempt`: its key, its time, and how a function asks for it."""

from __future__ import annotations

import asyncio
import copy
import functools
import itertools
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from pytest_retrychaos.engine import Attempt, Retry, fixed, this_attempt

RETRY = Retry(backoff=fixed(0), sleep=lambda _: None)


def charging(fails):
    """Make a function that keeps what its attempts say and fails so often."""
    seen = []

    def charge(amount, *, attempt: Attempt = this_attempt):
        seen.append((attempt.number, attempt.idempotency_key))
        if len(seen) <= fails:
            raise TimeoutError("late")
        return amount

    return charge, seen


def keys():
    """Make a source of keys that counts."""
    return map("key-{}".format, itertools.count(1)).__next__


def test_a_function_that_asks_is_given_its_attempt():
    """By keyword, each attempt anew, with one key for the operation."""
    charge, seen = charging(2)
    assert RETRY.__replace__(new_key=keys()).call(charge, 5) == 5
    assert seen == [(1, "key-1"), (2, "key-1"), (3, "key-1")]


def test_each_operation_has_a_key_of_its_own():
    """Two payments are two."""
    charge, seen = charging(0)
    retried = RETRY.__replace__(new_key=keys())(charge)
    retried(5)
    retried(5)
    assert [key for _, key in seen] == ["key-1", "key-2"]


def test_a_method_a_partial_and_an_object_may_ask():
    """Whatever can be called."""

    class Client:
        def charge(self, amount, *, attempt: Attempt = this_attempt):
            return self, amount, attempt.number

        def __call__(self, amount, *, now: Attempt = this_attempt):
            return self, amount, now.number

    client = Client()
    assert RETRY.call(client.charge, 5) == (client, 5, 1)
    assert RETRY.call(functools.partial(client.charge, 5)) == (client, 5, 1)
    assert RETRY.call(client, 5) == (client, 5, 1)
    assert RETRY(Client.charge)(client, 5) == (client, 5, 1)


def test_an_object_whose_class_inherits_its_call_may_ask():
    """Blocking or not."""

    class Charge:
        def __call__(self, *, attempt: Attempt = this_attempt):
            return attempt.number

    class ChargeLater:
        async def __call__(self, *, attempt: Attempt = this_attempt):
            return attempt.number

    assert RETRY.call(type("Refund", (Charge,), {})()) == 1
    assert asyncio.run(RETRY(type("RefundLater", (ChargeLater,), {})())()) == 1


def test_an_attempt_that_the_caller_hands_over_is_kept():
    """The caller knows better: an outer operation's attempt, or a test's own."""
    own = next(iter(RETRY.__replace__(new_key=lambda: "outer")))
    with own:
        seen = []

        def inner(*, attempt: Attempt = this_attempt):
            seen.append(attempt.idempotency_key)

        RETRY.call(inner, attempt=own)
    assert seen == ["outer"]


def test_a_coroutine_function_may_ask():
    """The same way."""

    async def charge(*, attempt: Attempt = this_attempt):
        return attempt.number

    with pytest.raises(StopIteration) as done:
        RETRY.call_async(charge).send(None)
    assert done.value.value == 1


def test_a_function_that_asks_by_position_is_refused():
    """An argument could land there."""

    def charge(amount, attempt: Attempt = this_attempt):
        return amount

    with pytest.raises(TypeError, match=r"charge\(\) asks for its attempt by position: make it a keyword"):
        RETRY.call(charge, 5)


def test_a_function_that_asks_and_is_not_retried_is_told():
    """The first use says what is missing."""
    charge, _ = charging(0)
    with pytest.raises(RuntimeError, match=r"this_attempt\.number: .* was called without a retry around it"):
        charge(5)


def test_the_default_survives_copying():
    """Frameworks look at defaults."""
    assert copy.deepcopy(this_attempt) is this_attempt
    assert repr(this_attempt) == "this_attempt"


def test_a_block_has_one_key_for_all_its_attempts():
    """The key is the operation's."""
    seen = []
    for attempt in RETRY:
        with attempt:
            seen.append(attempt.idempotency_key)
            if attempt.number < 3:
                raise TimeoutError("late")
    assert len(seen) == 3
    assert len(set(seen)) == 1


def test_a_key_is_a_random_uuid():
    """Of version 4, as services expect."""
    first, second = (next(iter(RETRY)).idempotency_key for _ in range(2))
    assert first != second
    assert str(uuid.UUID(first)) == first
    assert (uuid.UUID(first).version, uuid.UUID(first).variant) == (4, uuid.RFC_4122)


def test_no_key_is_made_that_nobody_asks_for():
    """Randomness costs."""
    assert RETRY.__replace__(new_key=lambda: 1 / 0).call(lambda: "paid") == "paid"


@pytest.mark.parametrize("made", [None, "", b"key", 7])
def test_a_source_of_keys_that_gives_no_text_is_refused(made):
    """A header needs one."""
    with pytest.raises(TypeError, match=r"returned .*: it has to return a key, a text that is not empty"):
        _ = next(iter(RETRY.__replace__(new_key=lambda: made))).idempotency_key


def test_threads_of_one_operation_get_one_key():
    """Parts of one request may be made side by side."""
    attempt = next(iter(RETRY))
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: attempt.idempotency_key, range(64)))) == 1


def test_an_attempt_says_which_it_is():
    """For a log."""
    assert repr(next(iter(RETRY))) == "<Attempt 1>"


def test_a_clients_own_limit_is_cut_to_the_time_that_is_left(policy, clock):
    """And is never 0, which some clients take for no limit."""
    attempt = next(iter(policy(timeout=10)))
    assert attempt.within(4) == 4
    clock.now += 8
    assert attempt.within(4) == 2.0
    clock.now += 8
    assert attempt.within(4) == 0.001
    assert next(iter(policy())).within(4) == 4
