"""Which requests change nothing, and which are safe to repeat because of a precondition.

A request is a read by its method, or, where it travels by POST, by a row of `READS_BY_POST`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from pytest_retrychaos.model import Request
from pytest_retrychaos.service.payload import FORM, JSON, fields_of, media_type, read_json

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "REPORT", "SEARCH", "QUERY"})
"""RFC 9110, 9.2.1, and what IANA's registry of HTTP methods has as safe: WebDAV's (RFC 4918, 3253, 5323), and QUERY."""

_AWS_READ = re.compile(r"(?:Get|List|Describe|Query|Scan|Head|BatchGet)(?![a-z])")
_ELASTIC = frozenset({"_search", "_msearch", "_count", "_mget"})
_GRAPHQL_NOISE = re.compile(r'"""(?:[^"\\]|\\.|"(?!""))*"""|"(?:[^"\\\n]|\\.)*"|#[^\n]*', re.DOTALL)
_GRAPHQL_TOKEN = re.compile(r"[{}]|[_A-Za-z][_0-9A-Za-z]*")


@dataclass(frozen=True, slots=True)
class ReadByPost:
    """One protocol whose reads travel by POST."""

    name: str
    source: str
    matches: Callable[[Request], bool]


def _aws_target(request: Request) -> bool:
    target = request.headers.get("x-amz-target")
    return target is not None and _AWS_READ.match(target.rpartition(".")[2]) is not None


def _aws_action(request: Request) -> bool:
    action: object = None
    if b"Action=" in request.content and media_type(request.headers.by_name) == FORM:
        action = fields_of(FORM, request.content).get("Action")
    elif "Action=" in request.target:
        action = request.query.get("Action")
    return isinstance(action, str) and _AWS_READ.match(action) is not None


def _token(request: Request) -> bool:
    if b"grant_type" not in request.content:
        return False
    kind = media_type(request.headers.by_name)
    return kind in (FORM, JSON) and isinstance(fields_of(kind, request.content).get("grant_type"), str)


def _elastic(request: Request) -> bool:
    return request.path.rpartition("/")[2] in _ELASTIC


def _graphql(request: Request) -> bool:
    if b"query" not in request.content or media_type(request.headers.by_name) != JSON:
        return False
    try:
        value = read_json(request.content)
    except ValueError:
        return False
    calls = value if isinstance(value, list) else [value]
    return bool(calls) and all(isinstance(call, dict) and _is_query(call) for call in calls)


def _is_query(call: dict[str, object]) -> bool:
    document = call.get("query")
    if not isinstance(document, str):
        return False
    operations = _operations(_GRAPHQL_NOISE.sub(" ", document))
    wanted = call.get("operationName")
    if isinstance(wanted, str) and wanted:
        operations = [pair for pair in operations if pair[1] == wanted]
    return bool(operations) and all(kind == "query" for kind, _ in operations)


def _operations(document: str) -> list[tuple[str, str]]:
    """List the operations of a GraphQL document as (kind, name); none where it is no such document."""
    if not re.match(r"\s*(?:\{|(?:query|mutation|subscription|fragment)\b)", document):
        return []
    found: list[tuple[str, str]] = []
    depth, head = 0, [""]
    for token in _GRAPHQL_TOKEN.findall(re.sub(r"\([^()]*\)", " ", document)):
        if token == "{":
            if depth == 0 and head[0] != "fragment":
                found.append((head[0] or "query", head[1] if len(head) > 1 else ""))
            depth += 1
        elif token == "}":
            depth -= 1
            head = [""] if depth == 0 else head
        elif depth == 0:
            head = [token] if head == [""] else [*head, token]
    return found


READS_BY_POST: tuple[ReadByPost, ...] = (
    ReadByPost("AWS JSON", "AWS JSON 1.0 and 1.1 protocols of Smithy: X-Amz-Target", _aws_target),
    ReadByPost("AWS query", "AWS query protocol of Smithy: Action", _aws_action),
    ReadByPost("OAuth token", "RFC 6749, 4: a form with grant_type; JSON at Auth0", _token),
    ReadByPost("Elasticsearch", "Elasticsearch REST API: search, count and multi-get by POST", _elastic),
    ReadByPost("GraphQL", "GraphQL over HTTP, and the operation types of the GraphQL language", _graphql),
)

REPEATABLE_BY_POST: dict[str, str] = {
    "DynamoDB_20120810.PutItem": "Amazon DynamoDB API reference: creates or replaces a whole item",
    "DynamoDB_20120810.DeleteItem": "Amazon DynamoDB API reference: idempotent unless conditional",
    "DynamoDB_20120810.BatchWriteItem": "Amazon DynamoDB API reference: puts and deletes whole items",
    "AmazonSQS.DeleteMessage": "Amazon SQS API reference: deleting again succeeds",
    "AmazonSQS.DeleteMessageBatch": "Amazon SQS API reference: deleting again succeeds",
}
"""Writes that travel by POST and, sent again, leave everything as it is: X-Amz-Target, and who says so."""

_UPLOAD = "uploadId"
"""The field that names a multipart upload in Amazon S3 and in Cloud Storage's XML API: to complete it again gives the
same object (adobe/S3Mock issue 2586; googleapis/python-storage PR 1120: "associated with an upload ID")."""

GUARDS: tuple[tuple[str, str, str], ...] = (
    ("header", "if-match", "RFC 9110, 13.1.1"),
    ("header", "if-none-match", "RFC 9110, 13.1.2"),
    ("header", "if-unmodified-since", "RFC 9110, 13.1.4"),
    ("header", "x-goog-if-generation-match", "Cloud Storage XML API, request preconditions"),
    ("header", "x-goog-if-metageneration-match", "Cloud Storage XML API, request preconditions"),
    ("query", "ifGenerationMatch", "Cloud Storage JSON API, request preconditions"),
    ("query", "ifMetagenerationMatch", "Cloud Storage JSON API, request preconditions"),
)
"""Preconditions under which repeating a request does nothing: (place, name, source)."""

_READ_IN_TEXT = re.compile("Action=|" + "|".join(sorted(_ELASTIC)))
_READ_IN_BODY = re.compile(rb"Action=|grant_type|query")
"""What stands in the target or in the body of every read by POST but those known by a header."""

GUARD_HEADERS = frozenset(name for place, name, _ in GUARDS if place == "header")
_GENERATION_HEADERS = frozenset(name for name in GUARD_HEADERS if name.startswith("x-goog-"))
_GUARD_FIELDS = tuple(name for place, name, _ in GUARDS if place == "query")
_IN_GUARD_FIELDS = "eneration"
"""What stands in each of their names: most requests are told apart at one look."""


def is_read(request: Request) -> bool:
    """Tell whether a request changes nothing, by its method or by the table of reads that travel by POST."""
    return request.method in SAFE_METHODS or travels_by_post(request)


def travels_by_post(request: Request) -> bool:
    """Tell whether a request is a read by a row of `READS_BY_POST`."""
    return request.method == "POST" and _may_be_read(request) and any(row.matches(request) for row in READS_BY_POST)


def _may_be_read(request: Request) -> bool:
    """Tell whether a row can match at all: most requests are told apart at one look."""
    return (
        "x-amz-target" in request.headers.by_name
        or _READ_IN_TEXT.search(request.target) is not None
        or _READ_IN_BODY.search(request.content) is not None
    )


def is_guarded(request: Request) -> bool:
    """Tell whether a request carries a precondition under which repeating it does nothing."""
    return not GUARD_HEADERS.isdisjoint(request.headers.by_name) or (
        _IN_GUARD_FIELDS in request.target and _has_field(request, _GUARD_FIELDS)
    )


def is_repeatable(request: Request) -> bool:
    """Tell whether a write by POST leaves everything as it is when sent again, as a PUT does."""
    if request.headers.by_name.get("x-amz-target") in REPEATABLE_BY_POST:
        return True
    return request.method == "POST" and _UPLOAD in request.target and _has_field(request, (_UPLOAD,))


def is_guarded_by_generation(request: Request) -> bool:
    """Tell whether the precondition is on a Cloud Storage generation, which every write changes."""
    return not _GENERATION_HEADERS.isdisjoint(request.headers.by_name) or _has_field(request, _GUARD_FIELDS)


def _has_field(request: Request, names: tuple[str, ...]) -> bool:
    query = request.query
    return any(name in query for name in names)
