"""Restore: a new installation that holds the log of a backup, to the byte."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from eventstore.anchor import FILE, FileAnchor
from eventstore.notes import SigningKeys
from eventstore.roots import open_roots
from eventstore.segments import read_segment
from eventstore.transfer import BESIDE, LogNotEmpty, refill
from eventstore.tree import Tiles
from replay.base import ReplayError
from replay.tables import unseen

if TYPE_CHECKING:
    from eventstore.workspace import Workspace
    from replay.backup import Backup
    from replay.tables import Progress

CACHES = "tables", "read_node", "models"
"""What follows from the log, and from no other one."""


class RestoreRefused(ReplayError):
    """Nothing was restored; the message says why."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What was put back."""

    size: int
    """How many events."""
    position: int
    """That of the last one."""
    root: str
    """The root over them, which is the one that was signed."""
    seconds: float


def restore(workspace: Workspace, backup: Backup, progress: Progress = unseen) -> Restored:
    """Fill an empty log from a backup: all of it, once all of it is what was signed, or nothing.

    Raises `RestoreRefused`, or `BackupWrong` with the name of the first file that is not right.
    """
    began = time.monotonic()
    _check(workspace, backup)
    try:
        with refill(workspace.log) as fresh:
            for rows, leaves in backup.rows():
                fresh.append(rows, leaves)
                progress(rows["position"][-1].as_py())
            for table in BESIDE:
                fresh.put(table, backup.beside(table))
            fresh.commit(_note(backup))
    except LogNotEmpty as error:
        raise RestoreRefused(str(error)) from None
    if workspace.keys is not None:
        open_roots(workspace.directory, workspace.log, workspace.keys)
    workspace.log.forgotten.reapply()
    for name in CACHES:
        shutil.rmtree(workspace.directory / name, ignore_errors=True)
    with workspace.log.cursor() as cursor:
        root = Tiles(cursor).root(backup.checkpoint.size)
    if root != backup.checkpoint.root:
        raise RestoreRefused("the restored log has another root: see `backstory audit verify`")
    return Restored(
        backup.checkpoint.size,
        backup.position,
        backup.checkpoint.root_text,
        round(time.monotonic() - began, 3),
    )


def _check(workspace: Workspace, backup: Backup) -> None:
    if workspace.keys is None or workspace.keys.service != backup.fingerprint:
        raise RestoreRefused(
            "personal values in this backup were sealed under another master key: put master.key "
            "from before into the directory, or set BACKSTORY_MASTER_KEY"
        )
    path = workspace.directory / FILE
    newest = FileAnchor(path).newest(SigningKeys.of(workspace.directory).verifiers)
    if newest is not None and newest.size > backup.checkpoint.size:
        raise RestoreRefused(
            f"{path} holds a checkpoint over {newest.size} events, the backup only "
            f"{backup.checkpoint.size}: take a newer backup, or accept the loss by moving that file"
        )


def _note(backup: Backup) -> str:
    """The checkpoint over all of it."""
    if not backup.segments:
        return backup.checkpoint.note
    name = backup.segments[-1]
    return read_segment(name, backup.read(name))[0].note
