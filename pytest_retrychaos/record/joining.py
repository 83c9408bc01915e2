"""Which operation an attempt belongs to: the rules, as pure functions of what is known when a request has arrived.

Laws of this module:
1. Nothing is noted here: `decide` looks at the attempt and its candidates and gives a `Decision`.
2. The rules speak in the glossary's order: redirect, key, retry, success sent again. Scope, position,
   precondition and the test's own line speak against.
3. Where a failed operation was refused only because of line, position or precondition, the decision says so:
   one operation or two?
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from pytest_retrychaos.record.operations import Candidates, OperationSheet
from pytest_retrychaos.record.sameness import DIFFERENT, PART, REST, SAME, VOLATILE, relate
from pytest_retrychaos.record.sheet import Sheet
from pytest_retrychaos.service.payload import JSON, MULTIPART, XML, media_type
from pytest_retrychaos.service.reads import GUARD_HEADERS
from pytest_retrychaos.volatile import POSITIONS

IDEMPOTENT: Final = frozenset({"PUT", "DELETE"})
"""Methods whose repetition does nothing more (RFC 9110, 9.2.2)."""

HINTED: Final = frozenset({401, 403, 407, 408, 409, 425, 429})
"""4xx after which the same request may rightly be sent again. After another one, a request with fields missing
is one that was put right, and half of a batch is one that was too large (413): no retry that lost them."""


PASSING: Final = frozenset({408, 409, 425, 429})
"""4xx after which the same request may be sent again as it is."""


class Against(enum.Enum):
    """What speaks against joining."""

    SCOPE = "another scope"
    POSITION = "another position or precondition"
    LINE = "another line of the test"


class Decision(NamedTuple):
    """The operation that an attempt joins (``None``: it begins one) and why."""

    operation: OperationSheet | None
    reason: str
    follows: OperationSheet | None = None
    """A failed operation that it may be the same as, where it begins one."""


_BEGAN = Decision(None, "began")


def decide(sheet: Sheet, candidates: Candidates, *, is_sender_known: bool = True) -> Decision:
    """Decide which operation an attempt belongs to.

    Where its sender is not known (a real server), it is a retry only of the one operation that it can be.
    """
    if candidates.redirected is not None:
        return Decision(candidates.redirected, "leg")
    if candidates.of_key is not None:
        reason = _by_key(candidates.of_key, sheet)
        if reason is not None:
            return Decision(candidates.of_key, reason)
    follows: OperationSheet | None = None
    for operation in candidates.similar:
        against = _as_retry(operation, sheet, candidates.recent)
        if against is None:
            if is_sender_known or _is_only_one(operation, sheet, candidates):
                return Decision(operation, "retry")
            follows = operation
            break
        if follows is None and against in (Against.LINE, Against.POSITION):
            follows = operation
    if candidates.orphans is not None:
        orphan = _only_orphan(candidates.orphans(), sheet)
        if isinstance(orphan, OperationSheet):
            return Decision(orphan, "retry")
        follows = follows or next(iter(orphan), None)
    latest = candidates.latest
    if latest is not None and _is_sent_again(latest, sheet):
        return Decision(latest, "sent again")
    return _BEGAN if follows is None else Decision(None, "began", follows)


def _only_orphan(orphans: Iterable[OperationSheet], sheet: Sheet) -> OperationSheet | Sequence[OperationSheet]:
    """Give the one operation that an attempt may go on with, left by a lineage that has ended; else all such.

    Of several, one that alone is related to the attempt's lineage. One that was under way when this lineage
    was begun can have been taken up by it only if it was told so: that is not known.
    """
    failed = [one for one in orphans if _as_retry(one, sheet) is None]
    found = [one for one in failed if not one.is_passed_over and _can_go_on(one.last, sheet)]
    related = [one for one in found if sheet.lineage.is_related(one.last.lineage)]
    for group in (related, found):
        if len(group) == 1:
            return group[0]
        if group:
            return group
    return failed


def _can_go_on(last: Sheet, sheet: Sheet) -> bool:
    """Whether an attempt can go on with what failed on a lineage that has ended.

    Who starts a row of threads or hands a row of items to a pool may see the first fail before the last is
    begun: a further one at once can be a retry or the next of the row.
    """
    before, lineage = last.lineage, sheet.lineage
    if before.is_begun_by(lineage):
        return True
    branch = lineage.branch_beside(before)
    if branch is not lineage and branch.born <= last.ended_as:
        return False  # it is of one that was under way, as another item of the row
    return lineage.born > last.ended_as and (lineage.is_task or _gap(last, sheet) > 0)


def relation(earlier: Sheet, sheet: Sheet) -> str:
    """Say what an attempt's body is to that of an earlier one; a body no longer kept is known by its digest."""
    old, new = earlier.kept_body, sheet.kept_body
    if old.size and not earlier.full_body:
        return SAME if (old.sha256, old.size) == (new.sha256, new.size) else DIFFERENT
    if _came_in_part(earlier, sheet):
        return SAME
    return relate((earlier.headers, earlier.full_body), (sheet.headers, sheet.full_body))


