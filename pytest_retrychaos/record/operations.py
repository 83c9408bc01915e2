"""Operations while they grow, and the index by which the candidates for an attempt are found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Final, NamedTuple

from pytest_retrychaos.record.lineages import Lineage
from pytest_retrychaos.record.redirects import Place, place_of
from pytest_retrychaos.record.sheet import Identity, Kind, Sheet
from pytest_retrychaos.trace import WHOLE

MOST_ORPHANS: Final = 64
"""How many failed operations of one method and path are looked through: of more, none could be told from the next."""

DEEPEST: Final = 4
"""How many tasks inside each other one attempt is looked for: a deadline, a group, a task that connects, a thread."""

RECENT: Final = 8
"""How many operations of one method and path are compared for a consumed or otherwise spelled body."""


class OperationSheet:
    """An operation while it grows."""

    __slots__ = ("attempts", "by_identity", "follows", "has_succeeded", "is_merged", "is_passed_over", "name",
                 "position", "reused_key_of", "scope")  # fmt: skip

    def __init__(self, name: str, scope: int | None) -> None:
        self.name = name
        self.scope = scope
        self.attempts: list[Sheet] = []
        self.by_identity: dict[Identity, Sheet] = {}
        """Of each identity the attempt that the next one is compared with: the latest with the whole body."""
        self.has_succeeded = False
        self.follows: OperationSheet | None = None
        """The failed operation that it may be the same as."""
        self.reused_key_of: OperationSheet | None = None
        self.is_passed_over = False
        """An equal request was begun after its failure, and may have been the next of a row."""
        self.is_merged = False
        """Its attempts, none of them sent, belong to another one."""
        self.position = -1
        """Its place in the trace, set when that is taken."""

    @property
    def begun_by(self) -> Lineage:
        """The lineage of its first attempt."""
        return self.attempts[0].lineage

    @property
    def last(self) -> Sheet:
        """The latest attempt."""
        return self.attempts[-1]

    def counterpart(self, sheet: Sheet) -> Sheet | None:
        """Give the attempt that a new one is compared with: of its identity, or of the same at another host."""
        assert sheet.identity is not None
        known = self.by_identity.get(sheet.identity)
        if known is not None or not self.by_identity:
            return known
        method, _, target = sheet.identity
        for (other, _, place), earlier in self.by_identity.items():
            if (other, place) == (method, target):
                return earlier
        return None

    def let_bodies_go(self) -> None:
        """Drop bodies that the trace does not keep whole: after a success their digests are enough."""
        for sheet in self.by_identity.values():
            if len(sheet.full_body) > WHOLE:
                sheet.full_body = b""


def operation_of(sheet: Sheet) -> OperationSheet:
    """Give an attempt's operation; one that is still arriving has one without a name."""
    operation = sheet.operation
    return operation if isinstance(operation, OperationSheet) else _NONE


_NONE: Final = OperationSheet("", None)


class Candidates(NamedTuple):
    """What a new attempt may belong to."""

    redirected: OperationSheet | None = None
    """An answer sent the client exactly here."""
    of_key: OperationSheet | None = None
    """The latest with its key, method and path."""
    similar: Sequence[OperationSheet] = ()
    """Of its method and path, unless the last attempt went well: the latest with an equal body first, then any."""
    recent: Sequence[OperationSheet] = ()
    """The latest of its method and path on its lineage, however they went."""
    latest: OperationSheet | None = None
    """The last one on its lineage."""
    orphans: Callable[[], Sequence[OperationSheet]] | None = None
    """Finds those of its method and path that failed on another lineage, which has ended; ``None``: none failed."""


class Row:
    """The operations of one kind on one lineage."""

    __slots__ = ("equal", "recent")

    def __init__(self) -> None:
        self.equal: dict[bytes | str, OperationSheet] = {}
        """By content: the latest with it."""
        self.recent: list[OperationSheet] = []
        """The latest first."""


