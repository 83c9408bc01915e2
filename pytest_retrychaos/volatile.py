"""Names of what may differ each time one request is sent, or says who sends it or which part, each with its source.

What may differ is known by its name, never by its look: a UUID may as well be the order's own number.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Final

_SIGNED_TOKEN: Final = re.compile(r"eyJ[\w-]*\.[\w-]*\.[\w-]*|J\d+")


def is_signed_token(credentials: str) -> bool:
    """Tell whether credentials are a JSON Web Token (RFC 7519), or the number that a trace gives one.

    Clients that sign tokens themselves make one for each attempt (RFC 7523; GitHub Apps, App Store Connect).
    """
    return _SIGNED_TOKEN.fullmatch(credentials) is not None


SHORTEST: Final = 6
"""Characters of a volatile value: a shorter one may stand elsewhere in a text by chance."""

FIELDS: Final = frozenset(
    {
        "request_id",  # AIP-155; Plaid
        "requestid",  # Azure, Google (requestId)
        "x_request_id",
        "nonce",  # OAuth 1.0a (RFC 5849, 3.3); HTTP Digest (RFC 7616)
        "oauth_nonce",
        "timestamp",  # OAuth 1.0a; AWS Signature 2 (Timestamp)
        "oauth_timestamp",
        "oauth_signature",
        "signature",  # AWS Signature 2
        "idempotency_key",  # Square
        "idempotencykey",  # Adyen, Worldpay
        "idempotency-key",
        "clienttoken",  # Amazon EC2 and others (ClientToken)
        "clientrequesttoken",  # AWS CloudFormation, Secrets Manager
        "client_request_id",
        "correlation_id",
        "correlationid",
        "trace_id",
        "traceid",
        "csrf_token",  # de facto; what follows: Spring, Django, Rails, ASP.NET
        "_csrf",
        "csrfmiddlewaretoken",
        "authenticity_token",
        "__requestverificationtoken",
        "sent_at",  # Segment
        "sentat",
        "created_at",  # de facto: when the client made the request
        "createdat",
        "requested_at",
        "requestedat",
        "submitted_at",
        "submittedat",
        "x-amz-date",  # AWS Signature 4 in a query
        "x-amz-signature",
        "x-amz-credential",
        "x-amz-security-token",  # temporary credentials, which expire
        "x-goog-date",  # Google Cloud Storage signed URLs
        "x-goog-signature",
        "x-goog-credential",
        "attempt",  # de facto: which sending of the request this is
        "attempts",
        "attempt_count",
        "attemptcount",
        "attempt_number",
        "attemptnumber",
        "delivery_attempt",
        "deliveryattempt",
        "retry",
        "retries",
        "retry_count",
        "retrycount",
        "_",  # jQuery's cache: false
        "cache_buster",
    }
)
"""Fields of a query, a form or a JSON object, in lower case."""

_BESIDE: Final = {
    "sign": frozenset({"timestamp", "nonce", "nonce_str", "sign_type"}),  # Alipay, WeChat Pay
    "protected": frozenset({"payload", "signature"}),  # RFC 7515, 7.2: ACME's nonce stands in it (RFC 8555, 6.5)
}
"""Fields that may differ where one of others stands beside them: alone they may be anything."""

NAMES: Final = FIELDS | _BESIDE.keys()
"""All names of fields that may differ."""

DATA_INSIDE: Final = frozenset(
    {"created_at", "createdat", "attempt", "attempts", "attempt_count", "attemptcount", "attempt_number"}
    | {"attemptnumber", "delivery_attempt", "deliveryattempt", "retry", "retries", "retry_count", "retrycount"}
)
"""Fields that may differ at the top of a JSON object; in one inside it they are sooner what it is about."""

ELEMENTS: Final = FIELDS | {
    "wsu:created",  # WS-Security, UsernameToken and Timestamp
    "wsu:expires",
    "messageid",  # WS-Addressing
    "msgid",  # ISO 20022, group header: names the message, not the payment in it
    "credttm",
    "signaturevalue",  # XML Signature
    "digestvalue",
}
"""Elements of XML whose text may differ, by their local names in lower case."""

SIGNATURES: Final = frozenset({"signature", "sig", "sign", "x-amz-signature", "x-goog-signature"})
"""Fields of a query that sign it."""

SIGNED: Final = frozenset(
    {"sig", "st", "se"}  # Azure Storage, shared access signatures: from when and until when
    | {"expires"}  # AWS Signature 2, CloudFront, Alibaba OSS
)
"""Fields that may differ where they stand in a query beside a signature: it is signed for each attempt."""


def is_volatile(name: str, beside: Collection[str] = ()) -> bool:
    """Tell whether a field may differ on every sending, by its name and the names beside it."""
    lowered = name.lower()
    others = _BESIDE.get(lowered)
    return lowered in FIELDS or (others is not None and any(one.lower() in others for one in beside))


def _is_volatile_inside(name: str, beside: Collection[str]) -> bool:
    return is_volatile(name, beside) and name.lower() not in DATA_INSIDE


DEEPEST: Final = 4
"""How many objects inside each other are looked through: ``{"message": {"header": {"nonce": …}}}``."""


def without_volatile(fields: Mapping[str, object], depth: int = DEEPEST) -> dict[str, object]:
    """Leave volatile fields out of an object and out of those in it, and such as hold nothing else.

    An item of a list is left as it is: one of many is told from the next by when it was made.
    """
    kept: dict[str, object] = {}
    leaves_out = is_volatile if depth == DEEPEST else _is_volatile_inside
    for name, value in fields.items():
        if isinstance(value, dict) and value and depth > 1:
            value = without_volatile(value, depth - 1)
            if not value:
                continue
        if not leaves_out(name, fields):
            kept[name] = value
    return kept


def volatile_in(value: object, depth: int = DEEPEST) -> Iterator[object]:
    """List the values of volatile fields in a JSON object and in those in it."""
    leaves_out = is_volatile if depth == DEEPEST else _is_volatile_inside
    if isinstance(value, dict) and depth:
        for name, one in value.items():
            if leaves_out(name, value):
                yield one
            else:
                yield from volatile_in(one, depth - 1)


def without_numbers(value: object) -> object:
    """Leave out of a call or a batch of JSON-RPC the ids, which number the calls of a client (JSON-RPC 2.0, 4)."""
    return [_without_number(one) for one in value] if isinstance(value, list) else _without_number(value)


def _without_number(value: object) -> object:
    if isinstance(value, dict) and "jsonrpc" in value:
        return {name: one for name, one in value.items() if name != "id"}
    return value


def canonical_target(target: str) -> str:
    """Give path and query without the query's volatile fields."""
    path, mark, query = target.partition("?")
    if not mark:
        return target
    fields = query.split("&")
    names = [_name(field) for field in fields]
    volatile = FIELDS | SIGNED if _signs(fields) else FIELDS
    kept = [field for field in fields if not (_name(field) in volatile or is_volatile(_name(field), names))]
    return target if len(kept) == len(fields) else path + ("?" + "&".join(kept) if kept else "")


