"""A rebuild in parts: each part has its streams, a process of its own and files of its own.

All rows follow from the events of one stream, so the rows of all parts together are those of a
rebuild in one process, and have the same digests.
"""

from __future__ import annotations

import shutil
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from typing import TYPE_CHECKING, Protocol

import duckdb

from eventstore.workspace import Workspace
from projections.catch_up import catch_up
from readmodels.bookmark import Bookmark
from readmodels.schema import quoted, text
from replay.rebuild import new
from replay.tables import open_tables, unseen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from replay.tables import Progress


@dataclass(frozen=True, slots=True)
class Part:
    """The streams whose hash leaves this number, of a log up to a position.

    All that a process elsewhere needs to know: where the log is, and where the files go.
    """

    directory: Path
    database_url: str
    workspace: str
    until: int
    number: int
    of: int
    folder: Path


class Run(Protocol):
    """Has parts built, wherever that is, and gives back their numbers as they are done."""

    def __call__(self, build: Callable[[Part], int], parts: Sequence[Part]) -> Iterable[int]:
        """See above."""


def in_processes(build: Callable[[Part], int], parts: Sequence[Part]) -> Iterable[int]:
    """Each part in a process of this machine."""
    with ProcessPoolExecutor(len(parts), get_context("spawn")) as pool:
        yield from pool.map(build, parts)


def build_part(part: Part) -> int:
    """The tables of one part."""
    with (
        Workspace.open(part.directory, part.database_url, part.workspace) as workspace,
        closing(open_tables(workspace, part.folder)) as tables,
        tables.filling(),
    ):
        read = partial(workspace.log.read_arrow, part=(part.number, part.of))
        for _ in catch_up(tables, read, part.until):
            pass
    return part.number


def build_in_parts(
    workspace: Workspace, progress: Progress = unseen, *, parts: int, run: Run = in_processes
) -> Path:
    """What `build` makes, from so many parts: a generation that does not count yet."""
    until = workspace.log.last_position()
    with new(workspace) as generation:
        planned = [
            Part(
                workspace.directory.resolve(),
                workspace.database_url,
                workspace.name,
                until,
                number,
                parts,
                generation / f"part-{number}",
            )
            for number in range(parts)
        ]
        for done, _ in enumerate(run(build_part, planned), start=1):
            progress(until * done // (parts + 1))
        with closing(open_tables(workspace, generation)) as tables:
            paths = tables.paths[: len(tables.database.catalogs)]
        for path in paths:
            _merge(path, [part.folder / path.name for part in planned], until)
        for part in planned:
            shutil.rmtree(part.folder)
        progress(until)
    return generation


def _merge(path: Path, parts: Sequence[Path], until: int) -> None:
    """Add the rows of all parts to an empty file, and move its bookmark."""
    with duckdb.connect(str(path)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for number, part in enumerate(parts):
            connection.execute(f"ATTACH {text(str(part))} AS part_{number} (READ_ONLY)")
        tables = connection.execute(
            "SELECT table_name FROM duckdb_tables() WHERE database_name = current_database() "
            "AND schema_name = 'stored' AND table_name NOT IN ('bookmark', 'declared', 'made')"
        ).fetchall()
        connection.begin()
        for (table,) in tables:
            stored = f"stored.{quoted(table)}"
            rows = " UNION ALL ".join(f"FROM part_{n}.{stored}" for n in range(len(parts)))
            connection.execute(f"INSERT INTO {stored} {rows}")
        if until:
            Bookmark(connection).move(until)
        connection.commit()
