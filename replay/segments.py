"""The log as a rebuild reads it, out of the segments of a backup as far as they reach."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from eventstore.segments import SegmentWrong, read_segment
from eventstore.tree import Tiles, TreeDamaged
from replay.backup import BackupWrong
from replay.base import ReplayError

if TYPE_CHECKING:
    from eventstore.log import Log
    from replay.backup import Backup

COLUMNS = (
    "position", "event_id", "stream_id", "version", "type", "recorded_at", "occurred_at", "actor",
    "correlation_id", "causation_id", "data",
)  # fmt: skip
"""In the order of `Log.read_arrow`."""


class OtherLog(ReplayError):
    """The segments are not those of this log."""


class Segments:
    """Reads like `Log.read_arrow`, from each segment once; what is newer comes from the log.

    Raises `OtherLog` when the sealed log is not the one that the backup is of.
    """

    def __init__(self, backup: Backup, log: Log) -> None:
        self.backup, self.log = backup, log
        self._left = backup.segments[::-1]
        self._held: list[pa.Table] = []
        self._is_of_this_log()

    def __call__(self, after: int, limit: int) -> pa.Table:
        """The next rows, in the order of the log; asked only forwards."""
        self._held = [rows for rows in (_after(held, after) for held in self._held) if len(rows)]
        while self._left and sum(map(len, self._held)) < limit:
            if len(rows := _after(self._next(), after)):
                self._held.append(rows)
        count = sum(map(len, self._held))
        if count < limit:
            last = self._held[-1]["position"][-1].as_py() if count else after
            newer = self.log.read_arrow(last, limit - count)
            if not count:
                return newer
            self._held.append(newer.cast(self._held[0].schema))
        return pa.concat_tables(self._held).slice(0, limit)

    def _next(self) -> pa.Table:
        """The rows of the next segment, once its bytes are what was written."""
        name = self._left.pop()
        try:
            _, stored = read_segment(name, self.backup.read(name))
        except SegmentWrong as wrong:
            raise BackupWrong(str(wrong)) from None
        return stored.select(COLUMNS)

    def _is_of_this_log(self) -> None:
        signed = self.backup.checkpoint
        try:
            with self.log.cursor() as cursor:
                root = Tiles(cursor).root(signed.size)
        except TreeDamaged:
            root = b""
        if root != signed.root:
            raise OtherLog(
                f"the first {signed.size} events of this log are not those of the backup in "
                f"{self.backup.folder}"
            )


def _after(rows: pa.Table, position: int) -> pa.Table:
    return rows.filter(pc.field("position") > position)
