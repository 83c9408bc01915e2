"""ID01 to ID04 on traces that keep them, break them, or say nothing of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_retrychaos.trace import Told

NOT_APPLIED = ("does not apply",)
OTHER = b'{"amount":2000}'


@pytest.mark.parametrize(
    "fault", ["timeout", "reset", "eof", "stale", "truncate", "garbage", "408", "409", "500", "502"]
)
def test_id01_is_broken_when_a_keyless_post_is_sent_again_after_an_ambiguous_failure(run, ruling, fault):
    """It may have been carried out."""
    assert ruling(run().send(fault).wait(1).again(), "ID01") == ("broken", "ID01")


@pytest.mark.parametrize("fault", ["timeout", "reset after-commit", "500", "502 after-commit", "503"])
def test_id01_is_held_when_the_retry_carries_a_key(run, ruling, fault):
    """The service can tell a retry."""
    assert ruling(run().send(fault, key="key-1").wait(1).again(), "ID01") == ("held",)


@pytest.mark.parametrize("fault", ["425", "429", "503", "400", "404", "refuse", "dns", "connect-timeout", "tls"])
def test_id01_does_not_apply_after_failures_that_did_nothing(run, ruling, fault):
    """Not sent, turned away and refused requests are safe to send again."""
    assert ruling(run().send(fault).wait(1).again(method="POST", target="/payments"), "ID01") == NOT_APPLIED


@pytest.mark.parametrize("change", [{"method": "GET"}, {"method": "PUT"}, {"method": "DELETE"}, {"is_guarded": True}])
def test_id01_does_not_apply_to_requests_that_may_be_repeated(run, ruling, change):
    """Reads, PUT, DELETE and guarded writes need no key."""
    assert ruling(run().send("reset", **change).wait(1).again(**change), "ID01") == NOT_APPLIED


def test_id01_does_not_apply_to_a_read_that_travels_by_post(run, ruling):
    """A query, a token fetch, a route declared effect=False."""
    one = run().send("reset", is_read=True).wait(1).again(is_read=True)

    assert ruling(one, "ID01") == NOT_APPLIED


def test_id01_is_broken_for_patch(run, ruling):
    """PATCH is unsafe as POST is."""
    assert ruling(run().send("reset", "PATCH").wait(1).again(), "ID01") == ("broken", "ID01")


@pytest.mark.parametrize(("first", "second"), [(None, "key-1"), ("key-1", None)])
def test_id01_asks_for_the_key_on_both_attempts(run, ruling, first, second):
    """A key on one of them tells the service nothing."""
    assert ruling(run().send("reset", key=first).wait(1).send("ok", key=second), "ID01") == ("broken", "ID01")


def test_id01_looks_past_an_attempt_that_was_not_sent(run, ruling):
    """The one before it may have been carried out."""
    one = run().send("timeout").wait(1).send("refuse").wait(1).again(method="POST", target="/payments")

    assert ruling(one, "ID01") == ("broken", "ID01")


def test_id01_is_broken_when_only_one_of_two_repeats_was_looked_up(run, ruling):
    """What was not there then may be there now."""
    one = run().send("reset").wait(1).new().send("ok", "GET").wait(1)
    one.send("reset", operation=0).wait(1).send("ok", operation=0)
    first, look = one.operations
    one.operations = [replace(first, attempts=(1, 3, 4)), replace(look, attempts=(2,))]

    assert ruling(one, "ID01") == ("broken", "ID01")


def test_id01_is_broken_when_a_post_is_repeated_after_its_see_other_leg_failed(run, ruling):
    """303 says that the work was done."""
    one = run().send("303", failed=False, committed=True, effects=1, own_answer=True)
    one.send("503", "GET", "/payments/1", joined="leg").wait(1).send("ok")

    assert ruling(one, "ID01") == ("broken", "ID01")


def test_id01_does_not_apply_to_a_success_that_is_sent_again(run, ruling):
    """That is RT07's business."""
    assert ruling(run().send("201").again(joined="sent again"), "ID01") == NOT_APPLIED


