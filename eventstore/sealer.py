"""Sealing: what was appended becomes leaves of the tree, under a checkpoint that is signed.

Every process that serves a workspace has a sealer, and one at a time is at it. What was sealed
and its checkpoint are one transaction, so a crash leaves the tree as it was before or after.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

import structlog
from eventsourcing.persistence import PersistenceError

from eventstore.anchor import FILE, FileAnchor
from eventstore.delivery import Anchors
from eventstore.errors import EventStoreError
from eventstore.leaf import leaf_hashes
from eventstore.merkle import EMPTY_ROOT
from eventstore.notes import NoteWrong, SigningKeys
from eventstore.tree import Checkpoint, Tiles, TreeDamaged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from psycopg import Cursor
    from psycopg.rows import DictRow

    from eventstore.anchor import Anchor
    from eventstore.delivery import Place
    from eventstore.log import Log
    from eventstore.workspace import Workspace

SEAL_SECONDS = 0.8
"""How often it is looked whether there is anything to seal; sealing itself takes milliseconds."""

AGAIN_SECONDS = 2.0
STEP_EVENTS = 20_000
BEHIND = """
    SELECT coalesce((SELECT max(notification_id) FROM log_events), 0)
        > coalesce((SELECT position FROM log_checkpoint), 0) AS behind
"""
TURN = "SELECT pg_try_advisory_xact_lock(hashtext(%s)) AS mine"

logger = structlog.get_logger()


class Sealer:
    """Follows the log and seals it; `start` does so in a thread until `close`."""

    def __init__(self, log: Log, keys: SigningKeys, anchor: Anchor) -> None:
        self.log = log
        self.keys = keys
        self.anchor = anchor
        self.error: Exception | None = None
        self._newest: Checkpoint | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sealer", daemon=True)

    @classmethod
    def of(cls, workspace: Workspace, places: Iterable[Place] = ()) -> Self:
        """The sealer of a workspace, with the keys and the file in its directory."""
        keys, path = SigningKeys.of(workspace.directory), workspace.directory / FILE
        return cls(workspace.log, keys, Anchors(FileAnchor(path), places))

    def start(self) -> Self:
        """Begin to seal."""
        self._thread.start()
        return self

    def close(self) -> None:
        """Seal what is there if it was started, have the last checkpoint kept, and stop."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self.anchor.close()

    def seal(self, progress: Callable[[int], None] = lambda _: None) -> None:
        """Seal all there is when this begins; `progress` is told the positions reached."""
        last, position = self.log.last_position(), None
        while (position is None or position < last) and (position := self.step()) is not None:
            progress(position)

    def step(self) -> int | None:
        """Seal some of what is not yet; the position reached, or None if nothing was to do.

        Raises `TreeDamaged` instead of signing a tree that does not continue the one that was
        signed before.
        """
        with self.log.cursor() as cursor:
            row = cursor.execute(BEHIND, prepare=True).fetchone()
            if row is None or not row["behind"]:
                return None
            with cursor.connection.transaction():
                turn = cursor.execute(TURN, (f"seal:{self.log.schema}",)).fetchone()
                if turn is None or not turn["mine"]:
                    return None
                checkpoint, position = self._extend(cursor)
        if checkpoint is not None:
            self._newest = checkpoint
            self.anchor.offer(checkpoint)
        return position

    def _extend(self, cursor: Cursor[DictRow]) -> tuple[Checkpoint | None, int | None]:
        tiles = Tiles(cursor)
        size, position = self._begun(tiles)
        rows = self.log.read_arrow(position, STEP_EVENTS)
        if not len(rows):
            return None, None  # another process has just done it
        positions = rows["position"].to_pylist()
        tiles.append(size, leaf_hashes(rows), positions)
        return tiles.sign(size + len(positions), positions[-1], self.keys), positions[-1]

    def _begun(self, tiles: Tiles) -> tuple[int, int]:
        """Where the tree ends, once it is certain that it is the one that was signed."""
        if self._newest is None:
            self._newest = self.anchor.newest(self.keys.verifiers)
        sealed = tiles.sealed()
        size, position, root = 0, 0, EMPTY_ROOT
        if sealed is not None:
            try:
                signed = Checkpoint.parse(sealed.note, self.keys.verifiers)
            except NoteWrong as wrong:
                raise TreeDamaged(f"the newest checkpoint does not count: {wrong}") from None
            size, position, root = signed.size, sealed.position, signed.root
            if sealed.size != size:
                raise TreeDamaged("the newest checkpoint is not about as many events as it says")
        if tiles.root(size) != root:
            raise TreeDamaged(f"the tree of {size} events is not the one that was signed")
        known = self._newest
        if known is not None and (size < known.size or tiles.root(known.size) != known.root):
            raise TreeDamaged(
                f"the tree of {size} events does not continue the one of {known.size} events "
                "that was signed before"
            )
        return size, position

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._stopping.wait(self._sealed())
        self._sealed()

    def _sealed(self) -> float:
        """Seal; how long to wait before the next time."""
        try:
            self.seal()
        except (TreeDamaged, EventStoreError, PersistenceError, OSError) as error:
            if str(error) != str(self.error):
                logger.error("not sealed", error=str(error))  # noqa: TRY400 - no bug of ours
            self.error = error
            return AGAIN_SECONDS
        self.error = None
        return SEAL_SECONDS
