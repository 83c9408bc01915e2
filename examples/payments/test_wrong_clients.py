"""Every wrong client is caught by the law that it breaks, and by no other."""

from __future__ import annotations

import contextlib
from types import FunctionType

import pytest

from examples.payments import wrong
from pytest_retrychaos import LawsBroken

CAUGHT = (
    (wrong.new_key_per_attempt, "reset after-commit, ok", {"ID02/new-key", "ID04"}),
    (wrong.new_key_per_attempt, "503, ok", {"ID02/new-key"}),
    (wrong.new_key_for_one_in_flight, "slow=15s before-commit, ok", {"ID06/new-key"}),
    (wrong.no_key, "reset after-commit, ok", {"ID01", "ID04"}),
    (wrong.no_key, "reset, ok", {"ID01"}),
    (wrong.ignores_retry_after, "503 retry-after=30, ok", {"BK04/early"}),
    (wrong.ignores_retry_after, "429 retry-after=date+90s, ok", {"BK04/early"}),
    (wrong.crashes_on_a_date, "503 retry-after=date+30s, ok", {"RT06/ValueError"}),
    (wrong.retries_a_bad_request, "400, ok", {"RT02/400"}),
    (wrong.hot_loop, "503 x3, ok", {"BK01"}),
    (wrong.never_stops, "503 *", {"RT03"}),
    (wrong.gives_up_at_once, "503", {"RT01/503"}),
    (wrong.tells_doubt_as_failure, "timeout after-commit x3", {"ID05/false-failure"}),
    (wrong.loses_the_body, "503, ok", {"RT04/body"}),
    (wrong.no_timeout, "timeout", {"BK07"}),
    (wrong.sends_a_success_again, "201 retry-after=1", {"RT07"}),
)


def shapes(chaos) -> set[str]:
    """Return the shape of everything that was found."""
    with pytest.raises(LawsBroken) as broken:
        chaos.verify()
    return {finding.shape for finding in broken.value.verdict.findings}


@pytest.mark.parametrize(
    ("client", "script", "found"), CAUGHT, ids=[f"{client.__name__}-{script}" for client, script, _ in CAUGHT]
)
def test_a_wrong_client_is_caught_by_its_law_alone(chaos, client, script, found):
    """One payment under the script that brings the mistake out."""
    chaos.script(script)
    with contextlib.suppress(BaseException):  # also the ends that no retry loop can catch: no timeout, no maximum
        chaos.call(client, chaos.url, amount=1000, currency="USD")

    assert shapes(chaos) == found


@pytest.mark.chaos("503 retry-after=date+30s, ok", timezone="America/New_York")
def test_a_date_taken_for_local_time_is_caught_west_of_greenwich(chaos):
    """In New York the client waits five hours too long."""
    chaos.call(wrong.reads_the_date_as_local_time, chaos.url, amount=1000, currency="USD")

    assert shapes(chaos) == {"BK04/late"}


@pytest.mark.chaos("503 retry-after=date+30s, ok", timezone="Asia/Tokyo")
def test_a_date_taken_for_local_time_is_caught_east_of_greenwich(chaos):
    """In Tokyo the date seems long past, and the client comes too early."""
    chaos.call(wrong.reads_the_date_as_local_time, chaos.url, amount=1000, currency="USD")

    assert shapes(chaos) == {"BK04/early"}


@pytest.mark.chaos("ok, 503 x4")
def test_a_swallowed_error_is_caught_where_it_looks_like_the_success_before(chaos):
    """It returns after an outage what it returned after a success, and nothing was paid."""
    chaos.call(wrong.swallows_the_last_error, chaos.url, amount=1000, currency="USD")
    chaos.call(wrong.swallows_the_last_error, chaos.url, amount=2000, currency="USD")

    assert shapes(chaos) == {"RT05", "ID05/false-success"}


def test_one_key_for_two_payments_is_caught_without_any_fault(chaos):
    """The second purchase is never carried out: the service knows the key."""
    chaos.call(wrong.one_key_per_customer, chaos.url, amount=1000, customer="ada")
    chaos.call(wrong.one_key_per_customer, chaos.url, amount=2000, customer="ada")

    assert shapes(chaos) == {"ID03/body"}


ALONE = (wrong.reads_the_date_as_local_time, wrong.swallows_the_last_error, wrong.one_key_per_customer)


def test_every_wrong_client_is_shown():
    """None stands in the file that no test here catches."""
    shown = {client for client, _, _ in CAUGHT} | set(ALONE)
    written = [value for name, value in vars(wrong).items() if isinstance(value, FunctionType) and name[0] != "_"]

    assert {client for client in written if client.__module__ == wrong.__name__} == shown


RETRY_AFTER = """\
BK04 Retry-After not obeyed: POST /payments was sent again after 1 s, 30 s were asked for
  t+0.00s  #1  POST /payments  key K1   503, Retry-After: 30   (503 retry-after=30)
  t+1.00s  #2  POST /payments  key K1   201, committed         ◄ 29 s too early
  why   the server said when it would be ready: whoever comes sooner is turned away again, or banned
  fix   wait for the greater of the backoff and Retry-After, or give up
  again @pytest.mark.chaos("503 retry-after=30, ok", seed=7)"""


@pytest.mark.chaos("503 retry-after=30, ok", seed=7)
def test_the_failure_tells_what_happened_why_and_what_to_do(chaos):
    """The text whole, for a client that ignores Retry-After."""
    wrong.ignores_retry_after(chaos.url, amount=1000, currency="USD")

    with pytest.raises(LawsBroken) as broken:
        chaos.verify()
    assert str(broken.value) == RETRY_AFTER


CHARGED_TWICE = """\
ID02, ID04 broken: 2 findings

ID02 key not kept: POST /payments was sent again with another key
  t+0.00s  #1  POST /payments  key K1   committed, then the response was lost   (reset after-commit)
  t+1.00s  #2  POST /payments  key K2   201, committed                          ◄ another key
  why   the service knows a retry by its key: under another one it is a new payment
  fix   make one key per operation, outside the retry loop, and send it on every attempt
  again @pytest.mark.chaos("reset after-commit, ok", seed=7)
  or    two operations? name them with chaos.operation

ID04 duplicate effect: POST /payments was carried out 2 times for one operation
  t+0.00s  #1  POST /payments  key K1   committed, then the response was lost   (reset after-commit)
  t+1.00s  #2  POST /payments  key K2   201, committed                          ◄ second effect
  why   each attempt has a key of its own: to the service each is a new payment
  fix   make one key per operation, outside the retry loop, and send it on every attempt
  again @pytest.mark.chaos("reset after-commit, ok", seed=7)
  or    two operations? name them with chaos.operation
  or    if this is a read: chaos.service.route(…, effect=False)"""


@pytest.mark.chaos("reset after-commit, ok", seed=7)
def test_the_failure_tells_of_the_second_charge(chaos):
    """The text whole, for a client that makes a new key for each attempt."""
    wrong.new_key_per_attempt(chaos.url, amount=1000, currency="USD")

    with pytest.raises(LawsBroken) as broken:
        chaos.verify()
    assert str(broken.value) == CHARGED_TWICE
