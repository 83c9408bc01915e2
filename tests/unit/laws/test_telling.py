"""RT05, RT06, RT09 and ID05: what the caller was told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_retrychaos.trace import Raised, Told

NOT_APPLIED = ("does not apply",)
SUCCESS = Told(True, "{'status': 'succeeded'}", claimed_by="status")
FAILURE = Told(False, "{'ok': False}")
FALLBACK = Told(None, "None")


def error(kind, *bases, status=None, message=""):
    """Told by one exception."""
    return Told(None, None, (Raised(kind, (*bases, "builtins.Exception", "builtins.BaseException"), message, status),))


OUTAGE = error("payments.Outage")
RESET = error("builtins.ConnectionResetError", "builtins.ConnectionError", "builtins.OSError")


def told(one, telling, *faults, **changes):
    """One operation in a scope, ended by what the caller was told."""
    one.open(told=telling).new()
    for fault in faults:
        one.send(fault, key="key-1", **changes).wait(1)
    return one.close()


@pytest.mark.parametrize("telling", [FAILURE, OUTAGE, RESET])
def test_rt05_is_held_when_the_failure_reaches_the_caller(run, ruling, telling):
    """By a value or an exception."""
    assert ruling(told(run(), telling, "503", "503"), "RT05") == ("held",)


@pytest.mark.parametrize("faults", [("503", "503"), ("503", "timeout"), ("400",), ("reset after-commit",)])
def test_rt05_is_broken_when_success_is_claimed_where_there_was_none(run, ruling, faults):
    """Whatever the last failure was."""
    assert ruling(told(run(), SUCCESS, *faults), "RT05") == ("broken", "RT05")


def test_rt05_does_not_apply_to_a_fallback(run, ruling):
    """A value that claims nothing tells nothing wrong."""
    assert ruling(told(run(), FALLBACK, "503", "503"), "RT05") == NOT_APPLIED


def test_rt05_does_not_apply_when_the_operation_succeeded(run, ruling):
    """No failure ended it."""
    assert ruling(told(run(), SUCCESS, "503", "ok"), "RT05") == NOT_APPLIED


def test_rt05_does_not_apply_to_reads(run, ruling):
    """A kept value is a right answer to a read."""
    assert ruling(told(run(), SUCCESS, "503", "503", method="GET"), "RT05") == NOT_APPLIED


def test_rt05_does_not_apply_to_two_unsafe_operations(run, ruling, reason):
    """Whose failure was told is not known."""
    one = run().open(told=SUCCESS).new().send("503").new().send("ok", target="/other").close()

    assert ruling(one, "RT05") == NOT_APPLIED
    assert reason(one, "RT05") == "the scope holds 2 unsafe operations: which one was told of is not known"


def test_rt05_is_broken_when_all_of_several_failed(run, text):
    """A pool whose results nobody asks for: whichever the caller was told of, it failed."""
    one = run("503 x2").open(told=SUCCESS).new().send("503").new().send("503", target="/other").close()

    assert text(one, "RT05").splitlines()[0] == (
        "RT05 failure swallowed: POST /other failed, as did every unsafe request of the call (2),"
        " and the caller was told success"
    )


@pytest.mark.parametrize(
    ("telling", "last", "changes"),
    [
        (FALLBACK, "503", {}),
        (Told(True, "None", claimed_by="same value"), "503", {}),
        (FAILURE, "503", {}),
        (OUTAGE, "503", {}),
        (SUCCESS, "409", {"own_answer": True, "failed": False}),
    ],
)
def test_rt05_does_not_apply_to_several_of_which_it_is_not_sure(run, ruling, telling, last, changes):
    """A batch that always returns the same, or an answer that may be what was wanted."""
    one = run().open(told=telling).new().send("503").new().send(last, target="/other", **changes).close()

    assert ruling(one, "RT05") == NOT_APPLIED


def test_rt05_does_not_apply_when_the_client_read_back(run, ruling):
    """It may know from there that the work was done."""
    one = run().open(told=SUCCESS).new().send("reset after-commit", key="key-1")
    one.new().send("ok", "GET", "/payments/1").close()

    assert ruling(one, "RT05") == NOT_APPLIED


def test_rt05_does_not_apply_to_the_service_own_answers(run, ruling):
    """A 409 may say that it is there already."""
    one = told(run(), SUCCESS, "409", own_answer=True, failed=False)

    assert ruling(one, "RT05") == NOT_APPLIED


def test_rt05_does_not_apply_where_the_telling_was_not_seen(run, ruling, reason):
    """chaos.call shows it."""
    assert ruling(run().send("503"), "RT05") == NOT_APPLIED
    assert reason(run().send("503"), "RT05") == (
        "what the caller was told was not seen: make the call with chaos.call(…)"
    )


def test_rt05_text_names_the_failure(run, text):
    """The failure text, whole."""
    assert text(told(run("503 x2"), SUCCESS, "503", "503"), "RT05") == (
        "RT05 failure swallowed: POST /payments failed, and the caller was told success\n"
        "  t+0.00s  #1  POST /payments  key K1   503\n"
        "  t+1.00s  #2  POST /payments  key K1   503   ◄ the last failure\n"
        "  why   the last attempt met status 503, and what came back claims success\n"
        "  fix   raise the last error when no attempt is left\n"
        '  again @pytest.mark.chaos("503 x2", seed=42)'
    )


PLAIN = ["ValueError", "TypeError", "KeyError", "IndexError", "AttributeError", "OverflowError", "ZeroDivisionError"]
MORE = ["RecursionError", "UnboundLocalError", "UnicodeDecodeError"]


@pytest.mark.parametrize("name", [*PLAIN, *MORE])
def test_rt06_is_broken_when_a_scope_ends_in_a_plain_error(run, ruling, name):
    """The loop ended in an error of its own making."""
    assert ruling(told(run(), error(f"builtins.{name}"), "503"), "RT06") == ("broken", f"RT06/{name}")


def test_rt06_is_broken_when_the_test_ends_in_a_plain_error(run, ruling):
    """Without a scope the test's own end tells."""
    one = run().send("503")
    one.ended = error("builtins.ValueError")

    assert ruling(one, "RT06") == ("broken", "RT06/ValueError")


