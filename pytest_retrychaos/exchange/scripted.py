"""What a script says of an answer, put upon it: fields, body, times on the virtual clock."""

from __future__ import annotations

from pytest_retrychaos.faults import Step, render_header
from pytest_retrychaos.model import Headers, Response

_OF_THE_BODY = frozenset({"content-type", "content-length", "content-encoding", "transfer-encoding", "etag"})
"""Fields that describe the service's own body, and not one that a script puts in its place."""


def dressed(base: Response, step: Step, now_ns: int) -> Response:
    """Give an answer the fields and the body that a step asks for; its own of the same name go.

    ``now_ns`` is the wall clock: dates and epoch times count from it.
    """
    scripted = [(name, render_header(value, now_ns)) for name, value in step.headers]
    asked = step.retry_after_value(now_ns)
    if asked is not None:
        scripted.insert(0, ("Retry-After", asked))
    body = base.body
    replaced = {name.lower() for name, _ in scripted} - {"set-cookie"}
    if step.body is not None:
        body = step.body.encode()
        if "content-type" not in replaced:
            kind = "application/json" if body[:1] in (b"{", b"[") else "text/plain; charset=utf-8"
            scripted.append(("Content-Type", kind))
        replaced |= _OF_THE_BODY
    kept = [pair for pair in base.headers.pairs if pair[0].lower() not in replaced]
    return Response(base.status, Headers([*kept, *scripted]), body)
