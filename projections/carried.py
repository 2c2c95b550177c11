"""Rows that wait in memory: of a record that changes again and again only the last is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Sequence

    from projections.store import Store

FRAMES_MAX = 8
RECENT_ROWS = 10_000
"""So many rows of a table stay in memory after they were written, for what happened to a record a
moment ago is followed by more. To look for some in the file takes 3 to 4 milliseconds, however few
and however large it is; here half a one."""


class Carried:
    """A stored table that has one row for each entity; rows wait in memory until `settle`.

    A batch of a rebuild changes what batches before it wrote: carried in memory, the rows are
    written once. Live, each batch is settled, and nothing is held.
    """

    def __init__(self, store: Store, part: str, entity: Sequence[str]) -> None:
        self._store, self._part, self._entity = store, part, list(entity)
        self._none = pl.DataFrame(schema=store.schema(part))
        self.forget()

    def forget(self) -> None:
        """Drop what is in memory: the file says otherwise, or will."""
        self._waiting: list[pl.DataFrame] = []
        """Batch by batch; of an entity that is in several the last counts."""
        self._recent: list[pl.DataFrame] = []
        """The newest of what is written, likewise."""
        self._new = False
        """Whether the last that waits was not copied yet."""
        self._outdated = [self._none.select(self._entity)]
        self._stored = self._store.count(self._part) > 0

    def of(self, events: pl.DataFrame) -> pl.DataFrame:
        """The rows of the entities the events are about; those that have none yet are left out.

        A stream that begins with these events has none, and is not looked for.
        """
        began = events["id"].filter(events["version"] == 1)
        # Most often all did; to find those that did not takes half a millisecond.
        if began.n_unique() == events["id"].n_unique():
            return self._none
        later = ~pl.col("id").is_in(pl.lit(began).implode())
        keys = events.lazy().filter(later).select(self._entity).unique().collect()
        waiting, keys = self._among(self._waiting, keys)
        if not self._stored:
            return waiting
        written, keys = self._among(self._recent, keys)
        if not keys.is_empty():
            written = pl.concat([written, self._store.find(self._part, keys)])
        self._outdated.append(written.select(self._entity))
        return pl.concat([waiting, written])

    def _among(
        self, frames: Sequence[pl.DataFrame], keys: pl.DataFrame
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Rows of some entities, and the entities that have none in these frames."""
        found = [self._none]
        for rows in reversed(frames):
            if not keys.is_empty():
                found.append(rows.join(keys, on=self._entity, how="semi"))
                keys = keys.join(found[-1], on=self._entity, how="anti")
        return pl.concat(found), keys

    def put(self, rows: pl.DataFrame) -> None:
        """Keep one row for each of these entities, which `of` was asked for before."""
        self._waiting.append(rows[self._none.columns])
        self._new = True

    def keep(self) -> None:
        """Let what waits be there for longer than the batch it is of."""
        if self._new:
            self._waiting[-1] = _copied(self._waiting[-1])
            self._new = False
        if len(self._waiting) > FRAMES_MAX:
            self._waiting = [self._last()]

    def settle(self) -> None:
        """Write what waits in the place of what it replaces."""
        if self._waiting:
            last = self._last()
            # Quicker by far than MERGE or UPDATE, which rewrite column by column.
            self._store.delete(self._part, pl.concat(self._outdated))
            self._store.append(self._part, last)
            self._stored = True
            self._outdated = self._outdated[:1]
            self._waiting, self._new = [], False
            self._recent.append(_copied(last.tail(RECENT_ROWS)))
            while sum(map(len, self._recent)) > RECENT_ROWS or len(self._recent) > FRAMES_MAX:
                del self._recent[0]

    def _last(self) -> pl.DataFrame:
        """One row for each entity that waits."""
        if len(self._waiting) == 1:
            return self._waiting[0]
        return pl.concat(self._waiting).unique(self._entity, keep="last")


def _copied(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows of a batch are views that would keep all of its texts in memory."""
    return pl.DataFrame(rows.to_arrow())