@pytest.mark.parametrize(
    "kind", ["json.decoder.JSONDecodeError", "xml.etree.ElementTree.ParseError", "decimal.InvalidOperation"]
)
def test_rt06_is_broken_by_a_parser_of_the_standard_library(run, ruling, kind):
    """The answer was read before its status was looked at."""
    telling = error(kind, "builtins.ValueError")

    assert ruling(told(run(), telling, "503"), "RT06") == ("broken", f"RT06/{kind.rpartition('.')[2]}")


OWN = replace(error("app.Declined", "builtins.ValueError").raised[0], on_purpose=True)


@pytest.mark.parametrize("telling", [Told(None, None, (OWN,)), RESET, FAILURE, SUCCESS])
def test_rt06_is_held_by_a_client_own_error_or_a_value(run, ruling, telling):
    """A subclass of a plain error that the code raises is a client's own."""
    assert ruling(told(run(), telling, "503"), "RT06") == ("held",)


def test_rt06_does_not_apply_to_a_library_error_that_nobody_raised_on_purpose(run, ruling):
    """pydantic's of a page of HTML, say: whether the code lets it tell is not known."""
    telling = error("pydantic_core.ValidationError", "builtins.ValueError")

    assert ruling(told(run(), telling, "503"), "RT06") == NOT_APPLIED


def test_rt06_is_held_when_the_loop_went_on(run, ruling):
    """It survived the failure."""
    assert ruling(run().send("503").wait(1).again(), "RT06") == ("held",)


@pytest.mark.parametrize("faults", [("400",), ("ok",)])
def test_rt06_does_not_apply_after_a_permanent_failure_or_none(run, ruling, faults):
    """The last failure has to be a transient one."""
    assert ruling(told(run(), error("builtins.ValueError"), *faults), "RT06") == NOT_APPLIED


def test_rt06_does_not_apply_when_the_end_was_not_seen(run, ruling):
    """The error may have been caught by the test."""
    assert ruling(run().send("503"), "RT06") == NOT_APPLIED


def test_rt06_does_not_apply_when_other_requests_came_after(run, ruling):
    """Then the error is not the retry loop's for sure."""
    one = run().send("503").new().send("ok", "GET", "/other")
    one.ended = error("builtins.KeyError")

    assert ruling(one, "RT06") == NOT_APPLIED


def test_rt06_breaks_no_other_law(run, broken):
    """A loop that breaks did not give up: RT01 is not asked."""
    assert broken(told(run(), error("builtins.ValueError"), "503")) == ("RT06",)


