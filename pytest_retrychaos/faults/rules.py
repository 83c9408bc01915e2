"""What may stand in one step. Constructors and parser both come here, so both refuse the same things.

1. A status is 200 to 599; an outage that answers does so with 300 to 599.
2. A fault takes the options that its row of the vocabulary lists, and no others.
3. ``after-commit`` goes where the client cannot know what happened: timeout, reset, eof, stale, 5xx,
   408, 409.
4. slow, drip and down last longer than nothing; other faults have no duration.
5. A step strikes 1 to 1 000 000 times, or for ever.
6. A header or body can be sent as it is: no line break in a header, nothing that UTF-8 cannot write.
7. A status that has no content takes no body.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_retrychaos.faults.durations import FORMS, check_duration
from pytest_retrychaos.faults.errors import ScriptError, shown
from pytest_retrychaos.faults.fields import RetryAfter, check_header
from pytest_retrychaos.faults.vocabulary import COMMITTING_ERRORS, FAULTS, Commit, Fault, Kind, Value

if TYPE_CHECKING:
    from pytest_retrychaos.faults.step import Step

MOST = 1_000_000
"""The largest count: more would outlast the 2 000 attempts at which a run is ended, and any memory of it."""
COUNT_FORMS = "a count is x1 to x1000000; * is for ever"
BODILESS = frozenset({204, 205, 304})
"""Statuses without content (RFC 9110, 15.3.5, 15.3.6 and 15.4.5)."""
_STATUS_RULE = "a status is 200 to 599"
_AFTER_COMMIT = "after-commit goes with 5xx, 408, 409, timeout, reset, eof and stale"


def check_step(step: Step) -> None:
    """Refuse a step whose values do not go together."""
    if not isinstance(step.kind, Kind):
        raise ScriptError(f"a step's kind is a Kind, not {shown(step.kind)}", "write ok(), status(503), …")
    fault = FAULTS[step.kind]
    _check_status(step, fault)
    _check_duration(step, fault)
    _check_options(step, fault)
    _check_after_commit(step, fault)
    _check_count(step.count)


def status_error(given: object, rule: str = _STATUS_RULE) -> ScriptError:
    """Build the error for a status out of range."""
    way_out = "200-299 answer as the service would, under that status; 300-599 with that status alone"
    return ScriptError(f"there is no status {given}: {rule}", way_out, part="status")


def _check_status(step: Step, fault: Fault) -> None:
    status = step.status
    if fault.kind is Kind.STATUS:
        if isinstance(status, bool) or not isinstance(status, int):
            raise ScriptError(f"a status is a number, not {shown(status)}", "write status(503)", part="status")
        if not 200 <= status <= 599:
            raise status_error(shown(status))
    elif status is not None:
        if fault.value is not Value.OUTAGE:
            raise ScriptError(f"{fault.word} has no status, but {shown(status)} was given", part="status")
        if isinstance(status, bool) or not isinstance(status, int) or not 300 <= status <= 599:
            way_out = "write down=30s:503, or down=30s to refuse connections"
            raise ScriptError(f"an outage answers 300 to 599, not {shown(status)}", way_out, part="status")


def _check_duration(step: Step, fault: Fault) -> None:
    if fault.value is not Value.NONE:
        if step.duration_ns is None:
            raise ScriptError(f"{fault.word} needs a duration: {fault.usage}", FORMS, part="duration")
        check_duration(step.duration_ns)
    elif step.duration_ns is not None:
        raise ScriptError(f"{name(step)} has no duration", "slow, drip and down have one", part="duration")


def _check_options(step: Step, fault: Fault) -> None:
    given = {
        "retry-after": step.retry_after is not None,
        "body": step.body is not None,
        "header": bool(step.headers),
        "after-commit": step.after_commit,
        "before-commit": step.before_commit,
    }
    for word, is_given in given.items():
        if is_given and word not in fault.options:
            raise _misplaced(word, step, fault)
    if step.retry_after is not None and not isinstance(step.retry_after, RetryAfter):
        raise ScriptError(f"a step's retry_after is a RetryAfter, not {shown(step.retry_after)}")
    for number, pair in enumerate(step.headers):
        try:
            check_header(*pair)
        except ScriptError as error:
            raise ScriptError(error.headline, error.way_out, part=f"header {number}") from None
    _check_body(step.body)
    if step.body is not None and step.status in BODILESS:
        way_out = "take the body away, or write a status that has one"
        raise ScriptError(f"{name(step)} has no body", way_out, part="body")


def _misplaced(word: str, step: Step, fault: Fault) -> ScriptError:
    if word == "after-commit" and fault.commit is Commit.ALWAYS:
        return ScriptError(f"{name(step)} commits as it is", f"take {word} away", part=word)
    if word == "after-commit":
        why = "nothing was sent" if fault.is_not_sent else "the service is away"
        return ScriptError(f"{name(step)} cannot be after-commit: {why}", _AFTER_COMMIT, part=word)
    where = ", ".join(row.word for row in FAULTS.values() if word in row.options)
    return ScriptError(f"{word} is no option of {name(step)}", f"{word} goes with {where}", part=word)


def _check_body(body: object) -> None:
    if body is None:
        return
    if not isinstance(body, str):
        raise ScriptError(f"a body is a text, not {shown(body)}", "for JSON write json.dumps(…)", part="body")
    try:
        body.encode()
    except UnicodeEncodeError:
        way_out = "a body is sent as UTF-8, which has no lone surrogates"
        raise ScriptError(f"the body {ascii(body)[:40]} cannot be sent", way_out, part="body") from None


def _check_after_commit(step: Step, fault: Fault) -> None:
    if not step.after_commit or fault.commit is not Commit.BY_STATUS or step.status in COMMITTING_ERRORS:
        return
    if step.status is not None and step.status < 300:
        raise ScriptError(f"{step.status} commits as it is", "take after-commit away", part="after-commit")
    why = "it tells the client that nothing was done"
    raise ScriptError(f"{step.status} cannot be after-commit: {why}", _AFTER_COMMIT, part="after-commit")


def _check_count(count: object) -> None:
    if count is None:
        return
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MOST:
        raise ScriptError(f"a step cannot strike {shown(count)} times", COUNT_FORMS, part="count")


def name(step: Step) -> str:
    """Name a step's fault in an error: the status, or the word."""
    return str(step.status) if step.kind is Kind.STATUS else step.kind.value
