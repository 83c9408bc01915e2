"""The pure decision of the idempotency layer, and its settings."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_retrychaos.model import Response
from pytest_retrychaos.service.idempotency import (
    Arrival,
    Execute,
    Idempotency,
    Reason,
    Record,
    Refuse,
    Replay,
    decide,
)

SETTINGS = Idempotency()
PAY = Arrival("POST", "/payments", "json", b'{"amount": 1}', "k")
OTHER = PAY._replace(body=b'{"amount": 2}')
RECORD = Record(PAY, Response(201), at_ns=0)
DAY_NS = 86_400 * 10**9


def test_first_use_of_a_key_executes():
    """A key never seen is carried out under its key."""
    assert decide(SETTINGS, PAY, None, None, 0) == Execute(True)


def test_known_key_replays():
    """A key with a kept answer gets that answer."""
    assert decide(SETTINGS, PAY, RECORD, None, 5) == Replay(RECORD)


def test_key_order_makes_no_other_payload():
    """The same JSON written differently is the same request."""
    record = Record(PAY._replace(body=b'{"b":2,"a":1}'), Response(201), 0)

    assert decide(SETTINGS, PAY._replace(body=b'{"a": 1, "b": 2}'), record, None, 0) == Replay(record)


@pytest.mark.parametrize(("now_ns", "executes"), [(DAY_NS - 1, False), (DAY_NS, True)])
def test_key_lives_for_its_lifetime(now_ns, executes):
    """After exactly 24 hours a key is new again."""
    assert (decide(SETTINGS, PAY, RECORD, None, now_ns) == Execute(True)) is executes


@pytest.mark.parametrize("status", [400, 409, 422])
def test_other_payload_is_refused(status):
    """A key with another payload is turned away with the status that was set."""
    settings = replace(SETTINGS, mismatch=status)

    assert decide(settings, OTHER, RECORD, None, 0) == Refuse(status, Reason.MISMATCH)


@pytest.mark.parametrize("change", [{"method": "PUT"}, {"target": "/refunds"}, {"target": "/payments?a=1"}])
def test_other_request_line_is_another_payload(change):
    """Method, path and query belong to what a key stands for."""
    assert decide(SETTINGS, PAY._replace(**change), RECORD, None, 0) == Refuse(422, Reason.MISMATCH)


def test_other_payload_may_replay():
    """Some providers look at the key alone."""
    assert decide(replace(SETTINGS, mismatch="replay"), OTHER, RECORD, None, 0) == Replay(RECORD)


@pytest.mark.parametrize("status", [409, 422])
def test_key_in_flight_is_refused(status):
    """While the first request runs, the second is told so."""
    settings = replace(SETTINGS, in_flight=status)

    assert decide(settings, PAY, None, PAY, 0) == Refuse(status, Reason.IN_FLIGHT)


def test_other_payload_in_flight_is_a_mismatch():
    """Another payload is wrong whether the first has ended or not."""
    assert decide(replace(SETTINGS, mismatch=400), OTHER, None, PAY, 0) == Refuse(400, Reason.MISMATCH)


@pytest.mark.parametrize(
    ("method", "decision"),
    [("POST", Refuse(400, Reason.MISSING)), ("PATCH", Refuse(400, Reason.MISSING)), ("PUT", Execute(False))],
)
def test_missing_key_is_refused_where_required(method, decision):
    """Only methods that are not idempotent by themselves can need a key."""
    settings = replace(SETTINGS, missing=400)

    assert decide(settings, PAY._replace(method=method, key=None), None, None, 0) == decision


def test_missing_key_is_allowed_by_default():
    """Without a key the request is carried out, unprotected."""
    assert decide(SETTINGS, PAY._replace(key=None), None, None, 0) == Execute(False)


@pytest.mark.parametrize(("length", "decision"), [(255, Execute(True)), (256, Refuse(400, Reason.TOO_LONG))])
def test_key_has_a_maximum_length(length, decision):
    """A key may have the maximum of characters and not one more."""
    assert decide(SETTINGS, PAY._replace(key="k" * length), None, None, 0) == decision


@pytest.mark.parametrize("settings", [replace(SETTINGS, enabled=False), replace(SETTINGS, methods=("PUT",))])
def test_key_is_ignored_where_the_layer_does_not_apply(settings):
    """Without the layer a known key is carried out again."""
    assert decide(settings, PAY, RECORD, None, 0) == Execute(False)


@pytest.mark.parametrize(
    ("stored", "kept"),
    [
        ("all", {200: True, 303: True, 400: True, 500: True, 503: False, 429: False}),
        ("2xx", {200: True, 303: False, 400: False, 500: False, 503: False, 429: False}),
        ("not-5xx", {200: True, 303: True, 400: True, 500: False, 503: False, 429: False}),
    ],
)
def test_stored_names_the_results_that_are_kept(stored, kept):
    """Which results are kept is a setting; what says that nothing was done never is."""
    settings = replace(SETTINGS, stored=stored)

    assert {status: settings.keeps(status) for status in kept} == kept


CARRIERS = (
    'carriers is a tuple of names, such as ("X-Order-Ref",) for a header, or "body:order_ref" or "query:order_ref"'
)
MARKER = "replay_marker is a header's name, a token of HTTP, and its value, printable ASCII"


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("missing", "deny", "missing is one of 'allow', 400"),
        ("mismatch", 418, "mismatch is one of 400, 409, 422, 'replay'"),
        ("in_flight", True, "in_flight is one of 409, 422"),
        ("stored", "none", "stored is one of 'all', '2xx', 'not-5xx'"),
        ("scope", "galaxy", "scope is one of 'endpoint', 'host', 'credentials', 'everywhere'"),
        ("lifetime", 0, "lifetime is a number of seconds above 0; enabled=False ignores all keys"),
        ("lifetime", float("inf"), "lifetime is a number of seconds above 0; enabled=False ignores all keys"),
        ("lifetime", "1h", "lifetime is a number of seconds above 0; enabled=False ignores all keys"),
        ("max_length", 0, "max_length is a number of characters, 1 or more"),
        ("carriers", "X-Order-Ref", CARRIERS),
        ("carriers", ("X Order",), CARRIERS),
        ("carriers", ("form:ref",), CARRIERS),
        ("carriers", ("body:",), CARRIERS),
        ("methods", ("post",), 'methods is a tuple of method names in capitals, such as ("POST", "PATCH")'),
        ("never_stored", (99,), "never_stored is a tuple of statuses from 100 to 599"),
        ("replay_marker", "yes", "replay_marker is a pair of header name and value, or None for no marker"),
        ("replay_marker", ("A", "b\r\nC: d"), MARKER),
        ("replay_marker", ("Idempotent Replayed", "true"), MARKER),
        ("replay_marker", ("Idempotent-Replayed:", "true"), MARKER),
        ("replay_marker", ("Idempotent-Replayed", "€"), MARKER),
        ("replay_marker", ("Idempotent-Replayed", ""), MARKER),
        ("enabled", 1, "enabled is True or False"),
        ("quoted", None, "quoted is True or False"),
    ],
)
def test_bad_setting_is_refused(name, value, rule):
    """A bad value is refused where it is set, with value and rule."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 # the whole message is compared
        Idempotency(**{name: value})

    assert str(caught.value) == f"Idempotency({name}={value!r}): {rule}"
