"""Rebuild: new tables beside the old, compared with them, and put in their place in one step."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import duckdb

from replay.apart import FROM_DATABASE, Apart
from replay.base import ReplayError
from replay.segments import Segments
from replay.tables import (
    Here,
    catch_up,
    forget_elsewhere,
    new_generation,
    open_tables,
    personal_tables,
    previous,
    turn_to,
    unseen,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from eventstore.log import Log
    from eventstore.workspace import Workspace
    from projections.follower import Follower
    from projections.tables import Tables
    from replay.backup import Backup
    from replay.tables import Progress, Standing

FOLLOWER_SECONDS_MAX = 60.0
LOOKS, PAUSE_SECONDS = 3, 0.2


Build = Callable[["Workspace", "Progress"], "Path"]
"""Makes a generation that does not count yet."""


class OtherDeclarations(ReplayError):
    """These tables are not those of today's declarations."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """New tables in the place of the old."""

    position: int
    same: Mapping[str, bool]
    """Whether each table was what the log says before; those that were outdated are left out."""
    seconds: float = 0.0


def build(
    workspace: Workspace, progress: Progress = unseen, *, backup: Backup | None = None
) -> Path:
    """New tables up to the end of the log, in a generation that does not count yet.

    With a backup of this log its segments are read, and only what is newer in the database.
    """
    apart = Apart(workspace, partial(Segments, backup) if backup else FROM_DATABASE)
    with new(workspace) as generation, closing(open_tables(workspace, generation)) as fresh:
        catch_up(fresh, workspace.log, workspace.log.last_position(), progress, apart)
    return generation


def renew(workspace: Workspace, old: Tables, progress: Progress = unseen) -> Path:
    """A generation in which only the outdated tables are made from the log.

    So are the personal ones where their file may hold values of somebody who was forgotten. The
    others are taken over as they are; those of `old` may follow the log meanwhile.
    """
    needed = old.needed | (personal_tables() if old.leftovers else set())
    with (
        new(workspace) as generation,
        closing(open_tables(workspace, generation, only=needed)) as fresh,
    ):
        catch_up(fresh, workspace.log, old.position, progress)
        catch_up(fresh, workspace.log, fresh.take_over(old), progress)
        fresh.settle(fully=True)
    return generation


@contextmanager
def new(workspace: Workspace) -> Iterator[Path]:
    """An empty generation, which is gone if what is made there fails."""
    generation = new_generation(workspace.directory)
    try:
        yield generation
    except BaseException:
        shutil.rmtree(generation, ignore_errors=True)
        raise


def open_renewed(workspace: Workspace, progress: Progress = unseen) -> Tables:
    """The tables of a workspace that no other process has open; outdated ones are renewed."""
    tables = open_tables(workspace, kept=True)
    if not tables.outdated and not tables.leftovers:
        return tables
    with closing(tables):
        turn_to(renew(workspace, tables, progress))
    clean(workspace)
    return open_tables(workspace)


def clean(workspace: Workspace) -> None:
    """Leave no value on the disk of anybody who was forgotten, in tables that count no more."""
    if workspace.log.forgotten.position:
        forget_elsewhere(workspace.directory)


def rebuild(workspace: Workspace, progress: Progress = unseen, built: Build = build) -> Rebuilt:
    """Rebuild the tables of a workspace that no other process has open."""
    began = time.monotonic()
    generation = built(workspace, progress)
    rebuilt = take(workspace, generation)
    remove_others(generation)
    clean(workspace)
    return replace(rebuilt, seconds=round(time.monotonic() - began, 3))


def rolled_back(workspace: Workspace, progress: Progress = unseen) -> Path:
    """The previous generation, at the end of the log; it does not count yet."""
    generation = previous(workspace.directory)
    with closing(open_tables(workspace, generation, kept=True)) as tables:
        if tables.outdated:
            names = ", ".join(sorted(tables.outdated))
            raise OtherDeclarations(
                f"the tables from before were made of other declarations ({names}): "
                "go back with the version of Backstory that made them"
            )
        catch_up(tables, workspace.log, workspace.log.last_position(), progress)
    return generation


def take(workspace: Workspace, generation: Path) -> Rebuilt:
    """Let a generation count in a workspace that no other process has open."""
    with closing(open_tables(workspace, generation)) as fresh:
        rebuilt = _compared_with_the_old(workspace, fresh)
    turn_to(generation)
    return rebuilt


def _compared_with_the_old(workspace: Workspace, fresh: Tables) -> Rebuilt:
    try:
        with closing(open_tables(workspace, kept=True)) as old:
            catch_up(old, workspace.log, fresh.position)
            return compare(workspace.log, Here(old.database).standing(), fresh)
    except duckdb.Error:  # a file past reading is what rebuilding is for
        return Rebuilt(fresh.position, {})


def compare(log: Log, old: Standing, fresh: Tables) -> Rebuilt:
    """Bring new tables to where the old ones stood, and compare."""
    catch_up(fresh, log, max(old.bookmarks.values()))
    digests = Here(fresh.database).standing().digests
    same = {name: digests.get(name) == digest for name, digest in old.digests.items()}
    return Rebuilt(fresh.position, same)


def turn(workspace: Workspace, old: Follower, generation: Path) -> tuple[Tables, Rebuilt]:
    """Let a generation count whose tables take the place of those a follower keeps up to date."""
    fresh = open_tables(workspace, generation)
    try:
        old.wait_for(fresh.position, FOLLOWER_SECONDS_MAX)
        kept = Here(old.tables.database)
        rebuilt = compare(workspace.log, kept.standing(), fresh)
        for _ in range(LOOKS):
            if all(rebuilt.same.values()):
                break
            time.sleep(PAUSE_SECONDS)  # perhaps seen between the commits of two files
            rebuilt = compare(workspace.log, kept.standing(), fresh)
        turn_to(generation)
    except BaseException:
        fresh.close()
        raise
    return fresh, rebuilt


def remove_others(generation: Path) -> None:
    """Remove what broken-off attempts have left, and all generations but the last two."""
    kept = {generation, generation.with_name("previous").resolve()}
    for other in generation.parent.iterdir():
        if other.is_dir() and not other.is_symlink() and other not in kept:
            shutil.rmtree(other, ignore_errors=True)