def _came_in_part(earlier: Sheet, sheet: Sheet) -> bool:
    """Whether the earlier body is the beginning of this one, and was announced as long."""
    sent, before = (one.sent_body or one.full_body for one in (sheet, earlier))
    length = len(sent) if sheet.announced is None else sheet.announced
    return earlier.announced == length and sent.startswith(before)


def had_ended(operation: OperationSheet, sheet: Sheet) -> bool:
    """Whether an operation's last attempt had ended, in the client's eyes, before this one began."""
    ended = operation.last.ended_ns
    return operation.last is not sheet and ended is not None and ended <= sheet.began_ns


def are_in_one_call(earlier: Sheet, later: Sheet) -> bool:
    """Whether two attempts come from one scope, or from one call that the test made."""
    if earlier.scope is not None or later.scope is not None:
        return earlier.scope == later.scope
    if is_handed_on(earlier, later):
        return True
    one, other = earlier.lineage, later.lineage
    is_begun_since = other.parent is one and other.born > earlier.ended_as  # a task that writes the request
    called = later.outer_call if later.call is None and is_begun_since else later.call
    if (one is other or is_begun_since) and earlier.call is called is None:
        return one.parent is not None  # a task, a pool's item or a thread is begun by one call
    return earlier.call is not None and earlier.call == called


def is_handed_on(earlier: Sheet, later: Sheet) -> bool:
    """Whether an attempt was made on a lineage of its own that has ended, as one to connect often is.

    The later one is of who had begun that lineage, or of the next that the same has begun since, by whatever others in
    between: a task for each attempt may begin one to connect, and the one that ends may begin the next.
    """
    before, lineage = earlier.lineage, later.lineage
    if before is lineage or not before.has_ended:
        return False
    called = later.outer_call if later.call is None else later.call
    if None not in (earlier.outer_call, called) and earlier.outer_call != called:
        return False  # another call of the test
    keeper = before.keeper
    if keeper is None or keeper is lineage:
        return keeper is not None
    if not lineage.is_begun_by(keeper):
        return False  # who began that one goes on by itself
    begun = lineage.branch_beside(before)
    return begun.born > earlier.ended_as and (begun.is_task or _gap(earlier, later) > 0)


def goes_on(waiting: Sequence[Sheet], sheet: Sheet) -> bool:
    """Whether an attempt goes on with those before it that were not sent.

    They come from one call, and the client did not begin its waiting anew: one that had waited between them
    and comes back at once has given up and gone on to the next thing.
    """
    last = waiting[-1]
    if not are_in_one_call(last, sheet):
        return False
    has_waited = any(_gap(earlier, later) > 0 for earlier, later in pairwise(waiting))
    return not has_waited or _gap(last, sheet) > 0


def goes_on_unsent(operation: OperationSheet, sheet: Sheet) -> bool:
    """Whether an attempt that was not sent can be the next of a failed operation.

    What was refused for good is not asked again, as far as is known, nor does a loop that had waited come back at
    once: either is sooner the beginning of something else, such as a compensation.
    """
    return not _is_final(operation.last) and goes_on(operation.attempts, sheet)


def _is_final(last: Sheet) -> bool:
    return last.status is not None and 400 <= last.status < 500 and last.status not in PASSING


def _gap(earlier: Sheet, later: Sheet) -> int:
    return 0 if earlier.ended_ns is None else later.began_ns - earlier.ended_ns


def _is_only_one(operation: OperationSheet, sheet: Sheet, candidates: Candidates) -> bool:
    others = (one for one in candidates.similar if one is not operation)
    return all(_as_retry(one, sheet) is not None for one in others)


