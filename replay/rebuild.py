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

    from eventstore.workspace import Workspace
    from projections.tables import Tables
    from replay.tables import Progress


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


def compare(workspace: Workspace, old: Tables, fresh: Tables) -> Rebuilt:
    """Bring old and new tables to one position and compare them; no follower may be at work."""
    position = max(old.position, fresh.position)
    for tables in (old, fresh):
        catch_up(tables, workspace.log, position)
    before, after = (Here(tables.database).standing().digests for tables in (old, fresh))
    return Rebuilt(position, {name: before[name] == after[name] for name in after})


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
            return compare(workspace, old, fresh)
    except duckdb.Error:  # a file past reading is what rebuilding is for
        return Rebuilt(fresh.position, {})


def remove_all_but(generation: Path) -> None:
    """Remove every other generation, and what broken-off attempts have left."""
    for other in generation.parent.iterdir():
        if other.is_dir() and not other.is_symlink() and other != generation:
            shutil.rmtree(other, ignore_errors=True)
