"""Which header fields may differ between the attempts of one operation, each with its source.

RT04 asks that a retry be the same request. These fields name the attempt, the time, the trace or the
connection, or sign the request: a right client changes them.
"""

from __future__ import annotations

from typing import Final

MAY_DIFFER: Final[dict[str, str]] = {
    # the attempt
    "amz-sdk-request": "AWS SDK retry behaviour: attempt=N; max=M",
    "amz-sdk-invocation-id": "AWS SDK retry behaviour: names the call",
    "x-goog-api-client": "google-api-core and google-cloud-storage: gccl-attempt-count, gccl-invocation-id",
    "x-stainless-retry-count": "Stainless SDKs (openai, anthropic): _base_client.py",
    "x-stainless-read-timeout": "Stainless SDKs: the time that is left to the attempt",
    "x-stripe-client-telemetry": "stripe-python: latency of the request before",
    "x-envoy-attempt-count": "Envoy router filter",
    "x-envoy-expected-rq-timeout-ms": "Envoy router filter: the time that is left to the attempt",
    "grpc-timeout": "gRPC over HTTP/2: the time that is left to the attempt",
    "grpc-previous-rpc-attempts": "gRPC retry design (A6)",
    "x-ms-client-request-id": "Azure REST: names the attempt",
    "x-request-id": "de facto: names the request",
    "request-id": "de facto: names the request",
    "x-correlation-id": "de facto: names the request",
    "x-transaction-id": "de facto: names the request",
    "x-flow-id": "Zalando RESTful API guidelines, 233: names the flow of a call",
    # the time
    "date": "RFC 9110, 6.6.1",
    "x-amz-date": "AWS Signature Version 4",
    "x-goog-date": "Google Cloud Storage V4 signing",
    "x-ms-date": "Azure Shared Key",
    # the trace
    "traceparent": "W3C Trace Context",
    "tracestate": "W3C Trace Context",
    "baggage": "W3C Baggage",
    "b3": "openzipkin/b3-propagation",
    "x-cloud-trace-context": "Google Cloud Trace",
    "x-amzn-trace-id": "AWS X-Ray",
    "uber-trace-id": "Jaeger",
    "sentry-trace": "Sentry SDKs",
    "elastic-apm-traceparent": "Elastic APM agents",
    "newrelic": "New Relic distributed tracing",
    "sw8": "Apache SkyWalking, cross-process propagation headers",
    "sw8-correlation": "Apache SkyWalking, cross-process correlation headers",
    "x-dynatrace": "Dynatrace OneAgent",
    "sap-passport": "SAP Passport: names the call",
    # the connection
    "connection": "RFC 9110, 7.6.1",
    "keep-alive": "RFC 9112, C.2.2",
    "proxy-connection": "RFC 9112, C.2.2",
    "te": "RFC 9110, 10.1.4",
    "trailer": "RFC 9110, 6.6.2",
    "transfer-encoding": "RFC 9112, 6.1: how the body is framed; the body is compared itself",
    "content-length": "RFC 9110, 8.6: how the body is framed; the body is compared itself",
    "content-md5": "RFC 1864: follows from the body, which is compared itself",
    "digest": "RFC 3230: follows from the body",
    "content-digest": "RFC 9530: follows from the body",
    "repr-digest": "RFC 9530: follows from the body",
    "upgrade": "RFC 9110, 7.8",
    "expect": "RFC 9110, 10.1.1: may be left out on a repetition",
    "host": "failover: the authority is exempt",
    "cookie": "RFC 6265, 5.4: any answer may have changed the cookie store",
    # the signature
    "x-amz-content-sha256": "AWS Signature Version 4",
    "x-amz-security-token": "AWS temporary credentials, which expire",
    "signature": "RFC 9421",
    "signature-input": "RFC 9421",
    "dpop": "RFC 9449: a proof for each request",
    "x-hub-signature-256": "GitHub webhooks",
    "stripe-signature": "Stripe webhooks: time and signature",
    "x-mws-authentication": "MAuth (Medidata): signs the request and its time",
}
"""Field name in lower case, and who says so."""

MAY_DIFFER_PREFIXES: Final[dict[str, str]] = {
    "x-b3-": "openzipkin/b3-propagation",
    "x-datadog-": "Datadog tracing libraries",
    "uberctx-": "Jaeger baggage",
    "x-amz-checksum-": "Amazon S3 checksums: follow from the body",
    "ot-tracer-": "OpenTracing text map",
    "x-instana-": "IBM Instana tracers",
}
"""The same for families of fields."""

MAY_DIFFER_WORDS: Final[frozenset[str]] = frozenset(
    {"attempt", "attempts", "retry", "retries", "timestamp", "nonce", "trace", "span"}
    | {"requestid", "date", "time", "ts", "at", "sent", "expires", "signature", "sig", "hmac"}
    | {"deadline", "timeout"}  # what is left of it, told to the service: Google SRE book, 22, "deadline propagation"
)
"""Words in a field's name that say the same of fields which no standard names (``X-Acme-Retry-Count``)."""

_LAST_WORDS: Final = frozenset({"sign", "mac", "digest"})
"""Words that say so at the end of a name: ``API-Sign`` (Kraken), ``CB-ACCESS-SIGN`` (Coinbase)."""

_NUMBERED: Final = frozenset({"correlation", "interaction", "invocation"})
"""What an id at the end of a name may be one of: ``x-fapi-interaction-id`` (OpenID FAPI)."""

_SENDERS: Final = frozenset({"x", "client", "ms", "sap", "amz", "amzn", "goog", "api", "http", "correlation"})
"""Words that may stand before ``request-id``: ``client-request-id`` (Microsoft Graph); any other may name a thing."""

SIGNING_SCHEMES: Final[frozenset[str]] = frozenset(
    {"aws4-hmac-sha256", "aws4-ecdsa-p256-sha256", "digest", "oauth", "hawk", "hmac", "signature", "sharedkey"}
    | {"goog4-rsa-sha256", "tc3-hmac-sha256", "eg1-hmac-sha256", "dpop"}
)
"""Authorization schemes that sign the single request (RFC 7616, RFC 5849, RFC 9449, providers' manuals)."""

SIGNING_FIELDS: Final[tuple[str, ...]] = ("x-amz-date", "x-goog-date", "x-ms-date")
"""Fields that go with a signed request, whatever its Authorization looks like."""


def may_differ(name: str) -> bool:
    """Tell whether a field, by its name, may differ between the attempts of an operation."""
    lowered = name.lower()
    if lowered in MAY_DIFFER or lowered.startswith(tuple(MAY_DIFFER_PREFIXES)):
        return True
    *words, last = lowered.replace("_", "-").split("-")
    if last in _LAST_WORDS or not MAY_DIFFER_WORDS.isdisjoint([*words, last]):
        return True
    if last != "id" or not words:
        return False
    return words[-1] in _NUMBERED or (words[-1] == "request" and _SENDERS.issuperset(words[:-1]))
