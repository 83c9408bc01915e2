"""Names under which secrets stand: headers, cookies, fields of queries, forms, JSON and XML; each with its source.

A name is compared without case and signs: ``X-Api-Key``, ``x_api_key`` and ``xApiKey`` are one.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

ENDINGS: Final = (
    "token",  # OAuth 2.0 (RFC 6749): access_token, refresh_token; X-Vault-Token, Private-Token (GitLab), csrf_token
    "accesstokens",
    "refreshtokens",
    "authtokens",
    "apitokens",
    "secret",  # OAuth 2.0: client_secret; Stripe: client_secret of a PaymentIntent
    "password",  # RFC 6749, 4.3; with a number behind it: password1, new_password2 (Django's forms)
    "passwordconfirmation",  # Rails, has_secure_password
    "passwd",
    "passphrase",
    "passcode",
    "pwd",  # ODBC connection strings
    "apikey",  # X-Api-Key (Amazon API Gateway, Anthropic), X-Goog-Api-Key, api_key, DD-API-KEY
    "apisecret",
    "secretkey",  # AWS: aws_secret_access_key ends in accesskey
    "accesskey",
    "privatekey",
    "signingkey",
    "encryptionkey",
    "authkey",  # X-Auth-Key (Cloudflare)
    "appkey",
    "applicationkey",  # DD-APPLICATION-KEY (Datadog)
    "accountkey",  # Azure Storage connection strings
    "sharedaccesskey",  # Azure Service Bus
    "subscriptionkey",  # Ocp-Apim-Subscription-Key (Azure API Management)
    "functionskey",  # X-Functions-Key (Azure Functions)
    "masterkey",  # X-Master-Key
    "customerkey",  # x-amz-server-side-encryption-customer-key (S3)
    "licensekey",
    "credential",  # X-Amz-Credential (AWS Signature 4 in a query)
    "authorization",  # RFC 9110, 11.6.2; Proxy-Authorization
    "cookie",  # RFC 6265: Cookie, Set-Cookie
    "sessionid",  # JSESSIONID, ASP.NET_SessionId
    "sessid",  # PHPSESSID
    "sessionkey",
    "assertion",  # RFC 7521: client_assertion, assertion
    "jwt",
    "cvc",  # card[cvc] (Stripe)
    "cvv",  # with its number: cvv2 (PayPal)
    "securitycode",
)
"""A name that ends so names a secret."""

WHOLE: Final = frozenset(
    {
        "pass",
        "auth",
        "bearer",
        "sid",
        "sig",  # Azure shared access signatures
        "pin",
        "otp",
        "signature",  # addresses that are signed: AWS Signature 2 (boto3 in us-east-1), CloudFront
        "xamzsignature",  # AWS Signature 4 in a query
        "xgoogsignature",
        "codeverifier",  # RFC 7636
        "samlresponse",
        "viewstate",
        "connectionstring",
        "xhoneycombteam",  # Honeycomb's API key
    }
)
"""Names that name a secret as a whole."""

NO_SECRETS: Final = (
    "clienttoken",  # Amazon EC2: an idempotency key
    "requesttoken",  # AWS ClientRequestToken: an idempotency key
    "creatortoken",  # AWS EFS CreationToken, AWS creatorRequestId
    "creationtoken",
    "idempotencytoken",  # Google Cloud Storage, AWS
    "nexttoken",  # AWS: a page
    "pagetoken",  # AIP-158: a page
    "paginationtoken",
    "continuationtoken",  # Amazon S3, Azure DevOps: a page
    "startingtoken",
    "synctoken",  # Google Calendar
    "changetoken",  # AWS WAF
)
"""Names that end like a secret's and are none: they tell a retry or a page."""

CORE: Final = (
    r"token|secret|passw(?:or)?d(?:[-_. ]?confirmation)?|passphrase|passcode|pwd|(?:api|app|application|secret|"
    r"access|private|signing|encryption|auth|account|subscription|functions|master|customer|license|session)[-_. ]?key|"
    r"credential|"
    r"authorization|cookie|sess(?:ion)?[-_]?id|assertion|jwt|cvc|cvv2?|security[-_]?code|pass|auth|bearer|sid|sig|pin|"
    r"otp|signature|verifier|samlresponse|viewstate|connection[-_]?string|honeycomb-team"
)
"""A pattern for how such names end where they stand in a text; `is_secret_name` decides."""

COOKIES: Final = "cookie"
"""The header whose every value is a secret."""
SET_COOKIE: Final = "set-cookie"
"""The header whose first value is one."""

_SIGNS: Final = re.compile(r"[\W_]+", re.ASCII)
_PLAIN: Final = re.compile(r"[\w.-]+", re.ASCII)


def normal(name: str) -> str:
    """Write a name without case and signs."""
    return _SIGNS.sub("", name).lower()


def is_plain(name: str) -> bool:
    """Whether what a user named is a name, and no regular expression."""
    return _PLAIN.fullmatch(name) is not None


@lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Whether what stands under a name is a secret."""
    plain = normal(name[-128:])
    if plain in WHOLE:
        return True
    plain = plain.rstrip("0123456789") or plain
    if not plain.endswith("tokens"):  # of passwords, api_keys, cookies; max_tokens is a number (OpenAI)
        plain = plain.removesuffix("s")
    return plain.endswith(ENDINGS) and not plain.endswith(NO_SECRETS)