def test_rt06_text_quotes_the_error(run, text):
    """The failure text, whole."""
    telling = error("builtins.ValueError", message="sleep length must be non-negative")
    one = run("503 retry-after=-1").open(told=telling).send("503 retry-after=-1", answer={"Retry-After": "-1"})

    assert text(one, "RT06") == (
        "RT06 retry loop broke: POST /payments ended in ValueError: sleep length must be non-negative\n"
        "  t+0.00s  #1  POST /payments  key –   503, Retry-After: -1   (503 retry-after=-1)   ◄ then ValueError\n"
        "  why   after status 503 the code ended in an error of its own making\n"
        "  fix   guard what is computed from the answer: negative, huge and unreadable values, missing fields\n"
        '  again @pytest.mark.chaos("503 retry-after=-1", seed=42)\n'
        "  or    if this is how the code tells a failure: raise a class of its own"
    )


@pytest.mark.parametrize("fault", ["truncate", "garbage"])
def test_rt09_is_broken_when_success_is_claimed_from_a_damaged_answer(run, ruling, fault):
    """And RT05 leaves it to this law."""
    one = told(run(), SUCCESS, fault)

    assert ruling(one, "RT09") == ("broken", f"RT09/{fault}")
    assert ruling(one, "RT05") == NOT_APPLIED


def test_rt09_is_broken_when_a_damaged_read_comes_back_as_a_response(run, ruling):
    """A response object with a 2xx claims success itself."""
    one = told(run(), Told(True, "<Response [200]>"), "truncate", method="GET")

    assert ruling(one, "RT09") == ("broken", "RT09/truncate")


def test_rt09_does_not_apply_when_a_damaged_read_comes_back_as_a_value(run, ruling, reason):
    """It may be kept from an earlier success."""
    one = told(run(), SUCCESS, "truncate", method="GET")

    assert ruling(one, "RT09") == NOT_APPLIED
    assert reason(one, "RT09") == (
        "a value kept from an earlier success looks the same as a damaged one taken for success"
    )


@pytest.mark.parametrize("fault", ["truncate", "garbage"])
def test_rt09_is_held_when_the_damaged_answer_is_retried(run, ruling, fault):
    """It was taken for what it is."""
    assert ruling(run().send(fault, key="key-1").wait(1).again(), "RT09") == ("held",)


@pytest.mark.parametrize("telling", [FAILURE, OUTAGE])
def test_rt09_is_held_when_the_damage_is_told(run, ruling, telling):
    """By a value or an exception."""
    assert ruling(told(run(), telling, "truncate"), "RT09") == ("held",)


@pytest.mark.parametrize("telling", [FALLBACK, None])
def test_rt09_does_not_apply_where_the_telling_claims_nothing(run, ruling, telling):
    """A fallback, or a telling that was not seen."""
    assert ruling(told(run(), telling, "truncate"), "RT09") == NOT_APPLIED


def test_rt09_text_points_at_the_answer(run, text):
    """The failure text, whole."""
    assert text(told(run("truncate"), SUCCESS, "truncate"), "RT09") == (
        "RT09 damaged answer taken for a success: the answer to POST /payments was not whole\n"
        "  t+0.00s  #1  POST /payments  key K1   committed, then 200, cut short   (truncate)   ◄ taken for a success\n"
        "  why   fewer bytes came than were announced, or what came was no HTTP, and the caller was told success\n"
        "  fix   compare the length with Content-Length and check the body before it counts\n"
        '  again @pytest.mark.chaos("truncate", seed=42)'
    )


@pytest.mark.parametrize(
    ("telling", "fault"),
    [
        (SUCCESS, "ok"),
        (SUCCESS, "reset after-commit"),
        (FAILURE, "503"),
        (OUTAGE, "reset"),
        (RESET, "reset after-commit"),
        (error("app.Failed", status=502), "502 after-commit"),
    ],
)
def test_id05_is_held_when_the_telling_agrees_with_the_ledger_or_says_unknown(run, ruling, telling, fault):
    """Success with an effect, failure without, or an ambiguous failure in the chain."""
    assert ruling(told(run(), telling, fault), "ID05") == ("held",)


@pytest.mark.parametrize("fault", ["503", "reset", "400"])
def test_id05_is_broken_by_success_without_an_effect(run, ruling, fault):
    """What the caller believes done is not done."""
    assert ruling(told(run(), SUCCESS, fault), "ID05") == ("broken", "ID05/false-success")


@pytest.mark.parametrize("telling", [FAILURE, OUTAGE, error("app.Failed", status=503)])
def test_id05_is_broken_by_failure_with_an_effect(run, ruling, telling):
    """Nothing in it says that the outcome is unknown."""
    assert ruling(told(run(), telling, "reset after-commit"), "ID05") == ("broken", "ID05/false-failure")


