"""What a caller is told where nobody knows whether the request was carried out."""

from __future__ import annotations


class OutcomeUnknown(Exception):
    """An earlier attempt of the operation may have been carried out, whatever the last one came to.

    As the context of the exception that ends an operation it stands beside a refusal: the first attempt timed out,
    the second was refused, and the service may have done what it was asked. An adapter raises it (in a class that is
    its client's own error as well) in place of such a refusal, which would tell the caller that nothing was done.
    No policy retries it: with a new key it would be a second operation. Look whether it was carried out, or send it
    again with the same key.
    """

    answer: object = None
    """The client's response object that said no, where there is one."""


def put_beside(error: BaseException, unknown: OutcomeUnknown) -> None:
    """Make ``unknown`` the innermost context of an exception, as if that had been raised while handling it."""
    seen = {id(error)}
    while True:
        if isinstance(error, OutcomeUnknown):
            return
        inner = error.__cause__ if error.__suppress_context__ else error.__context__
        if inner is None or id(inner) in seen:
            break
        seen.add(id(inner))
        error = inner
    if error.__suppress_context__:
        error.__cause__ = unknown
    else:
        error.__context__ = unknown
