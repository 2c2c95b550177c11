"""Optimistic turns: decided before the log is locked, stored only if nobody else has written since.

Where one process writes, it knows what a locked log would tell it: what it wrote last is the newest
there is. So a batch needs one trip to the database instead of two, and others wait for the log only
while it is stored (ADR 46). Whatever was presumed wrongly makes the trip fail as a whole, and the
batch is decided again under the lock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Self

import psycopg

from eventstore.transaction import End, Known, Sought, Transaction, seek

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import TracebackType
    from uuid import UUID

    from psycopg import Cursor
    from psycopg.abc import QueryNoTemplate
    from psycopg.rows import DictRow

    from eventstore.keys import Keyring
    from eventstore.log import Log

WARY_MAX = 64

# What fails has to fail the whole pipeline, COMMIT included.
UNMOVED = """
    SELECT 1 / (event_id = %b::uuid)::integer FROM log_events
    ORDER BY notification_id DESC LIMIT 1
"""
FAILED = (
    psycopg.errors.DivisionByZero,
    psycopg.IntegrityError,
    psycopg.errors.PipelineAborted,  # may be said in place of what failed before it
)
"""What the database says when something was presumed wrongly; nothing was stored then."""


class Outdated(Exception):
    """What a batch was decided on may not be the newest; nothing was stored."""


class Presumed(NamedTuple):
    """What is taken to be so of the streams of a batch, and what has to be looked up."""

    end: End
    heads: dict[UUID, int]
    """Versions as they stood when this process last had the log."""
    blank: set[UUID]
    """Streams nobody here has heard of: that they have no events is proved by storing a first."""
    sought: Sought
    """What is not known."""
    dated: bool
    """Whether decisions depend on the clock of the database."""


class OptimisticTransaction(Transaction):
    """A block that locks the log at its end; raises Outdated if it had not ended where presumed.

    What is looked up before that is the newest there is, or the end of the log has moved.
    """

    def __init__(self, log: Log, cursor: Cursor[DictRow], presumed: Presumed) -> None:
        super().__init__(log, cursor, presumed.sought)
        self._presumed = presumed
        self._ending = self._locking()

    def __enter__(self) -> Self:
        end, heads, blank, sought, dated = self._presumed
        heads = heads | dict.fromkeys(blank, 0)
        self.known = Known(None, end, 0, heads, {}, {})
        if sought.streams or dated:
            found = seek(self.cursor, sought)
            if found.end != end:
                raise Outdated
            self.known = found._replace(heads=found.heads | heads)
        self.last_position, self.forgot, self.recorded_at = end.position, False, None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            super().__exit__(kind, error, trace)
        except FAILED as failed:
            raise Outdated from failed
        if isinstance(error, FAILED):
            raise Outdated from error

    def _locking(self) -> list[tuple[QueryNoTemplate, Sequence[Any]]]:
        return [*super()._locking(), (UNMOVED, (self._presumed.end.event_id,))]

    def _keys_of(self, keys: Keyring, subjects: Iterable[UUID]) -> list[UUID]:
        """See `Transaction`; keys are made inside the transaction of their events."""
        missing = keys.missing(subjects, make=True)
        if missing:
            with self.cursor.connection.pipeline():
                self._send(self._ending)
            self._ending.clear()
        return super()._keys_of(keys, missing)


class Trust:
    """Whether this process seems to be the only one that writes, and where the log ended then.

    After a presumption that was wrong the log is locked first for one batch, and after each one
    that follows on it for twice as many.
    """

    def __init__(self) -> None:
        self.end: End | None = None
        """The newest event when this process last had the log; None if that is to be looked up."""
        self._wary, self._left = 0, 1

    @property
    def given(self) -> End | None:
        """The newest event, if that is to be gone by."""
        return None if self._left or not (self.end and self.end.position) else self.end

    def proved(self, end: End | None) -> None:
        """A batch went in on trust; where the log ends now."""
        self.end, self._wary = end, 0

    def broken(self) -> None:
        """A batch did not."""
        self._wary = self._left = min(2 * self._wary or 1, WARY_MAX)

    def found(self, end: End) -> bool:
        """Where the log ended when it was locked; whether that is where this process left it."""
        alone = end == self.end
        if alone and self._left:
            self._left -= 1
        return alone