def test_id01_does_not_apply_to_equal_requests_from_two_lines_of_the_test(run, ruling, reason):
    """The trace cannot tell one operation from two."""
    one = run().send("reset after-commit").new(one_or_two=True).send("ok")

    assert ruling(one, "ID01") == NOT_APPLIED
    assert reason(one, "ID01").startswith("one operation or two?")


def test_id01_text_ends_with_what_would_settle_it(run, text):
    """The failure text, whole."""
    assert text(run("500, ok").send("500", target="/v1/orders").wait(1).again(), "ID01") == (
        "ID01 no idempotency key: POST /v1/orders was sent again after status 500 without a key\n"
        "  t+0.00s  #1  POST /v1/orders  key –   500\n"
        "  t+1.00s  #2  POST /v1/orders  key –   201, committed   ◄ sent again without a key\n"
        "  why   after status 500 the request may have been carried out, and the service cannot tell"
        " a retry from a new order\n"
        "  fix   make one key per operation, outside the retry loop, and send it on every attempt\n"
        '  again @pytest.mark.chaos("500, ok", seed=42)\n'
        "  or    two operations? name them with chaos.operation\n"
        "  or    if this is a read: chaos.service.route(…, effect=False)"
    )


def test_id01_text_says_of_a_cut_who_made_it(run, text):
    """The client closed the connection in the middle of the answer: its own limit, perhaps."""
    closed = "cut: closed by the client while it waited for the rest of the answer"
    one = run().send("drip=30s", cut=True, failed=True, error=closed).wait(1).again()

    assert text(one, "ID01").splitlines()[0] == (
        "ID01 no idempotency key: POST /payments was sent again after a cut by the client without a key"
    )


@pytest.mark.parametrize("attempts", [2, 4])
def test_id02_is_held_when_every_attempt_carries_one_key(run, ruling, attempts):
    """The same key throughout."""
    one = run()
    for _ in range(attempts):
        one.send("reset", key="key-1").wait(1)

    assert ruling(one, "ID02") == ("held",)


@pytest.mark.parametrize(("key", "shape"), [("key-2", "ID02/new-key"), (None, "ID02/dropped")])
def test_id02_is_broken_when_the_key_changes_or_goes(run, ruling, key, shape):
    """A new key, or none."""
    assert ruling(run().send("503", key="key-1").wait(1).send("ok", key=key), "ID02") == ("broken", shape)


def test_id02_does_not_apply_without_keys(run, ruling):
    """There is no key to keep."""
    assert ruling(run().send("503").wait(1).again(), "ID02") == NOT_APPLIED


def test_id02_does_not_apply_to_one_attempt(run, ruling):
    """Nothing was sent again."""
    assert ruling(run().send(key="key-1"), "ID02") == NOT_APPLIED


def test_id02_does_not_apply_to_reads(run, ruling):
    """A request id on a read is no idempotency key."""
    assert ruling(run().send("503", "GET", key="key-1").wait(1).again(key="key-2"), "ID02") == NOT_APPLIED


def test_id02_does_not_apply_to_equal_requests_from_two_lines_of_the_test(run, ruling, reason):
    """The trace cannot tell one operation from two."""
    one = run().send("reset", key="key-1").new(one_or_two=True).send(key="key-2")

    assert ruling(one, "ID02") == NOT_APPLIED
    assert reason(one, "ID02").startswith("one operation or two?")


def test_id02_text_numbers_the_keys(run, text):
    """The failure text, whole."""
    assert text(run("503, ok").send("503", key="6f1c-aa").wait(1).again(key="93be-bb"), "ID02") == (
        "ID02 key not kept: POST /payments was sent again with another key\n"
        "  t+0.00s  #1  POST /payments  key K1   503\n"
        "  t+1.00s  #2  POST /payments  key K2   201, committed   ◄ another key\n"
        "  why   the service knows a retry by its key: under another one it is a new payment\n"
        "  fix   make one key per operation, outside the retry loop, and send it on every attempt\n"
        '  again @pytest.mark.chaos("503, ok", seed=42)\n'
        "  or    two operations? name them with chaos.operation"
    )


