"""Provider profiles: named sets of idempotency settings, with the provider's own error bodies."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass, replace
from http import HTTPStatus

from pytest_retrychaos.model import Response
from pytest_retrychaos.service.idempotency import Idempotency, Reason


@dataclass(frozen=True, slots=True)
class Problem:
    """What went wrong with a request: ``code`` for programs, ``message`` for people."""

    status: int
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Profile:
    """One provider's ways. ``shapes_errors``: a scripted status gets the provider's error body too."""

    name: str
    idempotency: Idempotency
    render: Callable[[Problem], Response]
    shapes_errors: bool = False
    is_stripe: bool = False


def _plain(problem: Problem) -> Response:
    error = {"code": problem.code, "message": problem.message}
    return Response.json({"error": error}, problem.status)


def _stripe(problem: Problem) -> Response:
    """Word an error as docs.stripe.com/api/errors does: ``type`` is one of four."""
    if problem.code in ("idempotency_error", "idempotency_key_in_use"):
        kind = "idempotency_error"
    elif problem.status == 402:
        kind = "card_error"
    else:
        kind = "api_error" if problem.status >= 500 else "invalid_request_error"
    error = {"type": kind, "message": problem.message}
    if problem.code not in ("", "idempotency_error"):
        error["code"] = problem.code
    return Response.json({"error": error}, problem.status)


def _ietf(problem: Problem) -> Response:
    """RFC 9457 problem details, as in the draft's examples."""
    value = {"type": "about:blank", "title": phrase(problem.status), "status": problem.status}
    answer = Response.json({**value, "detail": problem.message}, problem.status)
    return replace(answer, headers=answer.headers.having("Content-Type", "application/problem+json"))


def phrase(status: int) -> str:
    """Name a status as RFC 9110 does; the bare number where it has no name."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return str(status)


_DEFAULT = Idempotency()

PROFILES: dict[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile("default", _DEFAULT, _plain),
        # docs.stripe.com/api/idempotent_requests: POST alone, results saved whatever they are, 500 included;
        # a key with other parameters or at another endpoint is an error.
        Profile(
            "stripe",
            replace(_DEFAULT, methods=("POST",), mismatch=400, scope="host", never_stored=(401, 429)),
            _stripe,
            shapes_errors=True,
            is_stripe=True,
        ),
        # draft-ietf-httpapi-idempotency-key-header-07, 2.1 and 2.7: quoted string; 400, 422, 409; no marker.
        Profile(
            "ietf",
            replace(_DEFAULT, methods=("POST", "PATCH"), missing=400, quoted=True, replay_marker=None),
            _ietf,
            shapes_errors=True,
        ),
        Profile("naive", replace(_DEFAULT, enabled=False), _plain),
    )
}


def profile_named(name: str) -> Profile:
    """Look a profile up; `ValueError` names the nearest one."""
    found = PROFILES.get(name) if isinstance(name, str) else None
    if found is None:
        near = difflib.get_close_matches(str(name), PROFILES, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"profile {name!r} is not known: use one of {', '.join(PROFILES)}{hint}")
    return found


def refusal(status: int, reason: Reason, key: str | None, settings: Idempotency, profile: Profile) -> Problem:
    """Say why a key was turned away, in the profile's words."""
    if profile.is_stripe:
        code, message = _STRIPE_REFUSALS[reason]
    else:
        code, message = _REFUSALS[reason]
    return Problem(status, code, message.format(key=key, most=settings.max_length))


_REFUSALS = {
    Reason.MISSING: ("idempotency_key_missing", "This request needs an Idempotency-Key."),
    Reason.TOO_LONG: ("idempotency_key_too_long", "An Idempotency-Key has at most {most} characters."),
    Reason.MISMATCH: ("idempotency_key_reused", "This Idempotency-Key was used with another request."),
    Reason.IN_FLIGHT: (
        "idempotency_key_in_use",
        "A request with this Idempotency-Key is still being processed.",
    ),
}
# The last two as users quote them: fjordllc/bootcamp#3928 on GitHub, and "that probably means you submitted twice" in
# many handlers; 409 with idempotency_key_in_use is in the error codes of stripe-go.
_STRIPE_REFUSALS = {
    Reason.MISSING: ("idempotency_error", "This request needs an idempotency key."),
    Reason.TOO_LONG: ("idempotency_error", "Idempotency keys have at most {most} characters."),
    Reason.MISMATCH: (
        "idempotency_error",
        (
            "Keys for idempotent requests can only be used with the same parameters they were first used with. "
            "Try using a key other than '{key}' if you meant to execute a different request."
        ),
    ),
    Reason.IN_FLIGHT: (
        "idempotency_key_in_use",
        (
            "There is currently another in-progress request using this Idempotent Key (that probably means you "
            "submitted twice, and the other request is still going through): {key}. Please try again later."
        ),
    ),
}

STRIPE_ERRORS = {
    400: ("parameter_missing", "The request was unacceptable, often due to missing a required parameter."),
    401: ("", "No valid API key provided."),
    402: ("card_declined", "Your card was declined."),
    403: ("", "The API key doesn't have permissions to perform the request."),
    404: ("resource_missing", "The requested resource doesn't exist."),
    409: ("", "The request conflicts with another request (perhaps due to using the same idempotent key)."),
    429: ("rate_limit", "Too many requests hit the API too quickly."),
}
"""Code and message of a scripted status: those of the status summary in docs.stripe.com/api/errors, with the code from
docs.stripe.com/error-codes where one fits it alone. ``lock_timeout`` is none of 409: Stripe sends it with 429
(docs.stripe.com/rate-limits, object lock timeouts)."""


def scripted_problem(status: int, profile: Profile) -> Problem:
    """Word a status that a script asked for."""
    if profile.is_stripe:
        code, message = STRIPE_ERRORS.get(status, ("", "Something went wrong on Stripe's end."))
        return Problem(status, code, message)
    return Problem(status, "", phrase(status))
