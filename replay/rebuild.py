"""Rebuild: new tables beside the old, compared with them, and put in their place in one step."""

from __future__ import annotations

import shutil
import time
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb

from replay.tables import (
    Here,
    catch_up,
    current,
    new_generation,
    open_tables,
    turn_to,
    unseen,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from eventstore.log import Log
    from eventstore.workspace import Workspace
    from projections.follower import Follower
    from projections.tables import Tables
    from replay.tables import Progress, Standing

FOLLOWER_SECONDS_MAX = 60.0
LOOKS, PAUSE_SECONDS = 3, 0.2


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """New tables in the place of the old."""

    position: int
    same: Mapping[str, bool]
    """Whether each table was what the log says before; empty if they could not be opened."""
    seconds: float = 0.0


def build(workspace: Workspace, progress: Progress = unseen) -> Path:
    """New tables up to the end of the log, in a generation that does not count yet."""
    generation = new_generation(workspace.directory)
    try:
        with closing(open_tables(workspace, generation)) as fresh:
            catch_up(fresh, workspace.log, workspace.log.last_position(), progress)
    except BaseException:
        shutil.rmtree(generation, ignore_errors=True)
        raise
    return generation


def rebuild(workspace: Workspace, progress: Progress = unseen) -> Rebuilt:
    """Rebuild the tables of a workspace that no other process has open."""
    began = time.monotonic()
    generation = build(workspace, progress)
    with closing(open_tables(workspace, generation)) as fresh:
        rebuilt = _compared_with_the_old(workspace, fresh)
    turn_to(generation)
    remove_all_but(generation)
    return Rebuilt(rebuilt.position, rebuilt.same, round(time.monotonic() - began, 3))


def _compared_with_the_old(workspace: Workspace, fresh: Tables) -> Rebuilt:
    try:
        with closing(open_tables(workspace, current(workspace.directory))) as old:
            catch_up(old, workspace.log, fresh.position)
            return compare(workspace.log, Here(old.database).standing(), fresh)
    except duckdb.Error:  # a file past reading is what rebuilding is for
        return Rebuilt(fresh.position, {})


def compare(log: Log, old: Standing, fresh: Tables) -> Rebuilt:
    """Bring new tables to where the old ones stood, and compare."""
    catch_up(fresh, log, max(old.bookmarks.values()))
    digests = Here(fresh.database).standing().digests
    same = {name: digest == old.digests.get(name) for name, digest in digests.items()}
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


def remove_all_but(generation: Path) -> None:
    """Remove every other generation, and what broken-off attempts have left."""
    for other in generation.parent.iterdir():
        if other.is_dir() and not other.is_symlink() and other != generation:
            shutil.rmtree(other, ignore_errors=True)