class Index:
    """Finds candidates without a scan of all operations."""

    def __init__(self) -> None:
        self._kinds: dict[Kind, Kind] = {}
        self._of_key: dict[Kind, dict[str, OperationSheet]] = {}
        self._key_users: dict[str, OperationSheet] = {}
        self._rows: dict[tuple[Kind, Lineage], Row] = {}
        self._latest: dict[Lineage, OperationSheet] = {}
        self._latest_below: dict[Lineage, OperationSheet] = {}
        self._expected: dict[Lineage, tuple[OperationSheet, Place, int | None]] = {}
        self._failed: dict[Kind, dict[OperationSheet, None]] = {}

    def kind(self, scope: int | None, method: str, target: str) -> Kind:
        """Give what the attempts of one operation share, whichever host they go to: once for all of them."""
        kind = scope, method, target
        return self._kinds.setdefault(kind, kind)

    def candidates(self, sheet: Sheet) -> Candidates:
        """List what an attempt may belong to; a redirect is followed at once or never."""
        kind = sheet.kind
        row = self._rows.get((kind, sheet.lineage)) or _EMPTY
        equal = row.equal.get(sheet.alike)
        similar = [one for one in row.recent if not one.attempts[-1].went_well and one is not equal]
        if equal is not None and not equal.attempts[-1].went_well:
            similar.insert(0, equal)
        of_key = None if sheet.key is None else self._of_key.get(kind, {}).get(sheet.key)
        latest = self._latest.get(sheet.lineage)
        orphans = (lambda: self._orphans(sheet)) if self._failed.get(kind) else None
        redirected = self._redirected(sheet) if self._expected else None
        return Candidates(redirected, of_key, similar, row.recent, latest, orphans)

    def note_failure(self, operation: OperationSheet) -> None:
        """Note that the last attempt of an operation failed: another lineage may go on with it."""
        if operation.last.identity is not None:
            self._failed.setdefault(operation.last.kind, {})[operation] = None

    def _orphans(self, sheet: Sheet) -> Sequence[OperationSheet]:
        failed = self._failed.get(sheet.kind, {})
        lineage = sheet.lineage
        if len(failed) > MOST_ORPHANS:
            return ()
        return [one for one in failed if _is_left_by_another(one, lineage)]

    def key_user(self, key: str | None) -> OperationSheet | None:
        """Give the latest operation that used a key, in whatever scope."""
        return None if key is None else self._key_users.get(key)

    def latest(self, lineage: Lineage) -> OperationSheet | None:
        """Give the latest operation of a lineage, and of those that it began: a task that connects, or that sends."""
        found = self._latest.get(lineage), self._latest_below.get(lineage)
        known = [one for one in found if one is not None and not one.is_merged]
        return max(known, key=lambda operation: operation.last.index, default=None)

    def add(self, operation: OperationSheet, sheet: Sheet) -> None:
        """Note that an attempt belongs to an operation."""
        self._latest[sheet.lineage] = operation
        for above in islice(sheet.lineage.line(), DEEPEST):
            self._latest_below[above] = operation
        if sheet.identity is None:
            return
        kind = sheet.kind
        if sheet.key is not None:
            self._of_key.setdefault(kind, {})[sheet.key] = operation
            self._key_users[sheet.key] = operation
        failed = self._failed.get(kind)
        if failed:
            failed.pop(operation, None)
        row = self._rows.get((kind, sheet.lineage))
        if row is None:
            row = self._rows[kind, sheet.lineage] = Row()
        row.equal[sheet.alike] = operation
        if not row.recent or row.recent[0] is not operation:
            row.recent.insert(0, operation)
            del row.recent[RECENT:]

    def expect(self, operation: OperationSheet, sheet: Sheet, place: Place) -> None:
        """Note where an answer sends the client."""
        self._expected[sheet.lineage] = (operation, place, sheet.site)

    def _redirected(self, sheet: Sheet) -> OperationSheet | None:
        found = self._expected.pop(sheet.lineage, None)
        if found is None:
            return None
        operation, place, site = found
        is_followed = place == place_of(sheet) and operation.scope == sheet.scope and site == sheet.site
        return operation if is_followed else None


_EMPTY: Final = Row()


def _is_left_by_another(operation: OperationSheet, lineage: Lineage) -> bool:
    """Whether a lineage may go on with an operation whose own has ended.

    Who began that one for an attempt, and is still there, goes on by itself, or by another that it begins: of loops
    side by side none goes on with what another's has left.
    """
    last = operation.last.lineage
    if last is lineage or not last.has_ended:
        return False
    keeper = last.keeper
    return keeper is None or keeper is lineage or lineage.is_begun_by(keeper)
