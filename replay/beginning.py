"""A process that has no tables yet begins from the newest snapshot, and follows the log from there.

A snapshot that does not fit is refused with a line in the log, and the tables are made from the
log as if it were not there: it saves time, and is never needed.
"""

from __future__ import annotations

import hashlib
import shutil
from typing import TYPE_CHECKING

import structlog

from projections.tables import declared_name
from readmodels.base import PERSONAL
from replay.snapshot import MAIN_FILE, MANIFEST, PERSONAL_FILE, Format, event_at, read_manifest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from eventstore.log import Log
    from replay.snapshot import Manifest

CHUNK_BYTES = 2**20

says = structlog.get_logger()


class Unfit(Exception):
    """A snapshot cannot be begun from; the message says why."""


def begin_from(snapshots: Path, folder: Path, log: Log) -> int:
    """Put the newest snapshot that fits where tables will be opened, unless some are there.

    `snapshots` is one, or a folder of them. Returns the position it begins from, 0 for the log's
    beginning.
    """
    if any(folder.glob("tables-*.duckdb")):
        return 0
    for snapshot, manifest in _newest_first(snapshots):
        try:
            _check(manifest, log)
            _take(snapshot, manifest, folder, personal=log.keys is not None)
        except (Unfit, OSError) as unfit:
            says.warning("snapshot.refused", snapshot=str(snapshot), reason=str(unfit))
        else:
            says.info("snapshot.begun_from", snapshot=str(snapshot), position=manifest.position)
            return manifest.position
    says.info("snapshot.none", snapshots=str(snapshots), tables="made from the whole log")
    return 0


def _newest_first(snapshots: Path) -> Iterator[tuple[Path, Manifest]]:
    one = (snapshots / MANIFEST).exists()
    found = []
    for folder in [snapshots] if one else sorted(snapshots.glob(f"[!.]*/{MANIFEST}")):
        snapshot = folder if one else folder.parent
        try:
            found.append((snapshot, read_manifest(snapshot)))
        except (OSError, ValueError):
            says.warning("snapshot.refused", snapshot=str(snapshot), reason="no readable manifest")
    newest = sorted(found, key=lambda each: each[1].position, reverse=True)
    yield from ((snapshot, m) for snapshot, m in newest if m.format is Format.duckdb or one)


def _check(manifest: Manifest, log: Log) -> None:
    last = log.last_position()
    if manifest.format is not Format.duckdb:
        raise Unfit(f"tables begin from a snapshot of DuckDB, and this one is {manifest.format}")
    if manifest.as_of is not None:
        raise Unfit(f"it tells only what had happened by {manifest.as_of}")
    if manifest.rules is not None:
        raise Unfit(f"it tells what would be by other rules: {manifest.rules}")
    if manifest.declarations != declared_name():
        raise Unfit("it was made by other declarations of tables")
    if manifest.position > last:
        raise Unfit(f"it tells of position {manifest.position}, and the log ends at {last}")
    if manifest.event_id != event_at(log, manifest.position):
        raise Unfit(f"position {manifest.position} is another event here: it is of another log")


def _take(snapshot: Path, manifest: Manifest, folder: Path, *, personal: bool) -> None:
    """Copy the files; what counts comes last, and under its name only when it is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    names = {MAIN_FILE: f"tables-{declared_name()}.duckdb"}
    if personal and manifest.personal:
        names = {PERSONAL_FILE: f"{PERSONAL}-{declared_name()}.duckdb", **names}
    drafts = {folder / f"{name}.draft": folder / name for name in names.values()}
    try:
        for source, draft in zip(names, drafts, strict=True):
            if source not in manifest.files:
                raise Unfit(f"its manifest does not name {source}")
            if _copied(snapshot / source, draft) != manifest.files[source].sha256:
                raise Unfit(f"{source} is not what the manifest says: it was damaged or changed")
        for draft, path in drafts.items():
            draft.replace(path)
    finally:
        for draft in drafts:
            draft.unlink(missing_ok=True)


def _copied(source: Path, target: Path) -> str:
    """The SHA-256 of what was copied."""
    found = hashlib.sha256()
    with source.open("rb") as read, target.open("wb") as written:
        while chunk := read.read(CHUNK_BYTES):
            found.update(chunk)
            written.write(chunk)
    shutil.copymode(source, target)
    return found.hexdigest()
