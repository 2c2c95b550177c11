"""Backup: the sealed log as files that need no database, and what stands beside it.

FOLDER/
├── segment-000000000000-000000065536.parquet   closed ranges of the log; written once
├── root_key-09ab….parquet                      the root key, wrapped by the key service
├── subject_key-4f0c….parquet                   keys of persons, wrapped by the root key
├── reservation-….parquet, idempotency-….parquet, api_key-….parquet, log_tracking-….parquet
└── manifest.txt    a signed checkpoint that names each file with its hash; written last

Everything is as it was at one event. A backup into the same folder adds segments and replaces the
rest, so whose key was destroyed is forgotten by the next one as well.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import pyarrow as pa
import pyarrow.parquet as pq

from eventstore.leaf import leaf_hashes
from eventstore.merkle import (
    Frontier,
    ProofWrong,
    check_consistency,
    consistency_proof,
    peaks,
)
from eventstore.notes import NoteWrong, SigningKeys
from eventstore.segments import (
    NAME,
    SEGMENT_EVENTS,
    SegmentWrong,
    name_of,
    read_segment,
    write_segment,
)
from eventstore.transfer import BESIDE, snapshot
from eventstore.tree import Checkpoint, Tiles, TreeDamaged
from replay.base import ReplayError
from replay.evidence import seal_up_to
from replay.tables import unseen

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from eventstore.notes import Verifier
    from eventstore.workspace import Workspace
    from replay.tables import Progress

MANIFEST = "manifest.txt"


class BackupWrong(ReplayError):
    """A backup is not what was written; the message names the file."""


class BackupRefused(ReplayError):
    """Nothing was written: the log is not what was sealed, or the folder holds something else."""


@dataclass(frozen=True, slots=True)
class Backup:
    """What the manifest of a folder lists; files are checked as they are read."""

    folder: Path
    checkpoint: Checkpoint
    position: int
    """That of the last event."""
    fingerprint: str
    """Which master key or key service opens what is sealed in it."""
    files: Mapping[str, str]
    """SHA-256 by name."""
    verifiers: tuple[Verifier, ...]

    @classmethod
    def open(cls, folder: Path, verifiers: Sequence[Verifier]) -> Self:
        """The backup in a folder; raises `BackupWrong` when no trusted key has signed it."""
        path = folder / MANIFEST
        if not path.is_file():
            raise BackupWrong(f"{folder} holds no backup: there is no {MANIFEST}")
        try:
            checkpoint = Checkpoint.parse(path.read_bytes().decode(), verifiers)
            about, *listed = checkpoint.note.partition("\n\n")[0].split("\n")[3:]
            position, fingerprint = about.removeprefix("position ").split(" master-key ")
            files = {name: digest for digest, name in (line.split("  ") for line in listed)}
            return cls(folder, checkpoint, int(position), fingerprint, files, tuple(verifiers))
        except (NoteWrong, ValueError) as wrong:
            raise BackupWrong(f"{path} is not what was written: {wrong}") from None

    def read(self, name: str) -> bytes:
        """The bytes of a file; raises `BackupWrong` unless they are what was written."""
        try:
            content = (self.folder / name).read_bytes()
        except FileNotFoundError:
            raise BackupWrong(f"{name} is missing") from None
        if hashlib.sha256(content).hexdigest() != self.files[name]:
            raise BackupWrong(f"{name} is not what was written: its hash is another one")
        return content

    @property
    def segments(self) -> list[str]:
        """The names of the segments, in the order of the log."""
        return sorted(name for name in self.files if NAME.fullmatch(name))

    def rows(self) -> Iterator[tuple[pa.Table, list[bytes]]]:
        """The events of each segment and their leaves, once they are what was signed."""
        tree = Frontier()
        for name in self.segments:
            try:
                segment, rows = read_segment(name, self.read(name))
                leaves = leaf_hashes(rows)
                segment.check(leaves, tree, self.verifiers)
            except SegmentWrong as wrong:
                raise BackupWrong(str(wrong)) from None
            yield rows, leaves
        if (tree.size, tree.root()) != (self.checkpoint.size, self.checkpoint.root):
            raise BackupWrong(f"the segments are not those that {MANIFEST} was signed over")

    def beside(self, table: str) -> pa.Table:
        """The rows of a table that stands beside the log."""
        names = [name for name in self.files if name.startswith(f"{table}-")]
        if len(names) != 1:
            raise BackupWrong(f"{MANIFEST} lists no {table}")
        return pq.read_table(io.BytesIO(self.read(names[0])))


def write(workspace: Workspace, folder: Path, progress: Progress = unseen) -> Backup:
    """Bring a backup up to the end of the log; `progress` is told the positions reached.

    What breaks off is gone on with by the next one, and the backup from before counts until then.
    """
    if workspace.keys is None:
        raise ValueError("a backup names its master key; open the workspace with its keys")
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        keys = SigningKeys.of(workspace.directory)
        earlier = Backup.open(folder, keys.verifiers) if (folder / MANIFEST).exists() else None
        with snapshot(workspace.log) as seen:
            position = seen.position
            files = dict(_beside(folder, table, seen.read(table)) for table in BESIDE)
        if position:
            seal_up_to(workspace, position)
        try:
            run = _Segments(workspace, folder, keys, earlier)
            files = dict(run.up_to(position, progress)) | files
        except (ProofWrong, TreeDamaged) as damaged:
            raise BackupRefused(
                f"the log is not what was sealed: {damaged}; see `backstory audit verify`"
            ) from None
        listed = "".join(f"{digest}  {name}\n" for name, digest in files.items())
        about = f"position {position} master-key {workspace.keys.service}\n"
        tree = run.tree
        made = Checkpoint.sign(tree.size, tree.root(), keys, about + listed)
        _put(folder / MANIFEST, made.note.encode())
        _tidy(folder, files)
    return Backup.open(folder, keys.verifiers)


class _Segments:
    """The segments of a folder, being continued."""

    def __init__(
        self, workspace: Workspace, folder: Path, keys: SigningKeys, earlier: Backup | None
    ) -> None:
        self.log, self.folder, self.keys, self.earlier = workspace.log, folder, keys, earlier
        self.tree = Frontier()
        self.position = 0

    def up_to(self, position: int, progress: Progress) -> Iterator[tuple[str, str]]:
        """Every segment up to a position, kept or new, as name and SHA-256."""
        with self.log.cursor() as cursor:
            tiles = Tiles(cursor)
            sealed = tiles.sealed()
            if sealed is None or not position:
                return
            newest = Checkpoint.parse(sealed.note, self.keys.verifiers)
            size = tiles.indexes([position])[0] + 1
            if self.earlier is not None:
                _same_log(self.earlier.checkpoint, size, tiles)
            while self.tree.size < size:
                self.tree = Frontier(
                    self.tree.size, [tiles.node(*peak) for peak in peaks(self.tree.size)]
                )
                yield self._kept(size) or self._written(size, newest, tiles)
                progress(self.position)

    def _kept(self, size: int) -> tuple[str, str] | None:
        """The segment that is there already, if it is whole."""
        begins = f"segment-{self.tree.size:012}-"
        for path in sorted(self.folder.glob(f"{begins}*.parquet"), reverse=True):
            found = NAME.fullmatch(path.name)
            if found is None or int(found[2]) > size:
                continue
            listed = self.earlier is not None and path.name in self.earlier.files
            if listed and self.earlier is not None:
                content = self.earlier.read(path.name)
            else:
                content = path.read_bytes()
            try:
                segment, rows = read_segment(path.name, content)
                tree = segment.before()
                segment.check(leaf_hashes(rows), tree, self.keys.verifiers)
            except SegmentWrong:
                if listed:
                    raise
                continue  # left behind by one that broke off
            self.tree, self.position = tree, rows["position"][-1].as_py()
            return path.name, hashlib.sha256(content).hexdigest()
        return None

    def _written(self, size: int, newest: Checkpoint, tiles: Tiles) -> tuple[str, str]:
        """A new segment, once it is certain that it is part of what was sealed."""
        before, count = self.tree, min(SEGMENT_EVENTS, size - self.tree.size)
        rows = self.log.read_arrow(self.position, count)
        tree = Frontier(before.size, before.hashes)
        tree.extend(leaf_hashes(rows))
        proof = consistency_proof(tree.size, newest.size, tiles.node)
        check_consistency(tree.size, newest.size, tree.root(), newest.root, proof)
        note = Checkpoint.sign(tree.size, tree.root(), self.keys).note
        path = self.folder / name_of(before.size, tree.size)
        draft = path.with_suffix(".part")
        write_segment(draft, rows, before, note)
        self.tree, self.position = tree, rows["position"][-1].as_py()
        return path.name, _closed(draft, path)


def _same_log(earlier: Checkpoint, size: int, tiles: Tiles) -> None:
    if earlier.size > size or tiles.root(earlier.size) != earlier.root:
        raise BackupRefused(
            f"the folder holds a backup of {earlier.size} events that this log does not continue; "
            "write into another one"
        )


def _beside(folder: Path, table: str, rows: pa.RecordBatchReader) -> tuple[str, str]:
    """Write the rows of a table into a file that is called after its content."""
    draft = folder / f"{table}.part"
    with pq.ParquetWriter(draft, rows.schema, compression="zstd") as writer:
        for batch in rows:
            writer.write_batch(batch)
    digest = _digest(draft)
    name = f"{table}-{digest[:16]}.parquet"
    return name, _closed(draft, folder / name)


def _closed(draft: Path, path: Path) -> str:
    """Give a file its name once it is on the disk; returns its SHA-256."""
    descriptor = os.open(draft, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    draft.replace(path)
    return _digest(path)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _put(path: Path, content: bytes) -> None:
    draft = path.with_suffix(".part")
    draft.write_bytes(content)
    _closed(draft, path)


def _tidy(folder: Path, files: Mapping[str, str]) -> None:
    """Remove what earlier backups held beside the log, and what broke off."""
    for path in folder.iterdir():
        beside = path.name.startswith(tuple(f"{table}-" for table in BESIDE))
        if path.suffix == ".part" or (beside and path.name not in files):
            path.unlink()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One backup at a time writes into a folder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise BackupRefused(f"another process writes into {folder} just now") from None
    try:
        yield
    finally:
        os.close(descriptor)
