"""A look at the tables as they were at a moment, for notebooks.

It works on a snapshot, beside a server, and without one; the lock of a directory is held only
while a question is answered.
"""

from __future__ import annotations

import os
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from cli import show
from cli.chart import drawing
from cli.session import session
from cli.tables import Refused, tables
from readmodels.answer import frame
from replay.base import Bounds, bounds, known, moment
from replay.snapshot import MANIFEST, open_snapshot, read_manifest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    import polars as pl

    from cli.chart import Asking


class Exported:
    """The tables of a snapshot, which do not change."""

    def __init__(self, folder: Path) -> None:
        self._connection = open_snapshot(folder)

    def sql(self, sql: str, within: Bounds) -> pl.DataFrame:
        """The answer to a SELECT, at a moment."""
        self._connection.execute("SET VARIABLE as_of = $1::TIMESTAMPTZ", [within.as_of])
        self._connection.execute("SET VARIABLE known_at = $1::BIGINT", [within.known_at])
        return frame(self._connection.execute(sql))

    def position_at(self, moment: datetime) -> int:
        """The position of the last event that was recorded by a time."""
        [(position,)] = self._connection.execute("SELECT position_at($1)", [moment]).fetchall()
        return int(position)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


class Look:
    """What had happened by `as_of`, as far as the log knew it at `known_at`; else until now.

    `place` is the directory of a workspace, or a snapshot in DuckDB. Times are as people write
    them: a bare date is the end of that day in `zone`. All answers are of one position of the log.
    """

    def __init__(
        self,
        place: str | Path,
        as_of: str | None = None,
        known_at: str | None = None,
        zone: str = "UTC",
    ) -> None:
        self.place = Path(place)
        self._exported = (self.place / MANIFEST).exists()
        if not self._exported and not self.place.is_dir():
            raise Refused(f"{place} is neither a snapshot nor the directory of a workspace")
        self.within = self._bounds(as_of, known_at, ZoneInfo(zone))

    def sql(self, statement: str) -> pl.DataFrame:
        """The answer to a SELECT; every table and report named in it is that of the moment."""
        with self._asking() as asking:
            return asking.sql(statement, self.within)

    def draw(self, subject: str, since: str | None = None) -> Any:
        """A picture, as `backstory chart` draws it; where there is nothing to draw, words."""
        import altair as alt

        alt.renderers.enable("png", scale_factor=2)  # is seen everywhere, without a network
        try:
            with self._asking() as asking:
                return drawing(asking, subject, self.within, moment(since) if since else None)[0]
        except Refused as nothing:
            return str(nothing)

    def __repr__(self) -> str:
        return f"{self.place}, {show.within(self.within)}"

    @contextmanager
    def _asking(self) -> Iterator[Asking]:
        if self._exported:
            with closing(Exported(self.place)) as exported:
                yield exported
            return
        url = os.environ.get("BACKSTORY_DATABASE_URL")
        with session(self.place, url, "notebook") as opened, tables(opened) as held:
            yield held

    def _bounds(self, as_of: str | None, known_at: str | None, zone: ZoneInfo) -> Bounds:
        if self._exported:
            until = moment(as_of, zone) if as_of else None
            when = known(known_at, zone) if known_at else read_manifest(self.place).position
            with closing(Exported(self.place)) as exported:
                return Bounds(until, when if isinstance(when, int) else exported.position_at(when))
        url = os.environ.get("BACKSTORY_DATABASE_URL")
        with session(self.place, url, "notebook") as opened:
            log = opened.workspace.log
            return bounds(log, as_of, known_at or str(log.last_position()), zone)