def test_id05_does_not_apply_where_the_run_was_ended(run, ruling):
    """The client would have waited for ever: nobody was told anything."""
    ended = Told(None, None, (Raised("pytest_retrychaos.run.NoTimeout", ("builtins.BaseException",), "", None),))

    assert ruling(told(run(), ended, "timeout after-commit"), "ID05") == NOT_APPLIED


@pytest.mark.parametrize(
    "name",
    [
        "elastic_transport.ConnectionTimeout",
        "app.PaymentTimedOut",
        "hvac.exceptions.BadGateway",
        "app.PaymentUnknown",
        "app.OutcomeUnknownError",
        "app.UnknownOutcome",
        "app.ChargeInDoubt",
        "app.IndeterminateResult",
    ],
)
def test_id05_is_held_when_the_errors_name_says_it(run, ruling, name):
    """Whatever library it is of."""
    assert ruling(told(run(), error(name), "timeout after-commit"), "ID05") == ("held",)


def test_id05_is_broken_by_a_refused_connection_whatever_it_comes_from(run, ruling):
    """In urllib3 it is a timeout by its bases."""
    telling = error("urllib3.exceptions.NewConnectionError", "urllib3.exceptions.TimeoutError")

    assert ruling(told(run(), telling, "timeout after-commit", "refuse"), "ID05") == ("broken", "ID05/false-failure")


@pytest.mark.parametrize("name", ["app.UnknownHostError", "app.UnknownPayment", "app.Declined", "app.Unknown"])
def test_id05_is_broken_when_the_errors_name_says_something_else(run, ruling, name):
    """What is unknown there is not what became of it."""
    assert ruling(told(run(), error(name), "timeout after-commit"), "ID05") == ("broken", "ID05/false-failure")


@pytest.mark.parametrize(
    "names",
    [
        ("app.PaymentOutcomeUnknown",),
        ("app.ChargeStatusIsUnknown",),
        ("app.UnknownResult",),
        ("app.InDoubt",),
        ("app.Failed", "app.IndeterminateError"),
    ],
)
def test_id05_is_held_when_a_name_of_the_codes_own_says_that_it_is_unknown(run, ruling, names):
    """Its class, or one that it comes from; whatever the last answer was."""
    assert ruling(told(run(), error(*names), "timeout after-commit", "503"), "ID05") == ("held",)


@pytest.mark.parametrize(
    "message",
    [
        "the charge may have been made",
        "payment 7: its state is not known",
        "unknown outcome",
        "unclear whether it was paid",
    ],
)
def test_id05_does_not_apply_where_a_message_may_say_that_it_is_unknown(run, ruling, message):
    """People can read it, programs cannot."""
    telling = error("app.Failed", message=message)

    assert ruling(told(run(), telling, "timeout after-commit", "503"), "ID05") == NOT_APPLIED


def test_id05_is_held_by_aiohttps_error_about_what_was_no_http(run, ruling):
    """It looks like an answer with 400, but none came."""
    parsers = error("aiohttp.http_exceptions.BadStatusLine", "aiohttp.http_exceptions.HttpProcessingError")
    refusal = error("aiohttp.client_exceptions.ClientResponseError", "aiohttp.client_exceptions.ClientError")
    chain = Told(None, None, (*refusal.raised, *parsers.raised))

    assert ruling(told(run(), chain, "garbage"), "ID05") == ("held",)
    assert ruling(told(run(), refusal, "garbage"), "ID05") == ("broken", "ID05/false-failure")


def value(*said, held=()):
    """Told by a value that claims failure, and says more."""
    return Told(False, "Result(ok=False)", claimed_by="ok", held=held, said=said)


@pytest.mark.parametrize(
    "said",
    [
        "status: unknown",
        "outcome: pending",
        "payment: unconfirmed",
        "code: outcome_unknown",
        "code: timeout",
        "error: ReadTimeout",
        "reason: gateway_timeout",
        "state: in_doubt",
        "status: 504",
        "code: 408",
        "phase: unknown",
        "outcome_unknown: true",
        "uncertain: true",
        "is_definitive: false",
    ],
)
def test_id05_is_held_when_a_field_of_the_value_says_that_it_is_unknown(run, ruling, said):
    """A result need not be raised to be honest."""
    assert ruling(told(run(), value("message: no luck", said), "timeout after-commit", "503"), "ID05") == ("held",)