def _by_key(operation: OperationSheet, sheet: Sheet) -> str | None:
    """Say why an attempt joins an operation with its key: ``key``, or ``hedge`` where they overlap."""
    earlier = operation.counterpart(sheet)
    if earlier is None or _speaks_against(operation, earlier, sheet) is not None:
        return None
    kind = relation(earlier, sheet)
    if kind == DIFFERENT:
        return None
    if operation.has_succeeded and (sheet.scope is None or kind != SAME):
        return None
    if had_ended(operation, sheet):
        return "key"
    return "hedge" if kind == SAME else None


def is_retry(operation: OperationSheet, sheet: Sheet) -> bool:
    """Whether an attempt can be a retry of an operation, whoever sends it: one that failed, and had a request."""
    return operation.counterpart(sheet) is not None and _as_retry(operation, sheet) is None


def _as_retry(operation: OperationSheet, sheet: Sheet, recent: Sequence[OperationSheet] = ()) -> Against | str | None:
    """Say what keeps an attempt from being a retry of an operation; ``None``: nothing.

    ``recent`` is what its lineage has sent to the same place lately.
    """
    last = operation.last
    if not last.failed or not had_ended(operation, sheet):
        return "it had not failed"
    earlier = operation.counterpart(sheet)
    if earlier is None:
        return "another request"
    against = _speaks_against(operation, earlier, sheet)
    if against is Against.POSITION:
        return against
    kind = relation(earlier, sheet)
    if kind == DIFFERENT or (_is_smaller(kind, sheet) and _is_meant(operation, kind, sheet, recent)):
        return "another body"
    if against is Against.LINE and kind not in (SAME, VOLATILE):
        return "another body"
    return against


def _is_smaller(kind: str, sheet: Sheet) -> bool:
    """Whether a body is a part of the earlier one, and may stand for itself: the end of JSON or XML does not."""
    if kind != REST:
        return kind == PART
    return bool(sheet.full_body) and media_type(sheet.headers.by_name) not in (JSON, MULTIPART, XML)


def _is_meant(operation: OperationSheet, kind: str, sheet: Sheet, recent: Sequence[OperationSheet]) -> bool:
    """Whether a smaller body is another request, and not what is left of the earlier one by mistake."""
    if _was_refused(operation.last) or _had_kept_another_key(operation, sheet):
        return True
    return kind == REST and _is_split(operation, sheet, recent)


def _had_kept_another_key(operation: OperationSheet, sheet: Sheet) -> bool:
    """Whether an operation was repeated under one key, and this is another: who makes keys anew keeps none."""
    keys = [one.key for one in operation.attempts if one.method is not None]
    return len(keys) > 1 and len({*keys}) == 1 and None not in (keys[0], sheet.key) and sheet.key != keys[0]


def _is_split(operation: OperationSheet, sheet: Sheet, recent: Sequence[OperationSheet]) -> bool:
    """Whether the lines that are missing have gone to the same place since it failed: another part of the batch."""
    earlier = operation.counterpart(sheet)
    if earlier is None:
        return False
    missing = earlier.full_body.removesuffix(sheet.full_body).splitlines()
    since = [one for one in recent if one is not operation and one.attempts[0].index > operation.last.index]
    return bool(missing) and {*missing} <= {line for one in since for line in one.last.full_body.splitlines()}


def _was_refused(last: Sheet) -> bool:
    return last.status is not None and 400 <= last.status < 500 and last.status not in HINTED


def _is_sent_again(latest: OperationSheet, sheet: Sheet) -> bool:
    """Whether an unsafe request is the same as the last, which succeeded and said when to look again."""
    last = latest.attempts[-1]
    return (
        not (sheet.is_read or sheet.is_guarded or sheet.method in IDEMPOTENT)
        and last.response is not None
        and "retry-after" in last.response.headers.by_name
        and last.has_succeeded
        and last.identity == sheet.identity
        and last.kept_body == sheet.kept_body
        and last.key == sheet.key
        and had_ended(latest, sheet)
        and _speaks_against(latest, last, sheet) is None
    )


def _speaks_against(operation: OperationSheet, earlier: Sheet, sheet: Sheet) -> Against | None:
    if operation.scope != sheet.scope:
        return Against.SCOPE
    old, new = earlier.headers, sheet.headers
    if any(old.get(name) != new.get(name) for name in POSITIONS):
        return Against.POSITION
    if any(name in old and name in new and old[name] != new[name] for name in GUARD_HEADERS):
        return Against.POSITION  # it has read anew what the first one was guarded by
    if sheet.scope is not None:
        return None
    site = operation.last.site
    return Against.LINE if None not in (site, sheet.site) and site != sheet.site else None
