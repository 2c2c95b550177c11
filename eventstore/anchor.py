"""Anchors: checkpoints kept where whoever can rewrite the database cannot.

The one that is always there is `checkpoints.jsonl` in the directory of the workspace, to which
lines are only ever added.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

import orjson

from eventstore.notes import NoteWrong
from eventstore.tree import Checkpoint

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from eventstore.notes import Verifier

ANCHOR_SECONDS = 60.0
FILE = "checkpoints.jsonl"


class Anchor(Protocol):
    """A place for checkpoints."""

    def offer(self, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint, now or, when the last one was kept a moment ago, a later one."""

    def newest(self, verifiers: Iterable[Verifier]) -> Checkpoint | None:
        """The checkpoint over most events that is kept here."""

    def close(self) -> None:
        """Keep what was offered last."""

    def standing(self) -> Sequence[Standing]:
        """What places beside the file keep."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What one place keeps, as far as this process knows."""

    kind: str
    kept_size: int | None
    error: str | None


class FileAnchor:
    """A file that only grows: a line of JSON for each checkpoint, at most one in `seconds`."""

    def __init__(self, path: Path, *, seconds: float = ANCHOR_SECONDS) -> None:
        self.path = path
        self._seconds = seconds
        self._kept_at = float("-inf")
        self._offered: Checkpoint | None = None

    def offer(self, checkpoint: Checkpoint) -> None:
        """See `Anchor`."""
        self._offered = checkpoint
        if time.monotonic() - self._kept_at >= self._seconds:
            self.close()

    def newest(self, verifiers: Iterable[Verifier]) -> Checkpoint | None:
        """See `Anchor`."""
        if not self.path.exists():
            return None
        trusted = list(verifiers)
        kept = (Checkpoint.parse(note, trusted) for note in notes(self.path))
        return max(kept, key=lambda checkpoint: checkpoint.size, default=None)

    def standing(self) -> Sequence[Standing]:
        """See `Anchor`."""
        return ()

    def close(self) -> None:
        """See `Anchor`."""
        if self._offered is None:
            return
        at = datetime.now(UTC).isoformat(timespec="seconds")
        line = orjson.dumps(
            {"at": at, "note": self._offered.note}, option=orjson.OPT_APPEND_NEWLINE
        )
        with self.path.open("ab") as file:
            file.write(b"\n" * _is_torn(self.path) + line)
            file.flush()
            os.fsync(file.fileno())
        self._offered, self._kept_at = None, time.monotonic()


def notes(path: Path) -> Iterator[str]:
    """The notes in a file; see `notes_in`."""
    return notes_in(path.read_bytes(), str(path))


def notes_in(content: bytes, name: str) -> Iterator[str]:
    """The notes in bytes: one as it is, or a line of JSON for each; raises `NoteWrong`.

    A line that was cut off by a crash while it was written is passed over.
    """
    if not content.startswith(b"{"):
        try:
            yield content.decode().replace("\r\n", "\n")  # as mail programs save it
        except UnicodeDecodeError:
            raise NoteWrong(f"{name} is no text") from None
        return
    for line in content.splitlines():
        try:
            yield orjson.loads(line)["note"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            if line.endswith(b"}"):
                raise NoteWrong(f"{name} holds a line that is no checkpoint") from None


def _is_torn(path: Path) -> bool:
    content = path.read_bytes()[-1:] if path.exists() else b""
    return content not in {b"", b"\n"}