@pytest.mark.parametrize("link", [RESET, error("app.PaymentUnknown"), error("app.Failed", status=502)])
def test_id05_is_held_when_the_value_holds_an_ambiguous_failure(run, ruling, link):
    """As when it is raised."""
    one = told(run(), value(held=(*OUTAGE.raised, *link.raised)), "reset after-commit")

    assert ruling(one, "ID05") == ("held",)


@pytest.mark.parametrize(
    "said",
    [
        "message: the charge may have been made",
        "error: HTTPConnectionPool(host='x', port=80): Read timed out. (read timeout=5)",
        "error: ('Connection aborted.', ConnectionResetError(104, 'Connection reset by peer'))",
        "detail: the payment is still processing",
    ],
)
def test_id05_does_not_apply_where_a_field_of_the_value_may_say_that_it_is_unknown(run, ruling, said):
    """People can read it, programs cannot."""
    assert ruling(told(run(), value(said), "timeout after-commit", "503"), "ID05") == NOT_APPLIED


@pytest.mark.parametrize(
    "said",
    [
        "status: failed",
        "status: 503",
        "status: 400",
        "code: declined",
        "code: 7",
        "error: unknown",
        "outcome_unknown: false",
        "is_definitive: true",
        "customer_known: false",
        "maybe_fraud: true",
        "is_final: false",
        "reason: reconciled",
        "error: UnknownCard",
        "message: unknown error",
        "message: payment failed, try again",
    ],
)
def test_id05_is_broken_when_the_value_says_something_else(run, ruling, said):
    """What failed is told, and that it failed is wrong."""
    one = told(run(), value(said, held=OUTAGE.raised), "timeout after-commit")

    assert ruling(one, "ID05") == ("broken", "ID05/false-failure")


def test_id05_text_says_how_a_value_can_be_honest(run, text):
    """Who returns results need not begin to raise."""
    lines = text(told(run("reset after-commit"), FAILURE, "reset after-commit"), "ID05").splitlines()

    assert lines[-2] == (
        "  fix   raise an error that says the outcome is unknown, from the failure itself (raise … from error),"
        " or give the failure in the value: Result(ok=False, error=error)"
    )


def test_id05_is_held_when_the_cause_is_ambiguous(run, ruling):
    """Any failure of the chain will do."""
    chain = Told(None, None, (*OUTAGE.raised, *RESET.raised))

    assert ruling(told(run(), chain, "reset after-commit"), "ID05") == ("held",)


def test_id05_takes_a_replay_for_an_effect(run, ruling):
    """The effect is an earlier operation's."""
    assert ruling(told(run(), SUCCESS, "ok", replayed=True, effects=0, committed=False), "ID05") == ("held",)


def test_id05_does_not_apply_to_a_fallback(run, ruling):
    """It claims nothing."""
    assert ruling(told(run(), FALLBACK, "reset after-commit"), "ID05") == NOT_APPLIED


def test_id05_does_not_apply_when_another_write_of_the_scope_may_have_undone_it(run, ruling):
    """A compensation makes the failure true."""
    one = run().open(told=FAILURE).new().send("reset after-commit", key="key-1")

    assert ruling(one.new().send("ok", "DELETE", "/payments/1").close(), "ID05") == NOT_APPLIED


def test_id05_does_not_apply_to_a_cancelled_operation(run, ruling):
    """The caller gave up the answer itself."""
    one = run().open(told=OUTAGE, cancelled=1).send("reset after-commit").close()

    assert ruling(one, "ID05") == NOT_APPLIED


def test_id05_does_not_apply_when_the_service_says_it_is_there_already(run, ruling):
    """Then success may be right without an effect."""
    assert ruling(told(run(), SUCCESS, "409", own_answer=True, failed=False), "ID05") == NOT_APPLIED


def test_id05_does_not_apply_where_the_telling_was_not_seen(run, ruling):
    """chaos.call shows it."""
    assert ruling(run().send(), "ID05") == NOT_APPLIED


def test_id05_text_says_what_was_believed(run, text):
    """The failure text, whole."""
    assert text(told(run("reset after-commit"), OUTAGE, "reset after-commit"), "ID05") == (
        "ID05 false failure: POST /payments was carried out, and the caller was told failure\n"
        "  t+0.00s  #1  POST /payments  key K1   committed, then the response was lost   (reset after-commit)"
        "   ◄ carried out, told as failure\n"
        "  why   the caller was told by payments.Outage: nothing in it says that the outcome is unknown,"
        " and a caller who believes it will do it again\n"
        "  fix   raise an error that says the outcome is unknown, from the failure itself (raise … from error)\n"
        '  again @pytest.mark.chaos("reset after-commit", seed=42)'
    )