def signatures(target: str) -> list[str]:
    """List the fields of a query that sign it."""
    return _signs(target.partition("?")[2].split("&"))


def _signs(fields: list[str]) -> list[str]:
    return [field for field in fields if _name(field) in SIGNATURES]


def _name(field: str) -> str:
    return field.partition("=")[0].lower()


NUMBERED_HEADERS: Final = frozenset(
    {
        "x-request-id",
        "request-id",
        "x-correlation-id",
        "correlation-id",
        "x-client-request-id",
        "x-ms-client-request-id",
        "amz-sdk-invocation-id",
        "x-amzn-trace-id",
        "traceparent",
        "tracestate",
        "x-b3-traceid",
        "x-b3-spanid",
        "x-goog-api-client",
        "x-goog-gcs-idempotency-token",
        "x-stripe-client-telemetry",
        "x-stripe-client-user-agent",
        "user-agent",
        "sentry-trace",
        "baggage",
        "accept-encoding",  # which decoders are installed
        # the content's versions, digests and signatures: they follow from keys and nonces in it
        "etag",
        "if-match",
        "if-none-match",
        "if-range",
        "content-md5",  # RFC 1864
        "digest",  # RFC 3230
        "content-digest",  # RFC 9530
        "repr-digest",
        "x-amz-content-sha256",
        "x-amz-checksum-crc32",
        "x-amz-checksum-crc64nvme",
        "x-amz-checksum-sha256",
        "signature",  # RFC 9421
        "dpop",  # RFC 9449
        "x-hub-signature-256",  # GitHub
        "stripe-signature",
        "webhook-signature",  # Standard Webhooks
    }
)
"""Headers whose values name the sending, the machine or the content: a trace numbers them."""

POSITIONS: Final = ("content-range", "range", "upload-offset", "last-event-id")
"""Headers that say which part is meant: where one changes, it is another request (RFC 9110, 14; tus 1.0; WHATWG HTML,
9.2, server-sent events)."""

CREDENTIALS: Final = (
    "authorization",  # RFC 9110, 11.6.2
    "proxy-authorization",  # RFC 9110, 11.7.2
    "cookie",  # RFC 6265
    "x-api-key",  # Amazon API Gateway, Anthropic
    "api-key",  # Azure
    "x-auth-token",  # OpenStack Keystone
    "x-goog-api-key",  # Google APIs
    "cst",  # IG
)
"""Headers that say who is calling, in lower case."""

_CREDENTIAL_ENDINGS: Final = (
    "token",  # X-Vault-Token, Private-Token (GitLab), X-Shopify-Access-Token, x-amz-access-token; X-CSRF-Token (SAP)
    "api-key",  # DD-API-KEY (Datadog)
    "apikey",  # Supabase
    "auth-key",  # X-Auth-Key (Cloudflare)
    "subscription-key",  # Ocp-Apim-Subscription-Key (Azure API Management)
    "secret",  # X-IBM-Client-Secret
    "x-authorization",
    "x-auth",
)
_SESSION_ENDINGS: Final = (
    "session",
    "session-id",  # vmware-api-session-id
    "sessionid",
    "sessionkey",  # X-HP3PAR-WSAPI-SessionKey
    "ticket",  # OTCSTicket (OpenText)
)
_NO_CREDENTIALS: Final = (
    *("client-token", "request-token", "creation-token", "retry-token", "idempotency-token"),
    *("operation-token", "transaction-token", "correlation-token", "trace-token", "nonce-token", "dedup-token"),
    *("page-token", "next-token", "continuation-token", "sync-token"),
    "lock-token",  # WebDAV (RFC 4918, 10.5)
)
"""Headers that end like those and name an operation, its sending, a page or a lock."""


def is_credential(name: str) -> bool:
    """Tell whether a header says who is calling: by the table, or as providers name theirs."""
    lowered = name.lower().replace("_", "-")
    is_named = lowered.endswith(_CREDENTIAL_ENDINGS) and not lowered.endswith(_NO_CREDENTIALS)
    return lowered in CREDENTIALS or is_named or is_session(lowered)


def is_session(name: str) -> bool:
    """Tell whether a header names a session: one of a login where nothing else says who is calling, or of a visit."""
    return name.lower().replace("_", "-").endswith(_SESSION_ENDINGS)
