"""Where services look for an idempotency key: one table, each row with its source.

Those of AWS are what botocore's own models call ``idempotencyToken``; a test compares them.
``X-Request-Id`` and its like are not here: they name the attempt, not the operation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pytest_retrychaos.model import Request
from pytest_retrychaos.service.payload import FORM, JSON, fields_of, media_type


@dataclass(frozen=True, slots=True)
class Carrier:
    """One name under which a key travels, and who says so."""

    place: str
    """``header``, or ``field``: of a JSON body's top level, a form, or the query."""
    name: str
    source: str


CARRIERS: tuple[Carrier, ...] = (
    Carrier("header", "Idempotency-Key", "draft-ietf-httpapi-idempotency-key-header; Stripe, Adyen"),
    Carrier("header", "X-Idempotency-Key", "UK Open Banking read-write API 3.1; Mercado Pago; Coinbase CDP"),
    Carrier("header", "PayPal-Request-Id", "developer.paypal.com, API idempotency"),
    Carrier("header", "Cko-Idempotency-Key", "Checkout.com, HEADER_PARAMS of its PHP SDK"),
    Carrier("header", "Idempotence-Key", "YooKassa API, interaction format"),
    Carrier("header", "Repeatability-Request-ID", "OASIS Repeatable Requests 1.0; Azure REST guidelines"),
    Carrier("header", "opc-retry-token", "Oracle Cloud Infrastructure, its SDKs' requests"),
    Carrier("header", "X-Amz-Client-Token", "AWS REST protocols: S3 RenameObject, Deadline Cloud"),
    Carrier("header", "X-Amzn-Client-Token", "AWS REST protocols: Billing Conductor, MediaPackage v2"),
    Carrier("header", "Webhook-Id", "Standard Webhooks 1.0: the same on every delivery of an event, to know it by"),
    Carrier("field", "ClientToken", "AWS query protocol: EC2, ensuring idempotency"),
    Carrier("field", "ClientRequestToken", "AWS JSON protocols: DynamoDB transactions, CloudFormation"),
    Carrier("field", "clientToken", "AWS REST-JSON protocols"),
    Carrier("field", "clientRequestToken", "AWS REST-JSON protocols"),
    Carrier("field", "IdempotencyToken", "AWS JSON protocols: the idempotencyToken trait of Smithy"),
    Carrier("field", "idempotencyToken", "AWS REST-JSON protocols: the idempotencyToken trait of Smithy"),
    Carrier("field", "CreatorRequestId", "AWS Route 53 Resolver, Cloud Map, Backup"),
    Carrier("field", "creatorRequestId", "Amazon MQ"),
    Carrier("field", "MessageDeduplicationId", "Amazon SQS and SNS, FIFO: one in five minutes is delivered"),
    Carrier("field", "idempotency_key", "Square, working with APIs: idempotency"),
    Carrier("field", "idempotencyKey", "Circle, idempotent requests"),
    Carrier("field", "request_id", "Google AIP-155"),
    Carrier("field", "requestId", "Google AIP-155 as JSON and query name"),
)

HEADERS = {carrier.name.lower(): carrier.name for carrier in CARRIERS if carrier.place == "header"}
FIELDS = tuple(carrier.name for carrier in CARRIERS if carrier.place == "field")

_IN_TEXT = re.compile("|".join(FIELDS))
_IN_BODY = re.compile("|".join(FIELDS).encode())


def find_key(request: Request, own: Iterable[str] = ()) -> tuple[str, str] | None:
    """Find a request's idempotency key: the carrier's name and the key as sent, or ``None``.

    Headers come before the body's fields, those before the query's; an empty value is no key. A carrier
    outside the headers is named with its place: ``body:ClientToken``, ``query:requestId``. So are ``own``, those
    that a service names itself; they come before the table's.
    """
    for name in own:
        value = _value(request, name)
        if value:
            return name, value
    sent = request.headers.by_name
    for name in filter(HEADERS.__contains__, sent):
        value = sent[name].strip()
        if value:
            return HEADERS[name], value
    return _in_body(request) or _in_query(request)


def _value(request: Request, carrier: str) -> str:
    """Read what stands under a service's own name; a number, as of an order, is a key there, too."""
    place, colon, name = carrier.partition(":")
    if not colon:
        return (request.headers.get(carrier) or "").strip()
    value = (request.query if place == "query" else _fields(request)).get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return _readable(value) if isinstance(value, str) else ""


def _in_body(request: Request) -> tuple[str, str] | None:
    if not request.content or _IN_BODY.search(request.content) is None:
        return None
    return _named("body", _fields(request))


def _fields(request: Request) -> Mapping[str, object]:
    kind = media_type(request.headers.by_name)
    return fields_of(kind, request.content) if kind in (JSON, FORM) else {}


def _in_query(request: Request) -> tuple[str, str] | None:
    _, mark, query = request.target.partition("?")
    if not mark or _IN_TEXT.search(query) is None:
        return None
    return _named("query", request.query)


def _named(place: str, fields: Mapping[str, object]) -> tuple[str, str] | None:
    for name in FIELDS:
        value = fields.get(name)
        if isinstance(value, str) and value:
            return f"{place}:{name}", _readable(value)
    return None


def _readable(value: str) -> str:
    return value.encode("utf-8", "backslashreplace").decode()  # JSON has lone surrogates
