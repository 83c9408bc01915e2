"""Which requests change nothing, and which are guarded."""

from __future__ import annotations

import pytest

from pytest_retrychaos.service.reads import READS_BY_POST, is_guarded, is_read

FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("GET", True),
        ("HEAD", True),
        ("OPTIONS", True),
        ("TRACE", True),
        ("POST", False),
        ("PUT", False),
        ("PATCH", False),
        ("DELETE", False),
    ],
)
def test_method_decides(ask, method, expected):
    """Safe methods are reads, the others are not."""
    assert is_read(ask(method, "/payments")) is expected


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("DynamoDB_20120810.GetItem", True),
        ("DynamoDB_20120810.Query", True),
        ("DynamoDB_20120810.Scan", True),
        ("DynamoDB_20120810.BatchGetItem", True),
        ("AmazonSSM.DescribeParameters", True),
        ("AWSSecretsManager.ListSecrets", True),
        ("DynamoDB_20120810.PutItem", False),
        ("DynamoDB_20120810.BatchWriteItem", False),
        ("Some.Getaway", False),
        ("AmazonSQS.SendMessage", False),
    ],
)
def test_aws_json_operation_decides(ask, target, expected):
    """An X-Amz-Target that begins with a word for reading is a read."""
    assert is_read(ask("POST", "/", {}, X_Amz_Target=target)) is expected


@pytest.mark.parametrize(
    ("body", "target", "expected"),
    [
        (b"Action=DescribeInstances&Version=2016-11-15", "/", True),
        (b"Action=GetCallerIdentity", "/", True),
        (b"Action=RunInstances", "/", False),
        (b"", "/?Action=ListUsers", True),
        (b"", "/?Action=CreateUser", False),
    ],
)
def test_aws_query_action_decides(ask, body, target, expected):
    """An Action in form or query that begins with a word for reading is a read."""
    assert is_read(ask("POST", target, body, media=FORM)) is expected


@pytest.mark.parametrize(
    ("body", "media"),
    [(b"grant_type=client_credentials&scope=a", FORM), (b'{"grant_type": "password"}', "application/json")],
)
def test_token_endpoint_is_a_read(ask, body, media):
    """Fetching a token changes nothing that counts."""
    assert is_read(ask("POST", "/oauth/token", body, media=media))


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ("{ viewer { login } }", True),
        ("query Q($id: ID = 3) { node(id: $id) { id } }", True),
        ("# mutation\nquery { a }", True),
        ("fragment F on User { mutation } query { ...F }", True),
        ('{ find(text: "mutation { x }") { id } }', True),
        ("mutation { pay { id } }", False),
        ("  mutation Pay($a: In = {b: 1}) { pay(a: $a) { id } }", False),
        ("subscription { paid { id } }", False),
        ("query A { a } mutation B { b }", False),
        ("shoes", False),
        ("query about shoes", False),
    ],
)
def test_graphql_operation_decides(ask, document, expected):
    """A GraphQL document is a read if all it holds are queries."""
    assert is_read(ask("POST", "/graphql", {"query": document})) is expected


def test_graphql_operation_name_decides(ask):
    """Of several operations the named one counts."""
    body = {"query": "query A { a } mutation B { b }", "operationName": "A"}

    assert is_read(ask("POST", "/graphql", body))
    assert not is_read(ask("POST", "/graphql", {**body, "operationName": "B"}))


def test_graphql_batch_needs_queries_alone(ask):
    """A batch with one mutation is no read."""
    query, mutation = {"query": "{ a }"}, {"query": "mutation { b }"}

    assert is_read(ask("POST", "/graphql", [query, query]))
    assert not is_read(ask("POST", "/graphql", [query, mutation]))


@pytest.mark.parametrize("name", ["_search", "_msearch", "_count", "_mget"])
def test_elasticsearch_search_is_a_read(ask, name):
    """A search by POST is a read, with a query or without."""
    assert is_read(ask("POST", f"/orders/{name}?size=5", {"query": {"match_all": {}}}))


def test_elasticsearch_write_is_no_read(ask):
    """Indexing and bulk are writes."""
    assert not is_read(ask("POST", "/orders/_bulk", b"{}\n", media="application/x-ndjson"))


@pytest.mark.parametrize("body", [b"\xff\xfe query grant_type", b'{"query": ', b"[]", b"null query"])
def test_unreadable_body_is_no_read(ask, body):
    """What cannot be understood counts as a write."""
    assert not is_read(ask("POST", "/x", body, media="application/json"))


def test_every_row_has_a_source():
    """The table says where each protocol is written down."""
    assert [row.name for row in READS_BY_POST if not row.source] == []


@pytest.mark.parametrize(
    "headers",
    [
        {"If_Match": '"a"'},
        {"If_None_Match": "*"},
        {"If_Unmodified_Since": "Thu, 01 Jan 2026 00:00:00 GMT"},
        {"x_goog_if_generation_match": "0"},
        {"x_goog_if_metageneration_match": "1"},
    ],
)
def test_header_guards(ask, headers):
    """Each precondition header guards a write."""
    assert is_guarded(ask("PUT", "/x", b"", **headers))


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/b/o?uploadType=media&ifGenerationMatch=0", True),
        ("/b/o?ifMetagenerationMatch=3", True),
        ("/b/o?generation=3", False),
        ("/b/ifGenerationMatch", False),
    ],
)
def test_query_guards(ask, target, expected):
    """Cloud Storage's preconditions in the query guard a write."""
    assert is_guarded(ask("POST", target)) is expected