def test_id02_in_a_scope_needs_no_hint(run, text):
    """The test said that it is one operation."""
    one = run().open().send("503", key="key-1").wait(1).again(key="key-2").close()

    assert "two operations?" not in text(one, "ID02")


@pytest.mark.parametrize("keys", [("key-1", "key-2"), ("key-1", "key-2", "key-3")])
def test_id03_is_held_when_operations_have_keys_of_their_own(run, ruling, keys):
    """One key an operation."""
    one = run()
    for key in keys:
        one.new().send(key=key)

    assert ruling(one, "ID03") == ("held",)


def test_id03_is_held_when_the_same_body_is_submitted_again(run, ruling):
    """A deliberate re-submission is not another operation's key."""
    one = run().send(key="key-1").new(reused_key_of=0).send(key="key-1", replayed=True, effects=0)

    assert ruling(one, "ID03") == ("held",)


def test_id03_is_broken_when_another_body_takes_the_key(run, ruling):
    """The service would answer with the first one's result."""
    one = run().send(key="key-1").new(reused_key_of=0).send(key="key-1", content=OTHER)

    assert ruling(one, "ID03") == ("broken", "ID03/body")


def test_id03_is_broken_when_two_named_operations_share_a_key(run, ruling):
    """The test said that they are two."""
    one = run().open("first").new().send(key="key-1").close()
    one.open("second").new(reused_key_of=0).send(key="key-1").close()

    assert ruling(one, "ID03") == ("broken", "ID03/named")


def test_id03_is_held_when_an_operation_of_the_same_name_goes_on(run, ruling):
    """The test opened it again: an outbox's next tick."""
    one = run().open("event 1").new().send("503", key="key-1").close()
    one.open("event 1").new(reused_key_of=0).send(key="key-1").close()

    assert ruling(one, "ID03") == ("held",)


@pytest.mark.parametrize(("first", "expected"), [("503", ("held",)), ("ok", ("broken", "ID03/named"))])
def test_id03_takes_two_calls_of_one_function_for_two_once_the_first_succeeded(run, ruling, first, expected):
    """Before that the second goes on with it."""
    one = run().open("charge", Told(True, "None")).new().send(first, key="key-1").close()
    one.open("charge", Told(True, "None")).new(reused_key_of=0).send(key="key-1").close()

    assert ruling(one, "ID03") == expected


def test_id03_does_not_judge_keys_across_hosts(run, ruling):
    """Another service keeps keys of its own."""
    one = run().send(key="key-1").new(reused_key_of=0).send(key="key-1", content=OTHER, host="b.test")

    assert ruling(one, "ID03") == ("held",)


def test_id03_does_not_apply_to_a_single_key(run, ruling):
    """There is no other operation to share it with."""
    assert ruling(run().send(key="key-1").new().send(), "ID03") == NOT_APPLIED


def test_id03_text_shows_both_operations(run, text):
    """The failure text, whole."""
    one = run().send(key="key-1").wait(1).new(reused_key_of=0).send(key="key-1", content=OTHER)

    assert text(one, "ID03") == (
        "ID03 key used twice: POST /payments carries the key of an earlier operation, with another body\n"
        "  t+0.00s  #1  POST /payments  key K1   201, committed   ◄ used the key first\n"
        "  t+1.00s  #2  POST /payments  key K1   201, committed   ◄ used it again\n"
        "  why   the service answers with what it stored for the first one, or refuses:"
        " the second is never carried out\n"
        "  fix   make a new key for every operation\n"
        "  again @pytest.mark.chaos(seed=42)"
    )


