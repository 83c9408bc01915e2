"""Where idempotency keys are found."""

from __future__ import annotations

import botocore.session
import pytest

from pytest_retrychaos.service.carriers import CARRIERS, FIELDS, HEADERS, find_key


@pytest.mark.parametrize("name", HEADERS.values())
def test_header_is_a_carrier(ask, name):
    """Every header of the table carries a key, whatever its case."""
    request = ask("POST", "/x", **{name.upper().replace("-", "_"): "k-1"})

    assert find_key(request) == (name, "k-1")


@pytest.mark.parametrize("name", FIELDS)
def test_json_field_is_a_carrier(ask, name):
    """Every field of the table carries a key at the top level of a JSON body."""
    assert find_key(ask("POST", "/x", {"amount": 1, name: "k-1"})) == (f"body:{name}", "k-1")


@pytest.mark.parametrize("name", FIELDS)
def test_query_field_is_a_carrier(ask, name):
    """Every field of the table carries a key in the query."""
    assert find_key(ask("POST", f"/x?a=1&{name}=k%2D1")) == (f"query:{name}", "k-1")


def test_form_field_is_a_carrier(ask):
    """The AWS query protocol sends ClientToken in a form."""
    request = ask(
        "POST",
        "/",
        b"Action=RunInstances&ClientToken=k-1",
        media="application/x-www-form-urlencoded; charset=utf-8",
    )

    assert find_key(request) == ("body:ClientToken", "k-1")


@pytest.mark.parametrize(
    ("own", "sent", "key"),
    [
        ("X-Order-Ref", {"X_ORDER_REF": "o-1"}, "o-1"),
        ("body:order_ref", {}, "b-1"),
        ("body:number", {}, "7"),
        ("query:ref", {}, "q-1"),
        ("body:a:b", {}, "c"),
    ],
)
def test_a_name_of_the_services_own_is_a_carrier_too(ask, own, sent, key):
    """It comes before those of the table; a number is a key there."""
    body = {"order_ref": "b-1", "number": 7, "a:b": "c", "paid": True, "idempotency_key": "k"}
    request = ask("POST", "/x?ref=q-1", body, **sent)

    assert find_key(request, (own,)) == (own, key)
    assert find_key(request, ("X-Other", "body:paid", "query:other")) == ("body:idempotency_key", "k")


def test_header_comes_before_body_and_query(ask):
    """Where several carriers are filled, the header's key counts."""
    request = ask("POST", "/x?requestId=q", {"idempotency_key": "b"}, key="h")

    assert find_key(request) == ("Idempotency-Key", "h")


@pytest.mark.parametrize(
    ("body", "media"),
    [
        (b'{"payment": {"idempotency_key": "deep"}}', "application/json"),
        (b'{"idempotency_key": 7}', "application/json"),
        (b'{"idempotency_key": ""}', "application/json"),
        (b'[{"idempotency_key": "k"}]', "application/json"),
        (b'{"idempotency_key": "k"', "application/json"),
        (b'{"idempotency_key": "k"}', "text/plain"),
        (b"\xff idempotency_key", "application/json"),
    ],
    ids=["nested", "a number", "empty", "in a list", "broken", "text", "invalid UTF-8"],
)
def test_no_key_is_found(ask, body, media):
    """What only looks like a key is none."""
    assert find_key(ask("POST", "/x", body, media=media)) is None


def test_a_key_that_utf_8_cannot_write_is_a_key_all_the_same(bench):
    """JSON can hold half of a surrogate pair: the request is carried out once, and replayed."""
    body = b'{"idempotency_key": "\\ud800"}'
    answers = [bench("POST", "/payments", body, media="application/json") for _ in range(2)]

    assert [(one.response.status, one.replayed) for one in answers] == [(201, False), (201, True)]
    assert [one.key for one in bench.service.effects] == ["\\ud800"]


def test_request_id_headers_name_the_attempt(ask):
    """X-Request-Id and its like are no idempotency keys."""
    assert find_key(ask("POST", "/x", X_Request_Id="r", X_Correlation_ID="c", Request_Id="q")) is None


def test_empty_header_is_no_key(ask):
    """A key header without a value is as if absent."""
    assert find_key(ask("POST", "/x", key="  ")) is None


def test_every_carrier_has_a_source():
    """The table says for each carrier who uses it."""
    assert [carrier.name for carrier in CARRIERS if not carrier.source] == []


@pytest.mark.parametrize(
    ("name", "service", "operation"),
    [
        ("X-Amz-Client-Token", "s3", "RenameObject"),
        ("X-Amz-Client-Token", "deadline", "CreateFarm"),
        ("X-Amzn-Client-Token", "billingconductor", "CreateBillingGroup"),
        ("X-Amzn-Client-Token", "mediapackagev2", "CreateChannel"),
        ("ClientToken", "autoscaling", "LaunchInstances"),
        ("ClientRequestToken", "dynamodb", "TransactWriteItems"),
        ("clientToken", "accessanalyzer", "CreateAnalyzer"),
        ("clientRequestToken", "codepipeline", "StartPipelineExecution"),
        ("IdempotencyToken", "backup", "StartBackupJob"),
        ("idempotencyToken", "ivs-realtime", "StartComposition"),
        ("CreatorRequestId", "servicediscovery", "CreateHttpNamespace"),
        ("CreatorRequestId", "route53resolver", "AssociateFirewallRuleGroup"),
        ("creatorRequestId", "mq", "CreateBroker"),
        ("requestId", "omics", "CreateConfiguration"),
    ],
)
def test_the_rows_of_aws_are_those_of_its_models(name, service, operation):
    """What botocore fills in by itself, where the caller gives none, and how it is called on the wire."""
    model = botocore.session.get_session().get_service_model(service).operation_model(operation)
    tokens = [
        (member.serialization.get("name", own), member.serialization.get("location"))
        for own, member in model.input_shape.members.items()
        if member.metadata.get("idempotencyToken")
    ]

    is_header = name in HEADERS.values()
    assert [(on_wire.lower() if is_header else on_wire, place) for on_wire, place in tokens] == [
        (name.lower(), "header") if is_header else (name, None)
    ]
