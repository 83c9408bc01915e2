"""Secrets known by their own shape, wherever they stand; each with its source.

Every pattern takes linear time: where something has to follow a run of any length, the run cannot begin inside one.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

MARK: Final = re.compile(r"\[hidden:[0-9a-f]{8}\]")
"""What stands in the place of a secret."""

PROVIDERS: Final = (
    r"(?:sk|rk)_(?:live|test)_[0-9A-Za-z]{6,}",  # Stripe, "API keys"
    r"whsec_[0-9A-Za-z+/=]{16,}",  # Stripe, Standard Webhooks
    r"gh[pousr]_[0-9A-Za-z]{16,}",  # GitHub, "token formats"
    r"github_pat_\w{20,}",
    r"gl(?:pat|dt|rt|ptt|ft|soat|agent|imt|cbt)-[\w-]{16,}",  # GitLab, "token prefixes"
    r"xox[abeoprs]-[\w-]{8,}",  # Slack, "token types"
    r"AIza[\w-]{30,}",  # Google API key
    r"ya29\.[\w-]{16,}",  # Google OAuth access token
    r"GOCSPX-[\w-]{16,}",  # Google OAuth client secret
    r"npm_[0-9A-Za-z]{30,}",
    r"pypi-[\w-]{16,}",
    r"hf_[0-9A-Za-z]{20,}",  # Hugging Face
    r"do[opr]_v1_[0-9a-f]{32,}",  # DigitalOcean
    r"shp(?:at|ca|pa|ss)_[0-9A-Fa-f]{32}",  # Shopify
    r"[0-9]{8,10}:AA[\w-]{30,}",  # Telegram bots, whose token stands right behind "/bot" in every address of theirs
    r"-----BEGIN [A-Z ]{0,32}PRIVATE KEY-----[^-]*(?:-----END [A-Z ]{0,32}PRIVATE KEY-----)?",  # RFC 7468
)
"""Known by how they begin, also where something stands right before them."""
WORDS: Final = (
    r"(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}",  # AWS IAM, "unique ID prefixes"
    r"xapp-[\w-]{8,}",
    r"hooks\.slack\.com/(?:services|workflows)/[\w/]{8,}",  # Slack, incoming webhooks
    r"sk-[\w-]{16,}",  # OpenAI (sk-, sk-proj-), Anthropic (sk-ant-)
    r"SG\.[\w-]{16,}(?:\.[\w-]+)?",  # SendGrid
    r"SK[0-9a-f]{32}",  # Twilio API key
    r"key-[0-9a-f]{32}",  # Mailgun
    r"[0-9a-f]{32}-us[0-9]{1,2}",  # Mailchimp
    r"sq0[a-z]{3}-[\w-]{20,}",  # Square
    r"hv[sbr]\.[\w-]{16,}",  # HashiCorp Vault
    r"dapi[0-9a-f]{32}",  # Databricks
    r"AGE-SECRET-KEY-1[0-9A-Z]{40,}",
    r"eyJ[\w-]{12,}(?:\.[\w-]*)*",  # JSON Web Tokens (RFC 7519), whole or the part that is left
)
"""Known only where a word begins."""
PROVIDER: Final = re.compile(f"{'|'.join(PROVIDERS)}|(?<![0-9A-Za-z])(?:{'|'.join(WORDS)})", re.ASCII)

CUT_SHORT: Final = re.compile(
    r"(?:(?:sk|rk)_(?:live|test)_|whsec_|gh[pousr]_|github_pat_|glpat-|(?:AKIA|ASIA)|xox[abeoprs]-|AIza|ya29\.|sk-|eyJ)"
    r"[\w.-]{0,512}\Z|(?<![\w.])[2-9](?:[ +-]?[0-9]){5,17}\Z",
    re.ASCII,
)
"""What is left of one where a text was cut."""

SCHEME: Final = re.compile(r"\b(bearer|basic)(\s{1,4}|%20|\+)([\w.~+/=-]{6,})", re.ASCII | re.IGNORECASE)
PROSE: Final = frozenset(
    {"authentication", "authorization", "authorisation", "tokens", "scheme", "schemes", "credentials", "expired"}
    | {"required", "invalid", "missing", "rejected", "refused", "header", "format", "is", "was", "has", "realm"}
)
"""Words that may follow a scheme in a sentence."""

CARD: Final = re.compile(r"(?<![\w.])[2-9](?:[ +-]?[0-9]){12,18}(?![0-9])", re.ASCII)
"""13 to 19 digits (ISO/IEC 7812). None begins with 0 or 1 (no payment card does, and times in ms, µs and ns do)."""

USERINFO: Final = re.compile(r"://([^\s/?#:@\"'<>\[]*):([^\s/?#\"'<>]*)@")
"""RFC 3986, 3.2.1: ``user:password@``."""
USER_ALONE: Final = re.compile(r"://([^\s/?#:@\"'<>\[]{16,})@")


def is_card(digits: str) -> bool:
    """Whether a run of digits has the check digit of a payment card (Luhn; ISO/IEC 7812-1, annex B)."""
    figures = [int(one) for one in digits if one.isdigit()]
    if not 13 <= len(figures) <= 19 or len(set(figures)) == 1:
        return False
    doubled = [sum(divmod(2 * one, 10)) for one in figures[-2::-2]]
    return (sum(figures[-1::-2]) + sum(doubled)) % 10 == 0


def basic_password(credentials: str) -> str | None:
    """Give the password in Basic credentials (RFC 7617); ``None`` where they are none."""
    try:
        decoded = base64.b64decode(credentials, altchars=b"-_" if "-" in credentials or "_" in credentials else None)
    except (binascii.Error, ValueError):
        return None
    _, colon, password = decoded.decode("utf-8", "replace").partition(":")
    return password if colon else None
