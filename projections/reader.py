"""What reads the log for tables, and writes nothing: so it may run ahead of them, or elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from projections.batch import Batch, nothing_opened
from projections.decode import Decoder
from projections.personal import Opener, Unseal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import polars as pl
    import pyarrow as pa

    from domain.base import Event
    from projections.batch import Frames
    from projections.shape import Shape


class Reader:
    """Reads batches of the log, and opens the personal values that tables show.

    Without `unseal` it opens none. Safe to use from several threads.
    """

    def __init__(
        self, events: Iterable[type[Event]], sealed: Sequence[Shape], unseal: Unseal | None
    ) -> None:
        """`sealed` are the tables with personal columns."""
        self._decoder = Decoder(events)
        self._opener = Opener(sealed, unseal) if unseal else None

    def read(self, table: pa.Table) -> Batch:
        """A batch as `Log.read_arrow` gives it; nothing is opened yet."""
        return Batch.read(table, self._decoder.another())

    def open(self, batch: Batch) -> tuple[Frames, pl.DataFrame]:
        """What stands in the place of the sealed values, and those that could not be opened."""
        if self._opener is None:
            return nothing_opened()
        return self._opener.another().open(batch.frames)