@pytest.mark.parametrize("fault", ["reset after-commit", "502 after-commit", "timeout after-commit"])
def test_id04_is_broken_when_a_lost_answer_is_followed_by_a_second_effect(run, ruling, fault):
    """Two effects for one operation."""
    assert ruling(run().send(fault).wait(1).again(), "ID04") == ("broken", "ID04")


def test_id04_is_held_when_the_service_replays(run, ruling):
    """A replayed answer adds none."""
    one = run().send("reset after-commit", key="key-1").wait(1).again(replayed=True, effects=0)

    assert ruling(one, "ID04") == ("held",)


@pytest.mark.parametrize("fault", ["reset", "503", "timeout"])
def test_id04_is_held_when_the_first_attempt_had_no_effect(run, ruling, fault):
    """One effect in all."""
    assert ruling(run().send(fault).wait(1).again(), "ID04") == ("held",)


def test_id04_does_not_apply_when_no_write_arrived_twice(run, ruling):
    """A read has no effect, a refused connection brings nothing."""
    one = run().send("503", "GET").wait(1).again().new().send("refuse").again("ok", method="POST")

    assert ruling(one, "ID04") == NOT_APPLIED


@pytest.mark.parametrize(("key", "script"), [("key-1", None), (None, 0)])
def test_id04_is_broken_by_a_duplicate_with_a_key_or_by_the_test_own_script(run, ruling, key, script):
    """One attempt that the network delivered twice."""
    assert ruling(run().send("duplicate", key=key, script=script), "ID04") == ("broken", "ID04")


def test_id04_does_not_apply_to_a_keyless_duplicate_that_no_test_scripted(run, ruling):
    """No client can help it."""
    assert ruling(run().send("duplicate", script=None), "ID04") == NOT_APPLIED


def test_id04_is_held_by_a_duplicate_with_one_effect(run, ruling):
    """The service knew the copy by its key."""
    assert ruling(run().send("duplicate", key="key-1", effects=1), "ID04") == ("held",)


def test_id04_counts_no_two_rows_of_one_delivery(run, ruling):
    """A handler may write two rows for one request."""
    assert ruling(run().send("503").wait(1).again(effects=2), "ID04") == ("held",)


def test_id04_does_not_apply_to_equal_requests_from_two_lines_of_the_test(run, ruling):
    """The trace cannot tell one operation from two."""
    one = run().send("reset after-commit").new(one_or_two=True).send("ok")

    assert ruling(one, "ID04") == NOT_APPLIED


def test_id04_text_is_the_sample(run, text):
    """The failure text, whole, in a scope."""
    one = run("reset after-commit, ok").open().send("reset after-commit").wait(1).again().close()

    assert text(one, "ID04") == (
        "ID04 duplicate effect: POST /payments was carried out 2 times for one operation\n"
        "  t+0.00s  #1  POST /payments  key –   committed, then the response was lost   (reset after-commit)\n"
        "  t+1.00s  #2  POST /payments  key –   201, committed                          ◄ second effect\n"
        "  why   the request has no Idempotency-Key: the service cannot tell a retry from a new payment\n"
        "  fix   make one key per operation, outside the retry loop, and send it on every attempt\n"
        '  again @pytest.mark.chaos("reset after-commit, ok", seed=42)\n'
        "  or    if this is a read: chaos.service.route(…, effect=False)"
    )


@pytest.mark.parametrize(
    ("first", "second", "why"),
    [
        ("key-1", "key-2", "each attempt has a key of its own: to the service each is a new payment"),
        ("key-1", "key-1", "the service carried out both, though they carry the same key"),
        (None, None, "the request has no Idempotency-Key"),
    ],
)
def test_id04_says_why_by_the_keys(run, text, first, second, why):
    """Other keys, the same key, or none."""
    one = run().send("reset after-commit", key=first).wait(1).again(key=second)

    assert why in text(one, "ID04")
