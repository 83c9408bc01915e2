"""What in an answer says "I did nothing, come again", in tables with their sources."""

from __future__ import annotations

import functools
from collections.abc import Mapping

TYPE_CHECKING = False  # importing typing would cost more than this module
if TYPE_CHECKING:
    import re

SPENT_FIELDS = (
    "ratelimit-remaining",  # draft-ietf-httpapi-ratelimit-headers-00 to -06
    "x-ratelimit-remaining",  # GitHub, Reddit, Okta and most others, by custom
    "x-rate-limit-remaining",  # X (Twitter)
    "x-ratelimit-remaining-requests",  # OpenAI
    "x-ratelimit-remaining-tokens",  # OpenAI
)
"""Fields whose value 0 means that the client's allowance is spent."""

RETRY_FIELDS = (
    "stripe-should-retry",  # stripe-python, _http_client.py
    "x-should-retry",  # openai-python and anthropic-sdk-python, _base_client.py
)
"""Fields by which a server says ``true`` or ``false`` to a retry."""

THROTTLING_CODES = frozenset(
    {
        # AWS: botocore/retries/standard.py, ThrottledRetryableChecker
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottledException",
        "TooManyRequestsException",
        "ProvisionedThroughputExceededException",
        "TransactionInProgressException",
        "RequestLimitExceeded",
        "BandwidthLimitExceeded",
        "LimitExceededException",
        "RequestThrottled",
        "SlowDown",
        "PriorRequestNotComplete",
        "EC2ThrottledException",
        # Stripe: docs.stripe.com/error-codes and /rate-limits
        "lock_timeout",
        "rate_limit",
        # Google: cloud.google.com/storage/docs/json_api/v1/status-codes, google.rpc.Code, AIP-194
        "rateLimitExceeded",
        "userRateLimitExceeded",
        "RATE_LIMIT_EXCEEDED",
        "RESOURCE_EXHAUSTED",
    }
)
"""Error codes by which a provider says that it turned the request away for its rate."""

CODE_FIELDS = ("x-amzn-errortype", "x-amzn-error-type")
"""Where AWS names the code in a header: ``ThrottlingException:http://…``."""

SPENT_PARAMETERS = ("remaining", "r")
"""``RateLimit: limit=100, remaining=0`` (draft 07) and ``RateLimit: "default";r=0`` (draft 08 and later)."""

_READ_AT_MOST = 64 * 1024
"""An error body is short; of a long one only the start is searched."""


def names_throttling(code: str) -> bool:
    """Tell whether a provider's error code means throttling, with AWS's namespaces taken off."""
    return code.partition(":")[0].rpartition("#")[2].strip() in THROTTLING_CODES


def is_spent(fields: Mapping[str, str]) -> bool:
    """Tell whether a rate limit is spent; names in lower case."""
    for name in SPENT_FIELDS:
        if name in fields and _is_zero(fields[name].replace(";", ",").partition(",")[0]):
            return True
    for parameter in fields.get("ratelimit", "").replace(";", ",").split(","):
        word, _, number = parameter.partition("=")
        if word.strip() in SPENT_PARAMETERS and _is_zero(number):
            return True
    return False


def should_retry(fields: Mapping[str, str]) -> bool | None:
    """Read the server's own word on a retry, ``None`` where it gave none; names in lower case."""
    for name in RETRY_FIELDS:
        word = fields.get(name, "").strip().lower()
        if word in ("true", "false"):
            return word == "true"
    return None


def is_throttled(fields: Mapping[str, str], body: bytes) -> bool:
    """Tell whether headers or body carry a provider's throttling code; names in lower case."""
    if any(names_throttling(fields.get(name, "")) for name in CODE_FIELDS):
        return True
    return bool(body) and any(names_throttling(code) for code in _codes_in(body[:_READ_AT_MOST]))


def _is_zero(text: str) -> bool:
    whole, _, part = text.strip().partition(".")
    return bool(whole) and not (whole + part).strip("0")


def _codes_in(body: bytes) -> list[str]:
    found = [json or xml for json, xml in _code_pattern().findall(body)]
    return [code.decode("latin-1") for code in found]


@functools.cache
def _code_pattern() -> re.Pattern[bytes]:
    """Match a code in JSON (``"code": "…"``) or in XML (``<Code>…</Code>``)."""
    import re  # only for an error body: importing it costs as much as half the engine

    json = rb'"(?:__type|code|Code|type|reason|status|error)"\s*:\s*"([^"\\]{1,200})"'
    return re.compile(json + rb"|<[Cc]ode>\s*([^<\s]{1,200})\s*</")
